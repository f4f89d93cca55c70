//! What the server has in the page cache stays there, and what only a backup read leaves it.

mod support;

use std::{
    fs::{self, File},
    io::IoSliceMut,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, SystemTime},
};

use futures::executor::block_on;
use rustix::{
    fs::{Advice, fadvise},
    io::{Errno, ReadWriteFlags, preadv2},
};
use support::{Tree, noise};
use wingback::{LocalStore, Previous};

const MIB: u64 = 1 << 20;

/// How many of a file's mebibytes are in the page cache.
fn cached(path: &Path) -> u64 {
    let file = File::open(path).unwrap();
    let spans = file.metadata().unwrap().len().div_ceil(MIB);
    let is_there = |span: &u64| {
        let mut byte = [0];
        let mut buf = [IoSliceMut::new(&mut byte)];
        preadv2(&file, &mut buf, span * MIB, ReadWriteFlags::NOWAIT) != Err(Errno::AGAIN)
    };
    (0..spans).filter(is_there).count() as u64
}

/// Takes a file out of the page cache, but for its first bytes where those are to stay.
fn forget(path: &Path, keep: u64) {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    fadvise(&file, keep, None, Advice::DontNeed).unwrap();
}

#[test]
fn a_backup_leaves_the_page_cache_as_it_was() {
    // Where the build is, since the directory of temporary files may be in memory.
    let tmp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let probe = tmp.path().join("probe");
    fs::write(&probe, noise(1000)).unwrap();
    forget(&probe, 0);
    if cached(&probe) > 0 {
        println!("skipped: this file system keeps everything in memory");
        return;
    }
    let tree = Tree { root: tmp.path().join("server"), tmp };
    tree.file("hot", noise(12 << 20));
    tree.file("cold", noise(30 << 20));
    let (hot, cold) = (tree.root.join("hot"), tree.root.join("cold"));
    let store = LocalStore::new(tree.tmp.path().join("backups"));
    let later = SystemTime::now() + Duration::from_secs(3600);
    let make = |n: u128, previous: Option<Previous>| {
        let key = store.key(&uuid::Uuid::from_u128(n));
        let backup = tree.backup().now(later);
        let backup = match previous {
            Some(previous) => backup.previous(previous),
            None => backup,
        };
        let report = block_on(backup.start(store.clone(), key.clone())).unwrap();
        (report, store.path(&key))
    };
    let set = || {
        fs::read(&hot).unwrap();
        forget(&cold, 0);
    };

    set();
    let (report, first) = make(1, None);
    assert_eq!((cached(&hot), cached(&cold)), (12, 0));
    forget(&first, 0);

    // What the system reads ahead may stay.
    set();
    let (again, second) = make(2, Some(Previous::File(first.clone())));
    assert_eq!((again.sha1, again.read), (report.sha1, 0));
    assert!(wingback::join_threads(Duration::from_secs(10)));
    assert_eq!((cached(&hot), cached(&cold)), (12, 0));
    assert!(cached(&first) <= 6, "{} MiB of the previous archive", cached(&first));
    forget(&second, 0);

    // What of it was in use stays.
    let mut head = vec![0; 10 << 20];
    let file = File::open(&second).unwrap();
    file.read_exact_at(&mut head, 0).unwrap();
    let before = cached(&second);
    make(3, Some(Previous::File(second.clone())));
    assert!(wingback::join_threads(Duration::from_secs(10)));
    let after = cached(&second);
    // The system reads a little ahead of what is asked for.
    assert!(before >= 10 && (before..before + 8).contains(&after), "{before}, then {after} MiB");
}
