//! Decodes an index piece by piece, within a memory limit.

use flate2::{Decompress, FlushDecompress, Status};
use serde::de::DeserializeOwned;

use super::{
    footer::Footer,
    gzip_member::{self, PIECE},
    lists::Index,
    memory::{self, Item},
};
use crate::{
    entry::Entry,
    error::{Error, ErrorKind, Result},
    format::{
        gzip::GZIP_HEADER,
        tar::{BLOCK, END_LEN},
    },
};

/// Bytes that are decompressed at once.
const CHUNK: usize = 64 << 10;

/// The longest encoding of an entry, segment or unlisted entry.
const ITEM_MAX: usize = 64 << 10;

impl Index {
    /// Decodes an index from its members: `footer.index_len` bytes at `footer.index_offset`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`] if anything is wrong with it, or if it would need much more memory than it
    /// has bytes in the archive.
    pub fn decode(footer: &Footer, members: &[u8]) -> Result<Index> {
        let mut decoder = Decoder::new(footer);
        decoder.feed(members)?;
        decoder.finish()
    }

    /// Returns whether the lengths add up, so that offsets can be computed without further checks.
    fn is_consistent(&self, footer: &Footer) -> bool {
        let sum = |mut lengths: Box<dyn Iterator<Item = u64> + '_>| {
            lengths.try_fold(0u64, |sum, len| sum.checked_add(len))
        };
        let compressed = self.segments.iter().map(|s| s.compressed_len.into());
        let raw = self.segments.iter().map(|s| s.raw_len.into());
        let sized = |e: &Entry| (e.size <= i64::MAX as u64).then(|| e.tar_len());
        let tar = self.entries.iter().map(|e| sized(e).unwrap_or(u64::MAX));
        // An entry without a header would take no bytes of the tar stream, so their number would have no limit.
        let has_header = |e: &Entry| e.header_len > 0 && e.header_len.is_multiple_of(BLOCK as u32);
        self.segments.len() as u64 == u64::from(footer.segments)
            && sum(Box::new(compressed)) == footer.data_end.checked_sub(GZIP_HEADER.len() as u64)
            && sum(Box::new(raw)) == Some(footer.tar_len)
            && sum(Box::new(tar)) == footer.tar_len.checked_sub(END_LEN)
            && self.entries.iter().all(|e| e.kind <= 2 && has_header(e))
            && self.unlisted.iter().all(|u| u.kind == 1 || u.kind == 2)
            && self.are_links_distinct()
    }

    /// Returns whether every entry is in at most one group. Readers keep the paths of a group's entries.
    fn are_links_distinct(&self) -> bool {
        if self.hard_links.is_empty() {
            return true;
        }
        let mut is_linked = vec![false; self.entries.len()];
        self.hard_links.iter().flatten().all(|&entry| {
            let is_linked = is_linked.get_mut(entry as usize);
            is_linked.is_some_and(|is_linked| !std::mem::replace(is_linked, true))
        })
    }
}

/// Decodes the members of an index piece by piece. Its memory is bounded by the limit for the index, plus
/// about 200 KiB.
pub(crate) struct Decoder {
    footer: Footer,
    hasher: blake3::Hasher,
    /// The start of an incomplete member.
    rest: Vec<u8>,
    /// Bytes of members, and of compressed index in them, so far.
    len: u64,
    blob_len: u64,
    inflater: Decompress,
    is_inflated: bool,
    items: Items,
}

impl Decoder {
    pub(crate) fn new(footer: &Footer) -> Self {
        Decoder {
            footer: *footer,
            hasher: footer.hasher(),
            rest: Vec::new(),
            len: 0,
            blob_len: 0,
            inflater: Decompress::new(false),
            is_inflated: false,
            items: Items::new(memory::allowed(footer.index_len)),
        }
    }

    /// Decodes the next bytes of the members.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.len += bytes.len() as u64;
        let mut bytes = bytes;
        while !bytes.is_empty() {
            // A complete member is never copied.
            if self.rest.is_empty() {
                bytes = self.members(bytes)?;
                self.rest.extend_from_slice(bytes);
                return Ok(());
            }
            let n = bytes.len().min(gzip_member::missing(&self.rest));
            self.rest.extend_from_slice(&bytes[..n]);
            bytes = &bytes[n..];
            let bytes_so_far = std::mem::take(&mut self.rest);
            self.rest = self.members(&bytes_so_far)?.to_vec();
        }
        Ok(())
    }

    /// Returns the index. The caller has fed all of it.
    pub(crate) fn finish(self) -> Result<Index> {
        let footer = &self.footer;
        if self.len != footer.index_len || !self.rest.is_empty() {
            return Err(corrupt("its length differs from the one in the footer"));
        }
        if self.blob_len != footer.blob_len || *self.hasher.finalize().as_bytes() != footer.hash {
            return Err(corrupt("its checksum does not match"));
        }
        if !self.is_inflated
            || self.inflater.total_out() != footer.raw_len
            || self.inflater.total_in() != footer.blob_len
        {
            return Err(corrupt("it cannot be decompressed"));
        }
        let index = self.items.finish()?;
        if !index.is_consistent(footer) {
            return Err(corrupt("its lengths do not add up"));
        }
        Ok(index)
    }

    /// Decodes the complete members in `bytes`, and returns the incomplete one after them.
    fn members<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8]> {
        while gzip_member::missing(bytes) == 0 {
            let (payload, len) = gzip_member::decode(bytes, gzip_member::PIECE_ID)
                .ok_or_else(|| corrupt("it does not consist of index members"))?;
            if !self.blob_len.is_multiple_of(PIECE as u64) {
                return Err(corrupt("a member before the last is too short"));
            }
            self.blob_len += payload.len() as u64;
            self.hasher.update(payload);
            self.inflate(payload)?;
            bytes = &bytes[len..];
        }
        Ok(bytes)
    }

    fn inflate(&mut self, mut blob: &[u8]) -> Result<()> {
        loop {
            let before = self.inflater.total_in();
            let raw = &mut self.items.raw;
            raw.reserve(CHUNK);
            let status = self.inflater.decompress_vec(blob, raw, FlushDecompress::None);
            blob = &blob[(self.inflater.total_in() - before) as usize..];
            let is_full = raw.len() == raw.capacity();
            self.is_inflated = match status {
                Ok(status) => status == Status::StreamEnd,
                Err(_) => return Err(corrupt("it cannot be decompressed")),
            };
            if self.inflater.total_out() > self.footer.raw_len {
                return Err(corrupt("it decompresses to more bytes than the footer says"));
            }
            self.items.take_all()?;
            if self.is_inflated && !blob.is_empty() {
                return Err(corrupt("it has bytes after its end"));
            }
            if self.is_inflated || (blob.is_empty() && !is_full) {
                return Ok(());
            }
        }
    }
}

fn corrupt(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Corrupt, "read the archive's index").caused_by(why)
}

/// The lists of an index, decoded one after another.
struct Items {
    /// Decompressed bytes, of which the first `decoded` are decoded.
    raw: Vec<u8>,
    decoded: usize,
    /// Memory that the rest of the index may need.
    allowed: u64,
    /// Number of missing items of the current list, once it is known.
    left: Option<u64>,
    list: List,
    index: Index,
}

/// The list that comes next.
#[derive(Clone, Copy)]
enum List {
    Segments,
    Entries,
    Unlisted,
    HardLinks,
    /// A group of hard links, and the number of groups after it.
    Group(u64),
    End,
}

impl Items {
    fn new(allowed: u64) -> Self {
        Items {
            raw: Vec::new(),
            decoded: 0,
            allowed,
            left: None,
            list: List::Segments,
            index: Index::default(),
        }
    }

    fn finish(self) -> Result<Index> {
        match self.list {
            List::End if self.raw.is_empty() => Ok(self.index),
            List::End => Err(corrupt("it has bytes after its end")),
            _ => Err(corrupt("its end is missing")),
        }
    }

    /// Decodes all complete items.
    fn take_all(&mut self) -> Result<()> {
        while self.take_list()? {}
        self.raw.drain(..self.decoded);
        self.decoded = 0;
        Ok(())
    }

    /// Decodes the complete items of the current list. Returns whether the list has ended.
    fn take_list(&mut self) -> Result<bool> {
        let list = match self.list {
            List::Segments => self.fill(|index| &mut index.segments)?.then_some(List::Entries),
            List::Entries => self.fill(|index| &mut index.entries)?.then_some(List::Unlisted),
            List::Unlisted => self.fill(|index| &mut index.unlisted)?.then_some(List::HardLinks),
            List::HardLinks => match self.count(memory::GROUP)? {
                None => None,
                Some(groups) => {
                    reserve(&mut self.index.hard_links, groups)?;
                    Some(if groups == 0 { List::End } else { List::Group(groups - 1) })
                }
            },
            List::Group(others) => self.group()?.then_some(match others {
                0 => List::End,
                _ => List::Group(others - 1),
            }),
            List::End => None,
        };
        let Some(list) = list else { return Ok(false) };
        (self.list, self.left) = (list, None);
        Ok(true)
    }

    fn fill<T: Item + DeserializeOwned>(
        &mut self,
        list: fn(&mut Index) -> &mut Vec<T>,
    ) -> Result<bool> {
        if self.left.is_none() {
            let Some(count) = self.count(T::FIXED)? else { return Ok(false) };
            reserve(list(&mut self.index), count)?;
            self.left = Some(count);
        }
        while self.left > Some(0) {
            let Some(item) = self.take::<T>()? else { return Ok(false) };
            self.charge(item.heap())?;
            list(&mut self.index).push(item);
            self.left = self.left.map(|left| left - 1);
        }
        Ok(true)
    }

    fn group(&mut self) -> Result<bool> {
        if self.left.is_none() {
            let Some(count) = self.count(memory::LINK)? else { return Ok(false) };
            let mut group = Vec::new();
            reserve(&mut group, count)?;
            self.index.hard_links.push(group);
            self.left = Some(count);
        }
        while self.left > Some(0) {
            let Some(entry) = self.take::<u32>()? else { return Ok(false) };
            self.index.hard_links.last_mut().expect("it was pushed above").push(entry);
            self.left = self.left.map(|left| left - 1);
        }
        Ok(true)
    }

    /// Reads the number of items, if it is complete, and charges the memory for them.
    fn count(&mut self, each: u64) -> Result<Option<u64>> {
        let count = self.take::<u64>()?;
        if let Some(count) = count {
            self.charge(count.saturating_mul(each))?;
        }
        Ok(count)
    }

    fn charge(&mut self, bytes: u64) -> Result<()> {
        let left = self.allowed.checked_sub(bytes);
        self.allowed = left.ok_or_else(|| corrupt("it needs too much memory"))?;
        Ok(())
    }

    /// Decodes the next value, if it is complete.
    fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let raw = &self.raw[self.decoded..];
        match postcard::take_from_bytes::<T>(raw) {
            Ok((value, rest)) => {
                self.decoded = self.raw.len() - rest.len();
                Ok(Some(value))
            }
            Err(postcard::Error::DeserializeUnexpectedEnd) if raw.len() < ITEM_MAX => Ok(None),
            Err(e) => Err(corrupt(format!("it cannot be decoded: {e}"))),
        }
    }
}

fn reserve<T>(list: &mut Vec<T>, count: u64) -> Result<()> {
    let reserved = usize::try_from(count).ok().map(|count| list.try_reserve_exact(count));
    match reserved {
        Some(Ok(())) => Ok(()),
        _ => Err(corrupt("there is not enough memory for it")),
    }
}
