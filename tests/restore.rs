//! A restore changes nothing before the archive is verified.

mod support;

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use futures::{executor::block_on, io::Cursor};
use support::{
    Tree, archive_bytes, gzip, in_memory, left_out, noise, restore_bytes, snapshot::Snapshot, text,
    unmount,
};
use wingback::{Archive, ErrorKind, Restore, Restored, Result, Sha1, UnpackOptions, Warning};

/// The staging directories in the target of a restore.
fn staging(target: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(target).unwrap().map(|entry| entry.unwrap().path());
    let is_staging = |path: &PathBuf| {
        path.file_name().unwrap().as_encoded_bytes().starts_with(b".wingback-restore-")
    };
    entries.filter(is_staging).collect()
}

/// A directory with some old files.
fn old_tree() -> Tree {
    let tree =
        Tree::with(&[("old", b"old"), ("both", b"old"), ("dir/old", b"old"), ("keep/me", b"k")]);
    tree.link("old-link", "both");
    tree
}

fn new_tree() -> Tree {
    let tree = Tree::with(&[
        ("both", b"new"),
        ("dir/new", b"new"),
        ("keep/not", b"new"),
        ("server.jar", &text(1_500_000)),
        ("r.0.0.mca", &noise(300_000)),
    ]);
    tree.link("link", "both");
    fs::create_dir(tree.root.join("empty")).unwrap();
    tree
}

#[test]
fn restore_changes_nothing_before_the_archive_is_verified() {
    let bytes = archive_bytes(new_tree().backup());
    let target = old_tree();
    let before = Snapshot::of(&target.root);
    let check = |result: Result<Restored>, kind: ErrorKind, what: &str| {
        let error = result.expect_err(what);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        Snapshot::of(&target.root).assert_is(&before, what);
        assert_eq!(staging(&target.root), [] as [PathBuf; 0], "{what}");
    };
    for delete in [false, true] {
        for in_place in [false, true] {
            let change = |r: Restore| r.delete(delete).delete_excluded(true).in_place(in_place);
            for at in [20, bytes.len() / 3, bytes.len() / 2, bytes.len() - 2000] {
                let mut hurt = bytes.clone();
                hurt[at] ^= 4;
                // If only its index is damaged, it is restored.
                if at < support::forge::locate(&bytes).data_end {
                    check(
                        restore_bytes(&hurt, &target.root, change),
                        ErrorKind::Corrupt,
                        "flipped",
                    );
                }
            }
            let nothing = gzip(b"");
            check(restore_bytes(&nothing, &target.root, change), ErrorKind::Corrupt, "nothing");
            let cut = &bytes[..bytes.len() / 2];
            check(restore_bytes(cut, &target.root, change), ErrorKind::Corrupt, "cut");
            let wrong = restore_bytes(&bytes, &target.root, |r| change(r).sha1(Sha1([1; 20])));
            check(wrong, ErrorKind::Mismatch, "another SHA-1");
            // In place, these limits are exceeded halfway. This is the documented risk.
            for options in
                [UnpackOptions::new().max_bytes(1000), UnpackOptions::new().reserve(u64::MAX)]
            {
                if !in_place {
                    let full = restore_bytes(&bytes, &target.root, |r| change(r).options(options));
                    check(full, ErrorKind::NoSpace, "no room");
                }
            }
        }
    }
    let stream = Archive::stream(Cursor::new(bytes));
    let result = block_on(support::restore(&target.root).in_place(true).start(stream));
    check(result, ErrorKind::InvalidInput, "a stream in place");
}

#[test]
fn other_files_stay_and_delete_removes_them_except_kept_paths() {
    let bytes = archive_bytes(new_tree().backup());
    for in_place in [false, true] {
        let target = old_tree();
        restore_bytes(&bytes, &target.root, |r| {
            r.delete(true).keep("keep").keep("dir/old").in_place(in_place)
        })
        .unwrap();
        let files = Snapshot::of(&target.root).files();
        let want =
            ["both", "dir/new", "dir/old", "keep/me", "r.0.0.mca", "server.jar"].map(String::from);
        assert_eq!(files, want, "{in_place}");
        assert_eq!(fs::read(target.root.join("both")).unwrap(), b"new");

        let target = old_tree();
        restore_bytes(&bytes, &target.root, |r| r.keep("both").in_place(in_place)).unwrap();
        let files = Snapshot::of(&target.root).files();
        let want =
            ["both", "dir/new", "dir/old", "keep/me", "keep/not", "old", "r.0.0.mca", "server.jar"];
        assert_eq!(files, want.map(String::from), "{in_place}");
        assert_eq!(fs::read(target.root.join("both")).unwrap(), b"old");
    }
}

#[test]
fn a_keep_pattern_that_matches_nothing_is_an_error_before_any_change() {
    let bytes = archive_bytes(new_tree().backup());
    for (delete, in_place) in [(false, false), (false, true), (true, false), (true, true)] {
        let change = |r: Restore| r.delete(delete).in_place(in_place);
        let what = format!("delete {delete}, in place {in_place}");
        let target = old_tree();
        let before = Snapshot::of(&target.root);
        // Paths that exist only in the archive, and the staging directory, do not count as matches.
        for pattern in ["kepp", "*.kept", "dir/new", "link", "/", ".wingback-restore-*", "!old"] {
            let keep = |r: Restore| change(r).keep("keep").keep(pattern);
            let error = restore_bytes(&bytes, &target.root, keep).expect_err(&what);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
            let why = format!("nothing in the directory matches {pattern:?}");
            assert!(error.to_string().ends_with(&why), "{what}: {error}");
            assert!(!error.to_string().contains("\"keep\""), "{what}: {error}");
            Snapshot::of(&target.root).assert_is(&before, &what);
            assert_eq!(staging(&target.root), [] as [PathBuf; 0], "{what}");
        }
        // Paths within a kept directory count as matches.
        for pattern in ["keep/me", "me", "./keep/", "old", "old-link", "k*p/m?"] {
            let target = old_tree();
            restore_bytes(&bytes, &target.root, |r| change(r).keep("keep").keep(pattern))
                .expect(&what);
            assert!(target.root.join("keep/me").exists(), "{what}, {pattern}");
        }
    }
}

/// A script that always passes `--keep` must also work for the first restore.
#[test]
fn a_keep_pattern_that_matches_nothing_is_a_warning_in_an_empty_directory() {
    let bytes = archive_bytes(new_tree().backup());
    for in_place in [false, true] {
        let tree = Tree::with(&[]);
        for dir in [tree.root.clone(), tree.root.join("not/there")] {
            let keep = |r: Restore| r.in_place(in_place).keep("cache").keep("*.db");
            let done = restore_bytes(&bytes, &dir, keep).unwrap();
            assert_eq!(done.warnings, [Warning::KeptNothing(r#""cache", "*.db""#.into())]);
            assert!(dir.join("server.jar").exists());
            fs::remove_dir_all(&dir).unwrap();
            fs::create_dir_all(&tree.root).unwrap();
        }
    }
}

#[test]
fn a_backup_leaves_out_the_staging_directory_of_a_running_restore() {
    let bytes = archive_bytes(Tree::with(&[("a", &noise(30 << 20))]).backup());
    let target = old_tree();
    let paths = support::archive(target.backup()).1.paths();
    let task = support::restore(&target.root).start(in_memory(&bytes));
    let handle = task.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            support::wait_until("the first bytes", || handle.progress().bytes > 1 << 20);
            assert_eq!(staging(&target.root).len(), 1);
            let backup = target.backup().state_dir(support::state_dir());
            assert_eq!(support::archive(backup).1.paths(), paths);
            handle.cancel();
        });
        block_on(task)
    })
    .unwrap_err();
}

/// Earlier versions kept their state there, and tenants can create any name.
#[test]
fn names_that_look_like_staging_directories_are_ordinary_data() {
    let canary = Tree::with(&[("file", b"canary")]);
    let elsewhere = canary.root.as_os_str().as_encoded_bytes();
    let files: &[(&str, &[u8])] = &[
        (".wingback-restore/elsewhere", elsewhere),
        (".wingback-restore/journal", b"x"),
        (".wingback-restore/new/b", b"b"),
        (".wingback-restore-0123456789abcdef0123456789abcdef/old/0", b"0"),
        ("world/.wingback-restore", b"a file"),
    ];
    let tree = Tree::with(files);
    let bytes = archive_bytes(tree.backup());
    let target = old_tree();
    restore_bytes(&bytes, &target.root, |r| r.delete(true)).unwrap();
    Snapshot::of(&target.root).assert_is(&Snapshot::of(&tree.root), "restored");
    // Restored again over themselves, they are replaced as any file is.
    let bytes = archive_bytes(new_tree().backup());
    let recovered = block_on(support::restore(&target.root).recover()).unwrap();
    assert_eq!(recovered, None);
    restore_bytes(&bytes, &target.root, |r| r.delete(true)).unwrap();
    assert_eq!(Snapshot::of(&target.root).files(), Snapshot::of(&new_tree().root).files());
    assert_eq!(fs::read(canary.root.join("file")).unwrap(), b"canary");
}

#[test]
fn mounts_and_immutable_files_are_rejected_before_any_change() {
    let bytes = archive_bytes(new_tree().backup());
    let target = old_tree();
    let before = Snapshot::of(&target.root);
    let refused = |path: &str| {
        let error = restore_bytes(&bytes, &target.root, |r| r.delete(true)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert_eq!(error.path(), Some(Path::new(path)), "{error}");
        Snapshot::of(&target.root).assert_is(&before, path);
    };
    let run = |program: &str, args: &[&Path]| {
        Command::new(program).args(args).status().is_ok_and(|status| status.success())
    };
    let (dir, file) = (target.root.join("dir"), target.root.join("dir/old"));
    let mount = |what: &Path, at: &Path| run("mount", &[Path::new("--bind"), what, at]);
    if mount(&dir, &dir) {
        refused("dir");
        unmount(&dir);
        assert!(mount(&file, &file));
        refused("dir/old");
        unmount(&file);
        // Kept paths are not checked.
        assert!(mount(&dir, &dir));
        restore_bytes(&bytes, &target.root, |r| r.delete(true).keep("dir")).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"old");
        unmount(&dir);
    } else {
        left_out("a restore over a mount: no permission to mount");
    }
    let target = old_tree();
    let before = Snapshot::of(&target.root);
    let file = target.root.join("dir/old");
    if run("chattr", &[Path::new("+i"), &file]) {
        for delete in [true, false] {
            let bytes = if delete {
                bytes.clone()
            } else {
                archive_bytes(Tree::with(&[("dir/old", b"new")]).backup())
            };
            let error = restore_bytes(&bytes, &target.root, |r| r.delete(delete)).unwrap_err();
            assert_eq!(error.path(), Some(Path::new("dir/old")), "{error}");
            Snapshot::of(&target.root).assert_is(&before, "immutable");
        }
        assert!(run("chattr", &[Path::new("-i"), &file]));
    } else {
        left_out("a restore over an immutable file: not permitted or not supported here");
    }
}

#[test]
fn a_restore_can_be_cancelled_until_it_replaces_the_directory() {
    let bytes = archive_bytes(Tree::with(&[("a", &noise(30 << 20))]).backup());
    let target = old_tree();
    let before = Snapshot::of(&target.root);
    let task = support::restore(&target.root).start(in_memory(&bytes));
    let handle = task.handle();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            support::wait_until("the first bytes", || handle.progress().bytes > 1 << 20);
            assert_eq!(staging(&target.root).len(), 1);
            handle.cancel();
        });
        block_on(task)
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    Snapshot::of(&target.root).assert_is(&before, "cancelled");
    drop(support::restore(&target.root).start(in_memory(&bytes)));
    Snapshot::of(&target.root).assert_is(&before, "never polled");
}

#[test]
fn an_external_staging_directory_must_be_on_the_same_file_system() {
    let bytes = archive_bytes(new_tree().backup());
    let (target, beside) = (old_tree(), Tree::new());
    restore_bytes(&bytes, &target.root, |r| r.staging(&beside.root)).unwrap();
    assert_eq!(fs::read_dir(&beside.root).unwrap().count(), 0);
    assert_eq!(fs::read(target.root.join("both")).unwrap(), b"new");
    let other = PathBuf::from("/dev/shm");
    if fs::metadata(&other).is_ok_and(|m| m.dev() != fs::metadata(&target.root).unwrap().dev()) {
        let before = Snapshot::of(&target.root);
        let error = restore_bytes(&bytes, &target.root, |r| r.staging(&other)).unwrap_err();
        assert!(error.to_string().contains("another file system"), "{error}");
        Snapshot::of(&target.root).assert_is(&before, "EXDEV");
    } else {
        left_out(
            "an outside staging directory on another file system: /dev/shm is on the target's",
        );
    }
}

/// A file system with space for one tree but not for two.
#[test]
fn a_restore_without_space_for_both_trees_changes_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=6m", "none"]).arg(place.path());
    if !mount.status().is_ok_and(|status| status.success()) {
        left_out("a restore without room for both trees: no permission to mount");
        return;
    }
    let target = place.path().join("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("old"), noise(4 << 20)).unwrap();
    let before = Snapshot::of(&target);
    let bytes = archive_bytes(Tree::with(&[("new", &noise(3 << 20))]).backup());
    // With an index this is known at the start, without one halfway.
    let by_index = restore_bytes(&bytes, &target, |r| r);
    let stream = Archive::stream(Cursor::new(bytes.clone()));
    let in_sequence = block_on(support::restore(&target).start(stream));
    for result in [by_index, in_sequence] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
        Snapshot::of(&target).assert_is(&before, &error);
    }
    restore_bytes(&bytes, &target, |r| r.delete(true).in_place(true)).unwrap();
    assert_eq!(Snapshot::of(&target).files(), ["new"]);
    unmount(place.path());
}

/// Content that the archive itself has put at a kept path is not the old content.
#[test]
fn a_kept_path_that_does_not_exist_is_restored_from_the_archive() {
    use support::hostile::{directory, file, tar};
    let members =
        [directory(b"k/"), file(b"k/f", b"old"), file(b"t", b"old"), file(b"k/f", b"new")];
    let bytes = gzip(&tar(&[&members[..], &[file(b"t", b"new")]].concat()));
    for in_place in [false, true] {
        let target = Tree::new();
        restore_bytes(&bytes, &target.root, |r| r.keep("k").keep("t").in_place(in_place)).unwrap();
        for path in ["k/f", "t"] {
            assert_eq!(fs::read(target.root.join(path)).unwrap(), b"new", "{path}, {in_place}");
        }
    }
}
