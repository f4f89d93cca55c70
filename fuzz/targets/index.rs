//! Any bytes as a page, as a node or as a root of an index, with hashes that are right.
#![no_main]

mod archive;
#[allow(dead_code)]
#[path = "../../tests/support/forge.rs"]
mod forge;

use futures::{executor::block_on, io::sink};
use wingback::{Archive, Key, List, MemoryStore, Verify};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, raw)) = bytes.split_first() else { return };
    let forged = match kind % 4 {
        0 => forge::with_raw_pages(&archive::BYTES, &[(raw.to_vec(), Vec::new())]),
        1 => {
            let (first, second) = raw.split_at(raw.len() / 2);
            let pages = [(first.to_vec(), Vec::new()), (second.to_vec(), first.to_vec())];
            forge::with_raw_pages(&archive::BYTES, &pages)
        }
        2 => {
            let (footer, _) = forge::read(&archive::BYTES);
            let data = archive::BYTES[..footer.data_end as usize + 10].to_vec();
            forge::with_root(data, &footer, raw)
        }
        // Without right hashes.
        _ => [&archive::BYTES[..archive::BYTES.len() - 128], raw].concat(),
    };
    let (store, key) = (MemoryStore::new(), Key::new("a.tar.gz").expect("a key"));
    store.put(key.clone(), forged);
    let archive = || Archive::in_store(store.clone(), key.clone());
    let _ = block_on(List::new().start(archive()));
    let _ = block_on(archive().info());
    let _ = block_on(archive().copy_file("a", sink()));
    let _ = block_on(Verify::new().threads(1).start(archive()));
});
