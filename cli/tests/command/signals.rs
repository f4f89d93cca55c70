//! Signals cancel cleanly: the process exits with 128 and the signal's number, and leaves nothing.

use std::{
    fs,
    path::Path,
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{self, Fixture, Ran};

const SLOW: &[&str] = &["--read-limit", "10k"];

/// Starts a backup that would take a minute, and waits until it writes.
fn start(fixture: &Fixture, args: &[&str]) -> Child {
    let mut child = common::spawn(fixture.create().args(args));
    common::wait_until("the first file of the backup", || {
        assert!(child.try_wait().expect("a child").is_none(), "the process exited too early");
        !fixture.left().is_empty()
    });
    child
}

fn end(child: Child, signal: Signal) -> Ran {
    let start = Instant::now();
    kill_process(Pid::from_child(&child), signal).expect("it exists");
    let ran = common::wait(child);
    assert!(start.elapsed() < Duration::from_secs(15), "the process took too long to exit");
    ran
}

#[test]
fn sigint_sigterm_and_sighup_cancel_and_leave_nothing() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 600_000))]);
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        for pause in [0, 30, 300] {
            let child = start(&fixture, SLOW);
            // Several times: at the beginning and in the middle.
            std::thread::sleep(Duration::from_millis(pause));
            let ran = end(child, signal);
            let result = (ran.status, ran.out.as_str());
            assert_eq!(result, (status, ""), "{signal:?} {pause}: {ran:?}");
            assert!(ran.err.contains("cancelled"), "{ran:?}");
            ran.one_line_error();
            assert_eq!(fixture.left(), [""; 0], "{signal:?} {pause}");
        }
    }
}

#[test]
fn a_cancelled_backup_is_reported_in_json() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 600_000))]);
    let ran = end(start(&fixture, &[SLOW, &["--json"]].concat()), Signal::TERM);
    assert_eq!((ran.status, ran.err.as_str()), (143, ""));
    let error = ran.json();
    assert_eq!((&error["type"], &error["kind"]), (&"error".into(), &"cancelled".into()));
    assert_eq!(fixture.left(), [""; 0]);
}

#[test]
fn cancel_does_not_wait_for_the_write_limit() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 600_000))]);
    let child = start(&fixture, &["--write-limit", "100"]);
    let written = || fs::metadata(fixture.archive()).expect("it exists").len();
    common::wait_until("the first bytes", || written() > 0);
    // The rest of the backup would wait for the limit for hours.
    assert_eq!(end(child, Signal::INT).status, 130);
    assert_eq!(fixture.left(), [""; 0]);
}

#[test]
fn a_signal_ends_the_wait_for_a_limit() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 600_000))]);
    common::ok(&mut fixture.create());
    let (archive, target) = (fixture.archive(), fixture.tmp.path().join("target"));
    fs::create_dir(&target).expect("created");
    let run = |args: &[&str], operand: &Path| {
        let mut command = common::wingback();
        common::spawn(command.args(args).arg(&archive).arg(operand))
    };
    let restore = run(&["restore", "--write-limit", "100"], &target);
    common::wait_until("the first write", || !common::names(&target).is_empty());
    assert_eq!(end(restore, Signal::INT).status, 130);
    let cat = run(&["cat", "--read-limit", "100"], Path::new("a"));
    common::wait_until("the first read", || threads(&cat).contains("wingback-limit"));
    assert_eq!(end(cat, Signal::INT).status, 130);
    assert_eq!(common::names(&target), [""; 0]);
}

#[test]
fn a_cancelled_comparison_is_not_taken_for_an_error_of_diff() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 600_000))]);
    common::ok(&mut fixture.create());
    for json in [None, Some("--json")] {
        let mut diff = common::wingback();
        diff.arg("diff").arg(fixture.archive()).arg(&fixture.source).args(json);
        let diff = common::spawn(diff.args(["--content", "--read-limit", "100"]));
        common::wait_until("the first read", || threads(&diff).contains("wingback-limit"));
        let ran = end(diff, Signal::INT);
        assert_eq!(ran.status, 130, "{ran:?}");
        assert!(format!("{}{}", ran.out, ran.err).contains("cancelled"), "{ran:?}");
    }
}

/// Returns the names of the threads of a process.
fn threads(child: &Child) -> String {
    let threads = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten();
    let names = threads.flatten().map(|thread| fs::read_to_string(thread.path().join("comm")));
    names.map(Result::unwrap_or_default).collect()
}
