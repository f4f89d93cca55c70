//! The tar stream of an archive with an index: segments decoded side by side, handed out in order.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
};

use crate::{
    error::{Error, ErrorKind, Result},
    format::{
        buffer::Pooled,
        deflate::stored_len,
        index::{Footer, Index, Segment},
    },
    read::{
        ReadAt,
        inflate::Inflater,
        worker_pool::{Buffer, SharedBuffer, WorkerPool},
    },
};

/// The longest segment that is taken. Ours stay below 3 MiB.
const SEGMENT_MAX: u32 = 4 << 20;

/// Bytes that deflate makes of one at most.
const RATIO_MAX: u32 = 1032;

/// SharedBuffer bytes that one task decodes, unless a single segment has more.
const RUN: u64 = 1 << 20;

/// An index, and where things are by it.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) footer: Footer,
    pub(crate) index: Index,
    /// Where each segment begins, and the last ends, in the file and in the tar stream.
    file_at: Vec<u64>,
    tar_at: Vec<u64>,
    /// Where each entry begins, and the last ends, in the tar stream.
    entry_at: Vec<u64>,
}

impl Layout {
    /// `None` where the lengths are none that a writer makes.
    pub(crate) fn new(footer: Footer, index: Index) -> Option<Self> {
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
        let bounded = index.segments.iter().all(is_possible);
        // `Index::decode` has checked that no sum overflows.
        bounded.then(|| Layout {
            file_at: sums(10, &mut index.segments.iter().map(|s| s.compressed_len.into())),
            tar_at: sums(0, &mut index.segments.iter().map(|s| s.raw_len.into())),
            entry_at: sums(0, &mut index.entries.iter().map(|e| e.tar_len())),
            footer,
            index,
        })
    }

    /// Where the entry lies in the tar stream, padding included.
    pub(crate) fn entry(&self, i: usize) -> Range<u64> {
        self.entry_at[i]..self.entry_at[i + 1]
    }

    /// The entries that overlap a stretch of the tar stream.
    pub(crate) fn entries_in(&self, tar: &Range<u64>) -> Range<usize> {
        let starts = &self.entry_at[..self.index.entries.len()];
        let end = starts.partition_point(|&at| at < tar.end);
        let start = self.entry_at[1..].partition_point(|&end| end <= tar.start);
        start.min(end)..end
    }

    /// Where a segment lies in the file.
    pub(crate) fn segment_in_file(&self, i: usize) -> Range<u64> {
        self.file_at[i]..self.file_at[i + 1]
    }

    /// Where a run of them lies in the file.
    pub(crate) fn run_in_file(&self, run: &Range<usize>) -> Range<u64> {
        self.file_at[run.start]..self.file_at[run.end]
    }

    /// Where a segment lies in the tar stream.
    pub(crate) fn segment_in_tar(&self, i: usize) -> Range<u64> {
        self.tar_at[i]..self.tar_at[i + 1]
    }

    /// The segment that has this place of the tar stream.
    pub(crate) fn segment_of(&self, tar: u64) -> usize {
        let last = self.index.segments.len().saturating_sub(1);
        self.tar_at[1..].partition_point(|&end| end <= tar).min(last)
    }

    /// The segments that hold these entries (ascending), in runs for one task each.
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

    /// All segments, in runs.
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

/// What is done with segments beside decoding them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checks {
    /// Compares the keys too: BLAKE3, which costs as much as the rest.
    pub(crate) keys: bool,
    /// Hands the bytes of the file out as well.
    pub(crate) encoded: bool,
}

/// A run of segments, decoded.
pub(crate) struct Decoded {
    pub(crate) segments: Range<usize>,
    pub(crate) raw: SharedBuffer,
    pub(crate) encoded: Option<Pooled>,
    /// Those of them that are not what their checksums say, and why; their bytes are anything.
    pub(crate) damaged: Vec<(usize, &'static str)>,
}

/// Runs on their way, in order.
pub(crate) struct Segments<'a> {
    crew: &'a WorkerPool,
    source: Arc<dyn ReadAt>,
    layout: Arc<Layout>,
    checks: Checks,
    runs: VecDeque<Range<usize>>,
    pending: VecDeque<Receiver<Result<Decoded>>>,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(
        crew: &'a WorkerPool,
        source: Arc<dyn ReadAt>,
        layout: Arc<Layout>,
        checks: Checks,
        runs: VecDeque<Range<usize>>,
    ) -> Self {
        Segments { crew, source, layout, checks, runs, pending: VecDeque::new() }
    }

    /// The next run; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Decoded>> {
        while !self.runs.is_empty() {
            match self.crew.try_stretch() {
                Some(blank) => self.dispatch(blank),
                // Only waits where all memory is with tasks that will give it back.
                None if self.pending.is_empty() => {
                    let blank = self.crew.stretch()?;
                    self.dispatch(blank);
                }
                None => break,
            }
        }
        let Some(done) = self.pending.pop_front() else {
            return Ok(None);
        };
        match done.recv() {
            Ok(decoded) => decoded.map(Some),
            Err(_) => {
                self.crew.check()?;
                Err(Error::new(ErrorKind::Internal, "read the archive"))
            }
        }
    }

    fn dispatch(&mut self, blank: Buffer) {
        let Some(segments) = self.runs.pop_front() else {
            return;
        };
        let (done, done_out) = mpsc::sync_channel(1);
        self.pending.push_back(done_out);
        let (source, layout, checks) = (self.source.clone(), self.layout.clone(), self.checks);
        self.crew.read(move |inflater| {
            decode(&*source, &layout, checks, segments, blank, inflater, &done);
            Ok(())
        });
    }
}

fn decode(
    source: &dyn ReadAt,
    layout: &Layout,
    checks: Checks,
    segments: Range<usize>,
    mut blank: Buffer,
    inflater: &mut Inflater,
    done: &SyncSender<Result<Decoded>>,
) {
    let file = layout.run_in_file(&segments);
    let tar = layout.tar_at[segments.start]..layout.tar_at[segments.end];
    let (encoded_len, raw_len) = ((file.end - file.start) as usize, (tar.end - tar.start) as usize);
    let mut encoded = blank.scratch();
    // Two bytes more, for `Inflater::segment`.
    if let Err(e) = source.read_at(file.start, &mut encoded.room(encoded_len + 2)[..encoded_len]) {
        // Nobody waits for it if the operation has ended meanwhile.
        let _ = done.send(Err(e));
        return;
    }
    encoded.advance(encoded_len + 2);
    blank.buf().room(raw_len);
    blank.buf().advance(raw_len);
    let mut damaged = Vec::new();
    let (mut encoded_rest, mut raw_rest) = (&mut encoded[..], &mut blank.buf()[..]);
    for i in segments.clone() {
        let segment = &layout.index.segments[i];
        let len = segment.compressed_len as usize;
        let (raw, rest) = raw_rest.split_at_mut(segment.raw_len as usize);
        raw_rest = rest;
        let why = if crc32fast::hash(&encoded_rest[..len]) != segment.compressed_crc32 {
            Some("its bytes do not have their checksum")
        } else if !inflater.segment(&mut encoded_rest[..len + 2], raw) {
            Some("it does not decode")
        } else if crc32fast::hash(raw) != segment.raw_crc32
            || (checks.keys && blake3::hash(raw).as_bytes()[..16] != segment.key)
        {
            Some("its content does not have its checksum")
        } else {
            None
        };
        damaged.extend(why.map(|why| (i, why)));
        encoded_rest = &mut encoded_rest[len..];
    }
    encoded.truncate(encoded_len);
    let raw = blank.freeze();
    let encoded = checks.encoded.then_some(encoded);
    let _ = done.send(Ok(Decoded { segments, raw, encoded, damaged }));
}
