//! What the tests of the command share: running it, and looking at what it leaves.

#![allow(dead_code, reason = "each test uses some of it")]

#[path = "../../../tests/support/left_out.rs"]
pub mod left_out;

use std::{
    ffi::OsString,
    fs,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

pub(crate) use left_out::left_out;
use serde_json::Value;
use tempfile::TempDir;

/// The command, without arguments.
pub fn wingback() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wingback"));
    command.stdin(Stdio::null());
    command.env("WINGBACK_STATE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"));
    command
}

/// `wingback create DIR --to TO`.
pub fn create(dir: &Path, to: &Path) -> Command {
    let mut command = wingback();
    command.arg("create").arg(dir).arg("--to").arg(to);
    command
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Whatever else is wrong: no panic and no signal.
    pub fn of(output: Output) -> Ran {
        let ran = Ran {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert!(!ran.err.contains("panicked"), "{ran:?}");
        assert_ne!(ran.status, -1, "killed by {}: {ran:?}", output.status);
        ran
    }

    /// The only or last line, which is the result, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.out.lines().last().unwrap_or_default()).expect("a line of JSON")
    }

    /// The one line on standard error.
    #[track_caller]
    pub fn one_line_error(&self) -> &str {
        let lines: Vec<_> = self.err.lines().collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        lines[0].strip_prefix("wingback: ").expect("it says who speaks")
    }
}

pub fn run(command: &mut Command) -> Ran {
    Ran::of(command.output().expect("it starts"))
}

/// Runs what must succeed.
#[track_caller]
pub fn ok(command: &mut Command) -> Ran {
    let ran = run(command);
    assert_eq!(ran.status, 0, "{command:?}: {ran:?}");
    ran
}

/// Waits for something that must come soon.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what} did not happen within a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits for a child that is to end within a minute.
pub fn wait(mut child: Child) -> Ran {
    let start = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            panic!("it did not end within a minute");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ran::of(child.wait_with_output().expect("a child"))
}

/// Starts it with both outputs kept.
pub fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

/// A directory to back up and one beside it for archives, which is not there yet.
pub struct Place {
    pub tmp: TempDir,
    pub source: PathBuf,
    pub to: PathBuf,
}

impl Place {
    pub fn new() -> Place {
        let tmp = tempfile::tempdir().expect("a temporary directory");
        let source = tmp.path().join("server");
        fs::create_dir(&source).expect("made");
        Place { source, to: tmp.path().join("backups"), tmp }
    }

    /// With some files in it.
    pub fn with(files: &[(&str, &[u8])]) -> Place {
        let place = Place::new();
        for (path, content) in files {
            let path = place.source.join(path);
            fs::create_dir_all(path.parent().expect("in the source")).expect("made");
            fs::write(path, content).expect("written");
        }
        place
    }

    pub fn create(&self) -> Command {
        create(&self.source, &self.to)
    }

    /// The names in the directory of archives, sorted.
    pub fn left(&self) -> Vec<OsString> {
        names(&self.to)
    }

    /// The only file there.
    #[track_caller]
    pub fn archive(&self) -> PathBuf {
        let names = self.left();
        assert_eq!(names.len(), 1, "{names:?}");
        self.to.join(&names[0])
    }
}

/// The names in a directory, sorted; none if it is not there.
pub fn names(dir: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.expect("listed").file_name()).collect();
    names.sort();
    names
}

/// The paths in an archive, as GNU tar sees them.
#[track_caller]
pub fn listed(archive: &Path) -> Vec<String> {
    let ran = ok(Command::new("tar").arg("--quoting-style=literal").arg("-tzf").arg(archive));
    assert_eq!(ran.err, "");
    ran.out.lines().map(str::to_owned).collect()
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| rng.u8(..)).take(len).collect()
}

/// Whether a program is installed. Without it `case` is left out.
pub fn is_there(program: &str, case: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !is_there {
        left_out(&format!("{case}: {program} is not installed"));
    }
    is_there
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn read(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    let file = fs::File::open(path);
    file.and_then(|mut file| file.read_to_end(&mut content)).expect("it can be read");
    content
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
