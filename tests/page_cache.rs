//! A backup leaves cached files of the server in the page cache, and evicts pages that only it has read.

mod support;

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use futures::executor::block_on;
use rustix::fs::{Advice, fadvise};
use support::{Tree, left_out, noise};
use wingback::{LocalStore, Previous};

/// MiB of a file in the page cache. `None` if that cannot be determined. Reading the file to find out
/// would load its pages.
fn cached(path: &Path) -> Option<u64> {
    let ran = Command::new("fincore").args(["-bnro", "RES"]).arg(path).output().ok()?;
    let bytes: u64 = std::str::from_utf8(&ran.stdout).ok()?.trim().parse().ok()?;
    Some(bytes.div_ceil(1 << 20))
}

/// Whether about this many MiB are cached. Other activity of the system may add some.
fn is_about(mebibytes: u64, path: &Path) -> bool {
    let cached = cached(path).unwrap();
    println!("{mebibytes} and {cached} MiB of {}", path.display());
    (mebibytes.saturating_sub(3)..mebibytes + 16).contains(&cached)
}

/// Evicts a file from the page cache. Returns false if that is not possible; a page may be in use.
fn forget(path: &Path) -> bool {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    (0..100).any(|_| {
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let is_gone = cached(path) == Some(0);
        if !is_gone {
            // Wait before the next check.
            thread::sleep(Duration::from_millis(20));
        }
        is_gone
    })
}

#[test]
fn a_backup_leaves_the_page_cache_unchanged() {
    // In the build directory, because the directory of temporary files may be in memory.
    let tmp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let probe = tmp.path().join("probe");
    fs::write(&probe, noise(1000)).unwrap();
    if !forget(&probe) {
        left_out("the page cache: no fincore, or the file system keeps files in memory");
        return;
    }
    let tree = Tree { root: tmp.path().join("server"), tmp };
    tree.file("hot", noise(12 << 20));
    tree.file("cold", noise(30 << 20));
    let (hot, cold) = (tree.root.join("hot"), tree.root.join("cold"));
    let store = LocalStore::new(tree.tmp.path().join("backups")).mkdir(true);
    let later = SystemTime::now() + Duration::from_secs(3600);
    let make = |n: u128, previous: Option<Previous>| {
        let key = store.key(uuid::Uuid::from_u128(n));
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
        assert!(forget(&cold));
    };

    set();
    let (report, first) = make(1, None);
    assert!(is_about(12, &hot) && is_about(0, &cold));
    assert!(forget(&first));

    set();
    let (again, second) = make(2, Some(Previous::File(first.clone())));
    assert_eq!((again.sha1, again.read), (report.sha1, 0));
    assert!(wingback::join_threads(Duration::from_secs(10)));
    assert!(is_about(12, &hot) && is_about(0, &cold));
    assert!(is_about(0, &first));
    assert!(forget(&second));

    // Pages that were in use stay.
    let file = File::open(&second).unwrap();
    fadvise(&file, 0, None, Advice::Random).unwrap();
    file.read_exact_at(&mut vec![0; 10 << 20], 0).unwrap();
    assert_eq!(cached(&second), Some(10));
    make(3, Some(Previous::File(second.clone())));
    assert!(wingback::join_threads(Duration::from_secs(10)));
    assert!(is_about(10, &second));
}
