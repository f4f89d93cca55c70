use proptest::prelude::*;

use super::*;
use crate::error::Result;

fn build(index: &Index, flags: u32) -> Vec<u8> {
    let mut builder =
        IndexBuilder { hard_links: index.hard_links.clone(), ..IndexBuilder::default() };
    index.segments.iter().for_each(|s| builder.segments.push(s).expect("few"));
    index.entries.iter().for_each(|e| builder.entries.push(e).expect("few"));
    index.unlisted.iter().for_each(|u| builder.unlisted.push(u).expect("few"));
    let footer = Footer {
        flags,
        data_end: 10 + index.segments.iter().map(|s| u64::from(s.compressed_len)).sum::<u64>(),
        tar_len: index.segments.iter().map(|s| u64::from(s.raw_len)).sum(),
        ..Footer::default()
    };
    let mut out = Vec::new();
    builder
        .finish(footer, |member| {
            out.extend(member);
            Ok(())
        })
        .expect("finish");
    out
}

/// As a reader does it, with a file that has zeros for everything before the index.
fn read(members: &[u8]) -> Option<Result<Index>> {
    let (index, last) = members.split_last_chunk::<FOOTER_LEN>()?;
    let offset = u64::from_le_bytes(*last[16 + 24..].first_chunk()?);
    let footer = Footer::decode(last, offset.checked_add(members.len() as u64)?)?;
    Some(Index::decode(&footer, index))
}

prop_compose! {
    fn entry()(path in prop::collection::vec(any::<u8>(), 1..300), kind in 0..3u8,
               size in 0..1u64 << 40, ids in any::<(u32, u32)>(),
               times in any::<(i64, i64)>(), inode in any::<u64>(), flags in 0..4u32) -> Entry {
        Entry { path, kind, header_len: 512, size: if kind == 0 { size } else { 0 }, mode: 0o644,
                uid: ids.0, gid: ids.1, mtime_ns: times.0, ctime_ns: times.1, inode, flags }
    }
}

prop_compose! {
    fn index()(entries in prop::collection::vec(entry(), 0..400),
               keys in prop::collection::vec(any::<([u8; 16], u32, u32, u32)>(), 1..300),
               link in prop::collection::vec(any::<u8>(), 0..50)) -> Index {
        let tar: u64 = entries.iter().map(Entry::tar_len).sum::<u64>() + 1024;
        // However odd, the lengths must add up.
        let count = (tar / (1 << 31) + 1).max(keys.len() as u64);
        let segments = (0..count).map(|i| {
            let (key, compressed_len, raw_crc32, compressed_crc32) = keys[i as usize % keys.len()];
            let raw_len = (tar / count + u64::from(i == 0) * (tar % count)) as u32;
            Segment { compressed_len, raw_len, raw_crc32, compressed_crc32, key }
        }).collect();
        let unlisted = vec![Unlisted { path: link.clone(), kind: 1, mode: 0o777, uid: 0, gid: 0,
                                       mtime_ns: -1, target: link }];
        let hard_links = if entries.len() > 2 { vec![vec![0, 2]] } else { vec![] };
        Index { segments, entries, unlisted, hard_links }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_and_any_damage_is_found(
        index in index(), flags in any::<u32>(), at in any::<prop::sample::Index>(), bit in 0..8u8,
    ) {
        let mut bytes = build(&index, flags);
        prop_assert_eq!(read(&bytes).expect("a footer").expect("an index"), index);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Some(Ok(_)) = read(&bytes) {
            prop_assert!(false, "bit {} of byte {} of {} does not count", bit, at, bytes.len());
        }
        bytes[at] ^= 1 << bit;
        bytes.truncate(at);
        prop_assert!(!matches!(read(&bytes), Some(Ok(_))), "truncated at {}", at);
    }

    #[test]
    fn noise_is_no_index(bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
        prop_assert!(read(&bytes).is_none());
    }
}

#[test]
fn every_member_is_an_empty_gzip_member() {
    use std::io::Read;
    let index = Index {
        entries: Vec::new(),
        segments: vec![Segment {
            compressed_len: 9,
            raw_len: 1024,
            raw_crc32: 1,
            compressed_crc32: 2,
            key: [3; 16],
        }],
        ..Index::default()
    };
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(&*build(&index, 0)).read_to_end(&mut out).expect("gzip");
    assert!(out.is_empty());
}
