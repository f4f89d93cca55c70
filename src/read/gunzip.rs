//! Decodes the tar stream of any `.tar.gz` file from its start: one gzip member or many.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc::{self, Receiver, SyncSender},
};

use bytes::{Buf, Bytes};
use flate2::bufread::GzDecoder;

use super::{
    input::Chunks,
    worker_pool::{Buffer, BufferSource, SharedBuffer, WorkerPool},
};
use crate::{
    error::{Error, ErrorKind, Result},
    rt::threads,
};

/// Raw bytes that are returned at once: whole blocks.
const CHUNK: usize = 1 << 20;

/// Maximum bytes that are kept of members that may be an index.
const TAIL_MAX: usize = 256 << 20;

/// Bytes of an empty member with the longest extra field. A longer member is not part of an index.
const MEMBER_MAX: usize = (64 << 10) + 32;

/// Function that is called with the bytes of the file, in order.
type Observer = Box<dyn FnMut(&[u8]) + Send>;

/// A tar stream that a separate thread decodes. The thread ends soon after this is dropped.
pub(crate) struct Gunzip(Receiver<Result<Event>>);

/// The next result of decoding.
pub(crate) enum Event {
    /// Bytes of the tar stream: whole blocks, except before the end or damage.
    Data(SharedBuffer),
    /// The file is damaged from here on, with the reason.
    Damaged(String),
    /// The file has ended without damage.
    End(Ending),
}

/// Information that is known at the end of the file.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The empty members with an extra field at the end of the file, which may be an index.
    pub(crate) tail: Vec<u8>,
    /// Length of the file.
    pub(crate) len: u64,
}

impl Gunzip {
    /// Starts the thread. It calls `observe` with every byte of the file, in order.
    pub(crate) fn start(
        chunks: Box<dyn Chunks>,
        workers: &WorkerPool,
        observe: Observer,
    ) -> Result<Self> {
        let buffers = workers.buffer_source();
        let (emit, events) = mpsc::sync_channel(1);
        threads::spawn("wingback-gunzip", move || {
            let input = Input {
                chunks,
                observe,
                chunk: Bytes::new(),
                consumed: 0,
                kept: None,
                failed: None,
            };
            let last = decode(input, &buffers, &emit);
            // The operation may have ended, so that nobody receives the result.
            let _ = emit.send(last);
        })?;
        Ok(Gunzip(events))
    }

    /// Returns the next event. After an error, [`Event::Damaged`] or [`Event::End`] there is none.
    pub(crate) fn next(&mut self) -> Result<Event> {
        self.0.recv().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "read the archive").caused_by("a thread panicked"))
        })
    }
}

/// Emits all events except the last, which it returns.
fn decode(
    mut input: Input,
    buffers: &BufferSource,
    emit: &SyncSender<Result<Event>>,
) -> Result<Event> {
    let mut out = buffers.next()?;
    let mut tail = Vec::new();
    let send = |buffer: &mut Buffer| {
        let full = std::mem::replace(buffer, buffers.next()?);
        emit.send(Ok(Event::Data(full.freeze()))).map_err(|_| Error::cancelled())
    };
    let mut is_first = true;
    let damage = loop {
        let start = match input.peek(4) {
            Ok(start) => start,
            Err(e) => break e,
        };
        match start {
            [] if !is_first => {
                send(&mut out)?;
                return Ok(Event::End(Ending { tail, len: input.consumed }));
            }
            [0x1f, 0x8b, ..] => {}
            // Some tools pad the file with zeros to a whole block of their medium.
            [0, ..] if !is_first => match input.skip_zeros() {
                Ok(()) => continue,
                Err(e) => break e,
            },
            _ if is_first => break io::Error::other("it is not a gzip file"),
            _ => break io::Error::other("there are other bytes after its end"),
        }
        is_first = false;
        let may_be_index = start == [0x1f, 0x8b, 8, 4];
        input.kept = may_be_index.then(Vec::new);
        let mut decoder = GzDecoder::new(input);
        let mut is_empty = true;
        let end = loop {
            let len = out.buf().len();
            if len == CHUNK {
                send(&mut out)?;
                continue;
            }
            match decoder.read(out.buf().room(CHUNK - len)) {
                Ok(0) => break None,
                Ok(n) => {
                    out.buf().advance(n);
                    if is_empty {
                        is_empty = false;
                        decoder.get_mut().kept = None;
                        tail.clear();
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Some(e),
            }
        };
        input = decoder.into_inner();
        if let Some(e) = end {
            break e;
        }
        match input.kept.take() {
            Some(member) if tail.len() + member.len() <= TAIL_MAX => tail.extend(member),
            _ => tail.clear(),
        }
    };
    if let Some(error) = input.failed.take() {
        return Err(error);
    }
    send(&mut out)?;
    Ok(Event::Damaged(match damage.kind() {
        io::ErrorKind::UnexpectedEof => "it is truncated".into(),
        _ => damage.to_string(),
    }))
}

/// Reads the file for the decoder.
struct Input {
    chunks: Box<dyn Chunks>,
    observe: Observer,
    chunk: Bytes,
    /// Bytes that the decoder has consumed.
    consumed: u64,
    /// Bytes that were consumed since this was set. `None` if they are not needed.
    kept: Option<Vec<u8>>,
    /// Error of the source, which is not damage of the file.
    failed: Option<Error>,
}

impl Input {
    /// Reads the next chunk, which is empty at the end.
    fn more(&mut self) -> io::Result<Bytes> {
        match self.chunks.next() {
            Ok(chunk) => {
                let chunk = chunk.unwrap_or_default();
                (self.observe)(&chunk);
                Ok(chunk)
            }
            Err(e) => {
                let error = io::Error::other(e.to_string());
                self.failed = Some(e);
                Err(error)
            }
        }
    }

    /// Returns the next `n` bytes, or all remaining ones, without consuming them.
    fn peek(&mut self, n: usize) -> io::Result<&[u8]> {
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
