//! Builds the index while the archive is written.

use flate2::{Compress, Compression, FlushCompress, Status};
use serde::Serialize;

use super::{
    footer::Footer,
    gzip_member::{self, PIECE},
    lists::Segment,
    memory::{self, Item},
};
use crate::{
    entry::{Entry, Unlisted},
    error::{Error, ErrorKind, Result},
    format::gzip::TRAILER_LEN,
};

/// Members that are emitted together.
const MEMBERS_AT_ONCE: usize = 64;

/// An empty deflate block: header bits, then the length and its complement.
const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// An unfinished index. Its lists are already compressed, to about 30 bytes for each file.
#[derive(Debug, Default)]
pub(crate) struct IndexBuilder {
    pub(crate) segments: List<Segment>,
    pub(crate) entries: List<Entry>,
    pub(crate) unlisted: List<Unlisted>,
    pub(crate) hard_links: Vec<Vec<u32>>,
}

impl IndexBuilder {
    /// Passes the index and the footer to `emit`, member by member. The caller sets the fields of `footer`
    /// that do not follow from the index: flags, `data_end` and `tar_len`.
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
        // Similar paths of thousands of bytes compress so well that a reader would refuse the index as
        // forged. Empty blocks make it as long as it must be.
        let len = (blob.len() + hard_links.bytes.len()) as u64;
        let missing = memory::least_len(memory).saturating_sub(len);
        blob.extend(EMPTY_BLOCK.repeat(missing.div_ceil(EMPTY_BLOCK.len() as u64) as usize));
        blob.extend(hard_links.bytes);
        let pieces = blob.len().div_ceil(PIECE);
        footer.index_offset = footer.data_end + TRAILER_LEN as u64;
        footer.index_len = (blob.len() + pieces * gzip_member::OVERHEAD) as u64;
        footer.blob_len = blob.len() as u64;
        footer.raw_len = raw_len;
        footer.hash = *footer.hasher().update(&blob).finalize().as_bytes();
        for pieces in blob.chunks(MEMBERS_AT_ONCE * PIECE) {
            let members = pieces.chunks(PIECE);
            let encode = |piece| gzip_member::encode(gzip_member::PIECE_ID, piece);
            emit(members.flat_map(encode).collect())?;
        }
        emit(footer.encode())
    }

    /// Returns the memory that a reader needs for the index.
    fn memory(&self) -> u64 {
        let group = |links: &Vec<u32>| memory::GROUP + links.len() as u64 * memory::LINK;
        let hard_links: u64 = self.hard_links.iter().map(group).sum();
        self.segments.memory + self.entries.memory + self.unlisted.memory + hard_links
    }
}

/// An encoded list that is compressed while it grows. So it needs little memory, and little work is left
/// at the end.
#[derive(Debug)]
pub(crate) struct List<T> {
    len: u64,
    /// Memory that a reader needs for the list.
    memory: u64,
    /// Encoded items that are not compressed yet.
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

    /// Adds an item.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if readers refuse an index with so many items.
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

    /// Appends the list to a deflate stream, and returns its length before compression.
    ///
    /// The stream is at the end of a block and of a byte, before and after. The number of items comes
    /// first but is known last, so it has a block of its own.
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
    postcard::to_extend(item, to)
        .expect("a vector never refuses bytes, and the lists have known lengths")
}

fn encoded(item: &(impl Serialize + ?Sized)) -> Vec<u8> {
    append(item, Vec::new())
}

/// A growing deflate stream.
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
                // The flush is complete once free capacity is left.
                _ => raw.is_empty() && self.bytes.len() < self.bytes.capacity(),
            };
            if is_done {
                return;
            }
        }
    }
}
