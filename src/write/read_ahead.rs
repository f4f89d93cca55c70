//! Reads the previous archive ahead of the walk: most of it is copied, in its order.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Receiver, SyncSender},
    },
};

use bytes::Bytes;

use crate::{
    format::{
        buffer::{Pool, Pooled},
        index::Segment,
    },
    read::inflate::Inflater,
    rt::threads,
    write::previous::PreviousArchive,
};

/// Bytes that are read at once, and handed over at once.
pub(crate) const CHUNK: usize = 768 << 10;

/// Encoded segments in a row, in few pieces.
#[derive(Default)]
pub(crate) struct Copies {
    runs: Vec<(Bytes, Range<usize>)>,
    pub(crate) segments: Vec<Segment>,
    len: usize,
}

impl Copies {
    /// Bytes of them.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn push(&mut self, chunk: &Bytes, place: Range<usize>, segment: Segment) {
        self.len += place.len();
        self.segments.push(segment);
        match self.runs.last_mut() {
            Some((last, run)) if last.as_ptr() == chunk.as_ptr() && run.end == place.start => {
                run.end = place.end;
            }
            _ => self.runs.push((chunk.clone(), place)),
        }
    }

    /// Takes the last segment out again.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let len = self.segments.pop()?.compressed_len as usize;
        self.len -= len;
        let (chunk, run) = self.runs.last_mut()?;
        let last = chunk.slice(run.end - len..run.end);
        run.end -= len;
        if run.start == run.end {
            self.runs.pop();
        }
        Some(last)
    }

    /// Their bytes, in order.
    pub(crate) fn into_runs(self) -> impl Iterator<Item = Bytes> {
        self.runs.into_iter().map(|(chunk, run)| chunk.slice(run))
    }
}

/// Copies segments, by a thread that reads and looks at them before they are asked for.
pub(crate) struct ReadAhead {
    stock: Arc<PreviousArchive>,
    pool: Pool,
    /// The first segment that may still be asked for, in order.
    wanted: Arc<AtomicUsize>,
    chunks: Option<Receiver<Chunk>>,
    current: Option<Chunk>,
    inflater: Inflater,
}

struct Chunk {
    first: usize,
    bytes: Bytes,
    /// Where each lies, if it is good.
    places: Vec<Option<Range<usize>>>,
}

impl ReadAhead {
    pub(crate) fn new(stock: Arc<PreviousArchive>, pool: Pool) -> Self {
        ReadAhead {
            stock,
            pool,
            wanted: Arc::default(),
            chunks: None,
            current: None,
            inflater: Inflater::new(),
        }
    }

    /// Appends a segment; false, with nothing appended, where it is damaged.
    pub(crate) fn copy(&mut self, i: usize, to: &mut Copies) -> bool {
        let segment = *self.stock.segment(i);
        if let Some((chunk, place)) = self.read_already(i) {
            to.push(&chunk, place, segment);
            return true;
        }
        let mut alone = self.pool.take();
        let is_good = self.stock.copy(i, &mut self.inflater, &mut alone);
        if is_good {
            let alone = Bytes::from_owner(alone);
            to.push(&alone, 0..alone.len(), segment);
        }
        is_good
    }

    /// Where it lies, unless it was passed already or is not good.
    fn read_already(&mut self, i: usize) -> Option<(Bytes, Range<usize>)> {
        loop {
            if let Some(chunk) = &self.current {
                let place = chunk.places.get(i.checked_sub(chunk.first)?);
                if let Some(place) = place {
                    return place.clone().map(|place| (chunk.bytes.clone(), place));
                }
            }
            self.wanted.fetch_max(i, Relaxed);
            if self.chunks.is_none() {
                let (chunks, receiver) = mpsc::sync_channel(1);
                let (stock, pool, wanted) =
                    (self.stock.clone(), self.pool.clone(), self.wanted.clone());
                let read = move || read(&stock, &pool, &wanted, &chunks);
                threads::spawn("wingback-ahead", read).ok()?;
                self.chunks = Some(receiver);
            }
            self.current = Some(self.chunks.as_ref()?.recv().ok()?);
        }
    }
}

/// The thread: until nobody asks any more.
fn read(stock: &PreviousArchive, pool: &Pool, wanted: &AtomicUsize, chunks: &SyncSender<Chunk>) {
    let mut inflater = Inflater::new();
    let mut first = 0;
    loop {
        first = wanted.load(Relaxed).max(first);
        if first >= stock.segments() {
            return;
        }
        let mut bytes: Pooled = pool.take();
        let places = stock.read(first, CHUNK as u64, &mut inflater, &mut bytes);
        let next = first + places.len();
        if chunks.send(Chunk { first, bytes: Bytes::from_owner(bytes), places }).is_err() {
            return;
        }
        first = next;
    }
}
