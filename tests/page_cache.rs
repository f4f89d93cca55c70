//! What the server has in the page cache stays there, and what only a backup read leaves it.

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

/// How many mebibytes of a file are in the page cache; `None` where nobody can say. To ask by reading
/// would bring pages there.
fn cached(path: &Path) -> Option<u64> {
    let ran = Command::new("fincore").args(["-bnro", "RES"]).arg(path).output().ok()?;
    let bytes: u64 = std::str::from_utf8(&ran.stdout).ok()?.trim().parse().ok()?;
    Some(bytes.div_ceil(1 << 20))
}

/// Whether it is this many, give or take some that the system was busy with at the moment.
fn is_about(mebibytes: u64, path: &Path) -> bool {
    let cached = cached(path).unwrap();
    println!("{mebibytes} and {cached} MiB of {}", path.display());
    (mebibytes.saturating_sub(3)..mebibytes + 16).contains(&cached)
}

/// Takes a file out of the page cache; false where that cannot be. The system may be busy with a page.
fn forget(path: &Path) -> bool {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    (0..100).any(|_| {
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        let is_gone = cached(path) == Some(0);
        if !is_gone {
            // Until the next look.
            thread::sleep(Duration::from_millis(20));
        }
        is_gone
    })
}

#[test]
fn a_backup_leaves_the_page_cache_unchanged() {
    // Where the build is, since the directory of temporary files may be in memory.
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

    // What of it was in use stays.
    let file = File::open(&second).unwrap();
    fadvise(&file, 0, None, Advice::Random).unwrap();
    file.read_exact_at(&mut vec![0; 10 << 20], 0).unwrap();
    assert_eq!(cached(&second), Some(10));
    make(3, Some(Previous::File(second.clone())));
    assert!(wingback::join_threads(Duration::from_secs(10)));
    assert!(is_about(10, &second));
}
