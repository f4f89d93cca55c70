//! Truncated and damaged archives.

use super::{
    BLOCK, Reading, read,
    tar::{Block, Tar},
};

/// A short archive with every kind of header.
fn archive() -> Vec<u8> {
    let records = ["GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=9"];
    let map = [&b"1\n4\n5\n"[..], &[0; BLOCK - 6], b"12345"].concat();
    let entry = [&b"00000000143\0"[..], b"00000000000\0"].concat();
    Tar::new()
        .file("a", "x")
        .long(b'K', "t".repeat(200))
        .long(b'L', "n".repeat(200))
        .symlink("n", "t")
        .pax(b'x', &["path=b", "mtime=1.5"])
        .file("b", "y")
        .pax(b'x', &records)
        .member(Block::new(b'0', "c", 0), map)
        .header((0..4).fold(sparse(), |block, place| block.extent(place, 0, 0)).put(482, [1]))
        .data(entry)
        .end()
}

fn sparse() -> Block {
    Block::new(b'S', "d", 0).gnu().real_size(99)
}

/// Returns the offset of each member, with its extensions, and the offset of its data.
fn places(whole: &Reading) -> Vec<(usize, usize)> {
    let mut start = 0;
    (whole.members.iter())
        .map(|(member, data)| {
            let data_start = start + member.header_len as usize;
            let place = (start, data_start);
            start = data_start + data.len().next_multiple_of(BLOCK);
            place
        })
        .collect()
}

#[test]
fn header_lengths_and_data_cover_the_archive() {
    let archive = archive();
    let whole = read(&archive);
    assert!(whole.error.is_none(), "{whole:?}");
    assert_eq!(whole.paths(), ["a", &"n".repeat(200), "b", "c", "d"]);
    let places = places(&whole);
    let lengths: Vec<usize> = places.iter().map(|(start, data)| (data - start) / BLOCK).collect();
    assert_eq!(lengths, [1, 5, 3, 4, 2]);
    assert_eq!(places[4].1 + 2 * BLOCK, archive.len());
}

#[test]
fn truncation_affects_no_member_before_it() {
    let archive = archive();
    let whole = read(&archive);
    let places = places(&whole);
    for len in 0..=archive.len() {
        let cut = read(&archive[..len]);
        let expected = places.iter().take_while(|(_, data)| *data <= len).count();
        assert_eq!(cut.members.len(), expected, "{len}");
        assert!(cut.members.iter().zip(&whole.members).all(|(cut, whole)| cut.0 == whole.0));
        let blocks = len / BLOCK * BLOCK;
        let is_within = places.iter().any(|(start, data)| (start + 1..*data).contains(&blocks));
        let is_refused = blocks == 0 || is_within;
        assert_eq!(cut.error.is_some(), is_refused, "{len}: {:?}", cut.error);
    }
}

#[test]
fn a_wrong_bit_affects_no_member_before_it() {
    let archive = archive();
    let whole = read(&archive);
    let places = places(&whole);
    for at in 0..archive.len() {
        for bit in [1, 0x80] {
            let mut damaged = archive.clone();
            damaged[at] ^= bit;
            let reading = read(&damaged);
            let before = places.iter().take_while(|(_, data)| *data <= at).count();
            let same = reading.members.iter().zip(&whole.members).take(before);
            assert_eq!(same.filter(|(one, other)| one.0 == other.0).count(), before, "{at}");
        }
    }
}

#[test]
fn a_wrong_bit_in_a_header_is_detected() {
    let tar = Tar::new().file("a", "x").0;
    for at in (0..148).chain(156..BLOCK) {
        for bit in 0..8 {
            let mut damaged = tar.clone();
            damaged[at] ^= 1 << bit;
            assert!(read(&damaged).error.is_some(), "byte {at}, bit {bit}");
        }
    }
}
