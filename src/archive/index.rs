//! The index behind the tar stream, in empty gzip members that other readers pass over.
//!
//! It is a hint and never an authority: its hash finds damage, not forgery, so whoever uses it
//! still compares the tar header it leads to. `docs/format.md` has every field.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use serde::{Deserialize, Serialize};

use crate::{
    archive::{FINAL_BLOCK, header::END_LEN},
    entry::{Entry, Unlisted},
    error::{Error, ErrorKind, Result},
};

/// Bytes of the footer: exactly the last ones of the file.
pub const FOOTER_LEN: usize = 128;

/// Bytes of the blob in every member but the last.
const PIECE: usize = 8192;
/// Members that are handed on together.
const AT_ONCE: usize = 64;
/// Bytes that a member takes beside its payload.
const MEMBER_OVERHEAD: usize = 26;
const PAYLOAD_LEN: usize = 102;
const HASHED: usize = 70;
/// The last byte is the version of the format.
const MAGIC: [u8; 8] = *b"WBKIDX\x00\x01";
/// The most that a blob may inflate to.
const RAW_MAX: u64 = 1 << 30;

/// Bytes that an entry takes in the blob at most, beside its path: varints, a kind and a length.
pub(crate) const ENTRY_MAX: usize = 80;
/// Bytes that a segment takes in the blob at most.
pub(crate) const SEGMENT_MAX: u64 = 4 * 5 + 16;

/// Bytes that a blob of `raw_len` bytes takes in the file at most: deflate's stored blocks, the
/// members around them, trailer and footer.
pub(crate) fn members_max(raw_len: u64) -> u64 {
    let blob = raw_len + raw_len / 8 + 256;
    let members = blob.div_ceil(PIECE as u64) * MEMBER_OVERHEAD as u64;
    (FINAL_BLOCK.len() + 8 + FOOTER_LEN) as u64 + blob + members
}

/// One segment of the deflate stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Bytes in the file.
    pub compressed_len: u32,
    /// Bytes of tar.
    pub raw_len: u32,
    /// CRC-32 of the bytes of tar.
    pub raw_crc32: u32,
    /// CRC-32 of the bytes in the file.
    pub compressed_crc32: u32,
    /// The first 16 bytes of BLAKE3 over the bytes of tar.
    pub key: [u8; 16],
}

/// What the index of an archive says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// In the order of the file; the first begins at offset 10.
    pub segments: Vec<Segment>,
    /// In the order of the tar stream, which they cover without gaps up to its end blocks.
    pub entries: Vec<Entry>,
    /// Symlinks and directories without a tar entry, in the same order of paths.
    pub unlisted: Vec<Unlisted>,
    /// Groups of entries, by their place in `entries`, that were one file.
    pub hard_links: Vec<Vec<u32>>,
}

/// The footer: where the index is, and how the archive was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// Encoder in bits 0 to 7, level in 8 to 15, profile in 16.
    pub flags: u32,
    /// File offset of the end of the last segment.
    pub data_end: u64,
    /// File offset of the first member of the index.
    pub index_offset: u64,
    /// Bytes of all members of the index.
    pub index_len: u64,
    /// Bytes of the blob that they carry.
    pub blob_len: u64,
    /// Bytes of the blob once inflated.
    pub raw_len: u64,
    /// Bytes of the tar stream.
    pub tar_len: u64,
    /// Number of segments.
    pub segments: u32,
    /// BLAKE3 of the fields before it and the blob.
    pub hash: [u8; 32],
}

impl Footer {
    /// The encoder and its level.
    pub(crate) fn made_by(&self) -> (u8, u8) {
        (self.flags as u8, (self.flags >> 8) as u8)
    }

    fn payload(&self) -> [u8; PAYLOAD_LEN] {
        let mut payload = Vec::with_capacity(PAYLOAD_LEN);
        payload.extend(MAGIC);
        payload.extend(self.flags.to_le_bytes());
        payload.extend((PIECE as u32).to_le_bytes());
        for field in [
            self.data_end,
            self.index_offset,
            self.index_len,
            self.blob_len,
            self.raw_len,
            self.tar_len,
        ] {
            payload.extend(field.to_le_bytes());
        }
        payload.extend(self.segments.to_le_bytes());
        payload.extend([0, 0]);
        payload.extend(self.hash);
        payload.try_into().expect("8 + 4 + 4 + 6 * 8 + 4 + 2 + 32 is 102")
    }

    fn hash_with(&self, blob: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.payload()[..HASHED]);
        hasher.update(blob);
        *hasher.finalize().as_bytes()
    }

    /// Reads the footer of an archive of `file_len` bytes from its last 128 bytes. `None` if this
    /// is no archive with an index of this version.
    pub fn decode(last: &[u8; FOOTER_LEN], file_len: u64) -> Option<Footer> {
        let (payload, FOOTER_LEN) = member(last, *b"WF")? else {
            return None;
        };
        let mut fields = Fields(payload.strip_prefix(&MAGIC)?);
        let flags = fields.u32()?;
        let piece = fields.u32()?;
        let footer = Footer {
            flags,
            data_end: fields.u64()?,
            index_offset: fields.u64()?,
            index_len: fields.u64()?,
            blob_len: fields.u64()?,
            raw_len: fields.u64()?,
            tar_len: fields.u64()?,
            segments: fields.u32()?,
            hash: {
                fields.take::<2>().filter(|reserved| *reserved == [0, 0])?;
                fields.take()?
            },
        };
        let trailer = (FINAL_BLOCK.len() + 8) as u64;
        let whole = fields.0.is_empty()
            && piece == PIECE as u32
            && footer.data_end.checked_add(trailer) == Some(footer.index_offset)
            && footer.index_offset.checked_add(footer.index_len)?.checked_add(FOOTER_LEN as u64)?
                == file_len
            && footer.blob_len <= footer.index_len
            && footer.raw_len <= RAW_MAX;
        whole.then_some(footer)
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

impl Index {
    /// Reads the index from its members, `footer.index_len` bytes at `footer.index_offset`.
    /// Fails on any doubt.
    pub fn decode(footer: &Footer, members: &[u8]) -> Result<Index> {
        let corrupt = |why: &'static str| {
            Error::new(ErrorKind::Corrupt, "read the archive's index").caused_by(why)
        };
        if members.len() as u64 != footer.index_len {
            return Err(corrupt("its length is not the one in the footer"));
        }
        let mut blob = Vec::with_capacity(members.len());
        let mut rest = members;
        while !rest.is_empty() {
            let (payload, len) =
                member(rest, *b"WX").ok_or_else(|| corrupt("it is not made of index members"))?;
            if !blob.len().is_multiple_of(PIECE) {
                return Err(corrupt("a piece before the last is short"));
            }
            blob.extend_from_slice(payload);
            rest = &rest[len..];
        }
        if blob.len() as u64 != footer.blob_len || footer.hash_with(&blob) != footer.hash {
            return Err(corrupt("its checksum does not match"));
        }
        let raw = inflate(&blob, footer.raw_len).ok_or_else(|| corrupt("it does not inflate"))?;
        let (index, rest) = postcard::take_from_bytes::<Index>(&raw)
            .map_err(|e| corrupt("it does not decode").caused_by(e))?;
        if !rest.is_empty() {
            return Err(corrupt("it has bytes behind its end"));
        }
        if !index.is_consistent(footer) {
            return Err(corrupt("it contradicts itself"));
        }
        Ok(index)
    }

    /// Whether the sums agree, so that offsets can be computed without a second look.
    fn is_consistent(&self, footer: &Footer) -> bool {
        let sum = |mut lengths: Box<dyn Iterator<Item = u64> + '_>| {
            lengths.try_fold(0u64, |sum, len| sum.checked_add(len))
        };
        let entries = self.entries.len();
        let compressed = self.segments.iter().map(|s| s.compressed_len.into());
        let raw = self.segments.iter().map(|s| s.raw_len.into());
        let sized = |e: &Entry| (e.size <= i64::MAX as u64).then(|| e.tar_len());
        let tar = self.entries.iter().map(|e| sized(e).unwrap_or(u64::MAX));
        self.segments.len() as u64 == u64::from(footer.segments)
            && sum(Box::new(compressed)) == footer.data_end.checked_sub(10)
            && sum(Box::new(raw)) == Some(footer.tar_len)
            && sum(Box::new(tar)) == footer.tar_len.checked_sub(END_LEN)
            && self.entries.iter().all(|e| e.kind <= 2 && e.header_len.is_multiple_of(512))
            && self.unlisted.iter().all(|u| u.kind == 1 || u.kind == 2)
            && self.hard_links.iter().flatten().all(|&i| (i as usize) < entries)
    }
}

/// The index while it is made: every list already deflated, some 30 bytes a file.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    pub(crate) segments: List<Segment>,
    pub(crate) entries: List<Entry>,
    pub(crate) unlisted: List<Unlisted>,
    pub(crate) hard_links: Vec<Vec<u32>>,
}

impl IndexBuilder {
    /// Hands the index and the footer to `emit`, member by member. `footer` has the fields that do
    /// not follow from the index: flags, `data_end` and `tar_len`.
    pub(crate) fn finish(
        self,
        mut footer: Footer,
        mut emit: impl FnMut(Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        footer.segments = u32::try_from(self.segments.len).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "write the index").caused_by("too many segments")
        })?;
        let mut blob = Vec::new();
        let mut raw_len = self.segments.finish(&mut blob)
            + self.entries.finish(&mut blob)
            + self.unlisted.finish(&mut blob);
        let mut hard_links = Deflated::new();
        hard_links.write(&encoded(&self.hard_links), FlushCompress::Finish);
        raw_len += hard_links.encoder.total_in();
        blob.extend(hard_links.bytes);
        let pieces = blob.len().div_ceil(PIECE);
        footer.index_offset = footer.data_end + (FINAL_BLOCK.len() + 8) as u64;
        footer.index_len = (blob.len() + pieces * MEMBER_OVERHEAD) as u64;
        footer.blob_len = blob.len() as u64;
        footer.raw_len = raw_len;
        footer.hash = footer.hash_with(&blob);
        // Handed on in few, large pieces.
        for pieces in blob.chunks(AT_ONCE * PIECE) {
            emit(pieces.chunks(PIECE).flat_map(|piece| to_member(*b"WX", piece)).collect())?;
        }
        emit(to_member(*b"WF", &footer.payload()))
    }
}

/// A list in its encoded form, deflated as it grows: what is left to do at the end is little, and so is
/// what is held.
#[derive(Debug)]
pub(crate) struct List<T> {
    len: u64,
    /// Encoded, and not deflated yet.
    recent: Vec<u8>,
    deflated: Option<Deflated>,
    items: std::marker::PhantomData<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List { len: 0, recent: Vec::new(), deflated: None, items: std::marker::PhantomData }
    }
}

impl<T: Serialize> List<T> {
    const CHUNK: usize = 64 << 10;

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn push(&mut self, item: &T) {
        self.len += 1;
        self.recent = append(item, std::mem::take(&mut self.recent));
        if self.recent.len() >= Self::CHUNK {
            self.deflate(FlushCompress::None);
        }
    }

    fn deflate(&mut self, flush: FlushCompress) {
        let deflated = self.deflated.get_or_insert_with(Deflated::new);
        deflated.write(&self.recent, flush);
        self.recent.clear();
    }

    /// Appends the list to a deflate stream that is at the end of a block and of a byte, and leaves it
    /// so. Returns the bytes that it inflates to. The length goes first, and is known last: so it has
    /// a block of its own.
    fn finish(mut self, blob: &mut Vec<u8>) -> u64 {
        let len = encoded(&self.len);
        let stored = len.len() as u16;
        blob.push(0);
        blob.extend(stored.to_le_bytes());
        blob.extend((!stored).to_le_bytes());
        blob.extend(&len);
        if self.len == 0 {
            return len.len() as u64;
        }
        self.deflate(FlushCompress::Sync);
        self.deflated.map_or(0, |deflated| {
            blob.extend(&deflated.bytes);
            len.len() as u64 + deflated.encoder.total_in()
        })
    }
}

fn append(item: &(impl Serialize + ?Sized), to: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(item, to).expect("a vector takes all, and the types have known lengths")
}

fn encoded(item: &(impl Serialize + ?Sized)) -> Vec<u8> {
    append(item, Vec::new())
}

/// A deflate stream that grows.
#[derive(Debug)]
struct Deflated {
    encoder: Compress,
    bytes: Vec<u8>,
}

impl Deflated {
    fn new() -> Self {
        Deflated { encoder: Compress::new(Compression::new(4), false), bytes: Vec::new() }
    }

    fn write(&mut self, mut raw: &[u8], flush: FlushCompress) {
        loop {
            let before = self.encoder.total_in();
            self.bytes.reserve(16 << 10);
            let status = self.encoder.compress_vec(raw, &mut self.bytes, flush);
            raw = &raw[(self.encoder.total_in() - before) as usize..];
            let is_done = match flush {
                FlushCompress::None => raw.is_empty(),
                FlushCompress::Finish => !matches!(status, Ok(Status::Ok)),
                // It is flushed once there is room left.
                _ => raw.is_empty() && self.bytes.len() < self.bytes.capacity(),
            };
            if is_done {
                return;
            }
        }
    }
}

/// Inflates what must come to exactly `raw_len` bytes and to its end.
fn inflate(blob: &[u8], raw_len: u64) -> Option<Vec<u8>> {
    // A length that no deflate stream of this size reaches would only take memory.
    if raw_len > RAW_MAX || raw_len / 1032 > blob.len() as u64 {
        return None;
    }
    let mut raw = vec![0; usize::try_from(raw_len).ok()?];
    let mut decoder = Decompress::new(false);
    let status = decoder.decompress(blob, &mut raw, FlushDecompress::Finish).ok()?;
    let whole = status == Status::StreamEnd
        && decoder.total_out() == raw_len
        && decoder.total_in() == blob.len() as u64;
    whole.then_some(raw)
}

/// An empty gzip member that carries `payload` in its extra field (RFC 1952, 2.3.1.1).
fn to_member(id: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let mut member = Vec::with_capacity(payload.len() + MEMBER_OVERHEAD);
    let len = payload.len() as u16;
    member.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]);
    member.extend((len + 4).to_le_bytes());
    member.extend(id);
    member.extend(len.to_le_bytes());
    member.extend(payload);
    member.extend(FINAL_BLOCK);
    member.extend([0; 8]);
    member
}

/// The payload of the member that `bytes` begins with, and the length of the member.
fn member(bytes: &[u8], id: [u8; 2]) -> Option<(&[u8], usize)> {
    let len = usize::from(u16::from_le_bytes(*bytes.get(14..)?.first_chunk()?));
    let payload = bytes.get(16..16 + len)?;
    let member = bytes.get(..len + MEMBER_OVERHEAD)?;
    (len + 4 <= 0xffff && member == to_member(id, payload)).then_some((payload, member.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn build(index: &Index, flags: u32) -> Vec<u8> {
        let mut builder =
            IndexBuilder { hard_links: index.hard_links.clone(), ..IndexBuilder::default() };
        index.segments.iter().for_each(|s| builder.segments.push(s));
        index.entries.iter().for_each(|e| builder.entries.push(e));
        index.unlisted.iter().for_each(|u| builder.unlisted.push(u));
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
}
