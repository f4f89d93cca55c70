//! The list of the archives in a store.

mod support;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{
    FutureExt,
    executor::block_on,
    future::{BoxFuture, ready},
};
use support::{Tree, gzip};
use wingback::{
    Archive, Archives, Error, ErrorKind, Key, LocalStore, MemoryStore, Object, ReadRange, Result,
    Store, StoredArchive, Upload,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Stores a backup of `tree` that was made `hours` ago.
fn back_up(tree: &Tree, store: &MemoryStore, key: &str, label: &str, hours: u32) {
    let at = SystemTime::now() - HOUR * hours;
    let backup = tree.backup().label(label).now(at);
    block_on(backup.start(store.clone(), key.parse().unwrap())).unwrap();
}

fn keys(archives: &[StoredArchive]) -> Vec<&str> {
    archives.iter().map(|archive| archive.key.as_str()).collect()
}

#[test]
fn archives_are_recognized_by_their_bytes_and_come_newest_first() {
    let tree = Tree::with(&[("a", b"four"), ("dir/b", b"")]);
    let store = MemoryStore::new();
    // The names say nothing, and the order of the uploads is not that of the backups.
    back_up(&tree, &store, "z/no-extension", "lobby", 1);
    back_up(&tree, &store, "old.tar.gz", "lobby", 48);
    tree.file("a", "fourteen bytes");
    back_up(&tree, &store, "a.bin", "arena", 3);
    back_up(&tree, &store, "b.bin", "lobby", 24);
    let bytes = store.get(&"a.bin".parse().unwrap()).unwrap();
    let put = |name: &str, bytes: &[u8]| store.put(Key::new(name).unwrap(), bytes.to_vec());
    put("cut.tar.gz", &bytes[..bytes.len() - 1]);
    put("short", &bytes[..bytes.len() / 2]);
    let mut damaged = bytes.to_vec();
    damaged[bytes.len() - 140] ^= 1;
    put("damaged", &damaged);
    put("longer", &[&bytes[..], &bytes[bytes.len() - 128..]].concat());
    put("empty.tar.gz", b"");
    put("text.tar.gz", &[b'x'; 1000]);
    put("log.gz", &gzip(&[b'x'; 1000]));
    put("a.bin.lock", b"locked");

    let archives = block_on(Archives::new().start(store.clone())).unwrap();
    let (whole, others): (Vec<_>, Vec<_>) =
        archives.iter().cloned().partition(StoredArchive::is_whole);
    assert_eq!(keys(&whole), ["z/no-extension", "a.bin", "b.bin", "old.tar.gz"]);
    let mut others = keys(&others);
    others.sort_unstable();
    assert_eq!(others, ["cut.tar.gz", "damaged", "longer", "short"]);
    let labels = whole.iter().map(|archive| archive.label().unwrap());
    assert!(labels.eq([&b"lobby"[..], b"arena", b"lobby", b"lobby"]));
    assert!(whole.iter().map(|archive| archive.is_locked).eq([false, true, false, false]));
    // Each is compared with the one before it of its own label.
    let changes = whole.iter().map(|archive| archive.content_change);
    assert!(changes.eq([Some(-10), None, Some(10), None]));
    let info = whole[1].info.as_ref().unwrap();
    assert_eq!((info.files, info.directories, info.content), (2, 1, 14));
    assert_eq!(whole[1].size, bytes.len() as u64);
    assert_eq!(whole[1].made(), info.made);

    let only = |archives: Archives| block_on(archives.start(store.clone())).unwrap();
    assert_eq!(keys(&only(Archives::new().label("arena"))), ["a.bin"]);
    assert!(only(Archives::new().label("Arena")).is_empty());
    let recent = only(Archives::new().since(SystemTime::now() - HOUR * 30));
    // The others were put into the store just now.
    assert_eq!((recent.len(), recent.iter().filter(|a| a.is_whole()).count()), (7, 3));
    // The archive before it is not in the list, but still counts.
    assert_eq!(recent.last().unwrap().content_change, Some(10));
    let newest = only(Archives::new().label("lobby").since(SystemTime::now() - HOUR * 2));
    assert_eq!(keys(&newest), ["z/no-extension"]);
}

/// A store that refuses to read some archives.
struct Private(MemoryStore, Vec<Key>);

impl Store for Private {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        at_most: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        self.0.create(key, at_most)
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        self.0.head(key)
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        if self.1.contains(key) {
            return ready(Err(Error::new(ErrorKind::PermissionDenied, "read").at(key))).boxed();
        }
        self.0.read(key, range)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        self.0.list()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.0.delete(key)
    }
}

#[test]
fn an_object_that_may_not_be_read_is_left_out_unless_none_may() {
    let tree = Tree::with(&[("a", b"a")]);
    let store = MemoryStore::new();
    let both: [Key; 2] = ["1.tar.gz", "2.tar.gz"].map(|key| key.parse().unwrap());
    both.iter().for_each(|key| back_up(&tree, &store, key.as_str(), "lobby", 1));
    let private = Private(store.clone(), vec![both[0].clone()]);
    let archives = block_on(Archives::new().start(private)).unwrap();
    assert_eq!(keys(&archives), ["2.tar.gz"]);
    let error = block_on(Archives::new().start(Private(store, both.to_vec()))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
}

#[test]
fn a_lock_needs_an_archive_and_is_made_once() {
    let tree = Tree::with(&[("a", b"a")]);
    let store = MemoryStore::new();
    back_up(&tree, &store, "dir/1", "lobby", 1);
    let archive = |key: &str| Archive::in_store(store.clone(), key.parse().unwrap());
    let is_listed_as_locked =
        || block_on(Archives::new().start(store.clone())).unwrap()[0].is_locked;
    for is_first in [true, false] {
        assert_eq!(block_on(archive("dir/1").lock()).unwrap(), is_first);
        assert!(block_on(archive("dir/1").is_locked()).unwrap() && is_listed_as_locked());
    }
    assert!(store.get(&"dir/1.lock".parse().unwrap()).is_some());
    for is_first in [true, false] {
        assert_eq!(block_on(archive("dir/1").unlock()).unwrap(), is_first);
        assert!(!block_on(archive("dir/1").is_locked()).unwrap() && !is_listed_as_locked());
    }
    let missing = [block_on(archive("2").lock()), block_on(archive("2").unlock())];
    assert!(missing.iter().all(|e| e.as_ref().unwrap_err().kind() == ErrorKind::NotFound));
    assert!(store.get(&"2.lock".parse().unwrap()).is_none());
    let stream = block_on(Archive::stream(&[][..]).lock()).unwrap_err();
    assert_eq!(stream.kind(), ErrorKind::InvalidInput);
    // The lock would need a longer name than a file may have.
    let long = "x".repeat(198);
    back_up(&tree, &store, &long, "lobby", 1);
    let error = block_on(archive(&long).lock()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(!block_on(archive(&long).is_locked()).unwrap());
}

#[test]
fn a_file_is_locked_in_its_directory() {
    let tree = Tree::with(&[("a", b"a")]);
    let store = LocalStore::new(tree.tmp.path().join("to")).mkdir(true);
    let key: Key = "1.tar.gz".parse().unwrap();
    block_on(tree.backup().start(store.clone(), key.clone())).unwrap();
    let path = store.path(&key);
    assert!(block_on(Archive::file(&path).lock()).unwrap());
    assert!(path.with_file_name("1.tar.gz.lock").is_file());
    assert!(block_on(Archive::in_store(store, key).is_locked()).unwrap());
    let missing = tree.tmp.path().join("no/1.tar.gz");
    let error = block_on(Archive::file(&missing).lock()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!missing.parent().unwrap().exists());
}

#[test]
fn an_archive_is_removed_unless_it_has_a_lock() {
    let tree = Tree::with(&[("a", b"a")]);
    let store = MemoryStore::new();
    let archive = |key: &str| Archive::in_store(store.clone(), key.parse().unwrap());
    let is_there = |key: &str| store.get(&key.parse().unwrap()).is_some();
    back_up(&tree, &store, "1", "lobby", 1);
    block_on(archive("1").lock()).unwrap();
    assert!(!block_on(archive("1").remove()).unwrap() && is_there("1"));
    block_on(archive("1").unlock()).unwrap();
    // The second call finds nothing.
    for _ in 0..2 {
        assert!(block_on(archive("1").remove()).unwrap() && !is_there("1"));
    }
    // The name is too long for a lock.
    let long = "x".repeat(198);
    back_up(&tree, &store, &long, "lobby", 1);
    assert!(block_on(archive(&long).remove()).unwrap() && !is_there(&long));
    let stream = block_on(Archive::stream(&[][..]).remove()).unwrap_err();
    assert_eq!(stream.kind(), ErrorKind::InvalidInput);
}
