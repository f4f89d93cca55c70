//! Shared by the tests of the command: running it, and inspecting its results.

#![allow(dead_code, unused_imports, reason = "each test uses some of it")]

#[path = "../../../tests/support/left_out.rs"]
pub mod left_out;
#[path = "../../../tests/support/noise.rs"]
mod noise;
#[path = "../../../tests/support/wait.rs"]
mod wait;

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
pub use noise::noise;
use serde_json::Value;
use tempfile::TempDir;
pub use wait::wait_until;

/// Returns the command without arguments.
pub fn wingback() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wingback"));
    command.stdin(Stdio::null());
    command.env("WINGBACK_STATE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/state"));
    command
}

/// Returns `wingback create DIR --to TO --mkdir`.
pub fn create(dir: &Path, to: &Path) -> Command {
    let mut command = wingback();
    command.arg("create").arg(dir).arg("--mkdir").arg("--to").arg(to);
    command
}

/// Output and exit status of a command.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Panics if the command panicked or was killed.
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

    /// Parses the last line of the output, which is the result.
    #[track_caller]
    pub fn json(&self) -> Value {
        json_lines(&self.out).pop().expect("a line of JSON")
    }

    /// Parses the lines of the output, without those of the progress.
    pub fn results(&self) -> Vec<Value> {
        let lines = json_lines(&self.out).into_iter();
        lines.filter(|line| line["type"] != "progress").collect()
    }

    /// Returns the only line on standard error.
    #[track_caller]
    pub fn one_line_error(&self) -> &str {
        let lines: Vec<_> = self.err.lines().collect();
        assert_eq!(lines.len(), 1, "{self:?}");
        lines[0].strip_prefix("wingback: ").expect("the name of the command")
    }
}

/// Parses JSON, one value a line.
pub fn json_lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

pub fn run(command: &mut Command) -> Ran {
    Ran::of(command.output().expect("the program starts"))
}

/// Runs a command that must succeed.
#[track_caller]
pub fn ok(command: &mut Command) -> Ran {
    let ran = run(command);
    assert_eq!(ran.status, 0, "{command:?}: {ran:?}");
    ran
}

/// Waits for a child, for at most a minute.
pub fn wait(mut child: Child) -> Ran {
    let start = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            panic!("the child did not exit within a minute");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ran::of(child.wait_with_output().expect("a child"))
}

/// Starts the command with both outputs captured.
pub fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// A directory to back up, and the path of one for archives that does not exist yet.
pub struct Fixture {
    pub tmp: TempDir,
    pub source: PathBuf,
    pub to: PathBuf,
}

impl Fixture {
    pub fn new() -> Fixture {
        let tmp = tempfile::tempdir().expect("a temporary directory");
        let source = tmp.path().join("server");
        fs::create_dir(&source).expect("created");
        Fixture { source, to: tmp.path().join("backups"), tmp }
    }

    /// Creates the source with these files.
    pub fn with(files: &[(&str, &[u8])]) -> Fixture {
        let fixture = Fixture::new();
        for (path, content) in files {
            let path = fixture.source.join(path);
            fs::create_dir_all(path.parent().expect("in the source")).expect("created");
            fs::write(path, content).expect("written");
        }
        fixture
    }

    pub fn create(&self) -> Command {
        create(&self.source, &self.to)
    }

    /// The names in the backup directory, sorted.
    pub fn left(&self) -> Vec<OsString> {
        names(&self.to)
    }

    /// The only file in the backup directory.
    #[track_caller]
    pub fn archive(&self) -> PathBuf {
        let names = self.left();
        assert_eq!(names.len(), 1, "{names:?}");
        self.to.join(&names[0])
    }
}

/// The names in a directory, sorted. Empty if it does not exist.
pub fn names(dir: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.expect("listed").file_name()).collect();
    names.sort();
    names
}

/// The paths in an archive, listed by GNU tar.
#[track_caller]
pub fn listed(archive: &Path) -> Vec<String> {
    let ran = ok(Command::new("tar").arg("--quoting-style=literal").arg("-tzf").arg(archive));
    assert_eq!(ran.err, "");
    ran.out.lines().map(str::to_owned).collect()
}

/// Whether a program is installed. If not, `case` is left out.
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
    file.and_then(|mut file| file.read_to_end(&mut content)).expect("a readable file");
    content
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
