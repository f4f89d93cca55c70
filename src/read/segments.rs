//! Decodes the segments of an archive with an index in parallel, and returns them in order.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc,
        mpsc::{self, Receiver, SyncSender},
    },
};

use super::{
    inflate::{Inflater, PADDING},
    input::ReadAt,
    layout::Layout,
    worker_pool::{Buffer, SharedBuffer, WorkerPool},
};
use crate::{
    error::{Error, ErrorKind, Result},
    format::{buffer::Pooled, index::Segment},
};

/// Additional work for each segment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checks {
    /// Also compares the keys, which are BLAKE3 hashes. This costs as much as all other work.
    pub(crate) keys: bool,
    /// Also returns the compressed bytes.
    pub(crate) keep_compressed: bool,
}

/// A decoded run of segments.
pub(crate) struct Decoded {
    pub(crate) segments: Range<usize>,
    pub(crate) raw: SharedBuffer,
    pub(crate) compressed: Option<Pooled>,
    /// Damaged segments and their problems. Their raw bytes are unspecified.
    pub(crate) damaged: Vec<(usize, &'static str)>,
}

/// The runs of an archive, which worker threads decode. They are returned in order.
pub(crate) struct Segments<'a> {
    workers: &'a WorkerPool,
    source: Arc<dyn ReadAt>,
    layout: Arc<Layout>,
    checks: Checks,
    runs: VecDeque<Range<usize>>,
    pending: VecDeque<Receiver<Result<Decoded>>>,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(
        workers: &'a WorkerPool,
        source: Arc<dyn ReadAt>,
        layout: Arc<Layout>,
        checks: Checks,
        runs: VecDeque<Range<usize>>,
    ) -> Self {
        Segments { workers, source, layout, checks, runs, pending: VecDeque::new() }
    }

    /// Returns the next run, or `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Decoded>> {
        while !self.runs.is_empty() {
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
        match done.recv() {
            Ok(decoded) => decoded.map(Some),
            Err(_) => {
                self.workers.check()?;
                Err(Error::new(ErrorKind::Internal, "read the archive"))
            }
        }
    }

    fn dispatch(&mut self, buffer: Buffer) {
        let Some(segments) = self.runs.pop_front() else {
            return;
        };
        let (done, done_out) = mpsc::sync_channel(1);
        self.pending.push_back(done_out);
        let (source, layout, checks) = (self.source.clone(), self.layout.clone(), self.checks);
        self.workers.read(move |inflater| {
            decode(&*source, &layout, checks, segments, buffer, inflater, &done);
            Ok(())
        });
    }
}

fn decode(
    source: &dyn ReadAt,
    layout: &Layout,
    checks: Checks,
    segments: Range<usize>,
    mut buffer: Buffer,
    inflater: &mut Inflater,
    done: &SyncSender<Result<Decoded>>,
) {
    let file = layout.run_in_file(&segments);
    let tar = layout.run_in_tar(&segments);
    let (len, raw_len) = ((file.end - file.start) as usize, (tar.end - tar.start) as usize);
    let mut compressed = buffer.scratch();
    if let Err(e) = source.read_at(file.start, &mut compressed.room(len + PADDING)[..len]) {
        // The operation may have ended, so that nobody receives the result.
        let _ = done.send(Err(e));
        return;
    }
    compressed.advance(len + PADDING);
    buffer.buf().room(raw_len);
    buffer.buf().advance(raw_len);
    let mut damaged = Vec::new();
    let (mut compressed_rest, mut raw_rest) = (&mut compressed[..], &mut buffer.buf()[..]);
    for i in segments.clone() {
        let segment = &layout.index.segments[i];
        let segment_len = segment.compressed_len as usize;
        let (raw, rest) = raw_rest.split_at_mut(segment.raw_len as usize);
        raw_rest = rest;
        let why = if crc32fast::hash(&compressed_rest[..segment_len]) != segment.compressed_crc32 {
            Some("the checksum of its compressed bytes is wrong")
        } else if !inflater.segment(&mut compressed_rest[..segment_len + PADDING], raw) {
            Some("it cannot be decoded")
        } else if crc32fast::hash(raw) != segment.raw_crc32
            || (checks.keys && Segment::key_of(raw) != segment.key)
        {
            Some("the checksum of its content is wrong")
        } else {
            None
        };
        damaged.extend(why.map(|why| (i, why)));
        compressed_rest = &mut compressed_rest[segment_len..];
    }
    compressed.truncate(len);
    let raw = buffer.freeze();
    let compressed = checks.keep_compressed.then_some(compressed);
    let _ = done.send(Ok(Decoded { segments, raw, compressed, damaged }));
}
