//! The bytes of a gzip file, read a little ahead of the decoder.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc::{self, Receiver},
};

use bytes::{Buf, Bytes};

use crate::{
    error::{Error, ErrorKind, Result},
    read::input::Chunks,
    rt::threads,
};

/// Chunks of the file that are read ahead of the decoder.
const AHEAD: usize = 2;

/// Bytes of an empty member with the longest extra field. A longer member is not part of an index.
const MEMBER_MAX: usize = (64 << 10) + 32;

/// Function that is called with the bytes of the file, in order.
pub(super) type Observer = Box<dyn FnMut(&[u8]) + Send>;

/// The bytes of the file. A separate thread reads and observes them a little ahead of the decoder, which needs most
/// of the time. The thread ends soon after this is dropped.
struct Ahead {
    read: Receiver<Result<Bytes>>,
    is_at_end: bool,
}

impl Ahead {
    fn start(mut chunks: Box<dyn Chunks>, mut observe: Observer) -> Result<Self> {
        let (emit, read) = mpsc::sync_channel(AHEAD);
        threads::spawn("wingback-ahead", move || {
            loop {
                let chunk = chunks.next().map(Option::unwrap_or_default);
                chunk.iter().for_each(|chunk| observe(chunk));
                let is_last = chunk.as_ref().map_or(true, Bytes::is_empty);
                // The decoder may have ended before the file.
                if emit.send(chunk).is_err() || is_last {
                    return;
                }
            }
        })?;
        Ok(Ahead { read, is_at_end: false })
    }

    /// Returns the next chunk, which is empty at the end.
    fn next(&mut self) -> Result<Bytes> {
        if self.is_at_end {
            return Ok(Bytes::new());
        }
        let chunk = self.read.recv().unwrap_or_else(|_| Err(panicked()))?;
        self.is_at_end = chunk.is_empty();
        Ok(chunk)
    }
}

/// Reads the file for the decoder.
pub(super) struct Input {
    chunks: Ahead,
    chunk: Bytes,
    /// Bytes that the decoder has consumed.
    pub(super) consumed: u64,
    /// Bytes that were consumed since this was set. `None` if they are not needed.
    pub(super) kept: Option<Vec<u8>>,
    /// Error of the source, which is not damage of the file.
    pub(super) failed: Option<Error>,
}

impl Input {
    /// Starts to read. `observe` is called with every byte of the file, in order.
    pub(super) fn start(chunks: Box<dyn Chunks>, observe: Observer) -> Result<Self> {
        let chunks = Ahead::start(chunks, observe)?;
        Ok(Input { chunks, chunk: Bytes::new(), consumed: 0, kept: None, failed: None })
    }

    /// Reads the next chunk, which is empty at the end.
    fn more(&mut self) -> io::Result<Bytes> {
        match self.chunks.next() {
            Ok(chunk) => Ok(chunk),
            Err(e) => {
                let error = io::Error::other(e.to_string());
                self.failed = Some(e);
                Err(error)
            }
        }
    }

    /// Returns the next `n` bytes, or all remaining ones, without consuming them.
    pub(super) fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
        while self.chunk.len() < n {
            let more = self.more()?;
            if more.is_empty() {
                break;
            }
            self.chunk = if self.chunk.is_empty() {
                more
            } else {
                [&self.chunk[..], &more[..]].concat().into()
            };
        }
        Ok(&self.chunk[..n.min(self.chunk.len())])
    }

    /// Returns whether a member begins here, or the file ends.
    pub(super) fn has_member(&mut self, is_first: bool) -> io::Result<bool> {
        match self.peek(4)? {
            [0x1f, 0x8b, ..] => Ok(true),
            _ if is_first => Err(io::Error::other("it is not a gzip file")),
            [] => Ok(false),
            // Some tools pad the file with zeros to a whole block of their medium.
            [0, ..] => self.skip_zeros().map(|()| false),
            _ => Err(io::Error::other("there are other bytes after its end")),
        }
    }

    /// Skips zeros up to the end of the file. Other bytes after them are an error.
    fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.fill_buf()?;
            let zeros = chunk.iter().take_while(|&&b| b == 0).count();
            if zeros < chunk.len() {
                return Err(io::Error::other("there are other bytes after its end"));
            }
            if zeros == 0 {
                return Ok(());
            }
            self.consume(zeros);
        }
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.chunk.is_empty() {
            self.chunk = self.more()?;
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, n: usize) {
        self.kept = self.kept.take().filter(|kept| kept.len() + n <= MEMBER_MAX);
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&self.chunk[..n]);
        }
        self.consumed += n as u64;
        self.chunk.advance(n);
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(out)?;
        self.consume(n);
        Ok(n)
    }
}

pub(super) fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "read the archive").caused_by("a thread panicked")
}
