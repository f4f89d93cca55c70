//! Commands that run around a backup.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::common::{self, Fixture, Ran, ok, run};

/// Adds its name to the file `log`, and the number of finished archives.
const LOG: &str = r#"echo "$WINGBACK_HOOK $(ls "$TO" 2>/dev/null | grep -c '^backup')" >>"$LOG""#;

/// A directory whose backup has the hooks `--before`, `--after-read` and `--after`, which write a log.
struct Hooked {
    fixture: Fixture,
    log: PathBuf,
}

impl Hooked {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let fixture = Fixture::with(files);
        Hooked { log: fixture.tmp.path().join("log"), fixture }
    }

    fn create(&self, args: &[&str]) -> std::process::Command {
        let mut create = self.fixture.create();
        create.env("LOG", &self.log).env("TO", &self.fixture.to).args(args);
        create
    }

    fn file(&self, name: &str) -> PathBuf {
        self.fixture.tmp.path().join(name)
    }

    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("a hook has written it")
}

/// Asserts that a backup was cancelled by one of these signals. Two at once may arrive in either order.
#[track_caller]
fn assert_cancelled(ran: &Ran, signals: &[Signal]) {
    let is_status = signals.iter().any(|signal| ran.status == 128 + signal.as_raw());
    assert!(is_status && ran.err.contains("cancelled"), "{signals:?}: {ran:?}");
}

#[test]
fn hooks_run_in_order_and_the_archive_comes_after_the_second() {
    let hooked = Hooked::new(&[("a", b"a")]);
    ok(&mut hooked.create(&["--before", LOG, "--after-read", LOG, "--after", LOG]));
    assert_eq!(hooked.log(), ["before 0", "after-read 0", "after 1"]);
}

#[test]
fn the_last_hook_gets_the_report() {
    let hooked = Hooked::new(&[("a", b"abc"), ("b", b"")]);
    let (report, vars) = (hooked.file("report"), hooked.file("vars"));
    let after = format!(
        "cat >{}; env | grep ^WINGBACK_HOOK | sort >{}; echo to the log",
        report.display(),
        vars.display()
    );
    let ran = ok(&mut hooked.create(&["--after", &after, "--json", "--quiet"]));
    assert_eq!(ran.err, "to the log\n", "the output of a hook is on standard error");
    assert_eq!(text(&report).trim_end(), ran.out.lines().last().unwrap());
    let json = ran.json();
    let field = |name: &str| json[name].to_string().trim_matches('"').to_owned();
    let expected = [
        "WINGBACK_HOOK=after".to_owned(),
        format!("WINGBACK_HOOK_ARCHIVE={}", hooked.fixture.archive().display()),
        "WINGBACK_HOOK_CONTENT=3".to_owned(),
        "WINGBACK_HOOK_FILES=2".to_owned(),
        format!("WINGBACK_HOOK_SHA1={}", field("sha1")),
        format!("WINGBACK_HOOK_SIZE={}", field("size")),
        "WINGBACK_HOOK_SKIPPED=0".to_owned(),
        format!("WINGBACK_HOOK_SOURCE={}", hooked.fixture.source.display()),
        "WINGBACK_HOOK_STATUS=done".to_owned(),
        "WINGBACK_HOOK_WARNINGS=0".to_owned(),
    ];
    assert_eq!(text(&vars).lines().collect::<Vec<_>>(), expected);
}

#[test]
fn without_a_successful_first_hook_there_is_no_backup() {
    let hooked = Hooked::new(&[("a", b"a")]);
    let error = hooked.file("error");
    let after = format!("cat >{}; {LOG}; echo $WINGBACK_HOOK_STATUS >>$LOG", error.display());
    let before = "echo it is full >&2; exit 7";
    let ran =
        run(&mut hooked.create(&["--before", before, "--after-read", LOG, "--after", &after]));
    assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{ran:?}");
    assert!(ran.err.contains("run the before hook: exit status: 7: it is full"), "{ran:?}");
    assert_eq!(hooked.log(), ["after-read 0", "after 0", "failed"]);
    let error: serde_json::Value = serde_json::from_str(&text(&error)).unwrap();
    assert_eq!((&error["type"], &error["kind"]), (&"error".into(), &"io".into()));
}

#[test]
fn options_are_checked_before_the_first_hook() {
    let hooked = Hooked::new(&[("a", b"a")]);
    let args = ["--before", LOG, "--after-read", LOG, "--after", LOG, "--exclude-from", "/missing"];
    let ran = run(&mut hooked.create(&args));
    assert_eq!(ran.status, 1, "{ran:?}");
    assert_eq!(hooked.log(), ["after 0"]);
}

#[test]
fn the_second_hook_runs_after_an_error() {
    let hooked = Hooked::new(&[]);
    let error = format!("rmdir {}; {LOG}", hooked.fixture.source.display());
    let ran = run(&mut hooked.create(&["--before", &error, "--after-read", LOG]));
    assert_eq!(ran.status, 1, "{ran:?}");
    assert_eq!(hooked.log(), ["before 0", "after-read 0"]);
}

#[test]
fn a_failure_of_a_later_hook_is_a_warning_and_has_a_status_of_its_own() {
    for hook in ["--after-read", "--after"] {
        let hooked = Hooked::new(&[("a", b"a")]);
        let ran = run(&mut hooked.create(&[hook, "echo the bell is broken >&2; false", "--json"]));
        assert_eq!(ran.status, 3, "{ran:?}");
        let warning = &ran.json()["warnings"][0];
        assert_eq!(warning["code"], "hook");
        let message = warning["message"].as_str().unwrap();
        let hook = hook.trim_start_matches('-');
        assert_eq!(message, format!("the {hook} hook failed: exit status: 1: the bell is broken"));
        assert_eq!(common::listed(&hooked.fixture.archive()), ["a"]);
    }
}

#[test]
fn after_signals_the_later_hooks_run_once() {
    for signals in [&[Signal::TERM][..], &[Signal::INT], &[Signal::HUP, Signal::TERM]] {
        let hooked = Hooked::new(&[("a", &common::noise(1, 600_000))]);
        let args = ["--read-limit", "10k", "--after-read", LOG, "--after", LOG];
        let mut child = common::spawn(&mut hooked.create(&args));
        common::wait_until("the first file of the backup", || {
            assert!(child.try_wait().expect("a child").is_none(), "the process exited too early");
            !hooked.fixture.left().is_empty()
        });
        for signal in signals {
            kill_process(Pid::from_child(&child), *signal).unwrap();
        }
        assert_cancelled(&common::wait(child), signals);
        assert_eq!(hooked.log(), ["after-read 0", "after 0"], "{signals:?}");
    }
}

#[test]
fn a_signal_ends_the_first_hook_and_its_children() {
    let hooked = Hooked::new(&[("a", b"a")]);
    let pid = hooked.file("pid");
    let before = format!("sleep 60 & echo $! >{0}.new; mv {0}.new {0}; wait", pid.display());
    let start = Instant::now();
    let child = common::spawn(&mut hooked.create(&["--before", &before, "--after-read", LOG]));
    common::wait_until("the first hook", || pid.exists());
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_cancelled(&common::wait(child), &[Signal::INT]);
    assert!(start.elapsed() < Duration::from_secs(30));
    assert_eq!(hooked.log(), ["after-read 0"]);
    let sleep = Pid::from_raw(text(&pid).trim().parse().unwrap()).unwrap();
    common::wait_until("the end of its child", || test_kill_process(sleep).is_err());
}

#[test]
fn a_hook_has_a_time_limit() {
    let hooked = Hooked::new(&[("a", b"a")]);
    let start = Instant::now();
    let slow = ["--hook-timeout", "1s", "--before", "sleep 60", "--after-read", "sleep 60"];
    let ran = run(&mut hooked.create(&slow));
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.err.contains("run the before hook: it took more than 1 s"), "{ran:?}");
    assert!(ran.err.contains("the after-read hook failed: it took more than 1 s"), "{ran:?}");
    assert!(start.elapsed() < Duration::from_secs(30));
    for wrong in ["0", "1d", "-1s", ""] {
        let ran = run(&mut hooked.create(&["--hook-timeout", wrong]));
        assert_eq!(ran.status, 2, "{wrong}: {ran:?}");
    }
}
