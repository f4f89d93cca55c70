//! The conformance suite of stores, and cases that are specific to the local store.

mod support;

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Barrier,
};

use bytes::Bytes;
use futures::executor::block_on;
use support::{Tree, key, noise, swept, wait_until};
use wingback::{
    ErrorKind, Limiter, LocalStore, MemoryStore, Object, Store, testing::store_conformance,
};

#[test]
fn every_store_passes_the_conformance_suite() {
    let tmp = tempfile::tempdir().unwrap();
    block_on(store_conformance(&LocalStore::new(tmp.path().join("new/dir")).mkdir(true)));
    block_on(store_conformance(&MemoryStore::new()));
}

#[test]
fn exactly_one_of_many_backups_with_one_name_succeeds() {
    let tree = Tree::with(&[("a", &noise(500_000))]);
    for _ in 0..10 {
        let store = LocalStore::new(tree.tmp.path().join("backups")).mkdir(true);
        let barrier = Barrier::new(4);
        let results: Vec<_> = std::thread::scope(|scope| {
            let run = || {
                barrier.wait();
                block_on(tree.backup().start(store.clone(), key()))
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (done, failed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(done.len(), 1);
        for error in failed {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        let size = block_on(store.head(&key())).unwrap().unwrap().size;
        assert_eq!(done[0].as_ref().unwrap().size, size);
        block_on(store.delete(&key())).unwrap();
        assert_eq!(fs::read_dir(tree.tmp.path().join("backups")).unwrap().count(), 0);
    }
}

/// Not a test by itself: other tests run it in another process.
#[test]
fn run_a_backup_in_another_process() {
    let Some(base) = std::env::var_os("WINGBACK_TEST_BASE").map(PathBuf::from) else { return };
    let backup = wingback::Backup::new(base.join("source")).write_limit(Limiter::new(1000));
    let _ = block_on(backup.start(LocalStore::new(base.join("backups")).mkdir(true), key()));
}

#[test]
fn a_backup_of_another_process_is_kept_until_that_process_is_killed() {
    let tree = Tree::with(&[("a", &noise(100_000))]);
    let store = LocalStore::new(tree.tmp.path().join("backups")).mkdir(true);
    let part = tree.tmp.path().join("backups/.a.tar.gz.wingback-part");
    let mut other = Command::new(std::env::current_exe().unwrap());
    other
        .args(["run_a_backup_in_another_process", "--exact"])
        .env("WINGBACK_TEST_BASE", tree.tmp.path());
    let mut other = other.stdout(Stdio::null()).spawn().unwrap();
    wait_until("writing", || fs::metadata(&part).is_ok_and(|meta| meta.len() > 0));

    let error = block_on(tree.backup().start(store.clone(), key())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert_eq!(swept(&store).unwrap(), [""; 0]);
    assert!(part.exists() && other.try_wait().unwrap().is_none());

    other.kill().unwrap();
    other.wait().unwrap();
    assert!(part.exists(), "a killed process cannot remove its file");
    assert_eq!(swept(&store).unwrap(), [part]);
    block_on(tree.backup().start(store, key())).unwrap();
}

#[test]
fn an_existing_archive_is_unchanged() {
    let tree = Tree::with(&[("a", b"a")]);
    let store = LocalStore::new(tree.tmp.path().join("backups")).mkdir(true);
    block_on(tree.backup().start(store.clone(), key())).unwrap();
    let before = fs::read(store.path(&key())).unwrap();
    tree.file("b", "more");
    let error = block_on(tree.backup().start(store.clone(), key())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(store.path(&key())).unwrap(), before);
    assert_eq!(fs::read_dir(tree.tmp.path().join("backups")).unwrap().count(), 1);
}

#[test]
fn an_archive_that_appears_during_a_backup_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::new(dir.path());
    let mut upload = block_on(store.create(&key(), None)).unwrap();
    block_on(upload.write(Bytes::from_static(b"ours"))).unwrap();
    fs::write(store.path(&key()), "theirs").unwrap();
    let error = block_on(upload.complete()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
    assert_eq!(fs::read(store.path(&key())).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn all_files_with_possible_names_are_listed_and_only_parts_are_swept() {
    let tmp = tempfile::tempdir().unwrap();
    let store = LocalStore::new(tmp.path());
    let names = ["a/b/c.tar.gz", "a/x.lock", "d.txt"];
    let dir = tmp.path().join("a");
    fs::create_dir_all(dir.join("b")).unwrap();
    names.iter().for_each(|name| fs::write(tmp.path().join(name), "x").unwrap());
    // These cannot be archives of a store.
    for name in [".hidden", "not\\a\\key"] {
        fs::write(dir.join(name), "x").unwrap();
    }
    fs::create_dir(dir.join(".hidden-dir")).unwrap();
    fs::write(dir.join(".hidden-dir/z.tar.gz"), "x").unwrap();
    std::os::unix::fs::symlink("../d.txt", dir.join("link")).unwrap();
    std::os::unix::fs::symlink("..", dir.join("loop")).unwrap();
    // These have the name of a part but are not files of a store. They must not stop the sweep.
    fs::create_dir(dir.join(".0.wingback-part")).unwrap();
    std::os::unix::fs::symlink("../d.txt", dir.join(".1.wingback-part")).unwrap();
    let left = dir.join("b/.left.wingback-part");
    fs::write(&left, "left").unwrap();

    let listed = block_on(store.list()).unwrap();
    assert!(listed.iter().map(|object| object.key.as_str()).eq(names));
    let modified = fs::metadata(tmp.path().join("d.txt")).unwrap().modified().ok();
    assert_eq!(listed[2], Object::new("d.txt".parse().unwrap(), 1, modified));
    assert_eq!(swept(&store).unwrap(), [left]);
    assert!(dir.join(".0.wingback-part").exists() && dir.join(".1.wingback-part").exists());
}

#[test]
fn archives_are_readable_by_their_owner_only() {
    let tree = Tree::with(&[("a", b"a")]);
    let store = LocalStore::new(tree.tmp.path().join("one/two")).mkdir(true);
    block_on(tree.backup().start(store.clone(), key())).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&store.path(&key())), 0o600);
    assert_eq!(mode(&tree.tmp.path().join("one/two")), 0o700);
}

#[test]
fn a_leftover_of_a_killed_process_is_swept_or_replaced() {
    let tree = Tree::with(&[("a", b"a")]);
    let dir = tree.tmp.path().join("backups");
    fs::create_dir(&dir).unwrap();
    let left = dir.join(".a.tar.gz.wingback-part");
    let store = LocalStore::new(&dir).mkdir(true);
    fs::write(&left, "left").unwrap();
    assert_eq!(swept(&store).unwrap(), [left.as_path()]);
    fs::write(&left, "left").unwrap();
    block_on(tree.backup().start(store.clone(), key())).unwrap();
    assert!(!left.exists());

    // Locked, as by a live process.
    block_on(store.delete(&key())).unwrap();
    let live = File::create(&left).unwrap();
    live.lock().unwrap();
    assert_eq!(swept(&store).unwrap(), [""; 0]);
    let error = block_on(tree.backup().start(store, key())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(left.exists());
}

#[test]
fn a_symlink_with_the_archives_name_is_neither_followed_nor_replaced() {
    let tree = Tree::with(&[("a", b"a")]);
    let dir = tree.tmp.path().join("backups");
    fs::create_dir(&dir).unwrap();
    std::os::unix::fs::symlink("elsewhere", dir.join("a.tar.gz")).unwrap();
    let error =
        block_on(tree.backup().start(LocalStore::new(&dir).mkdir(true), key())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(!dir.join("elsewhere").exists());
}
