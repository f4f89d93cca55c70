//! Makes an index while the archive is made.

use flate2::{Compress, Compression, FlushCompress, Status};
use serde::Serialize;

use crate::{
    entry::{Entry, Unlisted},
    error::{Error, ErrorKind, Result},
    format::{
        FINAL_BLOCK,
        index::{
            Footer, MEMBER_OVERHEAD, PIECE, Segment,
            memory::{self, Item},
            to_member,
        },
    },
};

/// Members that are handed on together.
const AT_ONCE: usize = 64;

/// A deflate block of no bytes: header bits, then the length and its complement.
const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xff, 0xff];

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
        let memory = self.memory();
        memory::check(memory)?;
        let mut blob = Vec::new();
        let mut raw_len = self.segments.finish(&mut blob)
            + self.entries.finish(&mut blob)
            + self.unlisted.finish(&mut blob);
        let mut hard_links = Deflated::new();
        hard_links.write(&encoded(&self.hard_links), FlushCompress::Finish);
        raw_len += hard_links.encoder.total_in();
        // Nearly equal paths of thousands of bytes deflate to so little that a reader would take the
        // index for a forged one. Blocks of no bytes make it as long as it must be.
        let len = (blob.len() + hard_links.bytes.len()) as u64;
        let missing = memory::least_len(memory).saturating_sub(len);
        blob.extend(EMPTY_BLOCK.repeat(missing.div_ceil(EMPTY_BLOCK.len() as u64) as usize));
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

    /// Bytes that the index takes in a reader.
    fn memory(&self) -> u64 {
        let group = |links: &Vec<u32>| memory::GROUP + links.len() as u64 * memory::LINK;
        let hard_links: u64 = self.hard_links.iter().map(group).sum();
        self.segments.memory + self.entries.memory + self.unlisted.memory + hard_links
    }
}

/// A list in its encoded form, deflated as it grows: what is left to do at the end is little, and so is
/// what is held.
#[derive(Debug)]
pub(crate) struct List<T> {
    len: u64,
    /// Bytes that it takes in a reader.
    memory: u64,
    /// Encoded, and not deflated yet.
    recent: Vec<u8>,
    deflated: Option<Deflated>,
    items: std::marker::PhantomData<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List {
            len: 0,
            memory: 0,
            recent: Vec::new(),
            deflated: None,
            items: std::marker::PhantomData,
        }
    }
}

impl<T: Serialize + Item> List<T> {
    const CHUNK: usize = 64 << 10;

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Fails where a reader would not take so many.
    pub(crate) fn push(&mut self, item: &T) -> Result<()> {
        self.len += 1;
        self.memory += T::FIXED + item.heap();
        memory::check(self.memory)?;
        self.recent = append(item, std::mem::take(&mut self.recent));
        if self.recent.len() >= Self::CHUNK {
            self.deflate(FlushCompress::None);
        }
        Ok(())
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
