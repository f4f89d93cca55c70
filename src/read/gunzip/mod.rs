//! Decodes the tar stream of any `.tar.gz` file from its start: one gzip member or many.

mod input;
mod output;

use std::{
    io::{self, Read},
    sync::mpsc::{self, Receiver, SyncSender},
};

use flate2::bufread::GzDecoder;

use self::{
    input::{Input, Observer, panicked},
    output::{Output, Stop},
};
use super::{
    index::{COPY_MAX, Index},
    input::Chunks,
    worker_pool::{BufferSource, SharedBuffer, WorkerPool},
};
use crate::{
    error::Result,
    format::index::{FOOTER_LEN, begins_index},
    fs::spill::Spill,
    rt::threads,
};

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
        let input = Input::start(chunks, observe)?;
        let (emit, events) = mpsc::sync_channel(1);
        threads::spawn("wingback-gunzip", move || {
            let last = decode(input, &buffers, &emit);
            // The operation may have ended, so that nobody receives the result.
            let _ = emit.send(last);
        })?;
        Ok(Gunzip(events))
    }

    /// Returns the next event. After an error, [`Event::Damaged`] or [`Event::End`] there is none.
    pub(crate) fn next(&mut self) -> Result<Event> {
        self.0.recv().unwrap_or_else(|_| Err(panicked()))
    }
}

/// Emits all events except the last, which it returns.
fn decode(
    mut input: Input,
    buffers: &BufferSource,
    emit: &SyncSender<Result<Event>>,
) -> Result<Event> {
    let mut output = Output::new(buffers, emit)?;
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
        output.advance(n);
        // A member with content is not part of an index.
        decoder.get_mut().kept = None;
    }
    match input.kept.take() {
        Some(member) if tail.len() + member.len() as u64 <= COPY_MAX => tail.add(member)?,
        _ => *tail = Tail::default(),
    }
    Ok(())
}
