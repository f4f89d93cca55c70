//! The tar stream of any `.tar.gz`, read from its start: one gzip member or many.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc::{self, Receiver, SyncSender},
};

use bytes::{Buf, Bytes};
use flate2::bufread::GzDecoder;

use crate::{
    error::{Error, ErrorKind, Result},
    read::{
        Chunks,
        worker_pool::{BufferPermits, SharedBuffer, WorkerPool},
    },
    rt::threads,
};

/// Bytes of tar that are handed on at once: whole blocks.
const STRETCH: usize = 1 << 20;

/// Most bytes that are kept of what may be an index.
const TAIL_MAX: usize = 256 << 20;

/// Bytes of a member with the longest extra field and no content: what is longer is no index.
const MEMBER_MAX: usize = (64 << 10) + 32;

/// Is shown the bytes of the file.
type Look = Box<dyn FnMut(&[u8]) + Send>;

/// The stream, while a thread of its own decodes it. The thread ends soon after this is dropped.
pub(crate) struct Gunzip(Receiver<Result<Stretch>>);

/// What comes next.
pub(crate) enum Stretch {
    /// Bytes of tar: whole blocks, but for the last before an end or a damage.
    SharedBuffer(SharedBuffer),
    /// The file is damaged from here on, and how.
    Damaged(String),
    /// It came to its end, well.
    End(Ending),
}

/// What is known at the end.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The empty members with an extra field that end the file, where an index may be.
    pub(crate) tail: Vec<u8>,
    /// Bytes of the whole file.
    pub(crate) len: u64,
}

impl Gunzip {
    /// Begins to decode. `look` is shown every byte of the file, in order.
    pub(crate) fn start(chunks: Box<dyn Chunks>, crew: &WorkerPool, look: Look) -> Result<Self> {
        let memory = crew.stretches();
        let (emit, stretches) = mpsc::sync_channel(1);
        threads::spawn("wingback-gunzip", move || {
            let input =
                Input { chunks, look, chunk: Bytes::new(), taken: 0, kept: None, failed: None };
            let last = decode(input, &memory, &emit);
            // Nobody listens where the operation has ended.
            let _ = emit.send(last);
        })?;
        Ok(Gunzip(stretches))
    }

    /// The next stretch. After an error, [`Stretch::Damaged`] or [`Stretch::End`] there is none.
    pub(crate) fn next(&mut self) -> Result<Stretch> {
        self.0.recv().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "read the archive").caused_by("a thread panicked"))
        })
    }
}

/// Emits all stretches but the last, which it returns.
fn decode(
    mut input: Input,
    memory: &BufferPermits,
    emit: &SyncSender<Result<Stretch>>,
) -> Result<Stretch> {
    let mut out = memory.next()?;
    let mut tail = Vec::new();
    let send = |blank: &mut crate::read::worker_pool::Buffer| {
        let full = std::mem::replace(blank, memory.next()?);
        emit.send(Ok(Stretch::SharedBuffer(full.freeze()))).map_err(|_| Error::cancelled())
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
                return Ok(Stretch::End(Ending { tail, len: input.taken }));
            }
            [0x1f, 0x8b, ..] => {}
            // Some tools fill the last block of a medium.
            [0, ..] if !is_first => match input.skip_zeros() {
                Ok(()) => continue,
                Err(e) => break e,
            },
            _ if is_first => break io::Error::other("it is no gzip file"),
            _ => break io::Error::other("there are other bytes behind its end"),
        }
        is_first = false;
        let may_be_index = start == [0x1f, 0x8b, 8, 4];
        input.kept = may_be_index.then(Vec::new);
        let mut decoder = GzDecoder::new(input);
        let mut is_empty = true;
        let end = loop {
            let len = out.buf().len();
            if len == STRETCH {
                send(&mut out)?;
                continue;
            }
            match decoder.read(out.buf().room(STRETCH - len)) {
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
    Ok(Stretch::Damaged(match damage.kind() {
        io::ErrorKind::UnexpectedEof => "it is cut off".into(),
        _ => damage.to_string(),
    }))
}

/// The file, as the decoder wants it.
struct Input {
    chunks: Box<dyn Chunks>,
    look: Look,
    chunk: Bytes,
    taken: u64,
    /// What was taken since this was set.
    kept: Option<Vec<u8>>,
    /// Why the source could not be read: no damage of the file.
    failed: Option<Error>,
}

impl Input {
    fn more(&mut self) -> io::Result<Bytes> {
        match self.chunks.next() {
            Ok(chunk) => {
                let chunk = chunk.unwrap_or_default();
                (self.look)(&chunk);
                Ok(chunk)
            }
            Err(e) => {
                let error = io::Error::other(e.to_string());
                self.failed = Some(e);
                Err(error)
            }
        }
    }

    /// The next `n` bytes, or all that are left.
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

    /// Passes over zeros; anything else behind them is an error.
    fn skip_zeros(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.fill_buf()?;
            let zeros = chunk.iter().take_while(|&&b| b == 0).count();
            if zeros < chunk.len() {
                return Err(io::Error::other("there are other bytes behind its end"));
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
        self.taken += n as u64;
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
