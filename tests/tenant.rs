//! A tenant changes everything in its directory during restores.

mod support;

use std::{
    fs,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use rustix::{
    fs::{AtFlags, CWD, Dir, Mode, OFlags},
    io::Errno,
};
use support::{Tree, in_memory, snapshot::Snapshot, text};
use wingback::ErrorKind;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn open(at: impl std::os::fd::AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(at, name, DIRECTORY, Mode::empty())
}

fn names(dir: &OwnedFd) -> Vec<Vec<u8>> {
    let entries = Dir::read_from(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_bytes().to_vec());
    names.filter(|name| name != b"." && name != b"..").collect()
}

/// Renames, replaces, links, fills, closes and removes entries of the target, including staging
/// directories, until `stop`, and counts its changes. It does not follow symlinks itself, so only a restore can.
fn interfere(target: &Path, canary: &Path, stop: &AtomicBool, done: &AtomicU64) {
    let mut random = fastrand::Rng::with_seed(17);
    let root = open(CWD, target.as_os_str().as_encoded_bytes()).unwrap();
    let again = || vec![open(&root, b".").unwrap()];
    let mut dirs = again();
    while !stop.load(Relaxed) {
        let dir = &dirs[random.usize(..dirs.len())];
        let names = names(dir);
        let Some(name) = names.get(random.usize(..names.len().max(1))) else {
            dirs = again();
            continue;
        };
        let aside = format!("aside-{}", random.u8(..20)).into_bytes();
        let inner = || open(dir, name);
        let rename = |from: (&OwnedFd, &[u8]), to: (&OwnedFd, &[u8])| {
            rustix::fs::renameat(from.0, from.1, to.0, to.1)
        };
        let (there, away) = ((dir, &**name), (&root, &*aside));
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let changed = match random.u8(..12) {
            0 => rename(there, away),
            1 => rename(away, there),
            2 | 3 => rename(there, away).and_then(|()| rustix::fs::symlinkat(canary, dir, &**name)),
            4 => inner().and_then(|d| rustix::fs::symlinkat(canary.join("file"), d, c"link")),
            5 => inner().and_then(|d| rustix::fs::openat(d, c"more", create, Mode::RWXU).map(drop)),
            6 => inner().and_then(|d| rustix::fs::mkdirat(d, c"dir", Mode::RWXU)),
            7 => inner().and_then(|d| rustix::fs::fchmod(d, Mode::empty())),
            8 => inner().and_then(|d| rustix::fs::fchmod(d, Mode::RWXU)),
            9 => rustix::fs::unlinkat(&root, &*aside, AtFlags::empty()),
            _ => inner().map(|d| dirs.push(d)),
        };
        done.fetch_add(changed.is_ok().into(), Relaxed);
        dirs.truncate(8);
    }
}

/// The tenant's symlinks point to the canary. Changes of its mode or content show that one was followed.
#[test]
fn a_tenant_cannot_make_a_restore_leave_its_directory() {
    let source = Tree::with(&[
        ("a", b"a"),
        ("b/c", b"c"),
        ("d/e/f", &text(200_000)),
        ("file", b"from the archive"),
        ("new/a", b"from the archive"),
    ]);
    source.link("link", "a");
    fs::hard_link(source.root.join("a"), source.root.join("b/same")).unwrap();
    fs::set_permissions(source.root.join("d/e"), fs::Permissions::from_mode(0o500)).unwrap();
    let bytes = support::bytes(source.backup()).unwrap().1;

    let place = Tree::with(&[
        ("canary/file", b"canary"),
        ("canary/new/a", b"canary"),
        ("canary/old/0", b"canary"),
        ("canary/b/c", b"canary"),
        ("target/world/level.dat", b"old"),
    ]);
    let (target, canary) = (place.root.join("target"), place.root.join("canary"));
    fs::set_permissions(&canary, fs::Permissions::from_mode(0o751)).unwrap();
    let mode = || fs::metadata(&canary).unwrap().permissions().mode();
    let before = (mode(), Snapshot::of(&canary));

    let (stop, changes) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut restored, mut failed, mut slowest, begun) = (0, 0, Duration::ZERO, Instant::now());
    thread::scope(|scope| {
        scope.spawn(|| interfere(&target, &canary, &stop, &changes));
        let is_enough = |restored| changes.load(Relaxed) > 1000 && restored > 0;
        for i in 0.. {
            if i >= 200 && (is_enough(restored) || begun.elapsed() > Duration::from_mins(1)) {
                break;
            }
            let restore = support::restore(&target).delete(i % 2 == 0).in_place(i % 5 == 4);
            let restore = if i % 3 == 0 { restore.keep("b/c") } else { restore };
            let started = Instant::now();
            match block_on(restore.start(in_memory(&bytes))) {
                Ok(_) => restored += 1,
                Err(_) => failed += 1,
            }
            slowest = slowest.max(started.elapsed());
        }
        stop.store(true, Relaxed);
    });
    let changes = changes.into_inner();
    println!("{restored} restored, {failed} failed, {changes} changes of the tenant");
    assert!(slowest < Duration::from_secs(30), "a restore was blocked for {slowest:?}");
    Snapshot::of(&canary).assert_is(&before.1, "the canary");
    assert_eq!(mode(), before.0, "the canary's mode");
    assert!(
        changes > 1000 && restored > 0,
        "restores and changes did not overlap: {changes} changes"
    );

    // After the tenant stops, its directory can be restored again. This tenant has the rights of the restore, so
    // it may have taken the old files out of the staging directory. Then the operator removes the record.
    let again = || block_on(support::restore(&target).delete(true).start(in_memory(&bytes)));
    if let Err(e) = again() {
        assert!(matches!(e.kind(), ErrorKind::Corrupt | ErrorKind::Io), "{e:?}");
        assert!(e.to_string().contains("Nothing was removed"), "{e}");
        let record = e.to_string().rsplit_once("Then remove the record ").unwrap().1.to_owned();
        fs::remove_dir_all(record).unwrap();
        again().unwrap();
    }
    let files = Snapshot::of(&target).files();
    assert_eq!(files, ["a", "b/c", "b/same", "d/e/f", "file", "new/a"]);
}
