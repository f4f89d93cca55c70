//! Decodes the tar stream of any `.tar.gz` file from its start: one gzip member or many.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc::{self, Receiver, SyncSender},
};

use bytes::{Buf, Bytes};
use flate2::bufread::GzDecoder;

use super::{
    index::{COPY_MAX, Index},
    input::Chunks,
    worker_pool::{Buffer, BufferSource, SharedBuffer, WorkerPool},
};
use crate::{
    error::{Error, ErrorKind, Result},
    format::index::{FOOTER_LEN, begins_index},
    fs::spill::Spill,
    rt::threads,
};

/// Raw bytes that are returned at once: whole blocks.
const CHUNK: usize = 1 << 20;

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
    tail: Tail,
    /// Length of the file.
    len: u64,
}

impl Ending {
    /// Returns whether the file has something like an index at its end.
    pub(super) fn begins_index(&self) -> bool {
        begins_index(&self.tail.first)
    }

    /// Returns the index at the end of the file, if it is one.
    pub(super) fn index(self) -> Result<Option<Index>> {
        let Tail { members, last, .. } = self.tail;
        match last.first_chunk::<FOOTER_LEN>() {
            Some(footer) if last.len() == FOOTER_LEN => Index::in_tail(members, footer, self.len),
            _ => Ok(None),
        }
    }
}

/// Members that may be an index, and one that may be its footer.
#[derive(Debug, Default)]
struct Tail {
    /// The first bytes.
    first: Vec<u8>,
    members: Spill,
    last: Vec<u8>,
}

impl Tail {
    fn add(&mut self, member: Vec<u8>) -> Result<()> {
        if self.first.is_empty() {
            self.first = member[..member.len().min(16)].to_vec();
        }
        let before = std::mem::replace(&mut self.last, member);
        self.members.write(&before)
    }

    fn len(&self) -> u64 {
        self.members.len() + self.last.len() as u64
    }
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
    let mut output = Output { buffer: buffers.next()?, buffers, emit };
    let mut tail = Tail::default();
    let decoded = decode_members(&mut input, &mut output, &mut tail);
    // An error of the source is reported to the decoder as damage.
    if let Some(error) = input.failed.take() {
        return Err(error);
    }
    let last = match decoded {
        Ok(()) => Event::End(Ending { tail, len: input.consumed }),
        Err(Stop::Failed(e)) => return Err(e),
        Err(Stop::Damaged(e)) if e.kind() == io::ErrorKind::UnexpectedEof => {
            Event::Damaged("it is truncated".into())
        }
        Err(Stop::Damaged(e)) => Event::Damaged(e.to_string()),
    };
    output.send()?;
    Ok(last)
}

fn decode_members(input: &mut Input, output: &mut Output<'_>, tail: &mut Tail) -> Result<(), Stop> {
    let mut is_first = true;
    while input.has_member(is_first)? {
        decode_member(input, output, tail)?;
        is_first = false;
    }
    Ok(())
}

/// Decodes one member. Adds it to `tail` if it may be part of an index, and clears `tail` otherwise.
fn decode_member(input: &mut Input, output: &mut Output<'_>, tail: &mut Tail) -> Result<(), Stop> {
    let may_be_index = input.peek(4)? == [0x1f, 0x8b, 8, 4];
    input.kept = may_be_index.then(Vec::new);
    let mut decoder = GzDecoder::new(&mut *input);
    loop {
        let n = match decoder.read(output.room()?) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e.into()),
        };
        output.buffer.buf().advance(n);
        // A member with content is not part of an index.
        decoder.get_mut().kept = None;
    }
    match input.kept.take() {
        Some(member) if tail.len() + member.len() as u64 <= COPY_MAX => tail.add(member)?,
        _ => *tail = Tail::default(),
    }
    Ok(())
}

/// Reason for stopping before the end of the file.
enum Stop {
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
struct Output<'a> {
    buffer: Buffer,
    buffers: &'a BufferSource,
    emit: &'a SyncSender<Result<Event>>,
}

impl Output<'_> {
    /// Returns the free part of the buffer, after emitting a full one.
    fn room(&mut self) -> Result<&mut [u8]> {
        if self.buffer.buf().len() == CHUNK {
            self.send()?;
        }
        let len = self.buffer.buf().len();
        Ok(self.buffer.buf().room(CHUNK - len))
    }

    fn send(&mut self) -> Result<()> {
        let full = std::mem::replace(&mut self.buffer, self.buffers.next()?);
        self.emit.send(Ok(Event::Data(full.freeze()))).map_err(|_| Error::cancelled())
    }
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

    /// Returns whether a member begins here, or the file ends.
    fn has_member(&mut self, is_first: bool) -> io::Result<bool> {
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
