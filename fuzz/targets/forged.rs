//! An archive with arbitrary changes of its index and of its bytes.
#![no_main]

#[path = "../../tests/support/forge.rs"]
mod forge;
mod sandbox;

use std::{fs, sync::LazyLock};

use futures::executor::block_on;
use wingback::{Backup, Index, Key, MemoryStore};

static ARCHIVE: LazyLock<Vec<u8>> = LazyLock::new(|| {
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

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut forged = forge::with_any_index(&ARCHIVE, |index| {
        for change in bytes.chunks_exact(6).filter(|change| change[0] < 0xf0) {
            apply(index, change);
        }
    });
    for change in bytes.chunks_exact(6).filter(|change| change[0] >= 0xf0) {
        let at = u32::from_le_bytes([change[1], change[2], change[3], 0]) as usize % forged.len();
        forged[at] ^= change[4];
    }
    sandbox::extract(forged);
});

fn apply(index: &mut Index, change: &[u8]) {
    let value = u32::from_le_bytes([change[2], change[3], change[4], change[5]]);
    let entries = index.entries.len();
    let (entry, segment) = (usize::from(change[1]) % 8, usize::from(change[1]) % 16);
    match change[0] % 16 {
        0 if entries > 0 => index.entries[entry % entries].path = change[2..].to_vec(),
        1 if entries > 0 => index.entries[entry % entries].size = u64::from(value % 200_000),
        2 if entries > 0 => index.entries[entry % entries].header_len = value % 8 * 512,
        3 if entries > 0 => index.entries[entry % entries].mode = value,
        4 if entries > 0 => index.entries[entry % entries].mtime_ns = i64::from(value) << 24,
        5 if entries > 0 => drop(index.entries.remove(entry % entries)),
        6 if entries > 0 => index.entries.push(index.entries[entry % entries].clone()),
        7 if entries > 1 => index.entries.swap(entry % entries, value as usize % entries),
        8 => index.hard_links.push(vec![value % 8, u32::from(change[5]) % 8]),
        9 if !index.segments.is_empty() => {
            let n = index.segments.len();
            index.segments[segment % n].raw_len = value % (1 << 20);
        }
        10 if !index.segments.is_empty() => {
            let n = index.segments.len();
            index.segments[segment % n].compressed_len = value % (1 << 20);
        }
        11 if index.segments.len() > 1 => {
            // Merges two segments. The sums stay right.
            let n = index.segments.len() - 1;
            let second = index.segments.remove(segment % n + 1);
            index.segments[segment % n].raw_len += second.raw_len;
            index.segments[segment % n].compressed_len += second.compressed_len;
        }
        12 if entries > 1 => {
            let n = entries - 1;
            let second = index.entries.remove(entry % n + 1);
            index.entries[entry % n].size += second.tar_len();
        }
        _ => {}
    }
}
