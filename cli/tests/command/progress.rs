//! Progress on a terminal and in a log, for people.

use std::{
    fs::File,
    io::Read,
    process::{Command, Stdio},
    thread,
};

use rustix::{
    fs::{Mode, OFlags},
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
