//! The segments of the previous archive.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    entry::{Entry, EntryKind},
    error::Result,
    format::{buffer::Buf, index::Segment},
    progress::Expected,
    read::{
        Layout, ReadAt, Source,
        inflate::{Inflater, PADDING},
    },
};

/// One in this many copied segments is decoded and checked. Each backup checks other ones.
const CHECKED_SHARE: u8 = 16;

/// An archive to copy segments from.
pub(crate) struct PreviousArchive {
    source: Arc<dyn ReadAt>,
    layout: Arc<Layout>,
    by_key: HashMap<[u8; 16], u32>,
    /// Whether it was made with another encoder or level.
    has_other_encoder: bool,
    /// Segments that do not match the index. One may be found several times.
    damaged: Mutex<BTreeSet<usize>>,
}

impl PreviousArchive {
    /// Opens an archive, or returns the reason why it cannot be used. An archive that was made with
    /// another encoder or level than `encoder_id` can be used only if `allow_other_encoder` is set.
    pub(crate) fn open(
        source: Arc<dyn ReadAt>,
        encoder_id: (u8, u8),
        allow_other_encoder: bool,
    ) -> Result<Result<Self, String>> {
        let layout = match Source::At(source.clone()).layout()? {
            Ok(layout) => layout,
            Err(why) => return Ok(Err(format!("its index is {}", why.code()))),
        };
        let has_other_encoder = layout.footer.encoder_id() != encoder_id;
        if has_other_encoder && !allow_other_encoder {
            return Ok(Err("it was made by another encoder, or at another level".into()));
        }
        let keys = layout.index.segments.iter().zip(0..).map(|(segment, i)| (segment.key, i));
        let by_key = keys.collect();
        let damaged = Mutex::default();
        Ok(Ok(PreviousArchive { source, layout, by_key, has_other_encoder, damaged }))
    }

    /// Returns whether its segments differ from those of the current encoder and level.
    pub(crate) fn has_other_encoder(&self) -> bool {
        self.has_other_encoder
    }

    /// Returns its number of files and bytes, as an estimate for the next archive.
    pub(crate) fn contents(&self) -> Expected {
        let files = self.layout.index.entries.iter().filter(|e| e.kind() == EntryKind::File);
        files.fold(Expected::default(), |sum, file| Expected {
            files: sum.files + 1,
            bytes: sum.bytes + file.size,
        })
    }

    /// Returns the number of segments that were found to be damaged.
    pub(crate) fn damaged(&self) -> u64 {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    pub(super) fn add_damaged(&self, i: usize) {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).insert(i);
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.layout.index.entries
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the number of segments.
    pub(super) fn segments(&self) -> usize {
        self.layout.index.segments.len()
    }

    pub(super) fn segment(&self, i: usize) -> &Segment {
        &self.layout.index.segments[i]
    }

    /// Appends the compressed bytes of the segment with these raw bytes, if there is one.
    pub(crate) fn copy_equal(
        &self,
        key: &[u8; 16],
        raw: &[u8],
        inflater: &mut Inflater,
        out: &mut Buf,
    ) -> Option<Segment> {
        let i = self.find_equal(key, raw)?;
        self.copy(i, inflater, out).then(|| *self.segment(i))
    }

    /// Returns the segment with these raw bytes, if there is one.
    pub(super) fn find_equal(&self, key: &[u8; 16], raw: &[u8]) -> Option<usize> {
        let i = *self.by_key.get(key)? as usize;
        (self.segment(i).raw_len as usize == raw.len()).then_some(i)
    }

    /// Appends the compressed bytes of a segment. If they are damaged, appends nothing and returns false.
    pub(super) fn copy(&self, i: usize, inflater: &mut Inflater, out: &mut Buf) -> bool {
        let (start, len) = (out.len(), self.segment(i).compressed_len as usize);
        let room = out.room(len + PADDING);
        let at = self.layout.segment_in_file(i).start;
        let is_good =
            self.source.read_at(at, &mut room[..len]).is_ok() && self.is_good(i, room, inflater);
        if is_good {
            out.advance(len);
        } else {
            out.truncate(start);
            self.add_damaged(i);
        }
        self.source.dont_need_before(at);
        is_good
    }

    /// Appends one or more segments from `first` on, up to `bytes` if there is more than one. Returns the
    /// range of each; `None` if it could not be read or is damaged.
    pub(super) fn read(
        &self,
        first: usize,
        bytes: u64,
        inflater: &mut Inflater,
        out: &mut Buf,
    ) -> Vec<Option<Range<usize>>> {
        let from = self.layout.segment_in_file(first).start;
        let fits = |i: &usize| *i == first || self.layout.segment_in_file(*i).end - from <= bytes;
        let segments = first..self.segments();
        let ranges: Vec<_> = segments
            .clone()
            .take_while(fits)
            .map(|i| {
                let Range { start, end } = self.layout.segment_in_file(i);
                (start - from) as usize..(end - from) as usize
            })
            .collect();
        let len = ranges.last().map_or(0, |range| range.end);
        let room = out.room(len + PADDING);
        let is_read = self.source.read_at(from, &mut room[..len]).is_ok();
        let check = |(i, range): (usize, Range<usize>)| {
            let compressed = &mut room[range.start..range.end + PADDING];
            (is_read && self.is_good(i, compressed, inflater)).then_some(range)
        };
        let checked = segments.zip(ranges).map(check).collect();
        out.advance(len);
        self.source.dont_need_before(from);
        checked
    }

    /// Checks a segment, which has [`PADDING`] bytes after it: always its checksum, and for one in
    /// [`CHECKED_SHARE`] also its content.
    fn is_good(&self, i: usize, compressed: &mut [u8], inflater: &mut Inflater) -> bool {
        let segment = self.segment(i);
        let turn = segment.key[0] ^ self.layout.footer.hash[0];
        crc32fast::hash(&compressed[..compressed.len() - PADDING]) == segment.compressed_crc32
            && (!turn.is_multiple_of(CHECKED_SHARE)
                || decode(segment, compressed, inflater).is_some())
    }
}

/// Decodes a segment, which has [`PADDING`] bytes after it. Returns `None` if its content is damaged.
pub(super) fn decode(
    segment: &Segment,
    compressed: &mut [u8],
    inflater: &mut Inflater,
) -> Option<Vec<u8>> {
    let mut raw = vec![0; segment.raw_len as usize];
    let is_good = inflater.segment(compressed, &mut raw)
        && crc32fast::hash(&raw) == segment.raw_crc32
        && Segment::key_of(&raw) == segment.key;
    is_good.then_some(raw)
}
