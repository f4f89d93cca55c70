//! Unreadable files are skipped and reported, and all others are stored. If root runs the tests, the
//! command runs as another user, because root can read everything.

mod common;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use common::{Fixture, is_root, listed, ok, run};
use serde_json::json;

const NOBODY: u32 = 65534;

struct Unprivileged {
    fixture: Fixture,
    binary: PathBuf,
}

impl Unprivileged {
    /// Copies the binary to a path that other users can execute. A separate process copies it: a file that
    /// this process writes would stay open in children that it starts at the same time.
    fn new(files: &[(&str, &[u8])]) -> Self {
        let fixture = Fixture::with(files);
        let binary = fixture.tmp.path().join("wingback");
        ok(Command::new("cp").arg(env!("CARGO_BIN_EXE_wingback")).arg(&binary));
        mode(fixture.tmp.path(), 0o755);
        mode(&binary, 0o755);
        fs::create_dir(&fixture.to).expect("created");
        if is_root() {
            chown(&fixture.to, Some(NOBODY), Some(NOBODY)).expect("permitted");
        }
        Unprivileged { fixture, binary }
    }

    /// Returns the command, run by an unprivileged user.
    fn command(&self) -> Command {
        if !is_root() {
            return Command::new(&self.binary);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&self.binary);
        command
    }

    fn create(&self) -> Command {
        let mut command = self.command();
        command
            .arg("create")
            .arg("--mkdir")
            .arg(&self.fixture.source)
            .arg("--to")
            .arg(&self.fixture.to);
        command
    }
}

impl Drop for Unprivileged {
    /// Makes directories accessible again, so that they can be removed.
    fn drop(&mut self) {
        let _ = Command::new("chmod").arg("-R").arg("u+rwx").arg(self.fixture.tmp.path()).status();
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permitted");
}

/// Sets mode `as_root` if the tests run as root and the command as another user, else mode 0.
fn forbid(path: &Path, as_root: u32) {
    mode(path, if is_root() { as_root } else { 0 });
}

#[test]
fn unreadable_files_are_reported_and_all_others_are_stored() {
    let unprivileged = Unprivileged::new(&[
        ("a", b"a"),
        ("closed/within", b"lost"),
        ("dir/secret", b"lost"),
        ("dir/z", b"z"),
        ("region.mca", &[7; 300_000]),
        ("z", b"z"),
    ]);
    let source = &unprivileged.fixture.source;
    forbid(&source.join("dir/secret"), 0o600);
    forbid(&source.join("region.mca"), 0o600);
    forbid(&source.join("closed"), 0o700);
    let closed = fs::metadata(source.join("closed")).unwrap().mode() & 0o7777;
    let ran = run(unprivileged.create().arg("--json"));
    assert_eq!(ran.status, 3, "{ran:?}");
    let report = ran.json();
    let skipped = |path| {
        json!({
            "path": path, "reason": "unreadable", "loss": true,
            "message": "cannot be read: Permission denied",
        })
    };
    let expected = ["closed", "dir/secret", "region.mca"].map(skipped);
    assert_eq!(report["skipped"], json!(expected));
    assert_eq!((&report["partial"], &report["files"]), (&json!(true), &json!(3)));
    let dry_run = run(unprivileged.create().args(["--dry-run", "--list", "excluded", "-v"]));
    let expected = ["closed/", "dir/secret", "region.mca"]
        .map(|path| format!("{path}  (cannot be read: Permission denied)\n"));
    assert_eq!((dry_run.status, dry_run.out), (3, expected.concat()));
    let archive = unprivileged.fixture.archive();
    assert_eq!(listed(&archive), ["a", "closed/", "dir/", "dir/z", "z"]);
    // The entry of the directory itself is complete, so a restore recreates it.
    let verbose = ok(Command::new("tar").arg("-tvzf").arg(&archive)).out;
    let line = verbose.lines().find(|line| line.ends_with("closed/")).unwrap();
    assert_eq!(line.starts_with("drwx------"), closed == 0o700, "{line}");
    assert_eq!(ok(Command::new("gzip").arg("-t").arg(&archive)).err, "");
}

#[test]
fn the_text_report_lists_unreadable_files() {
    let unprivileged = Unprivileged::new(&[("a", b"a"), ("secret", b"lost")]);
    forbid(&unprivileged.fixture.source.join("secret"), 0o600);
    let ran = run(&mut unprivileged.create());
    assert_eq!(ran.status, 3, "{ran:?}");
    let line = "skipped   1\n  secret: cannot be read: Permission denied\n";
    assert!(ran.out.contains(line), "{}", ran.out);
}

#[test]
fn restore_does_not_delete_what_a_backup_could_not_read() {
    let unprivileged = Unprivileged::new(&[("a", b"a"), ("secret", b"only here")]);
    let source = &unprivileged.fixture.source;
    forbid(&source.join("secret"), 0o600);
    assert_eq!(run(&mut unprivileged.create()).status, 3);
    let restore = |options: &[&str]| {
        let mut restore = Command::new(env!("CARGO_BIN_EXE_wingback"));
        restore.arg("restore").arg(unprivileged.fixture.archive()).arg(source).args(options);
        run(restore.env("WINGBACK_STATE_DIR", unprivileged.fixture.tmp.path().join("state")))
    };
    let ran = restore(&["--delete"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    assert!(ran.one_line_error().contains("further paths that no pattern names"), "{ran:?}");
    assert!(source.join("secret").exists());
    assert_eq!(restore(&[]).status, 0);
    assert!(source.join("secret").exists());
    assert_eq!(restore(&["--delete", "--delete-excluded"]).status, 0);
    assert!(!source.join("secret").exists());
}

/// Such a file may be an archive.
#[test]
fn restore_does_not_delete_what_it_may_not_read() {
    let unprivileged = Unprivileged::new(&[("a", b"a")]);
    let fixture = &unprivileged.fixture;
    ok(unprivileged.create().arg("-q"));
    let (archive, target) = (fixture.archive(), fixture.to.join("target"));
    let secret = target.join("secret");
    fs::create_dir(&target).expect("created");
    fs::write(target.join("other"), "other").expect("written");
    fs::write(&secret, "only here").expect("written");
    forbid(&secret, 0o600);
    if is_root() {
        chown(&target, Some(NOBODY), Some(NOBODY)).expect("permitted");
    }
    let restore = |options: &[&str]| {
        let mut restore = unprivileged.command();
        restore.env("WINGBACK_STATE_DIR", fixture.to.join("state"));
        ok(restore.arg("restore").arg(&archive).arg(&target).arg("-q").args(options));
    };
    restore(&["--delete"]);
    assert!(secret.exists() && !target.join("other").exists());
    restore(&["--delete", "--delete-excluded"]);
    assert!(!secret.exists());
}

#[test]
fn an_unreadable_ignore_file_is_a_warning() {
    let unprivileged = Unprivileged::new(&[(".pteroignore", b"a"), ("a", b"a")]);
    forbid(&unprivileged.fixture.source.join(".pteroignore"), 0o600);
    let ran = run(unprivileged.create().arg("--json"));
    assert_eq!(ran.status, 3);
    let warning = &ran.json()["warnings"][0];
    assert_eq!(warning["code"], "ignore-file");
    let message = warning["message"].as_str().unwrap();
    assert!(message.starts_with(".pteroignore is not used: "), "{message}");
    assert_eq!(listed(&unprivileged.fixture.archive()), ["a"]);
}

#[test]
fn an_unreadable_source_is_an_error() {
    let unprivileged = Unprivileged::new(&[("a", b"a")]);
    forbid(&unprivileged.fixture.source, 0o700);
    let ran = run(&mut unprivileged.create());
    assert_eq!(ran.status, 1);
    let error = ran.one_line_error();
    assert!(
        error.starts_with("open the source ") && error.contains("Permission denied"),
        "{error}"
    );
    assert_eq!(unprivileged.fixture.left(), [""; 0]);
}

#[test]
fn a_backup_directory_that_is_not_writable_is_an_error() {
    let unprivileged = Unprivileged::new(&[("a", b"a")]);
    let fixture = &unprivileged.fixture;
    if is_root() {
        chown(&fixture.to, Some(0), Some(0)).unwrap();
    }
    mode(&fixture.to, 0o555);
    let ran = run(&mut unprivileged.create());
    assert_eq!(ran.status, 1);
    let error = ran.one_line_error();
    assert!(error.starts_with("create ") && error.contains("Permission denied"), "{error}");
    let json = run(unprivileged.create().arg("--json")).json();
    assert_eq!(json["kind"], "permission-denied");
    assert_eq!(fixture.left(), [""; 0]);
    // A missing directory cannot be created there.
    let mut command = unprivileged.create();
    let ran = run(command.args(["--name", "srv/{uuid}.tar.gz"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().starts_with("create the directory "), "{}", ran.err);
}

/// Only root can give files to another user.
#[test]
fn an_unprivileged_restore_reports_the_owners_that_it_cannot_set() {
    let files: Vec<_> = (0..103).map(|i| format!("{i:03}")).collect();
    let files: Vec<_> = files.iter().map(|path| (path.as_str(), &b"x"[..])).collect();
    let unprivileged = Unprivileged::new(&files);
    let fixture = &unprivileged.fixture;
    ok(unprivileged.create().arg("-q"));
    let archive = fixture.archive();
    let restore = |owner: &[&str]| {
        let target = fixture.to.join("target");
        let _ = fs::remove_dir_all(&target);
        let mut restore = unprivileged.command();
        restore.env("WINGBACK_STATE_DIR", fixture.to.join("state"));
        restore.arg("restore").arg(&archive).arg(&target).args(owner);
        let json = ok(restore.arg("--json")).json();
        assert_ne!(fs::metadata(target.join("000")).expect("it exists").uid(), 1);
        json
    };
    assert_eq!(restore(&[])["warnings"], json!([]));
    let warnings = restore(&["--owner", "1:1"])["warnings"].clone();
    let warnings = warnings.as_array().expect("a list");
    assert_eq!(warnings.len(), 101, "100 members, and the number of the others");
    assert_eq!((&warnings[0]["code"], &warnings[0]["path"]), (&json!("owner"), &json!("000")));
    let more = "the owners of 3 more members cannot be set";
    assert_eq!(
        (&warnings[100]["code"], &warnings[100]["message"]),
        (&json!("owner"), &json!(more))
    );
}

/// Directories closed to their owner: not writable, not searchable, and neither.
#[test]
fn an_unprivileged_restore_writes_into_and_replaces_closed_directories() {
    const MODES: [(&str, u32); 3] = [("read-only", 0o555), ("unsearchable", 0o600), ("none", 0)];
    let files = ["read-only/a", "unsearchable/a", "none/in/a"].map(|path| (path, &b"new"[..]));
    let unprivileged = Unprivileged::new(&files);
    let fixture = &unprivileged.fixture;
    let archive = fixture.tmp.path().join("archive.tar.gz");
    closed_archive(&fixture.source, &archive);
    const EXACT: [&str; 2] = ["--delete", "--delete-excluded"];
    let ways: [(&[&str], &str); 4] = [
        (&EXACT, "--threads=2"),
        (&EXACT, "--keep=unsearchable/in"),
        (&[], "--threads=2"),
        (&EXACT, "--in-place"),
    ];
    for (delete, more) in ways {
        let options = [delete, &[more]].concat();
        let target = fixture.tmp.path().join("target");
        fs::create_dir(&target).expect("created");
        for (dir, _) in MODES {
            fs::create_dir_all(target.join(dir).join("in")).expect("created");
            fs::write(target.join(dir).join("a"), "old").expect("written");
            fs::write(target.join(dir).join("in/old"), "old").expect("written");
        }
        let mut own = Command::new("chown");
        if is_root() {
            ok(own.arg("-R").arg(format!("{NOBODY}:{NOBODY}")).arg(&target));
        }
        for (dir, to) in MODES {
            mode(&target.join(dir), to);
        }
        let mut restore = unprivileged.command();
        restore.env("WINGBACK_STATE_DIR", fixture.to.join("state"));
        ok(restore.arg("restore").arg(&archive).arg(&target).arg("-q").args(&options));
        for (dir, to) in MODES {
            let found = fs::metadata(target.join(dir)).expect("it exists").mode() & 0o7777;
            assert_eq!(found, to, "{options:?}: {dir}");
        }
        ok(Command::new("chmod").arg("-R").arg("u+rwx").arg(&target));
        for (path, _) in files {
            assert_eq!(
                fs::read(target.join(path)).expect("it exists"),
                b"new",
                "{options:?}: {path}"
            );
        }
        let stays = delete.is_empty();
        assert_eq!(target.join("read-only/in/old").exists(), stays, "{options:?}");
        let is_kept = stays || more == "--keep=unsearchable/in";
        assert_eq!(target.join("unsearchable/in/old").exists(), is_kept, "{options:?}");
        assert_eq!(common::names(&target).len(), 3, "{options:?}: something is left");
        fs::remove_dir_all(&target).expect("removed");
    }
}

/// Archives closed directories with GNU tar, because the command could not read their content.
fn closed_archive(source: &Path, archive: &Path) {
    let script = "cd \"$1\" && tar -cf - --mode=0555 --no-recursion read-only >\"$2.1\" &&
        tar -cf - --mode=0600 --no-recursion unsearchable >\"$2.2\" &&
        tar -cf - --mode=0 --no-recursion none >\"$2.3\" &&
        tar -cf \"$2.4\" read-only/a unsearchable/a none/in &&
        for i in 2 3 4; do tar -Af \"$2.1\" \"$2.$i\"; done && gzip -c \"$2.1\" >\"$2\" && chmod 644 \"$2\"";
    ok(Command::new("sh").args(["-ec", script, "sh"]).arg(source).arg(archive));
}
