use proptest::prelude::*;

use super::*;
use crate::{
    entry::{Entry, Unlisted},
    error::Result,
};

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

/// Reads the index as a reader does, from a file with zeros before the index.
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
        // The lengths are random but must add up.
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
    fn a_written_index_is_read_back_and_any_damage_is_detected(
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
    fn random_bytes_are_not_an_index(bytes in prop::collection::vec(any::<u8>(), 0..1000)) {
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

/// Returns an index of `count` entries and links that `of` creates, with the segments for them.
fn many(count: u32, of: impl Fn(u32) -> (Option<Entry>, Option<Unlisted>)) -> Index {
    let mut index = Index::default();
    for i in 0..count {
        let (entry, unlisted) = of(i);
        index.entries.extend(entry);
        index.unlisted.extend(unlisted);
    }
    let tar = index.entries.iter().map(Entry::tar_len).sum::<u64>() + 1024;
    for at in (0..tar).step_by(1 << 20) {
        let raw_len = (tar - at).min(1 << 20) as u32;
        let [raw_crc32, compressed_crc32] = [at as u32, 1];
        let key = *blake3::hash(&at.to_le_bytes()).as_bytes().first_chunk().expect("16 of 32");
        let compressed_len = raw_len / 500 + 1;
        index.segments.push(Segment { compressed_len, raw_len, raw_crc32, compressed_crc32, key });
    }
    index
}

fn file(i: u32, path: String) -> Entry {
    let now = 1_700_000_000_000_000_000 + i64::from(i) * 12_345;
    let (mtime_ns, ctime_ns, inode) = (now, now + 7, 4_000_000 + u64::from(i));
    let path = path.into_bytes();
    Entry { path, mtime_ns, ctime_ns, inode, mode: 0o644, ..empty() }
}

fn empty() -> Entry {
    let (path, kind, size, mode, flags) = (Vec::new(), 0, 0, 0, 0);
    let (uid, gid, mtime_ns, ctime_ns, inode) = (0, 0, 0, 0, 0);
    Entry { path, kind, header_len: 512, size, mode, uid, gid, mtime_ns, ctime_ns, inode, flags }
}

#[test]
fn the_index_of_an_extreme_tree_is_read_back() {
    let symlink = |i: u32| Unlisted {
        path: format!("l{i}").into_bytes(),
        kind: 1,
        mode: 0o777,
        uid: 0,
        gid: 0,
        mtime_ns: 0,
        target: b"x".to_vec(),
    };
    let long = "n".repeat(250) + "/";
    let million = 1_000_000;
    let bare = |path: String| Entry { path: path.into_bytes(), ..empty() };
    let mut linked = many(million, |i| (Some(file(i, format!("{i:x}"))), None));
    linked.hard_links = (0..million / 2).map(|i| vec![2 * i, 2 * i + 1]).collect();
    let mut of_one_file = many(million, |i| (Some(bare(format!("{i:x}"))), None));
    of_one_file.hard_links = vec![(0..million).collect()];
    for (what, index) in [
        ("empty files", many(million, |i| (Some(file(i, format!("{i:x}"))), None))),
        ("reproducible empty files", many(million, |i| (Some(bare(format!("{i:07}"))), None))),
        ("pairs of hard links", linked),
        ("names of one file", of_one_file),
        ("symlinks in the index alone", many(million, |i| (None, Some(symlink(i))))),
        ("long names", many(20_000, |i| (Some(bare(format!("{}{i}", long.repeat(16)))), None))),
    ] {
        let bytes = build(&index, 0);
        let read = read(&bytes).expect("a footer");
        assert!(read.as_ref().is_ok_and(|read| *read == index), "{what}: {:?}", read.err());
    }
}

#[test]
fn an_index_that_readers_would_refuse_is_not_written() {
    let mut entries = List::<Entry>::default();
    let entry = file(1, "n".repeat(60_000));
    let error = loop {
        if let Err(e) = entries.push(&entry) {
            break e;
        }
    };
    assert!(error.to_string().contains("too many entries"), "{error}");
    // The limit is for all lists together.
    let mut builder = IndexBuilder::default();
    while builder.entries.len() < 20_000 {
        builder.entries.push(&entry).expect("half of the limit");
    }
    while builder.unlisted.len() < 20_000 {
        let Entry { path, mode, .. } = entry.clone();
        let (uid, gid, mtime_ns, target) = (0, 0, 0, Vec::new());
        let unlisted = Unlisted { path, kind: 1, mode, uid, gid, mtime_ns, target };
        builder.unlisted.push(&unlisted).expect("half of the limit");
    }
    let error = builder.finish(Footer::default(), |_| panic!("nothing is written")).unwrap_err();
    assert!(error.to_string().contains("too many entries"), "{error}");
}

#[test]
fn an_index_can_be_read_in_pieces_of_any_length() {
    let index = many(3000, |i| (Some(file(i, format!("{i}"))), None));
    let bytes = build(&index, 0);
    let (members, last) = bytes.split_last_chunk::<FOOTER_LEN>().expect("a footer");
    let offset = u64::from_le_bytes(*last[16 + 24..].first_chunk().expect("eight bytes"));
    let footer = Footer::decode(last, offset + bytes.len() as u64).expect("a footer");
    for len in [1, 13, 15, 16, 17, 8217, 8218, 8219, 20_000] {
        let mut decoder = Decoder::new(&footer);
        members.chunks(len).for_each(|piece| decoder.feed(piece).expect("a piece"));
        assert!(decoder.finish().is_ok_and(|read| read == index), "pieces of {len} bytes");
    }
}
