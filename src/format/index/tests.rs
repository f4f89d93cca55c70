use proptest::prelude::*;

use super::{
    fields::Fields,
    node::{self, Child, Node},
    page::PageBuilder,
    root::{BlobRef, Root},
    *,
};
use crate::{
    entry::{Entry, EntryKind},
    format::info::{EXCLUDES_MAX, Info},
};

prop_compose! {
    fn entry()(path in prop::collection::vec(any::<u8>(), 1..300), kind in 0..3u8, has_header in any::<bool>(),
               size in 0..1u64 << 40, ids in any::<(u32, u32, u32)>(), times in any::<(i64, i64)>(),
               inode in any::<u64>(), bits in any::<(bool, bool)>(),
               target in prop::collection::vec(any::<u8>(), 0..50)) -> Entry {
        let kind = EntryKind::from_code(kind).expect("one of three");
        let is_file = kind == EntryKind::File;
        Entry {
            path, kind, header_len: if has_header || is_file { 512 } else { 0 },
            size: if is_file { size } else { 0 }, mode: ids.0, uid: ids.1, gid: ids.2,
            mtime_ns: times.0, ctime_ns: times.1, inode, is_changed: bits.0, is_recent: bits.1, target,
        }
    }
}

prop_compose! {
    fn segment()(key in any::<[u8; 16]>(), crcs in any::<(u32, u32)>(), raw_len in 1..4u32 << 20) -> Segment {
        let (raw_crc32, compressed_crc32) = crcs;
        Segment { compressed_len: raw_len / 2 + 1, raw_len, raw_crc32, compressed_crc32, key }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_page_is_read_back_and_any_damage_is_detected(
        mut entries in prop::collection::vec(entry(), 0..100),
        segments in prop::collection::vec(segment(), 0..30),
        at in any::<prop::sample::Index>(), bit in 0..8u8,
    ) {
        entries.sort_by(cmp_paths);
        entries.dedup_by(|a, b| cmp_paths(a, b).is_eq());
        let start = Position { segment: 7, file_at: 1 << 40, tar_at: 3 << 40, entry_at: 2 << 40 };
        let mut builder = PageBuilder::new(start);
        segments.iter().for_each(|segment| builder.add_segment(segment));
        entries.iter().for_each(|entry| builder.add_entry(entry));
        let raw = builder.encode();
        let page = Page::decode(&raw).expect("a page");
        prop_assert_eq!(page.start, start);
        prop_assert!(page.segments.iter().map(|located| located.segment).eq(segments.iter().copied()));
        prop_assert!(page.entries.iter().map(|located| &located.entry).eq(&entries));
        prop_assert_eq!(page.end.segment, 7 + segments.len() as u64);
        prop_assert_eq!(page.end.entry_at, page.entries.last().map_or(2 << 40, |last| last.tar().end));
        let blob = blob::Packer::new().pack(&raw);
        let (hash, mut members) = (blob::hash(&blob), blob::members(&blob));
        prop_assert_eq!(read_page(&members, &hash), Some(page));
        let at = at.index(members.len());
        members[at] ^= 1 << bit;
        prop_assert!(read_page(&members, &hash).is_none(), "bit {} of byte {}", bit, at);
        members.truncate(at);
        prop_assert!(read_page(&members, &hash).is_none(), "truncated at {}", at);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(raw in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = (Page::decode(&raw), Node::decode_all(&raw), Root::decode(&raw), blob::unpack(&raw));
    }

    #[test]
    fn a_node_is_read_back_and_leads_to_the_right_child(
        mut keys in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..50),
        wanted in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        keys.sort();
        let children: Vec<_> = (1..).zip(keys).map(|(len, key)| Child { key, len, hash: [3; 16] }).collect();
        let node = Node { level: 2, first_at: 99, children };
        let mut raw = Vec::new();
        node.encode(&mut raw);
        prop_assert_eq!(Node::decode_all(&raw), Some(node.clone()));
        let last = node.children.iter().rposition(|child| child.key <= wanted);
        let at = |i: usize| 99 + node.children[..i].iter().map(|child| u64::from(child.len)).sum::<u64>();
        prop_assert_eq!(node.child_of(&wanted), last.map(|i| (at(i), &node.children[i])));
    }

    #[test]
    fn a_separator_is_between_the_keys(
        mut keys in prop::collection::btree_set(prop::collection::vec(any::<u8>(), 1..20), 2),
    ) {
        let (last, first) = (keys.pop_first().expect("two"), keys.pop_first().expect("two"));
        let key = node::separator(&last, Some(&first));
        prop_assert!(last < key && key <= first);
        let empty = node::separator(&last, None);
        prop_assert!(last < empty && empty <= first);
    }
}

#[test]
fn a_root_is_read_back_and_unknown_fields_are_skipped() {
    let info = Info {
        label: b"\xff server".to_vec(),
        source: Some(b"/srv/\xfe".to_vec()),
        host: Some("node-1".into()),
        made: crate::format::info::time_of(-5),
        tool: "wingback 1".into(),
        files: 1,
        directories: 2,
        symlinks: 3,
        content: u64::MAX,
        skipped: 4,
        omits_unnamed: true,
        tags: vec![("a".into(), "b=c".into()), ("a".into(), String::new())],
        ..Info::default()
    };
    let children = vec![Child { key: Vec::new(), len: 99, hash: [1; 16] }];
    let top = Node { level: 1, first_at: 0, children };
    let excludes = vec![BlobRef { at: 1 << 40, len: 7, hash: [9; 16] }];
    let root = Root { top, pages_len: 5, info, excludes };
    let mut raw = root.encode();
    assert_eq!(Root::decode(&raw).as_ref(), Some(&root));
    fields::put_number(&mut raw, 1000);
    fields::put_bytes(&mut raw, b"from the future");
    assert_eq!(Root::decode(&raw).as_ref(), Some(&root));
    assert!(Root::decode(&raw[..raw.len() - 1]).is_none());
}

#[test]
fn the_longest_key_is_read_back() {
    // The page before ends with a directory, and this one has only segments.
    let directory = [vec![b'd'; page::PATH_MAX], vec![b'/']].concat();
    let child = Child { key: node::separator(&directory, None), len: 100, hash: [0; 16] };
    let node = Node { level: 1, first_at: 0, children: vec![child] };
    let mut raw = Vec::new();
    node.encode(&mut raw);
    assert_eq!(Node::decode_all(&raw), Some(node));
}

#[test]
fn numbers_of_more_than_64_bits_are_refused() {
    let number = |bytes: &[u8]| Fields(bytes).number();
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Some(u64::MAX));
    assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), None);
    assert_eq!(number(&[0x80; 11]), None);
    assert_eq!(number(&[0x80]), None);
}

/// Shared prefixes and deflate make a few bytes into many. The bounds of a page and of a blob limit that.
#[test]
fn a_page_of_few_bytes_does_not_take_much_memory() {
    let mut raw = vec![0; 4];
    fields::put_number(&mut raw, 0);
    fields::put_number(&mut raw, 10_000);
    let path = vec![b'a'; 8000];
    fields::put_shared(&mut raw, b"", &path);
    let fields_of_a_file = [0b100, 1, 0, 0, 0, 0, 0, 0, 0];
    raw.extend(fields_of_a_file);
    for i in 0..9_999u64 {
        fields::put_number(&mut raw, 8000);
        fields::put_bytes(&mut raw, &i.to_be_bytes()[6..]);
        raw.extend(fields_of_a_file);
    }
    assert!(raw.len() < 200_000 && Page::decode(&raw).is_none());
    let bomb = {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut encoder, &vec![0; 100 << 20]).expect("a vector");
        encoder.finish().expect("a vector")
    };
    assert!(bomb.len() < 120_000 && blob::unpack(&bomb).is_none());
}

#[test]
fn an_index_is_never_longer_than_its_bound() {
    let entry =
        |path: Vec<u8>| Entry { path, header_len: 512, inode: u64::MAX, ..Entry::default() };
    let short = (0..30_000u32).map(|i| entry(format!("{i:06}").into_bytes())).collect::<Vec<_>>();
    let noise = |i: u32| {
        let hash = blake3::Hasher::new().update(&i.to_le_bytes()).finalize_xof();
        let mut path = vec![0; 4000];
        hash.clone().fill(&mut path);
        path
    };
    let mut long: Vec<_> = (0..2000).map(|i| entry(noise(i))).collect();
    long.sort_by(cmp_paths);
    for (what, entries) in [("none", Vec::new()), ("short", short), ("long", long)] {
        let (mut writer, mut bound) = (IndexWriter::default(), IndexBound::default());
        for (i, entry) in entries.iter().enumerate() {
            if i % 50 == 0 {
                let raw_len = 512 * 50.min(entries.len() - i) as u32;
                let key =
                    *blake3::hash(&i.to_le_bytes()).as_bytes().first_chunk().expect("16 of 32");
                let (raw_crc32, compressed_crc32) = (i as u32, !(i as u32));
                let compressed_len = raw_len / 9;
                writer.add_segment(&Segment {
                    compressed_len,
                    raw_len,
                    raw_crc32,
                    compressed_crc32,
                    key,
                });
                bound.add_segments(1);
            }
            bound.add_entry(entry.path.len());
            writer.add_entry(entry).expect("added");
        }
        let excludes = vec![b'x'; EXCLUDES_MAX];
        let info = Info { excludes, ..Info::default() };
        let bound = bound.finish(&info);
        let mut len = 10;
        writer
            .finish(0, info, |bytes| {
                len += bytes.len() as u64;
                Ok(())
            })
            .expect("written");
        assert!(len <= bound, "{what}: {len} bytes, and the bound is {bound}");
    }
}
