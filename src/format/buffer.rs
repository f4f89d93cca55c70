//! Reusable byte buffers.

use std::sync::{Arc, Mutex, PoisonError};

/// The length that a buffer has at first. A buffer that grows leaves holes in the heap. The kernel provides only the
/// pages that are used.
const FIRST_LEN: usize = 5 << 18;

/// A byte buffer whose memory stays initialized when it is reused.
///
/// So a read or an encoder can write into it without zeroing it first.
#[derive(Debug, Default)]
pub(crate) struct Buf {
    memory: Vec<u8>,
    len: usize,
}

impl Buf {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns `n` bytes of unspecified content after the end. [`advance`](Buf::advance) keeps them.
    pub(crate) fn room(&mut self, n: usize) -> &mut [u8] {
        let end = self.len + n;
        if end > self.memory.len() {
            let grown = end.max(FIRST_LEN).next_multiple_of(256 << 10);
            if self.memory.is_empty() {
                self.memory = vec![0; grown];
            } else {
                self.memory.reserve_exact(grown - self.memory.len());
                self.memory.resize(grown, 0);
            }
        }
        &mut self.memory[self.len..end]
    }

    /// Appends the first `n` bytes that were written into [`room`](Buf::room).
    pub(crate) fn advance(&mut self, n: usize) {
        self.len = (self.len + n).min(self.memory.len());
    }

    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    pub(crate) fn zeros(&mut self, n: usize) {
        self.room(n).fill(0);
        self.advance(n);
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl std::ops::Deref for Buf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[..self.len]
    }
}

impl std::ops::DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[..self.len]
    }
}

/// A pool of unused buffers. It never holds more buffers than were in use at the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Buf>>>);

impl Pool {
    /// Returns an empty buffer, which returns to the pool when it is dropped.
    pub(crate) fn take(&self) -> Pooled {
        let buf = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Pooled { buf: buf.unwrap_or_default(), pool: self.clone() }
    }
}

/// A buffer that belongs to a [`Pool`].
#[derive(Debug)]
pub(crate) struct Pooled {
    buf: Buf,
    pool: Pool,
}

impl std::ops::Deref for Pooled {
    type Target = Buf;

    fn deref(&self) -> &Buf {
        &self.buf
    }
}

impl std::ops::DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Buf {
        &mut self.buf
    }
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buf
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut buf = std::mem::take(&mut self.buf);
        buf.truncate(0);
        self.pool.0.lock().unwrap_or_else(PoisonError::into_inner).push(buf);
    }
}
