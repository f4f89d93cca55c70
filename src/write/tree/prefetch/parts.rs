//! The parts of a large file, on their way to the writer.

use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};

use super::{
    queue::{Room, Waker},
    reader::{Failed, FoundFile, LargeFile, NextPart, ReadError, Reader},
};
use crate::error::{Error, ErrorKind};

/// Parts of a large file that are ready before the writer needs them.
const PARTS_MAX: usize = 2;

/// A file that a thread has looked at.
pub(crate) type FileResult = Result<FoundFile<Parts>, Failed>;

/// A part, and its room in the queue.
pub(super) type Prefetched = (Result<NextPart, ReadError>, Room<FileResult>);

/// The parts of a large file.
pub(crate) enum Parts {
    /// The writer reads them itself.
    Unread(Box<LargeFile>),
    /// Another thread reads them.
    Prefetched(Receiver<Prefetched>, Waker<FileResult>),
}

impl Parts {
    /// Returns the parts that another thread sends.
    pub(super) fn channel(waker: Waker<FileResult>) -> (SyncSender<Prefetched>, Self) {
        let (sender, receiver) = mpsc::sync_channel(PARTS_MAX);
        (sender, Parts::Prefetched(receiver, waker))
    }

    /// Returns the next part.
    pub(crate) fn next(&mut self, reader: &Reader<'_>) -> Result<NextPart, ReadError> {
        let (parts, waker) = match self {
            Parts::Unread(file) => return reader.next_part(file),
            Parts::Prefetched(parts, waker) => (parts, waker),
        };
        let received = match parts.try_recv() {
            Err(TryRecvError::Empty) => {
                // It may wait for room since a time when another file was the first.
                waker.wake();
                parts.recv().ok()
            }
            received => received.ok(),
        };
        let stopped = || {
            let stopped = "another thread has stopped";
            Error::new(ErrorKind::Internal, "read the source").caused_by(stopped)
        };
        received.map_or_else(|| Err(ReadError::Fatal(stopped())), |(part, _room)| part)
    }
}
