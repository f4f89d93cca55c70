//! Rules for formats, kinds and extensions.

use super::{
    BLOCK, Reader, Step, TarMember, content, read,
    tar::{Block, Tar},
};
use crate::entry::MemberKind;

/// Returns the only member of a valid archive.
#[track_caller]
fn one(tar: Tar) -> TarMember {
    let mut reading = read(&tar.end());
    assert!(reading.error.is_none(), "{:?}", reading.error);
    assert_eq!(reading.members.len(), 1);
    reading.members.remove(0).0
}

/// Returns the error message for an invalid archive.
#[track_caller]
fn refusal(tar: Tar) -> String {
    let reading = read(&tar.end());
    reading.error.map(|e| e.to_string()).expect("it is malformed")
}

fn header(block: Block) -> Tar {
    Tar::new().header(block)
}

#[test]
fn every_kind_is_recognized() {
    for (flag, kind) in [
        (b'0', MemberKind::File),
        (0, MemberKind::File),
        (b'7', MemberKind::File),
        (b'1', MemberKind::HardLink),
        (b'2', MemberKind::Symlink),
        (b'3', MemberKind::CharDevice),
        (b'4', MemberKind::BlockDevice),
        (b'5', MemberKind::Directory),
        (b'6', MemberKind::Fifo),
    ] {
        let block = Block::new(flag, "a", 0).link("t");
        for block in [block.clone(), block.clone().gnu(), block.v7()] {
            let member = one(header(block));
            let is_link = matches!(kind, MemberKind::Symlink | MemberKind::HardLink);
            assert_eq!((member.kind, &member.path[..]), (kind, &b"a"[..]));
            assert_eq!(member.target, if is_link { &b"t"[..] } else { b"" });
        }
    }
}

#[test]
fn a_file_that_ends_in_a_slash_is_a_directory() {
    for flag in [0, b'0', b'7'] {
        let member = one(header(Block::new(flag, "a/", 0).v7()));
        assert_eq!((member.kind, &member.path[..]), (MemberKind::Directory, &b"a"[..]));
    }
}

#[test]
fn the_root_is_a_directory_without_a_path() {
    for name in ["./", ".", "././"] {
        let member = one(Tar::new().dir(name));
        assert_eq!((member.kind, &member.path[..]), (MemberKind::Directory, &b""[..]));
    }
}

#[test]
fn targets_of_hard_links_are_paths_and_those_of_symlinks_are_not() {
    assert_eq!(one(Tar::new().hard_link("./a", "./b")).target, b"b");
    assert_eq!(one(Tar::new().symlink("./a", "./b/")).target, b"./b/");
}

#[test]
fn labels_and_unused_global_records_are_skipped() {
    let label = Block::new(b'V', "label", 0).gnu();
    let member = one(header(label.clone()).pax(b'g', &["comment=x"]).file("a", ""));
    assert_eq!((&member.path[..], member.header_len), (&b"a"[..], 4 * BLOCK as u64));
    assert!(read(&Tar::new().pax(b'g', &["comment=x"]).end()).error.is_none());
    refusal(header(label.put(124, "00000000001")).data("x").file("a", ""));
    let label = Block::new(b'V', "label", 0);
    refusal(Tar::new().pax(b'x', &["path=b"]).header(label).file("a", ""));
}

#[test]
fn a_member_of_an_unknown_type_is_a_regular_file() {
    for flag in [b'8', b'A', b'I', b'N', b'Z', b'a', b'G', 1, 0xff] {
        let member = one(Tar::new().member(Block::new(flag, "name", 0), "content"));
        assert_eq!((member.kind, member.size, member.refused), (MemberKind::File, 7, None));
    }
    let extended = Tar::new().pax(b'X', &["path=long"]).file("a", "");
    assert_eq!(one(extended).path, b"long", "the one type of Solaris");
}

#[test]
fn a_member_that_cannot_be_used_does_not_hide_the_members_after_it() {
    for (block, why) in [
        (Block::new(b'0', "", 0), "it has no name"),
        (Block::new(b'2', ".", 0).link("/"), "it has no name"),
        (Block::new(b'2', "a", 0), "it is a link without a target"),
        (Block::new(b'1', "a", 0).link("./"), "it is a link without a target"),
        (Block::new(b'M', "a", 0), "it began in another volume"),
    ] {
        let data: &str = if why.ends_with("volume") { "the rest of it" } else { "" };
        let reading = read(&Tar::new().member(block, data).file("b", "x").end());
        assert!(reading.error.is_none(), "{:?}", reading.error);
        let members: Vec<_> =
            reading.members.iter().map(|(m, _)| (&m.path[..], m.refused)).collect();
        assert_eq!(members[0].1, Some(why));
        assert_eq!(members[1], (&b"b"[..], None));
    }
}

#[test]
fn an_owner_or_a_time_may_be_negative() {
    let negative = [0xff; 12];
    let block = Block::new(b'0', "a", 0).put(108, &negative[..8]).put(136, negative);
    let member = one(header(block));
    assert_eq!((member.uid, member.gid, member.mtime_ns), (u64::MAX, 0, -1_000_000_000));
    let far = [&[0x80, 0, 0, 0][..], &u64::MAX.to_be_bytes()].concat();
    assert_eq!(one(header(Block::new(b'0', "a", 0).put(136, far))).mtime_ns, i64::MAX);
}

#[test]
fn checksums_of_signed_bytes_are_accepted_too() {
    let mut block = Block::new(b'0', "\u{e9}\u{e9}", 0).finish();
    let sum: i32 = block.iter().map(|&byte| i32::from(byte as i8)).sum();
    let own: i32 = block[148..156].iter().map(|&byte| i32::from(byte as i8)).sum();
    let signed = format!("{:06o}\0 ", sum - own + 8 * 32);
    block[148..156].copy_from_slice(signed.as_bytes());
    assert_eq!(one(Tar::new().raw(block)).path, "\u{e9}\u{e9}".as_bytes());
    block[150] ^= 1;
    assert_eq!(refusal(Tar::new().raw(block)), "read a tar header: its checksum is wrong");
}

#[test]
fn prefixes_count_if_all_readers_use_them() {
    let prefixed = Block::new(b'0', "b", 0).put(345, "a");
    assert_eq!(one(header(prefixed.clone())).path, b"a/b");
    assert_eq!(one(header(prefixed.clone().v7())).path, b"b");
    assert_eq!(one(header(prefixed.clone().put(508, "tar\0"))).path, b"a/b");
    refusal(header(prefixed.clone().gnu()));
    refusal(header(prefixed.put(257, "ustar-00")));
    let long = Block::new(b'0', "b", 0).put(345, [b'a'; 155]);
    assert_eq!(one(header(long)).path, ["a".repeat(155), "b".into()].join("/").as_bytes());
    refusal(header(Block::new(b'0', "b", 0).put(345, [b'a'; 131]).put(508, "tar\0")));
    let times = Block::new(b'0', "b", 0).gnu().put(345, "00000000001\x0000000000002\0");
    assert_eq!(one(header(times)).path, b"b");
}

#[test]
fn records_override_headers() {
    let records = ["path=b", "size=3", "uid=1", "gid=2", "mtime=3.000000004", "comment=x"];
    let tar = Tar::new().pax(b'x', &records).header(Block::new(b'0', "a", 0)).data("xyz");
    let member = one(tar);
    assert_eq!((&member.path[..], member.size, member.stored), (&b"b"[..], 3, 3));
    assert_eq!((member.uid, member.gid, member.mtime_ns), (1, 2, 3_000_000_004));
    let tar = Tar::new().pax(b'x', &["linkpath=./t"]).symlink("a", "s");
    assert_eq!(one(tar).target, b"./t");
}

#[test]
fn records_apply_to_the_next_member_and_global_ones_to_all() {
    let tar = Tar::new()
        .pax(b'g', &["uid=1", "mtime=1"])
        .pax(b'x', &["uid=2"])
        .file("a", "")
        .pax(b'g', &["mtime=2"])
        .file("b", "");
    let reading = read(&tar.end());
    let got = reading.members.iter().map(|(m, _)| (m.uid, m.mtime_ns)).collect::<Vec<_>>();
    assert_eq!(got, [(2, 1_000_000_000), (1, 2_000_000_000)]);
    assert!(reading.error.is_none());
}

#[test]
fn long_names_may_come_in_any_order_and_with_records() {
    let long = "n".repeat(300);
    let tar = Tar::new().long(b'L', &long).long(b'K', "t").pax(b'x', &["mtime=1"]).symlink("n", "");
    let member = one(tar);
    assert_eq!((&member.path[..], &member.target[..]), (long.as_bytes(), &b"t"[..]));
    let tar = Tar::new().pax(b'x', &["path=a"]).long(b'L', "a").file("b", "");
    assert_eq!(one(tar).path, b"a");
    let without_nul = Tar::new().member(Block::new(b'L', "", 0).gnu(), "a").file("b", "");
    assert_eq!(one(without_nul).path, b"a");
}

#[test]
fn conflicting_extensions_of_a_member_are_refused() {
    let tar = Tar::new;
    for tar in [
        tar().long(b'L', "b").long(b'L', "c"),
        tar().long(b'K', "b").long(b'K', "c"),
        tar().pax(b'x', &["uid=1"]).pax(b'x', &["gid=1"]),
        tar().pax(b'x', &["path=b"]).pax(b'g', &["comment=c"]),
        tar().long(b'L', "b").pax(b'x', &["path=c"]),
        tar().long(b'L', "b").pax(b'x', &["GNU.sparse.name=c"]),
        tar().pax(b'x', &["size=0"]).long(b'L', "b"),
    ] {
        refusal(tar.clone().file("a", ""));
        refusal(tar);
    }
}

#[test]
fn an_extension_of_exactly_a_mebibyte_is_read() {
    let comment = format!("comment={}", "x".repeat((1 << 20) - 17));
    let tar = Tar::new().pax(b'x', &[&comment]).file("a", "");
    assert_eq!(one(tar).header_len, (2 * BLOCK + (1 << 20)) as u64);
    refusal(Tar::new().pax(b'x', &[&(comment + "x")]).file("a", ""));
}

/// GNU tar, Python and Go continue with the next header. `linkdata` of POSIX is not a header.
#[test]
fn announced_data_of_other_kinds_is_skipped_whether_it_follows_or_not() {
    let sized = |flag| Block::new(flag, "a", 700).link("t");
    let kinds = [b'1', b'2', b'3', b'4', b'5', b'6'].map(sized);
    let blocks = kinds.iter().flat_map(|k| [k.clone(), k.clone().gnu(), k.clone().v7()]);
    for block in blocks {
        for pax in [Tar::new(), Tar::new().pax(b'x', &["size=700"])] {
            let without = pax.clone().header(block.clone()).file("b", "x");
            let with = pax.header(block.clone()).data([b'y'; 700]).file("b", "x");
            for tar in [without, with] {
                let reading = read(&tar.end());
                assert!(reading.error.is_none(), "{:?}", reading.error);
                assert_eq!(reading.paths(), ["a", "b"]);
                assert_eq!((reading.members[0].0.size, reading.members[0].0.stored), (0, 0));
            }
        }
    }
    let cut = Tar::new().header(sized(b'1')).raw([b'y'; BLOCK]);
    assert!(read(&cut.0).error.is_some(), "it ends within the data");
}

#[test]
fn the_data_of_a_directory_in_an_incremental_archive_is_not_content() {
    let member = one(Tar::new().member(Block::new(b'D', "a/", 0).gnu(), "Yb\0\0"));
    assert_eq!((member.kind, member.size, member.stored), (MemberKind::Directory, 0, 4));
}

#[test]
fn sparse_files_of_every_version_are_read() {
    let data = [[b'x'; BLOCK], [b'y'; BLOCK]].concat();
    let map = "2\n512\n512\n1536\n512\n";
    let with_map = [map.as_bytes(), &vec![0; BLOCK - map.len()], &data].concat();
    let versions = [
        header(
            Block::new(b'S', "s", 1024)
                .gnu()
                .real_size(3000)
                .extent(0, 512, 512)
                .extent(1, 1536, 512),
        )
        .data(&data),
        Tar::new()
            .pax(
                b'x',
                &[
                    "GNU.sparse.size=3000",
                    "GNU.sparse.numblocks=2",
                    "GNU.sparse.offset=512",
                    "GNU.sparse.numbytes=512",
                    "GNU.sparse.offset=1536",
                    "GNU.sparse.numbytes=512",
                ],
            )
            .file("s", &data),
        Tar::new()
            .pax(
                b'x',
                &[
                    "GNU.sparse.name=s",
                    "GNU.sparse.size=3000",
                    "GNU.sparse.numblocks=2",
                    "GNU.sparse.map=512,512,1536,512",
                ],
            )
            .file("GNUSparseFile.0/s", &data),
        Tar::new()
            .pax(
                b'x',
                &[
                    "GNU.sparse.major=1",
                    "GNU.sparse.minor=0",
                    "GNU.sparse.name=s",
                    "GNU.sparse.realsize=3000",
                ],
            )
            .file("GNUSparseFile.0/s", &with_map),
    ];
    let mut expected = vec![0; 3000];
    expected[512..1024].fill(b'x');
    expected[1536..2048].fill(b'y');
    for tar in versions {
        let reading = read(&tar.end());
        assert!(reading.error.is_none(), "{:?}", reading.error);
        let [member] = &reading.members[..] else { panic!("{reading:?}") };
        assert_eq!(member.0.path, b"s");
        assert_eq!(member.0.sparse, Some(vec![(512, 512), (1536, 512)]));
        assert_eq!(content(member), expected);
    }
}

#[test]
fn sparse_records_that_contradict_each_other_are_refused() {
    let good = ["GNU.sparse.size=9", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,1"];
    assert_eq!(one(Tar::new().pax(b'x', &good).file("s", "x")).size, 9);
    for more in [
        "GNU.sparse.realsize=8",
        "GNU.sparse.numblocks=2",
        "GNU.sparse.offset=1",
        "GNU.sparse.major=1",
        "GNU.sparse.minor=1",
        "GNU.sparse.map=0,2",
        "size=2",
    ] {
        let records = [&good[..], &[more]].concat();
        let message = refusal(Tar::new().pax(b'x', &records).file("s", "x").file("t", ""));
        assert!(message.starts_with("read the tar header of s: its sparse map"), "{message}");
    }
    refusal(Tar::new().pax(b'x', &good).dir("s"));
    refusal(Tar::new().pax(b'x', &good[..1]).file("s", "x"));
    refusal(Tar::new().pax(b'x', &good[1..]).file("s", "x"));
    refusal(Tar::new().pax(b'x', &good).header(Block::new(b'S', "s", 0).gnu()));
    refusal(header(Block::new(b'S', "s", 0).real_size(0)));
}

#[test]
fn sparse_maps_with_wrong_ranges_are_refused() {
    let mapped = |map: &str, stored: usize| {
        let numbers = format!("GNU.sparse.numblocks={}", map.split(',').count() / 2);
        let records = ["GNU.sparse.size=2048", &numbers, &format!("GNU.sparse.map={map}")];
        Tar::new().pax(b'x', &records).file("s", vec![b'x'; stored])
    };
    let empty_at_both_ends = one(mapped("0,0,512,512,1024,1024,2048,0", 1536));
    assert_eq!(empty_at_both_ends.sparse, Some(vec![(512, 512), (1024, 1024)]));
    for (map, stored, why) in [
        ("1024,512,0,512", 1024, "not in order"),
        ("0,512,511,512", 1024, "not in order"),
        ("0,1024,512,0", 1024, "not in order"),
        ("2048,1", 1, "beyond its end"),
        ("2049,0", 0, "beyond its end"),
        ("9223372036854775807,9223372036854775807", 1, "beyond its end"),
        ("0,512", 511, "not cover the stored bytes"),
        ("0,512", 513, "not cover the stored bytes"),
    ] {
        let message = refusal(mapped(map, stored));
        assert!(message.contains(why), "{map}: {message}");
    }
}

#[test]
fn an_old_sparse_map_ends_where_all_readers_end_it() {
    let sparse = || Block::new(b'S', "s", 512).gnu().real_size(512).extent(0, 0, 512);
    let tar = |block| header(block).data([b'x'; BLOCK]);
    assert_eq!(one(tar(sparse())).sparse, Some(vec![(0, 512)]));
    refusal(tar(sparse().put(482, [1])));
    refusal(tar(sparse().put(386 + 24, "00000000000")));
    refusal(tar(sparse().put(386 + 36, "00000000000")));
}

#[test]
fn extents_that_readers_find_at_different_offsets_are_refused() {
    let sparse = |len: usize| {
        let map = format!("GNU.sparse.map=0,{len},1024,1");
        let records = ["GNU.sparse.size=2000", "GNU.sparse.numblocks=2", &map];
        Tar::new().pax(b'x', &records).file("s", vec![b'x'; len + 1])
    };
    assert_eq!(one(sparse(512)).stored, 513);
    refusal(sparse(511));
}

#[test]
fn errors_name_the_member_and_are_final() {
    let tar = Tar::new().pax(b'x', &["path=full/name"]).header(Block::new(b'S', "name", 0));
    let message = "read the tar header of full/name: its sparse map has an unknown format";
    assert_eq!(refusal(tar.clone()), message);
    let mut reader = Reader::new();
    let mut blocks = tar.0.as_chunks::<BLOCK>().0.iter();
    assert!(blocks.any(|block| reader.block(block).is_err()));
    let good = Block::new(b'0', "a", 0).finish();
    assert!(reader.block(&good).is_err() && reader.block(&good).is_err() && reader.end().is_err());
}

#[test]
fn all_blocks_after_the_end_are_padding() {
    let mut reader = Reader::new();
    assert_eq!(reader.block(&[0; BLOCK]).ok(), Some(Step::More));
    assert!(reader.end().is_ok());
    for byte in [0, 0, 1, 2] {
        assert_eq!(reader.block(&[byte; BLOCK]).ok(), Some(Step::End));
        assert!(reader.end().is_ok());
    }
}
