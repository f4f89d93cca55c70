//! Exit status 0 means that everything was written.

use std::{
    fs::{self, File},
    io::Read,
    process::{Command, Stdio},
};

use crate::common::{Fixture, noise, ok, run, spawn, wait, wingback};

/// Creates an archive, and returns the arguments of each command that prints something.
fn fixture() -> (Fixture, Vec<Vec<String>>) {
    let fixture = Fixture::with(&[("a", &noise(1, 100_000)), ("b", b"b")]);
    for i in 0..2000 {
        fs::write(fixture.source.join(format!("file-number-{i}")), "").expect("written");
    }
    ok(&mut fixture.create());
    let archive = fixture.archive().to_str().expect("text").to_owned();
    let tmp = fixture.tmp.path().to_str().expect("text").to_owned();
    let source = fixture.source.to_str().expect("text");
    let to = fixture.to.to_str().expect("text");
    let (other, x, r) = (format!("{tmp}/other"), format!("{tmp}/x"), format!("{tmp}/r"));
    let state = format!("--state-dir={tmp}/state");
    let commands: &[&[&str]] = &[
        &["list", &archive],
        &["list", &archive, "--json"],
        &["cat", &archive, "b"],
        &["cat", &archive, "a"],
        &["verify", &archive, "-q"],
        &["verify", &archive, "--json"],
        &["create", source, "--to", &other, "--mkdir", "-q"],
        &["create", source, "--to", &other, "--mkdir", "--json"],
        &["create", source, "--dry-run"],
        &["create", source, "--dry-run", "--list", "included"],
        &["estimate", source],
        &["extract", &archive, &x, "-q", "--overwrite"],
        &["extract", &archive, &x, "--json", "--overwrite"],
        &["restore", &archive, &r, "-q", &state],
        &["restore", &archive, &r, "--json", &state],
        &["recover", &r, &state],
        &["prune", to, "--keep-last", "1"],
        &["prune", to, "--keep-last", "1", "--json"],
        &["sweep", to, "--json"],
        &["archives", to],
        &["archives", to, "--json"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
        &["--version"],
    ];
    let owned = |command: &&[&str]| command.iter().map(|&arg| arg.to_owned()).collect();
    let commands = commands.iter().map(owned).collect();
    (fixture, commands)
}

#[test]
fn a_full_standard_output_is_an_error() {
    let (_place, commands) = fixture();
    for args in commands {
        let mut command = wingback();
        command.args(&args).stdout(File::options().write(true).open("/dev/full").expect("open"));
        let output = command.stderr(Stdio::piped()).output().expect("the program starts");
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {err}");
        assert!(err.contains("No space left on device"), "{args:?}: {err}");
    }
}

/// `ulimit -f` and LimitFSIZE= of systemd set this quota. It is exceeded in the middle of a file.
#[test]
fn a_file_size_limit_is_an_error_and_does_not_kill_the_process() {
    let (fixture, _) = fixture();
    let archive = fixture.archive();
    let script = format!(
        "ulimit -f 4; exec {} list {} > {}/out",
        env!("CARGO_BIN_EXE_wingback"),
        archive.display(),
        fixture.tmp.path().display()
    );
    let ran = run(Command::new("bash").args(["-c", &script]));
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.err.contains("File too large"), "{}", ran.err);
    let target = fixture.tmp.path().join("target");
    fs::create_dir(&target).expect("created");
    fs::write(target.join("old"), "old").expect("written");
    let to = fixture.tmp.path().join("limited");
    for args in [
        format!("create {} --mkdir --to {} -q", fixture.source.display(), to.display()),
        format!("restore {} {} -q", archive.display(), target.display()),
        format!("extract {} {}/x -q", archive.display(), fixture.tmp.path().display()),
    ] {
        let script = format!("ulimit -f 40; exec {} {args}", env!("CARGO_BIN_EXE_wingback"));
        let mut limited = Command::new("bash");
        limited.env("WINGBACK_STATE_DIR", fixture.tmp.path().join("state"));
        let ran = run(limited.args(["-c", &script]));
        assert_eq!(ran.status, 1, "{args}: {}", ran.err);
        assert!(ran.err.contains("File too large"), "{args}: {}", ran.err);
    }
    assert_eq!(fs::read_dir(&to).expect("listed").count(), 0, "a file is left");
    let left: Vec<_> =
        fs::read_dir(&target).expect("listed").map(|e| e.expect("it").path()).collect();
    assert_eq!(left, [target.join("old")]);
}

#[test]
fn a_reader_that_closes_the_pipe_is_not_a_failure() {
    let (_place, commands) = fixture();
    for args in commands {
        let mut child = spawn(wingback().args(&args).stdout(Stdio::piped()));
        let mut byte = [0];
        child.stdout.take().expect("a pipe").read_exact(&mut byte).expect("a byte");
        let ran = wait(child);
        assert_eq!(ran.status, 0, "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("ipe"), "{args:?}: {}", ran.err);
    }
}
