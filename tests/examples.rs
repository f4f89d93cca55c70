//! The examples do what their first lines say. That of S3 needs a service, and is only compiled.

#[path = "support/cargo.rs"]
mod cargo;

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

/// Returns the directory with the examples of these sources.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut cargo = cargo::cargo(env!("CARGO"));
        cargo.args(["build", "--quiet", "--examples"]).args(cargo::SELECTION);
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
        let exe = env::current_exe().unwrap();
        exe.parent().and_then(Path::parent).unwrap().join("examples")
    })
}

fn example(name: &str, args: &[&Path]) -> Command {
    let mut command = Command::new(built().join(name));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs an example that must succeed. Returns its standard output.
#[track_caller]
fn ok(name: &str, args: &[&Path]) -> String {
    let Output { status, stdout, stderr } = example(name, args).output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{name}: {stdout}{}", String::from_utf8_lossy(&stderr));
    stdout
}

/// Runs an example that must fail. Returns its standard error.
#[track_caller]
fn fails(mut example: Command) -> String {
    let Output { status, stderr, .. } = example.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(1), "{stderr}");
    stderr
}

#[test]
fn a_backup_is_listed_read_and_restored() {
    let tmp = tempfile::tempdir().unwrap();
    let (server, backups, state) =
        (tmp.path().join("server"), tmp.path().join("backups"), tmp.path().join("state"));
    fs::create_dir(&server).unwrap();
    fs::write(server.join("server.properties"), "motd=hi\n").unwrap();
    fs::write(server.join("latest.log"), "a line\n").unwrap();

    let made = ok("back_up", &[&server, &backups]);
    assert!(made.contains("\n1 files, "), "{made}");
    let archive = Path::new(made.lines().next().unwrap());

    let listed = ok("list_and_read", &[archive]);
    assert!(
        listed.contains("8  server.properties\n") && !listed.contains("latest.log"),
        "{listed}"
    );
    let read = ok("list_and_read", &[archive, Path::new("server.properties")]);
    assert_eq!(read, "motd=hi\n");

    fs::write(server.join("server.properties"), "motd=bye\n").unwrap();
    let restored = ok("restore", &[archive, &server, &state]);
    assert!(restored.starts_with("1 files in "), "{restored}");
    assert_eq!(fs::read(server.join("server.properties")).unwrap(), b"motd=hi\n");
}

#[test]
fn a_store_of_the_program_logs_what_happens() {
    let tmp = tempfile::tempdir().unwrap();
    let (server, backups) = (tmp.path().join("server"), tmp.path().join("backups"));
    fs::create_dir(&server).unwrap();
    fs::write(server.join("level.dat"), "level").unwrap();
    let log = ok("own_store", &[&server, &backups]);
    let name = fs::read_dir(&backups).unwrap().next().unwrap().unwrap().file_name();
    let name = name.to_str().unwrap();
    assert_eq!(log, format!("{name}: begin\n{name}: complete, Ok(())\n"));
}

#[test]
fn enter_cancels_a_backup_and_nothing_is_left() {
    let tmp = tempfile::tempdir().unwrap();
    let (server, backups) = (tmp.path().join("server"), tmp.path().join("backups"));
    fs::create_dir(&server).unwrap();
    // A file without blocks: it takes long, and no space.
    fs::File::create(server.join("world")).unwrap().set_len(1 << 40).unwrap();
    let mut command = example("back_up", &[&server, &backups]);
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("Error: Cancelled"), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read_dir(&backups).map_or(0, |entries| entries.count()), 0);
}

#[test]
fn errors_name_the_cause() {
    let tmp = tempfile::tempdir().unwrap();
    let none = tmp.path().join("none");
    for (name, args) in [
        ("back_up", vec![&*none, tmp.path()]),
        ("list_and_read", vec![&*none]),
        ("restore", vec![&*none, &*none, tmp.path()]),
        ("own_store", vec![&*none, tmp.path()]),
    ] {
        let error = fails(example(name, &args));
        assert!(error.contains("Error: NotFound: ") && error.contains("none"), "{name}: {error}");
    }
}
