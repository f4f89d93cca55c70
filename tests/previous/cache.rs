//! The local cache of recent archives, for backups to remote stores.

use std::{fs, path::Path};

use futures::executor::block_on;
use wingback::{Backup, Cache, MemoryStore, Report, Store, Warning};

use crate::{
    from_scratch, later,
    support::{Tree, key, noise},
    wait_for_later_ctime, world,
};

fn make(backup: Backup) -> (Report, Vec<u8>) {
    let far = MemoryStore::new();
    let report = block_on(backup.now(later()).start(far.clone(), key())).unwrap();
    (report, far.get(&key()).unwrap().to_vec())
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    let (records, copies): (Vec<_>, _) = names.into_iter().partition(|name| name.ends_with(".key"));
    let expected: Vec<_> = copies.iter().map(|copy: &String| format!("{copy}.key")).collect();
    assert_eq!(records, expected, "each copy has a record, and nothing else does");
    copies
}

fn only(dir: &Path) -> Vec<u8> {
    let names = names(dir);
    assert_eq!(names.len(), 1, "{names:?}");
    fs::read(dir.join(&names[0])).unwrap()
}

#[test]
fn a_cached_archive_is_the_previous_one_of_the_next_backup() {
    let tree = world();
    let dir = tree.tmp.path().join("cache");
    let cached = || tree.backup().cache(Cache::new(&dir, 1 << 30));
    let (first, archive) = make(cached());
    assert!(first.copied == 0 && first.warnings.is_empty(), "{:?}", first.warnings);
    assert!(only(&dir) == archive);
    tree.file("z.txt", "changed");
    wait_for_later_ctime();
    let (second, archive) = make(cached());
    assert!(archive == from_scratch(&tree).1 && second.read < 20, "{second:?}");
    assert!(only(&dir) == archive, "the previous archive is removed");
    // A damaged archive is not used and is removed.
    fs::write(dir.join(&names(&dir)[0]), "no archive").unwrap();
    let (third, again) = make(cached());
    assert!(again == archive && third.copied == 0 && third.warnings.is_empty());
    assert!(only(&dir) == archive);
}

#[test]
fn cached_archives_of_several_sources_share_the_size_limit() {
    let (one, other) = (world(), Tree::with(&[("a", &noise(1_000_000))]));
    let dir = one.tmp.path().join("cache");
    let cached = |tree: &Tree, bytes| make(tree.backup().cache(Cache::new(&dir, bytes))).0;
    let size = cached(&one, 1 << 30).size;
    cached(&other, 1 << 30);
    assert_eq!(names(&dir).len(), 2);
    assert_eq!(cached(&one, 1 << 30).read, 0);
    assert_eq!(names(&dir).len(), 2);
    // With space for one archive, the older one is removed.
    assert_eq!(cached(&one, size + 1000).read, 0);
    assert_eq!(names(&dir).len(), 1);
    assert_eq!(cached(&other, 1 << 30).copied, 0);
}

#[test]
fn a_cache_that_cannot_be_written_is_a_warning() {
    let tree = world();
    let unkept = |cache: Cache| {
        let (report, archive) = make(tree.backup().cache(cache));
        assert!(archive == from_scratch(&tree).1);
        match &report.warnings[..] {
            [.., Warning::CacheUnused(why)] => why.clone(),
            other => panic!("{other:?}"),
        }
    };
    let dir = tree.tmp.path().join("cache");
    assert!(unkept(Cache::new(&dir, 1_000_000)).contains("larger than"));
    assert!(names(&dir).is_empty(), "no partial file is left");
    let file = tree.tmp.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(unkept(Cache::new(file.join("cache"), 1 << 30)).contains("cache"));
    let within = tree.root.join("cache");
    fs::create_dir(&within).unwrap();
    assert!(unkept(Cache::new(&within, 1 << 30)).contains("inside the source"));
}

#[test]
fn a_failed_backup_leaves_the_cache_unchanged() {
    let tree = world();
    let dir = tree.tmp.path().join("cache");
    let cached = || tree.backup().now(later()).cache(Cache::new(&dir, 1 << 30));
    let (_, archive) = make(cached());
    let far = MemoryStore::new();
    block_on(cached().start(far.clone(), key())).unwrap();
    // An archive of that name exists.
    assert!(block_on(cached().start(far.clone(), key())).is_err());
    assert!(only(&dir) == archive);
    let gone = block_on(far.delete(&key()));
    gone.unwrap();
    let task = cached().write_limit(wingback::Limiter::new(1)).start(far.clone(), key());
    let handle = task.handle();
    handle.cancel();
    assert!(block_on(task).is_err());
    assert!(only(&dir) == archive);
}
