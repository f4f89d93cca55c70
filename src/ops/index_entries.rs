//! The entries of an index, and the pieces of their contents.

use std::{ffi::OsString, ops::Range, sync::Arc};

use crate::{
    entry::Member,
    error::{Error, Result},
    format::index::{LocatedEntry, LocatedSegment, Page, Segment},
    ops::{last_members::ContentHash, stamp::Stamp},
    progress::Tracker,
    read::{Index, Pages, ReadAt, corrupt, inflate::Inflater},
    source::at_location,
};

/// The entries of the index in their order, and the pieces of the content of the current one. In memory are one page
/// and one segment.
pub(super) struct IndexEntries {
    source: Arc<dyn ReadAt>,
    location: Option<OsString>,
    pages: Pages,
    page: Page,
    next_entry: usize,
    next_segment: usize,
    /// Range of the content of the current file in the tar stream.
    content: Range<u64>,
    /// Where its next piece begins.
    at: u64,
    inflater: Inflater,
    /// The segment that was decoded last, by its number.
    decoded: Option<(u64, Vec<u8>)>,
}

/// The part of a content that one segment has.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    segment: LocatedSegment,
    in_segment: Range<usize>,
    /// Range in the content.
    pub(super) range: Range<u64>,
    /// The segment has this piece, the zeros that pad the last block, and nothing else.
    is_alone: bool,
}

/// What the index says about a content, in constant memory.
#[derive(Clone, Debug)]
pub(super) struct ContentKeys {
    /// Hash of the keys of all segments.
    keys: [u8; 32],
    /// Hash of the places of the content in its segments.
    layout: [u8; 32],
    /// The segments have nothing else.
    is_alone: bool,
}

impl ContentKeys {
    /// Returns whether the keys prove that two contents of one size are equal. `None` if they prove nothing.
    pub(super) fn is_equal(&self, other: &ContentKeys) -> Option<bool> {
        if self.layout != other.layout {
            return None;
        }
        let is_same = self.keys == other.keys;
        (is_same || self.is_alone && other.is_alone).then_some(is_same)
    }
}

impl IndexEntries {
    pub(super) fn new(
        source: Arc<dyn ReadAt>,
        index: &Arc<Index>,
        location: Option<OsString>,
    ) -> Self {
        IndexEntries {
            source,
            location,
            pages: index.pages(),
            page: Page::default(),
            next_entry: 0,
            next_segment: 0,
            content: 0..0,
            at: 0,
            inflater: Inflater::new(),
            decoded: None,
        }
    }

    /// Goes to the next entry.
    pub(super) fn next(&mut self) -> Result<Option<(Member, Stamp)>> {
        while self.next_entry == self.page.entries.len() {
            if !self.next_page()? {
                return Ok(None);
            }
        }
        let located = &self.page.entries[self.next_entry];
        let LocatedEntry { tar_at, entry } = located;
        let start = tar_at + u64::from(entry.header_len);
        self.next_entry += 1;
        self.content = start..start + entry.size;
        self.at = start;
        self.next_segment = self.page.segments.partition_point(|s| s.tar().end <= start);
        Ok(Some((Member::of_entry(entry), Stamp::of_entry(entry))))
    }

    /// Returns the next piece of the content of the current file.
    pub(super) fn next_piece(&mut self) -> Result<Option<Piece>> {
        if self.at == self.content.end {
            return Ok(None);
        }
        let segment = loop {
            match self.page.segments.get(self.next_segment).copied() {
                Some(segment) if segment.tar().end <= self.at => self.next_segment += 1,
                Some(segment) if segment.tar_at <= self.at => break segment,
                None if self.next_entry == self.page.entries.len() && self.next_page()? => {}
                _ => return Err(self.located(corrupt("its index lacks a segment"))),
            }
        };
        let (start, tar) = (self.at, segment.tar());
        let end = tar.end.min(self.content.end);
        let padded =
            self.content.start + (self.content.end - self.content.start).next_multiple_of(512);
        self.at = end;
        Ok(Some(Piece {
            segment,
            in_segment: (start - tar.start) as usize..(end - tar.start) as usize,
            range: start - self.content.start..end - self.content.start,
            is_alone: tar.start == start
                && (tar.end == end || end == self.content.end && tar.end == padded),
        }))
    }

    /// Reads the bytes of a piece.
    pub(super) fn read(&mut self, piece: &Piece, tracker: &Tracker) -> Result<&[u8]> {
        let number = piece.segment.number;
        if self.decoded.as_ref().is_none_or(|(decoded, _)| *decoded != number) {
            self.decoded = None;
            let read = self.inflater.read(&*self.source, &piece.segment);
            let raw = read.map_err(|e| self.located(e))?;
            tracker.add_bytes(raw.len() as u64);
            self.decoded = Some((number, raw));
        }
        let raw = self.decoded.as_ref().and_then(|(_, raw)| raw.get(piece.in_segment.clone()));
        raw.ok_or_else(|| corrupt("its index lacks a segment"))
    }

    /// Returns the keys of the content of the current file. No content is read.
    pub(super) fn keys(&mut self) -> Result<ContentKeys> {
        let (mut keys, mut layout) = (blake3::Hasher::new(), blake3::Hasher::new());
        let mut is_alone = true;
        while let Some(piece) = self.next_piece()? {
            let segment = &piece.segment.segment;
            keys.update(&segment.key);
            keys.update(&segment.raw_crc32.to_le_bytes());
            let ends = [piece.in_segment.start as u64, piece.range.end, segment.raw_len.into()];
            layout.update(&ends.map(u64::to_le_bytes).concat());
            is_alone &= piece.is_alone;
        }
        let [keys, layout] = [keys, layout].map(|hasher| hasher.finalize().into());
        Ok(ContentKeys { keys, layout, is_alone })
    }

    /// Reads the rest of the content of the current file, and returns its hash.
    pub(super) fn hash(&mut self, tracker: &Tracker) -> Result<ContentHash> {
        let mut hasher = blake3::Hasher::new();
        while let Some(piece) = self.next_piece()? {
            tracker.check()?;
            hasher.update(self.read(&piece, tracker)?);
        }
        Ok(hasher.finalize().into())
    }

    /// Adds the location of the archive to an error.
    pub(super) fn located(&self, error: Error) -> Error {
        at_location(error, self.location.as_ref())
    }

    /// Goes to the next page. Returns false at the end.
    fn next_page(&mut self) -> Result<bool> {
        let Some(page) = self.pages.next().map_err(|e| self.located(e))? else { return Ok(false) };
        (self.page, self.next_entry, self.next_segment) = (page, 0, 0);
        Ok(true)
    }
}

impl Piece {
    /// Returns whether the keys prove that both pieces are equal. `None` if they prove nothing.
    pub(super) fn is_equal(&self, other: &Piece) -> Option<bool> {
        let (a, b) = (&self.segment.segment, &other.segment.segment);
        if self.range != other.range || self.in_segment != other.in_segment {
            return None;
        }
        let is_same = (a.key, a.raw_len, a.raw_crc32) == (b.key, b.raw_len, b.raw_crc32);
        (is_same || self.is_alone && other.is_alone).then_some(is_same)
    }

    /// Returns whether the piece has these bytes, by the key. `None` if the segment has other bytes too. `bytes` is
    /// padded for the hash, and as before afterwards.
    pub(super) fn has_bytes(&self, bytes: &mut Vec<u8>) -> Option<bool> {
        if !self.is_alone {
            return None;
        }
        let len = bytes.len();
        bytes.resize(self.segment.segment.raw_len as usize, 0);
        let segment = &self.segment.segment;
        let is_same =
            Segment::key_of(bytes) == segment.key && crc32fast::hash(bytes) == segment.raw_crc32;
        bytes.truncate(len);
        Some(is_same)
    }

    /// Removes `len` bytes from the start.
    pub(super) fn skip(&mut self, len: usize) {
        self.in_segment.start += len;
        self.range.start += len as u64;
        self.is_alone = false;
    }

    pub(super) fn len(&self) -> usize {
        self.in_segment.len()
    }
}
