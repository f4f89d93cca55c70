//! The result of decoding, in buffers.

use std::{io, sync::mpsc::SyncSender};

use super::event::Event;
use crate::{
    error::{Error, Result},
    read::worker_pool::{Buffer, BufferSource},
};

/// Raw bytes that are returned at once: whole blocks.
const CHUNK: usize = 1 << 20;

/// Reason for stopping before the end of the file.
pub(super) enum Stop {
    Damaged(io::Error),
    Failed(Error),
}

impl From<io::Error> for Stop {
    fn from(e: io::Error) -> Self {
        Stop::Damaged(e)
    }
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Stop::Failed(e)
    }
}

/// Emits the tar stream in buffers of [`CHUNK`] bytes.
pub(super) struct Output<'a> {
    buffer: Buffer,
    buffers: &'a BufferSource,
    emit: &'a SyncSender<Result<Event>>,
}

impl<'a> Output<'a> {
    pub(super) fn new(
        buffers: &'a BufferSource,
        emit: &'a SyncSender<Result<Event>>,
    ) -> Result<Self> {
        Ok(Output { buffer: buffers.next()?, buffers, emit })
    }

    /// Returns the free part of the buffer, after emitting a full one.
    pub(super) fn room(&mut self) -> Result<&mut [u8]> {
        if self.buffer.buf().len() == CHUNK {
            self.send()?;
        }
        let len = self.buffer.buf().len();
        Ok(self.buffer.buf().room(CHUNK - len))
    }

    /// Adds the first bytes of the free part.
    pub(super) fn advance(&mut self, n: usize) {
        self.buffer.buf().advance(n);
    }

    pub(super) fn send(&mut self) -> Result<()> {
        let full = std::mem::replace(&mut self.buffer, self.buffers.next()?);
        self.emit.send(Ok(Event::Data(full.freeze()))).map_err(|_| Error::cancelled())
    }
}
