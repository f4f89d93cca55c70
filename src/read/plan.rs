//! The parts of an archive to read: runs of segments, with the entries that begin in them.

use std::collections::VecDeque;

use super::pages::Pages;
use crate::{
    entry::Entry,
    error::Result,
    format::index::{LocatedEntry, LocatedSegment},
};

/// Raw bytes that one task decodes, unless a single segment has more.
const RUN: u64 = 1 << 20;

/// The entries to read.
pub(crate) enum Wanted<'a> {
    All,
    /// The entries for which this returns true.
    Some(Box<dyn FnMut(&Entry) -> bool + 'a>),
    /// Only the entry at this path, which is in the first of these pages.
    One(Vec<u8>, Box<Pages>),
}

/// Consecutive segments, and the wanted entries that begin in them.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) segments: Vec<LocatedSegment>,
    pub(crate) entries: Vec<LocatedEntry>,
}

/// The runs to read, in order. They are found while the pages of the index are read.
pub(super) struct Plan<'a> {
    pages: Pages,
    wanted: Filter<'a>,
    /// Segments that come next.
    segments: VecDeque<LocatedSegment>,
    /// Entries of the tar stream that come next.
    entries: VecDeque<LocatedEntry>,
    /// Number of the segment after the last in `segments`.
    next_number: u64,
    /// End of the last segment that was taken, in the tar stream.
    at: u64,
    /// End of the wanted entries so far, in the tar stream.
    needed_until: u64,
    /// All wanted entries were found.
    is_complete: bool,
    /// The part that begins the next run.
    held: Option<Part>,
}

/// A segment, and the wanted entries that begin in it.
type Part = (LocatedSegment, Vec<LocatedEntry>);

enum Filter<'a> {
    All,
    Some(Box<dyn FnMut(&Entry) -> bool + 'a>),
    One(Vec<u8>),
}

impl<'a> Plan<'a> {
    /// Returns the runs for the wanted entries. `all` returns all pages.
    pub(super) fn new(wanted: Wanted<'a>, all: impl FnOnce() -> Pages) -> Self {
        let (wanted, pages) = match wanted {
            Wanted::All => (Filter::All, all()),
            Wanted::Some(filter) => (Filter::Some(filter), all()),
            Wanted::One(path, pages) => (Filter::One(path), *pages),
        };
        Plan {
            pages,
            wanted,
            segments: VecDeque::new(),
            entries: VecDeque::new(),
            next_number: 0,
            at: 0,
            needed_until: 0,
            is_complete: false,
            held: None,
        }
    }

    /// Returns the next run.
    pub(super) fn next(&mut self) -> Result<Option<Run>> {
        let mut run = Run::default();
        let mut raw = 0;
        loop {
            let part = match self.held.take() {
                Some(part) => Some(part),
                None => self.next_part()?,
            };
            let Some((segment, entries)) = part else {
                return Ok((!run.segments.is_empty()).then_some(run));
            };
            raw += u64::from(segment.segment.raw_len);
            if let Some(last) = run.segments.last()
                && (raw > RUN || last.number + 1 != segment.number)
            {
                self.held = Some((segment, entries));
                return Ok(Some(run));
            }
            run.segments.push(segment);
            run.entries.extend(entries);
        }
    }

    /// Returns the next segment that is needed.
    fn next_part(&mut self) -> Result<Option<Part>> {
        while !(self.is_complete && self.at >= self.needed_until) {
            let Some(segment) = self.next_segment()? else { break };
            self.at = segment.tar().end;
            let wanted = self.wanted_in(&segment)?;
            let end = wanted.iter().map(|entry| entry.tar().end).max();
            let continues = segment.tar_at < self.needed_until;
            self.needed_until = self.needed_until.max(end.unwrap_or(0));
            let is_all = matches!(self.wanted, Filter::All);
            if is_all || continues || !wanted.is_empty() {
                return Ok(Some((segment, wanted)));
            }
        }
        Ok(None)
    }

    fn next_segment(&mut self) -> Result<Option<LocatedSegment>> {
        while self.segments.is_empty() {
            if !self.read_page()? {
                return Ok(None);
            }
        }
        Ok(self.segments.pop_front())
    }

    /// Returns the wanted entries that begin in the segment that was taken last.
    fn wanted_in(&mut self, segment: &LocatedSegment) -> Result<Vec<LocatedEntry>> {
        let mut wanted = Vec::new();
        while !self.is_complete {
            let in_segment = |entry: &LocatedEntry| entry.tar_at < segment.tar().end;
            match pop_if(&mut self.entries, in_segment) {
                Some(located) => {
                    let is_wanted = match &mut self.wanted {
                        Filter::All => true,
                        Filter::Some(filter) => filter(&located.entry),
                        Filter::One(path) => {
                            self.is_complete = located.entry.path == *path;
                            self.is_complete
                        }
                    };
                    wanted.extend(is_wanted.then_some(located));
                }
                // Only if the segment is the last of its page, the next page may have entries of it.
                None if !self.entries.is_empty() || !self.segments.is_empty() => break,
                None if self.read_page()? => {}
                None => break,
            }
        }
        Ok(wanted)
    }

    /// Reads the next page. Returns false after the last.
    fn read_page(&mut self) -> Result<bool> {
        let Some(page) = self.pages.next()? else { return Ok(false) };
        for segment in page.segments {
            // A page may repeat the last segment of the page before.
            if segment.number >= self.next_number {
                self.next_number = segment.number + 1;
                self.segments.push_back(segment);
            }
        }
        self.entries.extend(page.entries.into_iter().filter(|located| located.entry.is_in_tar()));
        Ok(true)
    }
}

/// Takes the first item of a queue if `is_wanted` returns true for it.
pub(super) fn pop_if<T>(queue: &mut VecDeque<T>, is_wanted: impl FnOnce(&T) -> bool) -> Option<T> {
    if queue.front().is_some_and(is_wanted) { queue.pop_front() } else { None }
}
