//! A directory that no operation may write outside of.

use std::fs;

use futures::executor::block_on;
use wingback::{Archive, Extract, Key, MemoryStore, Restore, UnpackOptions, Verify};

/// Extracts, salvages, restores and verifies an archive, and checks the surroundings.
pub fn extract(bytes: Vec<u8>) {
    let key = || Key::new("a.tar.gz").expect("a key");
    let store = MemoryStore::new();
    store.put(key(), bytes);
    let archive = || Archive::in_store(store.clone(), key());
    let sandbox = tempfile::tempdir_in("/dev/shm").expect("a sandbox");
    let target = |name: &str| sandbox.path().join("in").join(name);
    let options = || UnpackOptions::new().threads(2).max_bytes(1 << 20).max_members(1000);
    fs::create_dir(sandbox.path().join("in")).expect("created");
    fs::write(sandbox.path().join("victim"), "untouched").expect("written");
    let _ = block_on(Extract::new(target("a")).options(options()).start(archive()));
    let _ = block_on(Extract::new(target("b")).options(options()).salvage(true).start(archive()));
    let restored = block_on(Restore::new(target("c")).options(options()).start(archive()));
    let verified = block_on(Verify::new().threads(2).start(archive())).expect("damage is not an error");
    // A whole archive may still be rejected by a restore for a size, path or number. A restored archive
    // is whole, unless its index was not trusted.
    let is_lost = verified.damage.iter().any(|d| d.truncates_rest || !d.members.is_empty());
    assert!(restored.is_err() || !is_lost, "restored although damaged: {:?}", verified.damage);
    let names = |dir| {
        let names = fs::read_dir(dir).expect("listed").map(|e| e.expect("one").file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    assert_eq!(names(sandbox.path().to_owned()), ["in", "victim"]);
    assert_eq!(names(sandbox.path().join("in")), ["a", "b", "c"]);
    let victim = fs::read(sandbox.path().join("victim")).expect("it exists");
    assert_eq!(victim, b"untouched");
}
