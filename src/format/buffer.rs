//! Memory that is used again and again.

use std::sync::{Arc, Mutex, PoisonError};

/// Bytes in memory that stays initialised when it is used again, so that a read or an encoder can
/// write into it without its being zeroed first.
#[derive(Debug, Default)]
pub(crate) struct Buf {
    memory: Vec<u8>,
    len: usize,
}

impl Buf {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// `n` bytes behind the end, with anything in them, to be kept by [`advance`](Buf::advance).
    pub(crate) fn room(&mut self, n: usize) -> &mut [u8] {
        let end = self.len + n;
        if end > self.memory.len() {
            let grown = end.next_multiple_of(256 << 10);
            self.memory.reserve_exact(grown - self.memory.len());
            self.memory.resize(grown, 0);
        }
        &mut self.memory[self.len..end]
    }

    /// Keeps the first `n` bytes of the room.
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

/// Memory that waits for its next use. It never holds more than was in use at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool(Arc<Mutex<Vec<Buf>>>);

impl Pool {
    /// An empty buffer, which comes back here when it is dropped.
    pub(crate) fn take(&self) -> Pooled {
        let buf = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Pooled { buf: buf.unwrap_or_default(), pool: self.clone() }
    }
}

/// A buffer of a [`Pool`].
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
