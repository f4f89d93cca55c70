//! Progress on a terminal and in a log, for people.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::common::{self, Fixture, ok, wingback};

/// Runs a command whose standard error is a terminal of 80 columns. Returns what the terminal got.
fn on_a_terminal(command: &mut Command) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("granted");
    unlockpt(&terminal).expect("unlocked");
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("resized");
    let name = ptsname(&terminal, Vec::new()).expect("a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let side = rustix::fs::open(&name, flags, Mode::empty()).expect("opened");
    let command = command.env("TERM", "xterm").stdout(Stdio::null()).stderr(side);
    let mut child = command.spawn().expect("the program starts");
    // The command holds its own copy of the descriptor.
    command.stderr(Stdio::null());
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        // The end of a terminal is an error, EIO.
        let _ = File::from(terminal).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    assert!(child.wait().expect("a child").success());
    reader.join().expect("no panic")
}

/// Returns the lines that a terminal has shown, without escape sequences.
fn shown(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                let is_last = |c: &char| c.is_ascii_alphabetic();
                chars.by_ref().find(is_last);
            }
            c => plain.push(c),
        }
    }
    let lines = plain.split(['\r', '\n']).map(|line| line.trim_end().to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// 2 MiB in 64 files.
fn fixture() -> Fixture {
    let files = (0..64).map(|i| (format!("{i}"), common::noise(i, 32 << 10))).collect::<Vec<_>>();
    let files: Vec<_> = files.iter().map(|(name, content)| (&**name, &**content)).collect();
    Fixture::with(&files)
}

#[test]
fn a_terminal_shows_a_bar_with_the_total_and_the_time_left() {
    let fixture = fixture();
    let text = on_a_terminal(fixture.create().args(["--read-limit", "500k"]));
    let lines = shown(&text);
    let bar = lines.iter().find(|line| line.contains(" left"));
    let bar = bar.unwrap_or_else(|| panic!("no time left in {text:?}"));
    assert!(bar.starts_with('[') && bar.contains("reading: "), "{bar}");
    assert!(bar.contains(" % of 2.0 MiB") && bar.contains("KiB/s"), "{bar}");
    for line in &lines {
        assert!(line.chars().count() <= 80, "{line:?} does not fit into 80 columns");
    }
}

#[test]
fn a_terminal_shows_the_progress_of_the_verification_before_a_prune() {
    let fixture = fixture();
    ok(&mut fixture.create());
    let options = ["--keep-last", "1", "--verify", "--read-limit", "500k"];
    let text = on_a_terminal(wingback().arg("prune").arg(&fixture.to).args(options));
    let lines = shown(&text);
    assert!(
        lines.iter().any(|line| line.contains(" % of 2.0 MiB") && line.contains(" left")),
        "{text:?}"
    );
}

#[test]
fn a_terminal_shows_the_progress_of_a_comparison_and_of_a_search() {
    let fixture = fixture();
    ok(&mut fixture.create());
    let mut diff = wingback();
    diff.arg("diff").arg(fixture.archive()).arg(&fixture.source);
    diff.args(["--content", "--read-limit", "1M"]);
    let mut find = wingback();
    find.arg("find").arg("1").arg(&fixture.to).args(["--read-limit", "40k"]);
    for command in [&mut diff, &mut find] {
        let text = on_a_terminal(command);
        let is_count = |line: &String| line.contains("reading: ") && line.contains(" file");
        assert!(shown(&text).iter().any(is_count), "{command:?}: {text:?}");
    }
}

#[test]
fn a_terminal_shows_how_much_a_sweep_has_removed() {
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", service.local_addr().expect("an address"));
    let (connected, is_connected) = mpsc::channel();
    // It acts as a slow service without unfinished uploads.
    thread::spawn(move || {
        for stream in service.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = connected.send(());
            let _ = stream.read(&mut [0; 4096]);
            thread::sleep(Duration::from_millis(1500));
            let list = "<ListMultipartUploadsResult/>";
            let _ =
                write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{list}", list.len());
        }
    });
    let mut sweep = wingback();
    sweep.args(["sweep", "s3://bucket", "--endpoint", &endpoint]);
    sweep.env("AWS_ACCESS_KEY_ID", "a").env("AWS_SECRET_ACCESS_KEY", "b");
    let text = on_a_terminal(&mut sweep);
    assert!(shown(&text).iter().any(|line| line.ends_with("removed: 0")), "{text:?}");
    is_connected.recv().expect("the first request");
    let child = common::spawn(&mut sweep);
    is_connected.recv().expect("the second request");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it exists");
    let ran = common::wait(child);
    assert_eq!((ran.status, ran.one_line_error()), (130, "cancelled"));
}

#[test]
fn a_command_of_less_than_a_second_shows_no_progress() {
    let fixture = Fixture::with(&[("a", b"a")]);
    assert_eq!(on_a_terminal(&mut fixture.create()), "");
    for command in ["list", "verify"] {
        let text = on_a_terminal(wingback().arg(command).arg(fixture.archive()));
        assert!(!text.contains('['), "{command}: {text:?}");
    }
}

#[test]
fn a_log_gets_a_line_every_few_seconds() {
    let fixture = fixture();
    let ran = ok(fixture.create().args(["--read-limit", "250k"]));
    let line = ran.err.lines().next().expect("a line");
    assert!(line.starts_with("reading: ") && line.contains(" % of 2.0 MiB, "), "{line}");
    assert!(line.contains("/s, 0:0") && line.contains(" left"), "{line}");
    assert!(ran.err.lines().all(|line| line.chars().count() < 80), "{}", ran.err);
}
