//! Decodes the segments of an archive with an index in parallel, and returns them in order.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use super::{
    inflate::{Inflater, PADDING},
    input::ReadAt,
    plan::{Plan, Run},
    worker_pool::{Buffer, SharedBuffer, WorkerPool},
};
use crate::{
    error::{Error, ErrorKind, Result},
    format::{
        buffer::Pooled,
        index::{LocatedEntry, LocatedSegment, Segment},
    },
};

/// Additional work for each segment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checks {
    /// Also compares the keys.
    pub(crate) keys: bool,
    /// Also returns the compressed bytes.
    pub(crate) keep_compressed: bool,
}

/// A decoded run of segments.
pub(crate) struct Decoded {
    pub(crate) segments: Vec<LocatedSegment>,
    /// The wanted entries that begin in these segments.
    pub(crate) entries: Vec<LocatedEntry>,
    pub(crate) raw: SharedBuffer,
    pub(crate) compressed: Option<Pooled>,
    /// Damaged segments and their problems. Their raw bytes are unspecified.
    pub(crate) damaged: Vec<(LocatedSegment, &'static str)>,
}

/// Runs of a remote archive that are announced before they are read.
const ANNOUNCED: usize = 64;

/// Longest time after which the failure of another task is noticed. A run may wait for a limit.
const TICK: Duration = Duration::from_millis(50);

/// The runs that come next.
struct ReadAhead {
    runs: VecDeque<Run>,
    is_last: bool,
    /// A range that the caller reads before the first run, until it was announced.
    first: Option<Range<u64>>,
    until: u64,
}

/// The runs of an archive, which worker threads decode. They are returned in order.
pub(crate) struct Segments<'a> {
    workers: &'a WorkerPool,
    source: Arc<dyn ReadAt>,
    checks: Checks,
    plan: Plan<'a>,
    ahead: ReadAhead,
    pending: VecDeque<Receiver<Result<Decoded>>>,
}

impl<'a> Segments<'a> {
    /// Returns the runs of `plan`. The caller reads `first` before them, and then everything up to `until`, if
    /// it is known that it will.
    pub(crate) fn new(
        workers: &'a WorkerPool,
        source: Arc<dyn ReadAt>,
        checks: Checks,
        plan: Plan<'a>,
        first: Range<u64>,
        until: u64,
    ) -> Result<Self> {
        let (pending, runs) = (VecDeque::new(), VecDeque::new());
        let ahead = ReadAhead { runs, is_last: false, first: Some(first), until };
        let mut segments = Segments { workers, source, checks, plan, ahead, pending };
        segments.look_ahead()?;
        Ok(segments)
    }

    /// Returns the next run, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Decoded>> {
        loop {
            self.look_ahead()?;
            if self.ahead.runs.is_empty() {
                break;
            }
            match self.workers.try_buffer() {
                Some(buffer) => self.dispatch(buffer),
                // Waits only if all buffers belong to tasks that will return them.
                None if self.pending.is_empty() => {
                    let buffer = self.workers.buffer()?;
                    self.dispatch(buffer);
                }
                None => break,
            }
        }
        let Some(done) = self.pending.pop_front() else {
            return Ok(None);
        };
        loop {
            match done.recv_timeout(TICK) {
                Ok(decoded) => return decoded.map(Some),
                Err(RecvTimeoutError::Timeout) => self.workers.check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    self.workers.check()?;
                    return Err(Error::new(ErrorKind::Internal, "read the archive"));
                }
            }
        }
    }

    /// Finds the next runs. Announces many at once to a remote archive.
    fn look_ahead(&mut self) -> Result<()> {
        let ahead = &mut self.ahead;
        let target = if self.source.is_remote() { ANNOUNCED } else { 1 };
        if ahead.is_last || ahead.runs.len() > target / 2 {
            return Ok(());
        }
        let known = ahead.runs.len();
        while ahead.runs.len() < target && !ahead.is_last {
            match self.plan.next()? {
                Some(run) => ahead.runs.push_back(run),
                None => ahead.is_last = true,
            }
        }
        let ranges = ahead.runs.iter().skip(known).map(Run::file);
        match ahead.first.take() {
            Some(first) => {
                let first = Some(first).filter(|first| !first.is_empty());
                self.source.will_need(first.into_iter().chain(ranges).collect(), ahead.until);
            }
            None => self.source.will_also_need(ranges.collect(), ahead.until),
        }
        Ok(())
    }

    fn dispatch(&mut self, buffer: Buffer) {
        let Some(run) = self.ahead.runs.pop_front() else {
            return;
        };
        let (done, done_out) = mpsc::sync_channel(1);
        self.pending.push_back(done_out);
        let (source, checks) = (self.source.clone(), self.checks);
        self.workers.read(move |inflater| {
            // The operation may have ended, so that nobody receives the result.
            let _ = done.send(decode(&*source, checks, run, buffer, inflater));
            Ok(())
        });
    }
}

impl Run {
    /// Returns its range in the archive.
    pub(super) fn file(&self) -> Range<u64> {
        let (first, last) = (self.segments.first(), self.segments.last());
        first.map_or(0, |first| first.file_at)..last.map_or(0, |last| last.file().end)
    }
}

fn decode(
    source: &dyn ReadAt,
    checks: Checks,
    run: Run,
    mut buffer: Buffer,
    inflater: &mut Inflater,
) -> Result<Decoded> {
    let file = run.file();
    let len = (file.end - file.start) as usize;
    let raw_len = run.segments.iter().map(|located| located.segment.raw_len as usize).sum();
    let mut compressed = buffer.scratch();
    source.read_at(file.start, &mut compressed.room(len + PADDING)[..len])?;
    compressed.advance(len + PADDING);
    buffer.buf().room(raw_len);
    buffer.buf().advance(raw_len);
    let mut damaged = Vec::new();
    let (mut compressed_rest, mut raw_rest) = (&mut compressed[..], &mut buffer.buf()[..]);
    for located in &run.segments {
        let segment = &located.segment;
        let segment_len = segment.compressed_len as usize;
        let (raw, rest) = raw_rest.split_at_mut(segment.raw_len as usize);
        raw_rest = rest;
        let why = if crc32fast::hash(&compressed_rest[..segment_len]) != segment.compressed_crc32 {
            Some("the checksum of its compressed bytes is wrong")
        } else if !inflater.segment(&mut compressed_rest[..segment_len + PADDING], raw) {
            Some("it cannot be decoded")
        } else if crc32fast::hash(raw) != segment.raw_crc32
            || (checks.keys && !segment.is_padding() && Segment::key_of(raw) != segment.key)
        {
            Some("the checksum of its content is wrong")
        } else {
            None
        };
        damaged.extend(why.map(|why| (*located, why)));
        compressed_rest = &mut compressed_rest[segment_len..];
    }
    compressed.truncate(len);
    let raw = buffer.freeze();
    let compressed = checks.keep_compressed.then_some(compressed);
    Ok(Decoded { segments: run.segments, entries: run.entries, raw, compressed, damaged })
}
