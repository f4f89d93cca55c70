//! An archive of a few files.

use std::{fs, sync::LazyLock};

use futures::executor::block_on;
use wingback::{Backup, Key, MemoryStore};

pub static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let source = tempfile::tempdir().expect("a source");
    for (path, len) in [("a", 10), ("b.mca", 140_000), ("c", 600), ("d/e", 1)] {
        let path = source.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        let content: Vec<u8> = (0..len).map(|i: u32| (i.wrapping_mul(i) / 7) as u8).collect();
        fs::write(path, content).expect("written");
    }
    let (store, key) = (MemoryStore::new(), Key::new("a.tar.gz").expect("a key"));
    let backup = Backup::new(source.path()).reproducible(true).threads(1);
    block_on(backup.start(store.clone(), key.clone())).expect("a backup");
    store.get(&key).expect("an archive").to_vec()
});
