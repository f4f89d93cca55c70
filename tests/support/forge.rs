//! Inspects the index of an archive through the public API, and forges other ones.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{io::Write, ops::Range};

use flate2::{Compression, write::DeflateEncoder};
use wingback::{Entry, FOOTER_LEN, Footer, Index, Segment};

pub struct Located {
    pub data_end: usize,
    segments: Vec<(Range<usize>, Range<u64>)>,
    entries: Vec<(Vec<u8>, Range<u64>)>,
}

/// Locates the parts of an archive.
pub fn locate(file: &[u8]) -> Located {
    let (footer, index) = read(file);
    let (mut at, mut tar) = (10, 0);
    let mut segments = Vec::new();
    for segment in &index.segments {
        let (end, tar_end) =
            (at + segment.compressed_len as usize, tar + u64::from(segment.raw_len));
        segments.push((at..end, tar..tar_end));
        (at, tar) = (end, tar_end);
    }
    let mut start = 0;
    let entries = index.entries.into_iter().map(|entry| {
        let range = start..start + entry.tar_len();
        start = range.end;
        (entry.path, range)
    });
    Located { data_end: footer.data_end as usize, segments, entries: entries.collect() }
}

impl Located {
    /// The paths of the entries in the segment that contains this offset of the file.
    pub fn entries_of_segment_at(&self, at: usize) -> Vec<Vec<u8>> {
        let hit = |(file, _): &&(Range<usize>, Range<u64>)| file.contains(&at);
        let tar = self.segments.iter().find(hit).map_or(0..0, |(_, tar)| tar.clone());
        let hit = self.entries.iter().filter(|(_, e)| e.start < tar.end && tar.start < e.end);
        hit.map(|(path, _)| path.clone()).collect()
    }
}

fn read(file: &[u8]) -> (Footer, Index) {
    let last = file.last_chunk::<FOOTER_LEN>().unwrap();
    let footer = Footer::decode(last, file.len() as u64).unwrap();
    let members = &file[footer.index_offset as usize..][..footer.index_len as usize];
    let index = Index::decode(&footer, members).unwrap();
    (footer, index)
}

/// Replaces the index by a changed one with valid sums and hashes.
pub fn with_index(file: &[u8], forge: impl Fn(&mut Index)) -> Vec<u8> {
    let forged = with_any_index(file, forge);
    // A reader must accept it.
    read(&forged);
    forged
}

/// Replaces the index by a changed one with a valid hash, whatever its content.
pub fn with_any_index(file: &[u8], forge: impl Fn(&mut Index)) -> Vec<u8> {
    let (_, mut index) = read(file);
    forge(&mut index);
    let raw = postcard::to_stdvec(&index).unwrap();
    let segments = index.segments.len() as u32;
    with_raw(file, segments, |to| to.write_all(&raw).unwrap())
}

/// The encoded lists of an index, each with its length prefix.
pub fn lists(file: &[u8]) -> [Vec<u8>; 4] {
    let (_, Index { segments, entries, unlisted, hard_links }) = read(file);
    let encoded = [
        postcard::to_stdvec(&segments),
        postcard::to_stdvec(&entries),
        postcard::to_stdvec(&unlisted),
        postcard::to_stdvec(&hard_links),
    ];
    encoded.map(Result::unwrap)
}

/// Replaces the index by one with a valid hash that inflates to the output of `raw`, which may exceed
/// the memory.
pub fn with_raw(file: &[u8], segments: u32, raw: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let (old, _) = read(file);
    let mut out = file[..old.index_offset as usize].to_vec();
    out.extend(members(&Footer { segments, ..old }, raw));
    out
}

/// The gzip members of an index that inflates to the output of `raw`, and the footer.
fn members(given: &Footer, raw: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    raw(&mut encoder);
    let raw_len = encoder.total_in();
    let blob = encoder.finish().unwrap();
    let mut out: Vec<u8> = blob.chunks(8192).flat_map(|piece| member(b"WX", piece)).collect();
    let (index_len, blob_len) = (out.len() as u64, blob.len() as u64);
    out.extend(footer(&Footer { index_len, blob_len, raw_len, ..*given }, &blob));
    out
}

/// An archive with one entry, which is the first of `file` after `change`, and with this number of
/// segments of 512 bytes, each stored as one invalid byte.
pub fn with_segments(file: &[u8], segments: u32, change: impl Fn(&mut Entry)) -> Vec<u8> {
    let (old, Index { mut entries, .. }) = read(file);
    entries.truncate(1);
    change(&mut entries[0]);
    let rest = entries[0].tar_len() + 1024 - u64::from(segments) * 512;
    let of = |raw_len| Segment {
        compressed_len: 5,
        raw_len,
        raw_crc32: 1,
        compressed_crc32: 2,
        key: [3; 16],
    };
    let mut all = vec![of(512); segments as usize];
    all.push(of(rest as u32));
    let tar_len = entries[0].tar_len() + 1024;
    let mut out = file[..10].to_vec();
    out.extend(vec![b'x'; 5 * all.len()]);
    let data_end = out.len() as u64;
    out.extend(&file[old.data_end as usize..old.index_offset as usize]);
    let index_offset = out.len() as u64;
    let index = Index { segments: all, entries, ..Index::default() };
    let raw = postcard::to_stdvec(&index).unwrap();
    let segments = index.segments.len() as u32;
    out.extend(members(&Footer { data_end, index_offset, tar_len, segments, ..old }, |to| {
        to.write_all(&raw).unwrap();
    }));
    out
}

/// A footer with these fields and its hash.
pub fn footer(footer: &Footer, blob: &[u8]) -> Vec<u8> {
    let mut payload = b"WBKIDX\x00\x01".to_vec();
    payload.extend(footer.flags.to_le_bytes());
    payload.extend(8192u32.to_le_bytes());
    let Footer { data_end, index_offset, index_len, blob_len, raw_len, tar_len, .. } = *footer;
    for field in [data_end, index_offset, index_len, blob_len, raw_len, tar_len] {
        payload.extend(field.to_le_bytes());
    }
    payload.extend(footer.segments.to_le_bytes());
    payload.extend([0, 0]);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&payload).update(blob);
    payload.extend(hasher.finalize().as_bytes());
    member(b"WF", &payload)
}

fn member(id: &[u8; 2], payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let head = [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff][..], &(len + 4).to_le_bytes(), id];
    [&head.concat()[..], &len.to_le_bytes(), payload, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()
}
