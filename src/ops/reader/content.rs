//! Reads ranges of the contents of files.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use crate::{
    error::Result,
    format::index::{LocatedEntry, LocatedSegment, sort_key},
    read::{Index, Pages, ReadAt, corrupt, inflate::Inflater},
};

/// Decoded bytes that are kept, unless a single segment has more.
const DECODED_MAX: usize = 16 << 20;

/// Bytes of a remote archive that one request fetches for a file that is read in order.
const AHEAD: u64 = 4 << 20;

/// The content of one file, and its segments around the last read.
pub(super) struct Content {
    index: Arc<Index>,
    /// Sort key of the entry.
    key: Vec<u8>,
    /// Range in the tar stream.
    tar: Range<u64>,
    /// The segments that one page has of it.
    segments: Vec<LocatedSegment>,
    /// The pages after that one. `None` if it may be any page.
    later: Option<Pages>,
    /// End of the last read, in the tar stream.
    next: u64,
}

impl Content {
    /// Returns the content of an entry in a page with these segments.
    pub(super) fn new(
        index: Arc<Index>,
        segments: &[LocatedSegment],
        LocatedEntry { tar_at, entry }: &LocatedEntry,
    ) -> Self {
        let start = tar_at + u64::from(entry.header_len);
        let tar = start..start + entry.size;
        let key = sort_key(&entry.path, entry.kind).copied().collect();
        let segments = overlapping(segments, &tar);
        Content { index, key, next: tar.start, tar, segments, later: None }
    }

    /// Returns the number, among `segments`, of the one that has the byte at this offset of the tar stream.
    fn find(&mut self, at: u64) -> Result<usize> {
        if self.segments.first().is_some_and(|first| at < first.tar_at) {
            self.later = None;
            self.segments.clear();
        }
        loop {
            let number = self.segments.partition_point(|segment| segment.tar().end <= at);
            match self.segments.get(number) {
                Some(segment) if segment.tar_at <= at => return Ok(number),
                Some(_) => return Err(corrupt(LACKS)),
                None => self.next_page()?,
            }
        }
    }

    /// Goes to the next page, or to the one of the entry.
    fn next_page(&mut self) -> Result<()> {
        let pages = match &mut self.later {
            Some(pages) => pages,
            None => self.later.insert(Pages::from(self.index.clone(), &self.key)?),
        };
        let page = pages.next()?.ok_or_else(|| corrupt(LACKS))?;
        self.segments = overlapping(&page.segments, &self.tar);
        Ok(())
    }
}

const LACKS: &str = "its index lacks a segment";

fn overlapping(segments: &[LocatedSegment], tar: &Range<u64>) -> Vec<LocatedSegment> {
    let is_part = |s: &&LocatedSegment| s.tar().end > tar.start && s.tar_at < tar.end;
    segments.iter().filter(is_part).copied().collect()
}

/// Reads and decodes segments.
pub(super) struct Segments {
    source: Arc<dyn ReadAt>,
    inflater: Inflater,
    /// Numbers and bytes of the segments that were used last. The newest is at the end.
    decoded: VecDeque<(u64, Vec<u8>)>,
    decoded_len: usize,
    /// Numbers of the segments of a remote archive that were announced.
    announced: Range<u64>,
}

impl Segments {
    pub(super) fn new(source: Arc<dyn ReadAt>) -> Self {
        let (inflater, decoded) = (Inflater::new(), VecDeque::new());
        Segments { source, inflater, decoded, decoded_len: 0, announced: 0..0 }
    }

    /// Returns the bytes of a content from `offset` on: `len`, or fewer at its end.
    pub(super) fn read(
        &mut self,
        content: &mut Content,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>> {
        let Range { start, end } = content.tar;
        let mut at = start.saturating_add(offset).min(end);
        let end = at.saturating_add(len as u64).min(end);
        let is_in_order = at == content.next;
        content.next = end;
        let mut bytes = Vec::new();
        while at < end {
            let number = content.find(at)?;
            if is_in_order && self.source.is_remote() {
                self.announce(&content.segments[number..]);
            }
            let segment = content.segments[number];
            let stop = segment.tar().end.min(end);
            let part = (at - segment.tar_at) as usize..(stop - segment.tar_at) as usize;
            bytes.extend_from_slice(&self.decoded(&segment)?[part]);
            at = stop;
        }
        Ok(bytes)
    }

    /// Announces these segments, up to a limit, unless the first was announced already.
    fn announce(&mut self, segments: &[LocatedSegment]) {
        let Some(first) = segments.first().filter(|s| !self.announced.contains(&s.number)) else {
            return;
        };
        let until = first.file_at.saturating_add(AHEAD);
        let count = segments.partition_point(|segment| segment.file().end <= until).max(1);
        let ranges: Vec<_> = segments[..count].iter().map(LocatedSegment::file).collect();
        let end = ranges.last().map_or(0, |last| last.end);
        self.source.will_need(ranges, end);
        self.announced = first.number..first.number + count as u64;
    }

    /// Returns the bytes of a segment in the tar stream.
    fn decoded(&mut self, segment: &LocatedSegment) -> Result<&[u8]> {
        let known = self.decoded.iter().position(|(number, _)| *number == segment.number);
        let (number, raw) = match known.and_then(|known| self.decoded.remove(known)) {
            Some(known) => known,
            None => {
                let raw = self.inflater.read(&*self.source, segment)?;
                self.decoded_len += raw.len();
                (segment.number, raw)
            }
        };
        while self.decoded_len > DECODED_MAX
            && let Some((_, oldest)) = self.decoded.pop_front()
        {
            self.decoded_len -= oldest.len();
        }
        self.decoded.push_back((number, raw));
        Ok(self.decoded.back().map_or(&[], |(_, raw)| raw))
    }
}
