//! The tar stream on its way to the pipeline.

use crate::{
    entry::Entry,
    error::Result,
    format::segment::Batch,
    write::{
        pipeline::Feeder,
        previous::{CHUNK, CopiedSegment, Copies},
    },
};

/// Two batches of at most this many bytes together are joined.
const COPIED_MAX: usize = 512 << 10;

/// Collects raw bytes and copied segments, and sends them in order.
///
/// At most one of `batch` and `copies` contains something: each is sent before the other is filled. This
/// is why the fields are private.
pub(super) struct Output<'a> {
    feeder: &'a mut Feeder,
    batch: Batch,
    copies: Copies,
}

impl<'a> Output<'a> {
    pub(super) fn new(feeder: &'a mut Feeder) -> Self {
        let batch = feeder.batch();
        Output { feeder, batch, copies: Copies::default() }
    }

    /// Returns the batch for raw bytes. Sends the copied segments before them.
    pub(super) fn batch(&mut self) -> Result<&mut Batch> {
        self.send_copies()?;
        Ok(&mut self.batch)
    }

    /// Adds complete segments. Small ones are copied into the current batch, so that no worker gets a tiny
    /// batch.
    pub(super) fn add_batch(&mut self, next: Batch) -> Result<()> {
        debug_assert!(self.is_cut(), "a segment is complete before the next");
        let batch = self.batch()?;
        if batch.is_empty() {
            self.batch = next;
        } else if batch.raw.len() + next.raw.len() <= COPIED_MAX {
            batch.append(&next);
        } else {
            self.send_batch()?;
            self.batch = next;
        }
        self.send_if_full()
    }

    /// Adds a copied segment. Sends the raw bytes before it. The caller has cut them.
    pub(super) fn push(&mut self, copied: CopiedSegment) -> Result<()> {
        debug_assert!(self.is_cut(), "a segment is complete before the next");
        if !self.batch.is_empty() {
            self.send_batch()?;
        }
        if self.copies.len() >= CHUNK {
            self.send_copies()?;
        }
        self.copies.push(copied);
        Ok(())
    }

    /// Adds an entry to the index, after all its bytes.
    pub(super) fn add_entry(&mut self, entry: Entry) {
        match self.copies.segments() {
            [] => self.batch.entries.push(entry),
            _ => self.copies.add_entry(entry),
        }
    }

    /// Returns the number of raw bytes since the last cut.
    pub(super) fn open_len(&self) -> usize {
        self.batch.open_len()
    }

    /// Returns whether the next raw byte begins a segment.
    pub(super) fn is_cut(&self) -> bool {
        self.open_len() == 0
    }

    /// Ends the current segment of raw bytes, unless it is empty.
    pub(super) fn cut(&mut self) {
        self.batch.cut();
    }

    /// Sends the batch if it is large enough. The caller has cut it.
    pub(super) fn send_if_full(&mut self) -> Result<()> {
        if self.batch.is_full() { self.send_batch() } else { Ok(()) }
    }

    /// Sends everything.
    pub(super) fn finish(mut self) -> Result<()> {
        self.send_copies()?;
        self.send_batch()
    }

    fn send_batch(&mut self) -> Result<()> {
        let next = self.feeder.batch();
        self.feeder.send(std::mem::replace(&mut self.batch, next))
    }

    fn send_copies(&mut self) -> Result<()> {
        if self.copies.segments().is_empty() {
            return Ok(());
        }
        self.feeder.send_copies(std::mem::take(&mut self.copies))
    }
}
