//! Finds the index of an archive, and computes the offsets of its segments and entries.

use std::{collections::VecDeque, ops::Range, sync::Arc};

use super::{
    damage::NoIndex,
    input::{ReadAt, Source, chunks_of},
};
use crate::{
    error::Result,
    format::{
        deflate::stored_len,
        gzip::GZIP_HEADER,
        index::{Decoder, FOOTER_LEN, Footer, Index, Segment},
    },
};

/// Bytes that are read first to find the index. They contain the index of about 2,500 files.
pub(crate) const TAIL: u64 = 64 << 10;

/// Maximum length of a segment. Segments of this program stay below 3 MiB.
const SEGMENT_MAX: u32 = 4 << 20;

/// Maximum bytes that deflate decodes from one byte.
const RATIO_MAX: u32 = 1032;

/// Raw bytes that one task decodes, unless a single segment has more.
const RUN: u64 = 1 << 20;

/// An index, with the offsets of its segments and entries.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) footer: Footer,
    pub(crate) index: Index,
    /// Start of each segment, and end of the last one, in the archive and in the tar stream.
    file_at: Vec<u64>,
    tar_at: Vec<u64>,
    /// Start of each entry, and end of the last one, in the tar stream.
    entry_at: Vec<u64>,
}

impl Source {
    /// Returns the index of the archive, or the reason why there is none to use.
    pub(crate) fn layout(&self) -> Result<Result<Arc<Layout>, NoIndex>> {
        match self {
            Source::At(source) => find(&**source),
            Source::Stream(_) => Ok(Err(NoIndex::Stream)),
        }
    }
}

fn find(source: &dyn ReadAt) -> Result<Result<Arc<Layout>, NoIndex>> {
    let len = source.len();
    let mut tail = vec![0; len.min(TAIL) as usize];
    let tail_at = len - tail.len() as u64;
    source.read_at(tail_at, &mut tail)?;
    let Some(last) = tail.last_chunk::<FOOTER_LEN>() else {
        return Ok(Err(NoIndex::Absent));
    };
    let Some(footer) = Footer::decode(last, len) else {
        let is_damaged = Footer::is_attempted(last);
        return Ok(Err(if is_damaged { NoIndex::Damaged } else { NoIndex::Absent }));
    };
    let mut decoder = Decoder::new(&footer);
    let index = footer.index_offset..footer.index_offset + footer.index_len;
    let before_tail = index.start..index.end.min(tail_at.max(index.start));
    source.will_need(chunks_of(before_tail.clone()).collect(), before_tail.end);
    let mut chunk = Vec::new();
    for range in chunks_of(before_tail) {
        chunk.resize((range.end - range.start) as usize, 0);
        source.read_at(range.start, &mut chunk)?;
        // A damaged index is not read to its end: the footer may give any length.
        if decoder.feed(&chunk).is_err() {
            return Ok(Err(NoIndex::Damaged));
        }
    }
    let in_tail = index.start.max(tail_at) - tail_at..index.end - tail_at;
    let fed = decoder.feed(&tail[in_tail.start as usize..in_tail.end as usize]);
    let index = fed.and_then(|()| decoder.finish()).ok();
    Ok(index.and_then(|index| Layout::new(footer, index)).map(Arc::new).ok_or(NoIndex::Damaged))
}

impl Layout {
    /// Returns `None` if a segment has a length that no writer produces.
    fn new(footer: Footer, index: Index) -> Option<Self> {
        let sums = |start: u64, lengths: &mut dyn Iterator<Item = u64>| {
            let mut at = vec![start];
            at.extend(lengths.scan(start, |at, len| {
                *at += len;
                Some(*at)
            }));
            at
        };
        let is_possible = |s: &Segment| {
            (1..=SEGMENT_MAX).contains(&s.raw_len)
                && s.compressed_len as usize <= stored_len(s.raw_len as usize)
                && s.raw_len / RATIO_MAX <= s.compressed_len
        };
        let is_bounded = index.segments.iter().all(is_possible);
        let data_at = GZIP_HEADER.len() as u64;
        // The decoder of the index has checked that no sum overflows.
        is_bounded.then(|| Layout {
            file_at: sums(data_at, &mut index.segments.iter().map(|s| s.compressed_len.into())),
            tar_at: sums(0, &mut index.segments.iter().map(|s| s.raw_len.into())),
            entry_at: sums(0, &mut index.entries.iter().map(|e| e.tar_len())),
            footer,
            index,
        })
    }

    /// Reads the index from the end of an archive that was read from its start.
    pub(super) fn in_tail(tail: &[u8], file_len: u64) -> Option<Self> {
        let footer = Footer::decode(tail.last_chunk()?, file_len)?;
        let members = tail.get(..tail.len() - FOOTER_LEN)?;
        Layout::new(footer, Index::decode(&footer, members).ok()?)
    }

    /// Returns the range of an entry in the tar stream, including its padding.
    pub(crate) fn entry(&self, i: usize) -> Range<u64> {
        self.entry_at[i]..self.entry_at[i + 1]
    }

    /// Returns the entries that overlap a range of the tar stream.
    pub(crate) fn entries_in(&self, tar: &Range<u64>) -> Range<usize> {
        let starts = &self.entry_at[..self.index.entries.len()];
        let end = starts.partition_point(|&at| at < tar.end);
        let start = self.entry_at[1..].partition_point(|&end| end <= tar.start);
        start.min(end)..end
    }

    /// Returns the range of a segment in the archive.
    pub(crate) fn segment_in_file(&self, i: usize) -> Range<u64> {
        self.file_at[i]..self.file_at[i + 1]
    }

    /// Returns the range of a run of segments in the archive.
    pub(crate) fn run_in_file(&self, run: &Range<usize>) -> Range<u64> {
        self.file_at[run.start]..self.file_at[run.end]
    }

    /// Returns the range of a segment in the tar stream.
    pub(crate) fn segment_in_tar(&self, i: usize) -> Range<u64> {
        self.tar_at[i]..self.tar_at[i + 1]
    }

    /// Returns the range of a run of segments in the tar stream.
    pub(crate) fn run_in_tar(&self, run: &Range<usize>) -> Range<u64> {
        self.tar_at[run.start]..self.tar_at[run.end]
    }

    /// Returns the segment that contains this offset of the tar stream.
    pub(crate) fn segment_of(&self, tar: u64) -> usize {
        let last = self.index.segments.len().saturating_sub(1);
        self.tar_at[1..].partition_point(|&end| end <= tar).min(last)
    }

    /// Returns the segments that contain these entries (ascending), in runs for one task each.
    pub(crate) fn runs_of(&self, entries: impl Iterator<Item = usize>) -> VecDeque<Range<usize>> {
        let mut segments: Vec<Range<usize>> = Vec::new();
        for i in entries {
            let tar = self.entry(i);
            let start = self.tar_at[1..].partition_point(|&end| end <= tar.start);
            let end = self.tar_at[..self.tar_at.len() - 1].partition_point(|&at| at < tar.end);
            match segments.last_mut() {
                Some(last) if last.end >= start => last.end = last.end.max(end),
                _ => segments.push(start..end),
            }
        }
        segments.into_iter().flat_map(|range| self.split(range)).collect()
    }

    /// Returns all segments, in runs.
    pub(crate) fn runs(&self) -> VecDeque<Range<usize>> {
        self.split(0..self.index.segments.len()).collect()
    }

    fn split(&self, all: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let mut start = all.start;
        std::iter::from_fn(move || {
            let limit = self.tar_at.get(start)? + RUN;
            let within = self.tar_at[start + 1..=all.end.max(start)].iter();
            let end = start + within.take_while(|&&at| at <= limit).count();
            let run = start..end.max(start + 1).min(all.end);
            start = run.end;
            (!run.is_empty()).then_some(run)
        })
    }
}
