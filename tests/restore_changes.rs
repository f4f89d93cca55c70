//! What a restore adds, replaces, removes and leaves alone.

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, symlink},
    path::Path,
    process::Command,
};

use futures::{executor::block_on, io::Cursor};
use support::{
    Tree, archive_bytes, gzip, in_memory, is_root, left_out, noise, restore_bytes,
    snapshot::Snapshot, unmount,
};
use wingback::{
    Archive, ErrorKind, IgnoreFile, Listed, Owner, Restore, Restored, Rules, UnpackOptions,
};

fn texts(paths: &Listed<Vec<u8>>) -> Vec<&str> {
    assert_eq!(paths.more(), 0);
    paths.iter().map(|path| str::from_utf8(path).unwrap()).collect()
}

/// The added, replaced and removed paths, sorted.
fn changes(restored: &Restored) -> [Vec<&str>; 3] {
    let lists = [&restored.added, &restored.replaced, &restored.removed];
    lists.map(|paths| {
        let mut paths = texts(paths);
        paths.sort_unstable();
        paths
    })
}

/// Extracts the archive, and changes some files.
fn changed_copy(bytes: &[u8]) -> Tree {
    let copy = Tree::new();
    restore_bytes(bytes, &copy.root, |r| r).unwrap();
    fs::remove_file(copy.root.join("world/missing")).unwrap();
    fs::remove_dir_all(copy.root.join("gone")).unwrap();
    copy.file("world/changed", "other");
    copy.file("extra/dir/file", "extra");
    copy.file("world/extra", "extra");
    fs::remove_file(copy.root.join("link")).unwrap();
    copy.link("link", "elsewhere");
    copy
}

fn source() -> Tree {
    let tree = Tree::with(&[
        ("gone/a", b"a"),
        ("same", b"same"),
        ("world/changed", b"new"),
        ("world/missing", b"missing"),
        ("world/region", &noise(3_000_000)),
    ]);
    tree.link("link", "same");
    tree.link("same-link", "same");
    tree
}

#[test]
fn the_result_and_a_dry_run_name_every_change() {
    let tree = source();
    let bytes = archive_bytes(tree.backup());
    for in_place in [false, true] {
        for delete in [false, true] {
            let what = format!("in place {in_place}, delete {delete}");
            let target = changed_copy(&bytes);
            let before = Snapshot::of(&target.root);
            let change = |r: Restore| r.in_place(in_place).delete(delete);
            let dry = restore_bytes(&bytes, &target.root, |r| change(r).dry_run(true)).unwrap();
            Snapshot::of(&target.root).assert_is(&before, &what);
            let done = restore_bytes(&bytes, &target.root, change).unwrap();
            let removed: &[&str] = match delete {
                true => &["extra", "extra/dir", "extra/dir/file", "world/extra"],
                false => &[],
            };
            let want =
                [&["gone", "gone/a", "world/missing"][..], &["link", "world/changed"], removed];
            assert_eq!(changes(&done), want, "{what}");
            assert_eq!(changes(&dry), want, "{what}, dry");
            assert_eq!((done.unchanged, dry.unchanged), (3, 3), "{what}");
            let counts = |restored: &Restored| {
                let unpacked = &restored.unpacked;
                (unpacked.files, unpacked.directories, unpacked.symlinks, unpacked.content)
            };
            assert_eq!(counts(&done), counts(&dry), "{what}");
            let now = Snapshot::of(&target.root);
            if delete {
                now.assert_is(&Snapshot::of(&tree.root), &what);
            } else {
                now.assert_is(&before.overlaid_with(&Snapshot::of(&tree.root)), &what);
            }
            // Another restore has nothing to do.
            let again = restore_bytes(&bytes, &target.root, |r| r.delete(delete)).unwrap();
            assert_eq!((changes(&again), again.unchanged), ([vec![], vec![], vec![]], 7), "{what}");
        }
    }
}

#[test]
fn a_dry_run_of_a_missing_directory_adds_everything_and_creates_nothing() {
    let bytes = archive_bytes(source().backup());
    let tree = Tree::new();
    let dir = tree.root.join("not/there");
    let stream = Archive::stream(Cursor::new(bytes.clone()));
    let streamed = block_on(support::restore(&dir).dry_run(true).start(stream)).unwrap();
    let indexed = restore_bytes(&bytes, &dir, |r| r.delete(true).dry_run(true)).unwrap();
    for restored in [indexed, streamed] {
        assert_eq!(restored.added.total(), 9);
        assert_eq!((restored.replaced.total(), restored.removed.total()), (0, 0));
    }
    assert!(!tree.root.join("not").exists());
    let mut damaged = bytes;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let error = restore_bytes(&damaged, &dir, |r| r.dry_run(true)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn delete_keeps_files_that_the_backup_had_excluded() {
    let make = || {
        let files =
            ["a", "cache/x", "cache/keep", "logs/1.log", "logs/1.txt", "ignored", "world/tmp"];
        let tree = Tree::with(&files.map(|path| (path, path.as_bytes())));
        tree.file(".pteroignore", "ignored\n");
        tree
    };
    for rules in [Rules::Git, Rules::Wings] {
        let tree = make();
        let backup = tree.backup().rules(rules).ignore_file(IgnoreFile::Merge);
        let backup = backup.exclude("cache/*").exclude("!cache/keep").exclude("*.log");
        let bytes = archive_bytes(backup.exclude("tmp"));
        for in_place in [false, true] {
            let what = format!("{rules:?}, in place {in_place}");
            let target = make();
            for path in ["new", "logs/new", "cache/new", "new-dir/x.log", "new-dir/x"] {
                target.file(path, "new");
            }
            let change = |r: Restore| r.delete(true).in_place(in_place);
            let dry = restore_bytes(&bytes, &target.root, |r| change(r).dry_run(true)).unwrap();
            let done = restore_bytes(&bytes, &target.root, change).unwrap();
            let removed = ["logs/new", "new", "new-dir/x"];
            assert_eq!(changes(&done)[2], removed, "{what}");
            assert_eq!(changes(&dry)[2], removed, "{what}");
            for path in
                ["cache/x", "cache/new", "logs/1.log", "ignored", "new-dir/x.log", "world/tmp"]
            {
                assert!(target.root.join(path).exists(), "{what}: {path}");
            }
            let all = restore_bytes(&bytes, &target.root, |r| change(r).delete_excluded(true));
            let all = all.unwrap();
            assert!(texts(&all.removed).contains(&"ignored"), "{what}: {all:?}");
            let files = Snapshot::of(&target.root).files();
            assert_eq!(files, [".pteroignore", "a", "cache/keep", "logs/1.txt"], "{what}");
        }
    }
}

#[test]
fn delete_needs_the_patterns_of_the_archive() {
    use support::hostile::{file, tar};
    let foreign = gzip(&tar(&[file(b"a", b"a")]));
    for in_place in [false, true] {
        let target = Tree::with(&[("b", b"b")]);
        let before = Snapshot::of(&target.root);
        let change = |r: Restore| r.delete(true).in_place(in_place);
        let error = restore_bytes(&foreign, &target.root, change).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("which files its backup excluded"), "{error}");
        Snapshot::of(&target.root).assert_is(&before, "refused");
        restore_bytes(&foreign, &target.root, |r| change(r).delete_excluded(true)).unwrap();
        assert_eq!(Snapshot::of(&target.root).files(), ["a"]);
    }
    // A stream says it at its end.
    let target = Tree::with(&[("b", b"b")]);
    let start = |bytes: &[u8]| {
        let stream = Archive::stream(Cursor::new(bytes.to_vec()));
        block_on(support::restore(&target.root).delete(true).start(stream))
    };
    assert_eq!(start(&foreign).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Snapshot::of(&target.root).files(), ["b"]);
    let tree = Tree::with(&[("a", b"a")]);
    start(&archive_bytes(tree.backup().exclude("b"))).unwrap();
    assert_eq!(Snapshot::of(&target.root).files(), ["a", "b"]);
    start(&archive_bytes(tree.backup())).unwrap();
    assert_eq!(Snapshot::of(&target.root).files(), ["a"]);
}

#[test]
fn only_a_file_that_is_equal_in_everything_is_not_written_again() {
    let tree = source();
    let bytes = archive_bytes(tree.backup());
    type Change = fn(&Path);
    let cases: [(&str, Change, bool); 6] = [
        ("equal", |_| (), true),
        ("content", |path| change_content(path, 2_999_999), false),
        ("first byte", |path| change_content(path, 0), false),
        ("mode", |path| run("chmod", &["600"], path), false),
        ("time", |path| run("touch", &[], path), false),
        ("two names", |path| fs::hard_link(path, path.with_extension("b")).unwrap(), false),
    ];
    for (what, change, stays) in cases {
        let target = Tree::new();
        restore_bytes(&bytes, &target.root, |r| r).unwrap();
        let path = target.root.join("world/region");
        change(&path);
        let inode = || fs::metadata(&path).unwrap().ino();
        let before = inode();
        let dry = restore_bytes(&bytes, &target.root, |r| r.dry_run(true)).unwrap();
        let done = restore_bytes(&bytes, &target.root, |r| r).unwrap();
        assert_eq!(inode() == before, stays, "{what}");
        let replaced: &[&str] = if stays { &[] } else { &["world/region"] };
        assert_eq!(changes(&done)[1], replaced, "{what}");
        assert_eq!(changes(&dry)[1], replaced, "{what}");
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 1, "{what}");
        let _ = fs::remove_file(path.with_extension("b"));
        let want = Snapshot::of(&tree.root).without_directory_times();
        Snapshot::of(&target.root).without_directory_times().assert_is(&want, what);
    }
}

/// Changes a byte, and sets the time back.
fn change_content(path: &Path, at: usize) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let time = file.metadata().unwrap().modified().unwrap();
    let mut content = fs::read(path).unwrap();
    content[at] ^= 1;
    fs::write(path, content).unwrap();
    file.set_modified(time).unwrap();
}

fn run(program: &str, args: &[&str], path: &Path) {
    assert!(Command::new(program).args(args).arg(path).status().unwrap().success());
}

/// A file system with space for one tree but not for two.
#[test]
fn unchanged_files_need_no_room() {
    let place = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=6m", "none"]).arg(place.path());
    if !mount.status().is_ok_and(|status| status.success()) {
        left_out("a restore of unchanged files without room: no permission to mount");
        return;
    }
    let tree = Tree::with(&[("large", &noise(4 << 20)), ("small", b"small")]);
    let bytes = archive_bytes(tree.backup());
    let target = place.path().join("target");
    restore_bytes(&bytes, &target, |r| r).unwrap();
    fs::write(target.join("small"), "other").unwrap();
    let by_index = restore_bytes(&bytes, &target, |r| r.delete(true)).unwrap();
    assert_eq!((changes(&by_index)[1].as_slice(), by_index.unchanged), (&["small"][..], 1));
    Snapshot::of(&target).assert_is(&Snapshot::of(&tree.root), "restored");
    unmount(place.path());
}

#[test]
fn select_restores_some_paths_and_delete_removes_only_there() {
    let tree = source();
    let bytes = archive_bytes(tree.backup());
    for in_place in [false, true] {
        let what = format!("in place {in_place}");
        let target = changed_copy(&bytes);
        target.file("world/sub/extra", "extra");
        let change = |r: Restore| r.select("world").delete(true).in_place(in_place);
        let dry = restore_bytes(&bytes, &target.root, |r| change(r).dry_run(true)).unwrap();
        let done = restore_bytes(&bytes, &target.root, change).unwrap();
        let want = [
            &["world/missing"][..],
            &["world/changed"],
            &["world/extra", "world/sub", "world/sub/extra"],
        ];
        assert_eq!(changes(&done), want, "{what}");
        assert_eq!(changes(&dry), want, "{what}, dry");
        assert!(target.root.join("extra/dir/file").exists(), "{what}");
        assert_eq!(fs::read_link(target.root.join("link")).unwrap(), Path::new("elsewhere"));
        let one = restore_bytes(&bytes, &target.root, |r| r.select("gone/a").in_place(in_place));
        assert_eq!(changes(&one.unwrap()), [&["gone", "gone/a"][..], &[], &[]], "{what}");
        let before = Snapshot::of(&target.root);
        for dry_run in [false, true] {
            let change = |r: Restore| change(r).select("wrold").dry_run(dry_run);
            let error = restore_bytes(&bytes, &target.root, change).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
            assert!(error.to_string().contains("\"wrold\""), "{what}: {error}");
            Snapshot::of(&target.root).assert_is(&before, &what);
        }
    }
}

#[test]
fn a_restore_never_removes_or_changes_files_behind_symlinks() {
    let canary = Tree::with(&[("changed", b"canary"), ("extra", b"canary"), ("region", b"c")]);
    let before = Snapshot::of(&canary.root);
    let tree = source();
    let bytes = archive_bytes(tree.backup().exclude("*.log"));
    for in_place in [false, true] {
        for select in [None, Some("world")] {
            let target = Tree::with(&[("extra-dir/x.log", b"stays")]);
            symlink(&canary.root, target.root.join("world")).unwrap();
            symlink(&canary.root, target.root.join("extra-dir/link")).unwrap();
            symlink(&canary.root, target.root.join("extra-link")).unwrap();
            let change = |r: Restore| {
                let r = r.delete(true).in_place(in_place);
                select.iter().fold(r, |r, path| r.select(path))
            };
            let dry = restore_bytes(&bytes, &target.root, |r| change(r).dry_run(true)).unwrap();
            Snapshot::of(&canary.root).assert_is(&before, "dry");
            let done = restore_bytes(&bytes, &target.root, change).unwrap();
            Snapshot::of(&canary.root).assert_is(&before, "restored");
            assert_eq!(changes(&done), changes(&dry));
            assert_eq!(changes(&done)[1], ["world"]);
            let removed: &[&str] =
                if select.is_none() { &["extra-dir/link", "extra-link"] } else { &[] };
            assert_eq!(changes(&done)[2], removed);
            assert!(target.root.join("extra-dir/x.log").exists());
            assert!(target.root.join("world").symlink_metadata().unwrap().is_dir());
        }
    }
}

#[test]
fn a_file_replaces_a_directory_only_with_delete() {
    let bytes = archive_bytes(Tree::with(&[("a", b"a"), ("b", b"b")]).backup());
    for in_place in [false, true] {
        let target = Tree::with(&[("a", b"old"), ("b/c", b"c")]);
        let before = Snapshot::of(&target.root);
        for dry_run in [true, false] {
            let change = |r: Restore| r.in_place(in_place).dry_run(dry_run);
            let error = restore_bytes(&bytes, &target.root, change).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert_eq!(error.path(), Some(Path::new("b")), "{error}");
            Snapshot::of(&target.root).assert_is(&before, "refused");
        }
        let change = |r: Restore| r.delete(true).in_place(in_place);
        restore_bytes(&bytes, &target.root, change).unwrap();
        assert_eq!(fs::read(target.root.join("b")).unwrap(), b"b");
    }
}

#[test]
fn root_restores_the_owners_of_the_archive() {
    if !is_root() {
        left_out("owners of restored files: not root");
        return;
    }
    let tree = Tree::with(&[("dir/file", b"file")]);
    tree.link("dir/link", "file");
    for path in ["dir/file", "dir/link", "dir"] {
        std::os::unix::fs::lchown(tree.root.join(path), Some(1234), Some(2345)).unwrap();
    }
    let bytes = archive_bytes(tree.backup());
    let owner = |target: &Tree, path| {
        let found = fs::symlink_metadata(target.root.join(path)).unwrap();
        (found.uid(), found.gid())
    };
    for (options, want) in
        [(UnpackOptions::new(), (1234, 2345)), (UnpackOptions::new().owner(Owner::Keep), (0, 0))]
    {
        for in_place in [false, true] {
            let target = Tree::with(&[("dir/file", b"file")]);
            let change = |r: Restore| r.options(options.clone()).in_place(in_place);
            let done = restore_bytes(&bytes, &target.root, change).unwrap();
            assert_eq!(done.warnings, []);
            for path in ["dir", "dir/file", "dir/link"] {
                assert_eq!(owner(&target, path), want, "{path}");
            }
            // The owner is a part of the comparison.
            std::os::unix::fs::chown(target.root.join("dir/file"), Some(7), None).unwrap();
            let again = restore_bytes(&bytes, &target.root, change).unwrap();
            assert_eq!(changes(&again)[1], ["dir/file"]);
        }
    }
    let extracted = Tree::new();
    let extract = wingback::Extract::new(&extracted.root);
    block_on(extract.start(in_memory(&bytes))).unwrap();
    assert_eq!(owner(&extracted, "dir/file"), (1234, 2345));
}
