//! The segments of the previous archive.

use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use super::keys::Keys;
use crate::{
    error::Result,
    format::{
        buffer::Buf,
        index::{LocatedSegment, Page, Segment},
    },
    progress::Expected,
    read::{
        Index, PageTable, ReadAt, Source,
        inflate::{Inflater, PADDING},
    },
};

/// One in this many copied segments is decoded and checked. Each backup checks other ones.
const CHECKED_SHARE: u8 = 16;

/// Maximum number of segments that are read to find one with a key.
const CANDIDATES_MAX: usize = 4;

/// Pages that are kept in memory.
const CACHED_PAGES: usize = 6;

/// An archive to copy segments from.
pub(crate) struct PreviousArchive {
    source: Arc<dyn ReadAt>,
    index: Arc<Index>,
    pages: PageTable,
    /// The pages that were used last, the newest first.
    cached: Mutex<VecDeque<(usize, Arc<Page>)>>,
    keys: Keys,
    /// Whether it was made with another encoder or level.
    has_other_encoder: bool,
    /// Segments that do not match the index. One may be found several times.
    damaged: Mutex<BTreeSet<u64>>,
}

impl PreviousArchive {
    /// Opens an archive, or returns the reason why it cannot be used. An archive that was made with
    /// another encoder or level than `encoder_id` can be used only if `allow_other_encoder` is set.
    pub(crate) fn open(
        source: Arc<dyn ReadAt>,
        encoder_id: (u8, u8),
        allow_other_encoder: bool,
    ) -> Result<Result<Self, String>> {
        let mut keys = Keys::default();
        let add_keys = |page: &Page| {
            for located in &page.segments {
                if !located.segment.is_padding() {
                    keys.add(&located.segment.key, located.number);
                }
            }
        };
        let (index, pages) = match Source::At(source.clone()).page_table(add_keys)? {
            Ok(opened) => opened,
            Err(why) => return Ok(Err(format!("its index is {}", why.code()))),
        };
        let has_other_encoder = index.footer.encoder_id() != encoder_id;
        if has_other_encoder && !allow_other_encoder {
            return Ok(Err("it was made by another encoder, or at another level".into()));
        }
        keys.sort();
        let (cached, damaged) = (Mutex::default(), Mutex::default());
        Ok(Ok(PreviousArchive { source, index, pages, cached, keys, has_other_encoder, damaged }))
    }

    /// Returns whether its segments differ from those of the current encoder and level.
    pub(crate) fn has_other_encoder(&self) -> bool {
        self.has_other_encoder
    }

    /// Returns its number of files and bytes, as an estimate for the next archive.
    pub(crate) fn contents(&self) -> Expected {
        let info = self.index.info();
        Expected { files: info.files, bytes: info.content }
    }

    /// Returns when it was made, in nanoseconds since 1970. An archive without a time counts as made after
    /// every change.
    pub(crate) fn made_ns(&self) -> i64 {
        self.index.info().made_ns().unwrap_or(i64::MAX)
    }

    /// Returns the number of segments that were found to be damaged.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    /// Returns its size in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.source.len()
    }

    /// Returns the file that it is.
    pub(crate) fn file(&self) -> Option<&Arc<File>> {
        self.source.file()
    }

    pub(super) fn add_damaged(&self, segment: u64) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(segment);
    }

    /// Returns the number of segments.
    pub(super) fn segments(&self) -> u64 {
        self.index.footer.segments
    }

    /// Returns a page of the index. `None` after the last, and if it can no longer be read.
    pub(super) fn page(&self, number: usize) -> Option<Arc<Page>> {
        let mut cached = self.cached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = cached.iter().position(|(cached, _)| *cached == number) {
            let hit = cached.remove(at)?;
            cached.push_front(hit);
        } else {
            let page = Arc::new(self.pages.read(&self.index, number).ok()??);
            cached.truncate(CACHED_PAGES - 1);
            cached.push_front((number, page));
        }
        cached.front().map(|(_, page)| page.clone())
    }

    /// Returns a segment by its number.
    pub(super) fn segment(&self, number: u64) -> Option<LocatedSegment> {
        let page = self.page(self.pages.page_of_segment(number))?;
        let at = number.checked_sub(page.start.segment)?;
        page.segments.get(usize::try_from(at).ok()?).copied()
    }

    /// Returns the segment that contains this offset of the tar stream.
    pub(super) fn segment_at(&self, tar: u64) -> Option<LocatedSegment> {
        let page = self.page(self.pages.page_of_tar(tar))?;
        let i = page.segments.partition_point(|segment| segment.tar_at <= tar).checked_sub(1)?;
        page.segments.get(i).copied().filter(|segment| segment.tar().contains(&tar))
    }

    /// Appends the compressed bytes of a segment with these raw bytes, if there is one. Of several, it takes the one
    /// nearest to the number `near`, so that copies stay together.
    pub(crate) fn copy_equal(
        &self,
        key: &[u8; 16],
        raw: &[u8],
        near: u64,
        inflater: &mut Inflater,
        out: &mut Buf,
    ) -> Option<LocatedSegment> {
        let segment = self.find_equal(key, raw, near)?;
        self.copy(&segment, inflater, out).then_some(segment)
    }

    /// Returns the segment with these raw bytes that is nearest to the number `near`.
    pub(super) fn find_equal(
        &self,
        key: &[u8; 16],
        raw: &[u8],
        near: u64,
    ) -> Option<LocatedSegment> {
        let is_equal = |found: &LocatedSegment| {
            let Segment { raw_len, raw_crc32, .. } = found.segment;
            found.segment.key == *key
                && raw_len as usize == raw.len()
                && raw_crc32 == crc32fast::hash(raw)
        };
        let mut candidates = self.keys.find(key, near).take(CANDIDATES_MAX);
        candidates.find_map(|number| self.segment(number).filter(is_equal))
    }

    /// Appends the compressed bytes of a segment. If they are damaged, appends nothing and returns false.
    pub(super) fn copy(
        &self,
        segment: &LocatedSegment,
        inflater: &mut Inflater,
        out: &mut Buf,
    ) -> bool {
        let (start, len) = (out.len(), segment.segment.compressed_len as usize);
        let room = out.room(len + PADDING);
        let is_good = self.source.read_at(segment.file_at, &mut room[..len]).is_ok()
            && self.is_good(segment, room, inflater);
        if is_good {
            out.advance(len);
        } else {
            out.truncate(start);
            self.add_damaged(segment.number);
        }
        self.source.dont_need_before(segment.file_at);
        is_good
    }

    /// Appends one or more segments from `first` on, up to `bytes` if there is more than one. Returns the
    /// range of each; `None` if it could not be read or is damaged.
    pub(super) fn read(
        &self,
        first: u64,
        bytes: u64,
        inflater: &mut Inflater,
        out: &mut Buf,
    ) -> Vec<Option<Range<usize>>> {
        let mut segments: Vec<LocatedSegment> = Vec::new();
        for segment in (first..self.segments()).map_while(|number| self.segment(number)) {
            let from = segments.first().map_or(segment.file_at, |first| first.file_at);
            if !segments.is_empty() && segment.file().end - from > bytes {
                break;
            }
            segments.push(segment);
        }
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else {
            return Vec::new();
        };
        let (from, len) = (first.file_at, (last.file().end - first.file_at) as usize);
        let room = out.room(len + PADDING);
        let is_read = self.source.read_at(from, &mut room[..len]).is_ok();
        let check = |segment: &LocatedSegment| {
            let range = (segment.file_at - from) as usize..(segment.file().end - from) as usize;
            let compressed = &mut room[range.start..range.end + PADDING];
            (is_read && self.is_good(segment, compressed, inflater)).then_some(range)
        };
        let checked = segments.iter().map(check).collect();
        out.advance(len);
        self.source.dont_need_before(from);
        checked
    }

    /// Checks a segment, which has [`PADDING`] bytes after it: always its checksum, and for one in
    /// [`CHECKED_SHARE`] also its content.
    fn is_good(
        &self,
        LocatedSegment { segment, .. }: &LocatedSegment,
        compressed: &mut [u8],
        inflater: &mut Inflater,
    ) -> bool {
        let turn = segment.key[0] ^ self.index.footer.hash[0];
        crc32fast::hash(&compressed[..compressed.len() - PADDING]) == segment.compressed_crc32
            && (!turn.is_multiple_of(CHECKED_SHARE)
                || inflater.checked(segment, compressed).is_some())
    }
}
