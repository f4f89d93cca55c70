//! Reads the previous archive ahead of the walk. Most segments are copied, in their order.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, SyncSender},
    },
};

use bytes::Bytes;

use super::{
    archive::PreviousArchive,
    copies::{CHUNK, CopiedSegment},
};
use crate::{
    format::{
        buffer::{Pool, Pooled},
        index::LocatedSegment,
    },
    read::inflate::Inflater,
    rt::threads,
};

/// Copies segments. A separate thread reads and checks them in advance.
pub(super) struct ReadAhead {
    previous: Arc<PreviousArchive>,
    pool: Pool,
    /// The first segment that may still be needed, in order.
    needed: Arc<AtomicU64>,
    chunks: Option<Receiver<Chunk>>,
    current: Option<Chunk>,
    inflater: Inflater,
}

struct Chunk {
    first: u64,
    bytes: Bytes,
    /// Range of each segment in `bytes`; `None` if it is damaged.
    ranges: Vec<Option<Range<usize>>>,
}

impl ReadAhead {
    pub(super) fn new(previous: Arc<PreviousArchive>, pool: Pool) -> Self {
        ReadAhead {
            previous,
            pool,
            needed: Arc::default(),
            chunks: None,
            current: None,
            inflater: Inflater::new(),
        }
    }

    /// Copies a segment. Returns `None` if it is damaged.
    pub(super) fn copy(&mut self, segment: &LocatedSegment) -> Option<CopiedSegment> {
        let segment = *segment;
        if let Some((chunk, range)) = self.read_in_advance(segment.number) {
            return Some(CopiedSegment { chunk, range, segment });
        }
        let mut bytes = self.pool.take();
        let is_good = self.previous.copy(&segment, &mut self.inflater, &mut bytes);
        is_good.then(|| {
            let chunk = Bytes::from_owner(bytes);
            let range = 0..chunk.len();
            CopiedSegment { chunk, range, segment }
        })
    }

    /// Returns the range of a segment in its chunk. Returns `None` if the thread is already past this
    /// segment, or if the segment is damaged.
    fn read_in_advance(&mut self, number: u64) -> Option<(Bytes, Range<usize>)> {
        loop {
            if let Some(chunk) = &self.current {
                let i = number.checked_sub(chunk.first)?;
                let range = chunk.ranges.get(usize::try_from(i).ok()?);
                if let Some(range) = range {
                    return range.clone().map(|range| (chunk.bytes.clone(), range));
                }
            }
            self.needed.fetch_max(number, Relaxed);
            if self.chunks.is_none() {
                let (chunks, receiver) = mpsc::sync_channel(1);
                let (previous, pool, needed) =
                    (self.previous.clone(), self.pool.clone(), self.needed.clone());
                let read = move || read(&previous, &pool, &needed, &chunks);
                threads::spawn("wingback-ahead", read).ok()?;
                self.chunks = Some(receiver);
            }
            self.current = Some(self.chunks.as_ref()?.recv().ok()?);
        }
    }
}

/// The thread. It ends after the last segment, or when the receiver is dropped.
fn read(previous: &PreviousArchive, pool: &Pool, needed: &AtomicU64, chunks: &SyncSender<Chunk>) {
    let mut inflater = Inflater::new();
    let mut first = 0;
    loop {
        first = needed.load(Relaxed).max(first);
        if first >= previous.segments() {
            return;
        }
        let mut bytes: Pooled = pool.take();
        let ranges = previous.read(first, CHUNK as u64, &mut inflater, &mut bytes);
        if ranges.is_empty() {
            return;
        }
        let next = first + ranges.len() as u64;
        if chunks.send(Chunk { first, bytes: Bytes::from_owner(bytes), ranges }).is_err() {
            return;
        }
        first = next;
    }
}
