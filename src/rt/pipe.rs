//! The only pipe between threads and futures: a thread sends bytes, and a future awaits them.
//!
//! It is bounded, and this is the only backpressure. Both sides can end it: when the [`ByteReceiver`] is
//! dropped, the thread's next [`ByteSender::send`] fails; when the thread ends, the stream ends. The end
//! of the stream does not mean success; only the result of [`ByteReceiver::finish`] does.

use std::{fs::File, sync::Arc};

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

/// The chunks that can be queued, in addition to the one that each side holds.
const DEPTH: usize = 2;

/// Bytes on their way to the future.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    /// A file that has the same bytes at this offset.
    pub(crate) copy_of: Option<(Arc<File>, u64)>,
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Chunk { bytes, copy_of: None }
    }
}

impl Chunk {
    /// Splits the first `n` bytes off.
    pub(crate) fn split_to(&mut self, n: usize) -> Chunk {
        let first = Chunk { bytes: self.bytes.split_to(n), copy_of: self.copy_of.clone() };
        if let Some((_, at)) = &mut self.copy_of {
            *at += n as u64;
        }
        first
    }
}

/// The end of the pipe for the future.
#[derive(Debug)]
pub(crate) struct ByteReceiver<T> {
    chunks: mpsc::Receiver<Chunk>,
    result: oneshot::Receiver<Result<T>>,
}

/// The end of the pipe for the thread.
pub(crate) struct ByteSender(mpsc::Sender<Chunk>);

/// Runs `work` on a thread of its own. It does not use a thread pool, since the future's writes may need
/// the threads of that pool.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl FnOnce(ByteSender) -> Result<T> + Send + 'static,
) -> Result<ByteReceiver<T>> {
    let (chunk_sender, chunks) = mpsc::channel(DEPTH);
    let (result_sender, result) = oneshot::channel();
    threads::spawn("wingback", move || {
        // A panic drops `result_sender`, and `finish` reports it.
        let _ = result_sender.send(work(ByteSender(chunk_sender)));
    })?;
    Ok(ByteReceiver { chunks, result })
}

impl<T> ByteReceiver<T> {
    /// Returns the next bytes, or `None` when the thread has ended, with or without success.
    pub(crate) async fn next(&mut self) -> Option<Chunk> {
        self.chunks.next().await
    }

    /// Closes the pipe, so that the thread stops, and waits for its result.
    pub(crate) async fn finish(mut self) -> Result<T> {
        self.chunks.close();
        while self.chunks.next().await.is_some() {}
        self.result.await.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "make the archive")
                .caused_by("a thread of the engine panicked"))
        })
    }
}

impl ByteSender {
    /// Sends `chunk`, and waits while the pipe is full. Fails if the receiver was closed or dropped.
    pub(crate) fn send(&mut self, chunk: impl Into<Chunk>) -> Result<()> {
        block_on(self.0.send(chunk.into())).map_err(|_| Error::cancelled())
    }
}
