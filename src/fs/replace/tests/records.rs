//! Records: they are found after changes of paths and devices, and an unreadable one removes nothing.

use std::{ffi::OsStr, process::Command, time::Instant};

use super::*;
use crate::left_out::left_out;

/// A target whose restore was killed in the middle of its exchange: `a` is new and `b` is not.
struct InterruptedRestore {
    dir: tempfile::TempDir,
    target: PathBuf,
    old: Snapshot,
}

impl InterruptedRestore {
    fn new() -> InterruptedRestore {
        let (dir, target) = temporary();
        InterruptedRestore::at(dir, target)
    }

    fn at(dir: tempfile::TempDir, target: PathBuf) -> InterruptedRestore {
        build(&target, "old", &["a", "b/c"]);
        let old = snapshot(&target);
        let mut replacement = prepare(&target).expect("prepared");
        build(&staging_dir(&target).join("new"), "new", &["a", "b/c"]);
        let journal = replacement.trees.plan(exchange::EXACT).expect("a plan").0;
        let mut claim = replacement.claim.take().expect("a claim");
        claim.begin_exchange(&journal).expect("written");
        let part = Journal { steps: journal.steps[..2].to_vec(), attributes: Vec::new() };
        replacement.trees.apply(&part).expect("half of the steps");
        InterruptedRestore { dir, target, old }
    }

    fn everything(&self) -> Snapshot {
        let mut all = snapshot(&self.target);
        let staging = staging_dirs(&self.target);
        for dir in staging {
            let name = dir.file_name().expect("a name").as_bytes().to_vec();
            for (path, found) in snapshot(&dir) {
                all.insert([name.as_slice(), b"/", &path].concat(), found);
            }
        }
        all
    }

    fn check_whole(&self) -> Result<Option<StagingId>> {
        let dir = fs::File::open(&self.target).expect("there");
        super::super::check_whole(&dir, &self.target, &state(&self.target))
    }

    /// Recovery, restores and backups fail with that kind, and nothing is removed.
    #[track_caller]
    fn assert_refused(&self, kind: ErrorKind, case: &str) {
        let before = self.everything();
        let started = Instant::now();
        let errors = [
            recover(&self.target).map(drop).expect_err(case),
            prepare(&self.target).map(drop).expect_err(case),
            self.check_whole().map(drop).expect_err(case),
        ];
        for error in &errors {
            assert_eq!(error.kind(), kind, "{case}: {error}");
        }
        assert!(started.elapsed() < Duration::from_secs(5), "{case}");
        assert_eq!(self.everything(), before, "{case}");
    }

    #[track_caller]
    fn assert_finishes(&self) {
        assert_eq!(recover(&self.target).expect("recovered"), Some(Recovered::Finished));
        let now = snapshot(&self.target);
        assert_eq!(now[b"a".as_slice()].2, b"new a");
        assert_eq!(now[b"b/c".as_slice()].2, b"new b/c");
        assert_nothing_left(&self.target);
    }
}

fn run(program: &str, args: &[&OsStr]) -> bool {
    let output = Command::new(program).args(args).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn a_record_that_cannot_be_read_removes_nothing() {
    let interrupted = InterruptedRestore::new();
    let dir = record_dir(&interrupted.target);
    assert_eq!(interrupted.check_whole().expect_err("halfway").kind(), ErrorKind::Busy);
    for name in ["record", "journal"] {
        let path = dir.join(name);
        let whole = fs::read(&path).expect("there");
        let mut cases: Vec<(String, Vec<u8>)> = (0..whole.len())
            .map(|len| (format!("{name}, cut to {len}"), whole[..len].to_vec()))
            .collect();
        let mut flipped = whole.clone();
        *flipped.last_mut().expect("not empty") ^= 1;
        cases.push((format!("{name}, one bit other"), flipped));
        let mut version = whole.clone();
        version[17] = b'1';
        cases.push((format!("{name}, an old version"), version));
        cases.push((format!("{name}, text"), b"../../../etc\n".to_vec()));
        for (case, bytes) in &cases {
            fs::write(&path, bytes).expect("written");
            interrupted.assert_refused_or_busy(case);
        }
        fs::remove_file(&path).expect("removed");
        for file_type in ["fifo", "directory", "link", "device", "sparse"] {
            let case = format!("{name}, a {file_type}");
            match file_type {
                "fifo" => assert!(run("mkfifo", &[path.as_os_str()])),
                "directory" => fs::create_dir(&path).expect("made"),
                "link" => symlink("/etc/passwd", &path).expect("made"),
                "device"
                    if run(
                        "mknod",
                        &[path.as_os_str(), "c".as_ref(), "1".as_ref(), "5".as_ref()],
                    ) => {}
                "device" => {
                    left_out("a device at the path of a record: no permission to create one");
                    continue;
                }
                _ => {
                    let file = fs::File::create(&path).expect("made");
                    file.set_len(20 << 30).expect("sparse");
                }
            }
            interrupted.assert_refused_or_busy(&case);
            let _ = fs::remove_dir(&path).or_else(|_| fs::remove_file(&path));
        }
        fs::write(&path, &whole).expect("written");
    }
    interrupted.assert_finishes();
}

impl InterruptedRestore {
    /// A backup does not read the journal. It is refused since the exchange has begun.
    #[track_caller]
    fn assert_refused_or_busy(&self, case: &str) {
        let before = self.everything();
        let started = Instant::now();
        assert_eq!(recover(&self.target).expect_err(case).kind(), ErrorKind::Corrupt, "{case}");
        assert_eq!(prepare(&self.target).expect_err(case).kind(), ErrorKind::Corrupt, "{case}");
        let kind = self.check_whole().expect_err(case).kind();
        let want = if case.starts_with("record") { ErrorKind::Corrupt } else { ErrorKind::Busy };
        assert_eq!(kind, want, "{case}");
        assert!(started.elapsed() < Duration::from_secs(5), "{case}");
        assert_eq!(self.everything(), before, "{case}");
    }
}

#[test]
fn a_journal_whose_paths_leave_the_tree_is_refused() {
    for path in ["..", "../x", "a/../../x", "/etc", "a//b", ""] {
        let interrupted = InterruptedRestore::new();
        let target = Target::open(&interrupted.target).expect("open");
        let mut claim =
            state(&interrupted.target).claim_interrupted(&target).expect("read").expect("a record");
        let step = Step::MoveOut(path.as_bytes().to_vec(), 0);
        claim
            .begin_exchange(&Journal { steps: vec![step], attributes: Vec::new() })
            .expect("written");
        drop(claim);
        let before = interrupted.everything();
        let error = recover(&interrupted.target).expect_err(path);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let attributes = DirChange { path: path.into(), old: None, new: None };
        let mut claim =
            state(&interrupted.target).claim_interrupted(&target).expect("read").expect("a record");
        claim
            .begin_exchange(&Journal { steps: Vec::new(), attributes: vec![attributes] })
            .expect("written");
        drop(claim);
        assert_eq!(recover(&interrupted.target).expect_err(path).kind(), ErrorKind::Corrupt);
        assert_eq!(interrupted.everything(), before);
    }
}

#[test]
fn a_record_is_found_under_any_spelling_of_the_path() {
    let spellings: &[fn(&Path) -> PathBuf] = &[
        |target| target.join("."),
        |target| target.join("../target"),
        |target| {
            let link = target.with_file_name("link");
            symlink(target, &link).expect("made");
            link
        },
        // The directory was moved.
        |target| {
            let moved = target.with_file_name("moved");
            fs::rename(target, &moved).expect("moved");
            moved
        },
    ];
    for spell in spellings {
        let interrupted = InterruptedRestore::new();
        let spelled = spell(&interrupted.target);
        let state = state(&interrupted.target);
        let dir = fs::File::open(&spelled).expect("there");
        let pending = super::super::check_whole(&dir, &spelled, &state).expect_err("halfway");
        assert_eq!(pending.kind(), ErrorKind::Busy, "{pending}");
        let recovered = super::super::recover(&spelled, &state).expect("recovered");
        assert_eq!(recovered, Some(Recovered::Finished), "{}", spelled.display());
        assert_eq!(fs::read(spelled.join("a")).expect("there"), b"new a");
    }
}

/// After a reboot, the same file system may have another device number.
#[test]
fn a_record_is_found_when_the_device_has_another_number() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let image = dir.path().join("image");
    fs::File::create(&image).expect("made").set_len(32 << 20).expect("sparse");
    let volume = dir.path().join("volume");
    fs::create_dir(&volume).expect("made");
    let mount = || run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), volume.as_ref()]);
    if !run("mke2fs", &["-q".as_ref(), "-F".as_ref(), image.as_os_str()]) || !mount() {
        left_out("a record after the device number changed: no permission to mount");
        return;
    }
    struct Unmount(PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            run("umount", &[self.0.as_os_str()]);
        }
    }
    let _unmount = Unmount(volume.clone());
    let target = volume.join("target");
    fs::create_dir(&target).expect("made");
    let device = |path: &Path| fs::metadata(path).expect("there").dev();
    let before = device(&target);
    let state = StateDir::new(Some(&dir.path().join("state")));
    let mut replacement = Replacement::prepare(&target, &state, None).expect("prepared");
    build(&staging_dir(&target).join("new"), "new", &["a"]);
    let journal = replacement.trees.plan(exchange::EXACT).expect("a plan").0;
    replacement.claim.take().expect("a claim").begin_exchange(&journal).expect("written");
    drop(replacement);
    assert!(run("umount", &[volume.as_os_str()]));

    // Not mounted: the directory is missing, or another one below the mount point is in its place.
    let missing = super::super::recover(&target, &state).expect_err("it is not there");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    fs::create_dir(&target).expect("made");
    let other = super::super::recover(&target, &state).expect_err("another directory");
    assert_eq!(other.kind(), ErrorKind::Corrupt, "{other}");
    assert!(other.to_string().contains("not mounted"), "{other}");
    fs::remove_dir(&target).expect("removed");

    // The number of the first loop device is taken.
    let taken = dir.path().join("taken");
    fs::create_dir(&taken).expect("made");
    fs::copy(&image, dir.path().join("copy")).expect("copied");
    let copy = dir.path().join("copy");
    assert!(run("mount", &["-o".as_ref(), "loop".as_ref(), copy.as_ref(), taken.as_ref()]));
    let _taken = Unmount(taken);
    assert!(mount());
    assert_ne!(device(&target), before);
    let recovered = super::super::recover(&target, &state).expect("recovered");
    assert_eq!(recovered, Some(Recovered::Finished));
    assert_eq!(fs::read(target.join("a")).expect("there"), b"new a");
}

#[test]
fn a_staging_directory_that_is_not_the_recorded_one_is_left_alone() {
    type Forge = fn(&Path);
    let forgeries: &[(&str, Forge)] = &[
        ("removed", |staging| fs::remove_dir_all(staging).expect("removed")),
        ("replaced by another", |staging| {
            fs::rename(staging, staging.with_file_name("b-staging")).expect("moved");
            fs::remove_dir_all(staging.with_file_name("b-staging")).expect("removed");
            fs::create_dir(staging).expect("made");
            fs::create_dir(staging.join("new")).expect("made");
            fs::write(staging.join("new/mine"), "stays").expect("written");
        }),
        ("replaced by a link", |staging| {
            let outside = staging.parent().and_then(Path::parent).expect("above").join("outside");
            fs::remove_dir_all(staging).expect("removed");
            fs::create_dir_all(outside.join("new")).expect("made");
            fs::write(outside.join("new/a"), "stays").expect("written");
            symlink(&outside, staging).expect("made");
        }),
        ("opened to others", |staging| {
            fs::set_permissions(staging, fs::Permissions::from_mode(0o777)).expect("set");
        }),
    ];
    for (case, forge) in forgeries {
        let interrupted = InterruptedRestore::new();
        forge(&staging_dir(&interrupted.target));
        let before = interrupted.everything();
        for error in [
            recover(&interrupted.target).expect_err(case),
            prepare(&interrupted.target).map(drop).expect_err(case),
        ] {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{case}: {error}");
        }
        assert_eq!(interrupted.everything(), before, "{case}");
        let outside = interrupted.dir.path().join("outside/new/a");
        assert!(!outside.exists() || fs::read(outside).is_ok_and(|text| text == b"stays"));
    }
    // A tenant may rename it. It is still the same directory.
    let interrupted = InterruptedRestore::new();
    let staging = staging_dir(&interrupted.target);
    fs::rename(&staging, interrupted.target.join("b-renamed")).expect("renamed");
    interrupted.assert_finishes();
    assert_ne!(interrupted.old, snapshot(&interrupted.target));
}

#[test]
fn a_state_directory_that_others_can_write_to_is_refused() {
    let interrupted = InterruptedRestore::new();
    let state = interrupted.dir.path().join("state");
    for dir in [state.clone(), state.join("restores")] {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("set");
        interrupted.assert_refused(ErrorKind::PermissionDenied, "writable");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).expect("set");
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&state, Some(12345), None).expect("given away");
        interrupted.assert_refused(ErrorKind::PermissionDenied, "another user's");
        std::os::unix::fs::chown(&state, Some(0), None).expect("taken back");
    } else {
        left_out("a state directory of another user: only root can change owners");
    }
    interrupted.assert_finishes();
}

#[test]
fn a_state_directory_inside_the_target_is_refused() {
    let (_dir, target) = temporary();
    let inside = StateDir::new(Some(&target.join("world/state")));
    fs::create_dir(target.join("world")).expect("made");
    let error = Replacement::prepare(&target, &inside, None).expect_err("inside");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(fs::read_dir(target.join("world")).expect("listed").count(), 0, "it was made");
}

/// Two targets may have the same inode number, such as the roots of two file systems.
#[test]
fn another_target_with_an_equal_inode_is_not_mistaken_for_it() {
    let interrupted = InterruptedRestore::new();
    let dir = record_dir(&interrupted.target);
    let other = interrupted.dir.path().join("other");
    fs::create_dir(&other).expect("made");
    build(&other, "old", &["x"]);
    let inode = fs::metadata(&other).expect("there").ino();
    let name = dir.file_name().and_then(OsStr::to_str).expect("a name");
    let renamed = dir.with_file_name(format!("{inode:016x}{}", &name[16..]));
    fs::rename(&dir, &renamed).expect("renamed");
    let Stored::Valid(mut record) =
        record::Record::read(fs::File::open(&renamed).expect("open")).expect("read")
    else {
        panic!("a valid record");
    };
    record.inode = inode;
    record.write(fs::File::open(&renamed).expect("open")).expect("written");
    assert_eq!(recover(&other).expect("not its record"), None);
    drop(prepare(&other).expect("prepared"));
    assert_eq!(snapshot(&other).into_keys().collect::<Vec<_>>(), [b"x"]);
}
