//! The one bridge between threads and futures: bytes made on a thread, awaited by a future.
//!
//! It is bounded, which is all the backpressure there is, and it ends both ways: dropping the
//! [`Inlet`] makes the thread's next [`Outlet::send`] fail; an ended thread closes the stream. The
//! end of the stream says nothing about success; only [`Inlet::finish`] does.

use bytes::Bytes;
use futures::{
    SinkExt, StreamExt,
    channel::{mpsc, oneshot},
    executor::block_on,
};

use crate::{
    error::{Error, ErrorKind, Result},
    rt::threads,
};

/// Chunks that may wait for the future, beside the one that each side holds.
const DEPTH: usize = 2;

/// The future's end.
#[derive(Debug)]
pub(crate) struct Inlet<T> {
    chunks: mpsc::Receiver<Bytes>,
    outcome: oneshot::Receiver<Result<T>>,
}

/// The thread's end.
pub(crate) struct Outlet(mpsc::Sender<Bytes>);

/// Runs `work` on a thread of its own: never on a pool that the future's writes need too.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce(Outlet) -> Result<T> + Send + 'static,
) -> Result<Inlet<T>> {
    let (chunks_in, chunks) = mpsc::channel(DEPTH);
    let (outcome_in, outcome) = oneshot::channel();
    threads::spawn("wingback", move || {
        // A panic drops `outcome_in`, and that is what `finish` then reports.
        let _ = outcome_in.send(work(Outlet(chunks_in)));
    })?;
    Ok(Inlet { chunks, outcome })
}

impl<T> Inlet<T> {
    /// The next bytes, or `None` when the thread has ended, well or not.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        self.chunks.next().await
    }

    /// Stops listening, so that the thread stops, and waits for its result.
    pub(crate) async fn finish(mut self) -> Result<T> {
        self.chunks.close();
        while self.chunks.next().await.is_some() {}
        self.outcome.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "make the archive")
                .caused_by("a thread of the engine panicked"))
        })
    }
}

impl Outlet {
    /// Hands `chunk` over, waiting until there is room; fails when nobody listens any more.
    pub(crate) fn send(&mut self, chunk: Bytes) -> Result<()> {
        block_on(self.0.send(chunk)).map_err(|_| Error::cancelled())
    }
}
