//! An archive with arbitrary changes of its index and of its bytes.
#![no_main]

mod archive;
#[allow(dead_code)]
#[path = "../../tests/support/forge.rs"]
mod forge;
mod sandbox;

use forge::Index;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut forged = forge::with_any_index(&archive::BYTES, |index| {
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
        2 if entries > 0 => index.entries[entry % entries].header_len = u64::from(value % 8) * 512,
        3 if entries > 0 => index.entries[entry % entries].mode = value.into(),
        4 if entries > 0 => index.entries[entry % entries].mtime_ns = i64::from(value) << 24,
        5 if entries > 0 => drop(index.entries.remove(entry % entries)),
        6 if entries > 0 => index.entries.push(index.entries[entry % entries].clone()),
        7 if entries > 1 => index.entries.swap(entry % entries, value as usize % entries),
        8 if entries > 0 => {
            let other = index.entries[value as usize % entries].path.clone();
            index.entries[entry % entries].target = other;
        }
        9 if !index.segments.is_empty() => {
            let n = index.segments.len();
            index.segments[segment % n].raw_len = u64::from(value % (1 << 20));
        }
        10 if !index.segments.is_empty() => {
            let n = index.segments.len();
            index.segments[segment % n].compressed_len = u64::from(value % (1 << 20));
        }
        11 if index.segments.len() > 1 => {
            // Two as one: the sums stay right.
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
        13 if entries > 0 => index.entries[entry % entries].kind = (value % 4) as u8,
        _ => {}
    }
}
