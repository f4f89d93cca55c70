//! Runs a program, or the body of a test, as a child whose memory and time are limited and measured.
//!
//! The limits are a guard for the machine: a regression fails the test and takes nothing else down.
//! The assertions are stricter: [`Ran::peak_below`] and [`Ran::took_less_than`].
//!
//! A test can measure a command:
//!
//! ```ignore
//! let ran = limited::run(wingback().arg("list").arg(&archive));
//! ran.peak_below(64).took_less_than(2.0);
//! assert_eq!(ran.status, 1);
//! ```
//!
//! or a part of itself. The first closure runs in the test, the second one in a child process:
//!
//! ```ignore
//! #[test]
//! fn a_forged_index_takes_little() {
//!     let Some(ran) = limited::body(|dir| forge(dir), |dir| look_at(dir)) else { return };
//!     ran.succeeded().peak_below(64).took_less_than(2.0);
//! }
//! ```
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// MiB of private memory that the child may map. Mapped pages count even if they are not touched.
const GUARD_MB: u64 = 1024;
/// Seconds of processor time after which the child is killed. On a busy machine it may wait for five times as long.
const GUARD_SECONDS: u64 = 60;

/// The directory of a body that runs in a child.
const BODY_DIR: &str = "WINGBACK_LIMITED_BODY_DIR";

/// `setrlimit` and `wait4` without `unsafe`. The last line on standard error is the measurement.
const WRAPPER: &str = r#"
import os, resource, signal, sys, time
data, seconds, program = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
start = time.monotonic()
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (data, data))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        os.execvp(program[0], program)
    except OSError as e:
        print(program[0], e, file=sys.stderr, flush=True)
        os._exit(127)
signal.signal(signal.SIGALRM, lambda *_: os.killpg(child, signal.SIGKILL))
signal.alarm(5 * seconds)
_, status, used = os.wait4(child, 0)
wall = time.monotonic() - start
signal.alarm(0)
try:
    os.killpg(child, signal.SIGKILL)
except OSError:
    pass
code = os.waitstatus_to_exitcode(status)
cpu = used.ru_utime + used.ru_stime
print(f"\n{code} {used.ru_maxrss} {wall:.3f} {cpu:.3f} {used.ru_utime:.3f}", end="", file=sys.stderr)
"#;

/// Limits of a child. It is stopped if it exceeds one.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    /// MiB of private memory.
    pub mb: u64,
    /// Seconds of processor time, and a fifth of the seconds from start to end.
    pub seconds: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Guard { mb: GUARD_MB, seconds: GUARD_SECONDS }
    }
}

/// Exit status, output and resource use of a child.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit status, or the negative number of the signal that killed it.
    pub status: i32,
    pub out: String,
    pub err: String,
    /// Peak resident memory in KiB of the process or of one of its children.
    pub peak_kb: u64,
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time of all threads.
    pub cpu: f64,
    /// Seconds of processor time outside of the kernel. A busy disk does not affect them.
    pub user: f64,
}

/// Runs `command` with its arguments, environment and directory under the default guard. Standard
/// input is empty.
pub fn run(command: &Command) -> Ran {
    run_within(Guard::default(), command)
}

/// Runs `command` under this guard.
pub fn run_within(guard: Guard, command: &Command) -> Ran {
    let mut python = Command::new("python3");
    python.args(["-c", WRAPPER, &(guard.mb << 20).to_string(), &guard.seconds.to_string()]);
    python.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => python.env(name, value),
            None => python.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        python.current_dir(dir);
    }
    let output = python.stdin(Stdio::null()).output().expect("python3 is installed");
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let (err, measured) = err.rsplit_once('\n').expect("a measurement");
    let numbers: Vec<f64> = measured.split(' ').flat_map(str::parse).collect();
    let [status, peak_kb, wall, cpu, user] = numbers[..] else {
        panic!("no measurement: {err}\n{measured}");
    };
    let err = err.to_owned();
    Ran { status: status as i32, out, err, peak_kb: peak_kb as u64, wall, cpu, user }
}

/// Calls `prepare` with an empty directory in this process, and then `body` with the same directory in a
/// child that runs only the calling test. Returns `None` in the child.
///
/// Call it only once in a test, because the child finds the body by the test's name.
#[must_use]
pub fn body<P: FnOnce(&Path), B: FnOnce(&Path)>(prepare: P, body: B) -> Option<Ran> {
    body_within(Guard::default(), prepare, body)
}

/// Like [`body`], with this guard.
#[must_use]
pub fn body_within<P, B>(guard: Guard, prepare: P, body: B) -> Option<Ran>
where
    P: FnOnce(&Path),
    B: FnOnce(&Path),
{
    if let Some(dir) = std::env::var_os(BODY_DIR) {
        body(&PathBuf::from(dir));
        return None;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    prepare(dir.path());
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", &name_of_test::<B>(), "--nocapture", "--include-ignored"]);
    child.env(BODY_DIR, dir.path()).env("RUST_BACKTRACE", "0");
    let ran = run_within(guard, &child);
    assert!(ran.out.contains("running 1 test"), "the child found another body: {ran:?}");
    Some(ran)
}

/// Whether this process is a child that runs a body.
pub fn is_child() -> bool {
    std::env::var_os(BODY_DIR).is_some()
}

/// The name of the running test. It is the thread's name or, if one thread runs all tests, the path of
/// the function that contains the closure `B`.
fn name_of_test<B>() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => {
            let path = std::any::type_name::<B>();
            let (_, path) = path.split_once("::").expect("a closure in a crate");
            path.split("::{{closure}}").next().expect("the function's path").to_owned()
        }
    }
}

impl Ran {
    /// Fails unless the status is 0.
    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    /// Fails unless the child exited with a status other than 0, without a signal or a panic.
    #[track_caller]
    pub fn failed_in_good_order(&self) -> &Self {
        assert!(self.status > 0 && self.status != 101, "{self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
        self
    }

    /// Fails if its peak of resident memory was `mb` MiB or more.
    #[track_caller]
    pub fn peak_below(&self, mb: u64) -> &Self {
        assert!(self.peak_kb < mb << 10, "{} MiB: {self:?}", self.peak_kb >> 10);
        self
    }

    /// Fails if it took `seconds` or longer. On a busy machine it may wait five times as long for the
    /// processors, if its processor time is below the limit.
    #[track_caller]
    pub fn took_less_than(&self, seconds: f64) -> &Self {
        let is_quick = self.wall < seconds || (self.cpu < seconds && self.wall < 5.0 * seconds);
        assert!(is_quick, "{} s, {} s of them working: {self:?}", self.wall, self.cpu);
        self
    }
}
