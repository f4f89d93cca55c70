//! Looks at the index of an archive through the public API, and makes others for it.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::ops::Range;

use flate2::{Compress, Compression, FlushCompress};
use wingback::{FOOTER_LEN, Footer, Index};

pub struct Located {
    pub data_end: usize,
    segments: Vec<(Range<usize>, Range<u64>)>,
    entries: Vec<(Vec<u8>, Range<u64>)>,
}

/// Where things are.
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
    /// The entries of which the segment at this offset of the file has a part.
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

/// The archive with another index, all of whose sums and hashes are right.
pub fn with_index(file: &[u8], forge: impl Fn(&mut Index)) -> Vec<u8> {
    let forged = with_any_index(file, forge);
    // That it is one that a reader believes.
    read(&forged);
    forged
}

/// The archive with another index that has the right hash, whatever it says.
pub fn with_any_index(file: &[u8], forge: impl Fn(&mut Index)) -> Vec<u8> {
    let (footer, mut index) = read(file);
    forge(&mut index);
    let raw = postcard::to_stdvec(&index).unwrap();
    let mut blob = Vec::with_capacity(raw.len() + 1024);
    let mut encoder = Compress::new(Compression::fast(), false);
    encoder.compress_vec(&raw, &mut blob, FlushCompress::Finish).unwrap();
    let mut out = file[..footer.index_offset as usize].to_vec();
    for piece in blob.chunks(8192) {
        out.extend(member(b"WX", piece));
    }
    let index_len = out.len() as u64 - footer.index_offset;
    let mut payload = file[file.len() - FOOTER_LEN + 16..][..70].to_vec();
    payload[32..40].copy_from_slice(&index_len.to_le_bytes());
    payload[40..48].copy_from_slice(&(blob.len() as u64).to_le_bytes());
    payload[48..56].copy_from_slice(&(raw.len() as u64).to_le_bytes());
    payload[64..68].copy_from_slice(&(index.segments.len() as u32).to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&payload).update(&blob);
    payload.extend(hasher.finalize().as_bytes());
    out.extend(member(b"WF", &payload));
    out
}

fn member(id: &[u8; 2], payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u16;
    let head = [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff][..], &(len + 4).to_le_bytes(), id];
    [&head.concat()[..], &len.to_le_bytes(), payload, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0]].concat()
}
