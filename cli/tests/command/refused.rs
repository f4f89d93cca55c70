//! One system call is refused at a time. A command that needs it fails with the reason and loses
//! nothing. A command that can do without it succeeds, as docs/file-systems.md says.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use crate::{
    common::{Fixture, Ran, listed, names, noise, ok, spawn, wait, wingback},
    tree::{Tree, tree},
    without::{ERRNOS, Errno, refuse},
};

/// Calls that no command needs. Calls of one entry are refused together.
const OPTIONAL: &[&[&str]] = &[
    &["renameat2"],
    &["linkat"],
    &["openat2"],
    &["openat:O_PATH"],
    &["statx"],
    &["utimensat:AT_SYMLINK_NOFOLLOW"],
    &["fsync", "fdatasync"],
    &["syncfs"],
    &["fadvise64"],
    &["preadv2"],
    &["lseek:SEEK_DATA", "lseek:SEEK_HOLE"],
    &["fstatfs", "statfs"],
    &["sched_getaffinity", "prlimit64", "madvise"],
    &[
        "copy_file_range",
        "fallocate",
        "fchmodat2",
        "fchown",
        "fchownat",
        "ioctl:FICLONE",
        "mincore",
        "mknodat",
        "mlock",
        "mlockall",
        "sched_setaffinity",
        "sched_setscheduler",
        "sendfile",
        "setpriority",
        "splice",
        "sync_file_range",
    ],
];

/// Calls that a command needs: without them it fails, or a backup reports files as skipped.
const NEEDED: &[&[&str]] = &[
    &["openat:O_CREAT"],
    &["openat:O_DIRECTORY"],
    &["openat:O_NONBLOCK"],
    &["newfstatat:!AT_EMPTY_PATH"],
    &["fstat"],
    &["getdents64"],
    &["readlinkat"],
    &["pread64"],
    &["pwrite64"],
    &["ftruncate"],
    &["fchmod"],
    &["utimensat"],
    &["symlinkat"],
    &["mkdirat"],
    &["renameat"],
    &["unlinkat"],
    &["flock"],
    &["fcntl"],
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    Incremental,
    Verify,
    Extract,
    Restore,
    Delete,
    InPlace,
}

const ACTIONS: [Action; 7] = [
    Action::Create,
    Action::Incremental,
    Action::Verify,
    Action::Extract,
    Action::Restore,
    Action::Delete,
    Action::InPlace,
];

const NEW: &str = "00000000-0000-0000-0000-000000000007";

#[test]
fn an_optional_system_call_may_fail() {
    let all = Cases::new();
    all.check_all(OPTIONAL, |_, ran, _| ensure(ran.status == 0, "the command failed"));
}

#[test]
fn a_required_system_call_that_fails_is_a_clean_error() {
    let all = Cases::new();
    let failed = Mutex::new(BTreeSet::new());
    all.check_all(NEEDED, |call, ran, errno| {
        if ran.status != 0 || ran.out.contains("could not be removed") {
            failed.lock().expect("no panic").insert((call[0], errno.name));
        }
        if ran.status == 1 { all.check_error(ran, errno) } else { Ok(()) }
    });
    // The refused calls must have been made, else the test proves nothing.
    let failed = failed.into_inner().expect("no panic");
    let all = NEEDED.iter().flat_map(|call| ERRNOS.map(|errno| (call[0], errno.name)));
    assert_eq!(failed, all.collect());
}

/// A source and its archive, and the content of both.
struct Cases {
    fixture: Fixture,
    archive: PathBuf,
    bytes: Vec<u8>,
    tar: Vec<u8>,
    source: Tree,
    made: AtomicUsize,
}

impl Cases {
    fn new() -> Cases {
        let fixture = Fixture::with(&[
            ("plugins/a.jar", b"new"),
            ("server.properties", b"motd=new"),
            ("world/region/r.0.0.mca", &noise(1, 30_000)),
        ]);
        let source = &fixture.source;
        fs::create_dir(source.join("empty")).expect("created");
        fs::hard_link(source.join("server.properties"), source.join("world/hard"))
            .expect("created");
        symlink("server.properties", source.join("link")).expect("created");
        let sparse = fs::File::create(source.join("world/sparse")).expect("created");
        sparse.set_len(300_000).expect("a hole");
        ok(&mut fixture.create());
        let archive = fixture.archive();
        let bytes = fs::read(&archive).expect("it exists");
        let tar = tar(&archive);
        let source = tree(source);
        Cases { fixture, archive, bytes, tar, source, made: AtomicUsize::new(0) }
    }

    /// Runs all commands with all errors for each of the calls, on two threads.
    fn check_all(
        &self,
        calls: &'static [&'static [&'static str]],
        also: impl Fn(&[&'static str], &Ran, Errno) -> Result<(), String> + Sync,
    ) {
        let cases = calls.iter().flat_map(|call| {
            ACTIONS.iter().flat_map(move |&action| ERRNOS.map(|errno| (*call, action, errno)))
        });
        let (cases, wrong) = (Mutex::new(cases), Mutex::new(Vec::new()));
        let work = || {
            loop {
                let case = cases.lock().expect("no panic").next();
                let Some((call, action, errno)) = case else { return };
                let (ran, checked) = self.check(call, action, errno);
                if let Err(why) = checked.and_then(|()| also(call, &ran, errno)) {
                    let case = format!("{call:?} {} {action:?}: {why}: {ran:?}", errno.name);
                    wrong.lock().expect("no panic").push(case);
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(work);
            work();
        });
        let wrong = wrong.into_inner().expect("no panic");
        assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    }

    fn check(&self, calls: &[&str], action: Action, errno: Errno) -> (Ran, Result<(), String>) {
        let number = self.made.fetch_add(1, Relaxed);
        let dir = self.fixture.tmp.path().join(format!("case-{number}"));
        let mut case = Case { all: self, dir, old: Tree::new() };
        fs::create_dir(&case.dir).expect("created");
        let mut command = case.prepare(action);
        refuse(&mut command, calls, errno);
        let ran = wait(spawn(&mut command));
        let checked = case.check(action, &ran).and_then(|()| {
            ensure(tree(&self.fixture.source) == self.source, "the source has changed")?;
            ensure(
                fs::read(&self.archive).expect("it exists") == self.bytes,
                "the archive has changed",
            )
        });
        fs::remove_dir_all(&case.dir).expect("removed");
        (ran, checked)
    }

    /// Expects one line with the operation, the path and the reason.
    fn check_error(&self, ran: &Ran, errno: Errno) -> Result<(), String> {
        let line = ran.err.strip_prefix("wingback: ").unwrap_or_default();
        ensure(line.lines().count() == 1, "the error is not one line")?;
        let Some((before, _)) = line.split_once(&errno.text()) else {
            return Err("the error has a different reason".to_owned());
        };
        let tmp = self.fixture.tmp.path().to_str().expect("text");
        let mut paths = self.source.keys().map(|path| path.to_str().expect("text"));
        // The path of a file in the target or in the staging directory is relative.
        let has_path = [tmp, "gone", ".wingback-restore-"].iter().any(|path| before.contains(path))
            || paths.any(|path| before.contains(path));
        ensure(
            has_path && before.contains(' '),
            "the error does not name the operation and the path",
        )
    }
}

fn ensure(is_so: bool, otherwise: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise.to_owned()) }
}

/// One command with its own directory.
struct Case<'a> {
    all: &'a Cases,
    dir: PathBuf,
    /// The target before the restore.
    old: Tree,
}

impl Case<'_> {
    fn command(&self) -> Command {
        let mut command = wingback();
        command.env("WINGBACK_STATE_DIR", self.dir.join("state"));
        command
    }

    fn target(&self) -> PathBuf {
        self.dir.join("target")
    }

    /// Creates the initial state and returns the command.
    fn prepare(&mut self, action: Action) -> Command {
        let Cases { archive, fixture: Fixture { source, .. }, .. } = self.all;
        let mut command = self.command();
        match action {
            Action::Create | Action::Incremental => {
                command
                    .arg("create")
                    .arg("--mkdir")
                    .arg(source)
                    .arg("--to")
                    .arg(self.dir.join("to"));
                command.args(["--uuid", NEW]);
                if action == Action::Incremental {
                    command.arg("--previous").arg(archive);
                }
            }
            Action::Verify => {
                command.arg("verify").arg(archive);
            }
            Action::Extract => {
                command.arg("extract").arg(archive).arg(self.target());
            }
            Action::Restore | Action::Delete | Action::InPlace => {
                self.make_old();
                self.old = tree(&self.target());
                self.restore(&mut command, action);
            }
        }
        command.arg("-q");
        command
    }

    fn restore(&self, command: &mut Command, action: Action) {
        command.arg("restore").arg(&self.all.archive).arg(self.target());
        command.args(match action {
            Action::Delete => &["--delete"][..],
            Action::InPlace => &["--delete", "--in-place"],
            _ => &[],
        });
    }

    fn make_old(&self) {
        for (path, content) in [
            ("gone/x", "old"),
            ("plugins/a.jar", "old"),
            ("plugins/old.jar", "old"),
            ("server.properties", "motd=old"),
        ] {
            let path = self.target().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            fs::write(&path, content).expect("written");
        }
    }

    fn check(&self, action: Action, ran: &Ran) -> Result<(), String> {
        match action {
            Action::Create | Action::Incremental => self.check_archive(ran),
            Action::Verify => Ok(()),
            Action::Extract if ran.status == 0 => {
                ensure(tree(&self.target()) == self.all.source, "other files were extracted")
            }
            Action::Extract => {
                let is_ours = |path: &PathBuf| path.to_string_lossy().contains(".wingback-");
                ensure(!tree(&self.target()).keys().any(is_ours), "temporary files are left")
            }
            Action::Restore | Action::Delete | Action::InPlace => self.check_restore(action, ran),
        }
    }

    fn check_archive(&self, ran: &Ran) -> Result<(), String> {
        let made: Vec<_> = names(&self.dir.join("to"));
        if ran.status == 1 {
            return ensure(made.is_empty(), &format!("left: {made:?}"));
        }
        ensure(made.len() == 1, &format!("made: {made:?}"))?;
        let archive = self.dir.join("to").join(&made[0]);
        if ran.status == 0 {
            // The index also has the time of the backup.
            return ensure(tar(&archive) == self.all.tar, "the archive differs");
        }
        ensure(ran.status == 3, "wrong exit status")?;
        ok(self.command().arg("verify").arg(&archive).arg("-q"));
        let there = listed(&archive);
        let is_there = |path: &Path| there.iter().any(|there| Path::new(there) == path);
        let is_reported = |path: &Path| ran.out.contains(&format!("\n  {}: ", path.display()));
        // A skipped directory includes its content.
        let is_known = |path: &&PathBuf| is_there(path) || path.ancestors().any(is_reported);
        let unknown: Vec<_> = self.all.source.keys().filter(|path| !is_known(path)).collect();
        ensure(unknown.is_empty(), &format!("missing, and not in the report: {unknown:?}"))
    }

    fn check_restore(&self, action: Action, ran: &Ran) -> Result<(), String> {
        let mut new = self.all.source.clone();
        if action == Action::Restore {
            for (path, old) in &self.old {
                new.entry(path.clone()).or_insert_with(|| old.clone());
            }
        }
        let now = || tree(&self.target());
        let is_done = ran.status == 0;
        if is_done && ran.out.contains("warnings  none") {
            ensure(!self.is_left(), "temporary files are left")?;
            return ensure(now() == new, "the tree differs");
        }
        if !is_done && action != Action::InPlace && !self.is_left() {
            ensure(now() == self.old, "the old tree has changed")?;
        }
        ok(self.command().arg("recover").arg(self.target()));
        ensure(!self.is_left(), "temporary files are left after `recover`")?;
        if !is_done && action == Action::InPlace {
            let mut again = self.command();
            self.restore(&mut again, action);
            ok(again.arg("-q"));
            return ensure(now() == new, "the tree of the next restore differs");
        }
        let now = now();
        ensure(now == new || !is_done && now == self.old, "the tree after `recover` differs")
    }

    fn is_left(&self) -> bool {
        let is_ours = |name: &OsString| name.to_string_lossy().starts_with(".wingback-");
        let records = names(&self.dir.join("state/restores"));
        names(&self.target()).iter().any(is_ours) || !records.is_empty()
    }
}

/// Returns the tar stream of an archive.
fn tar(archive: &Path) -> Vec<u8> {
    let run = Command::new("gzip").arg("-dc").arg(archive).output().expect("gzip runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    run.stdout
}
