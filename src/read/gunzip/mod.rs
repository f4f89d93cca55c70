//! Decodes the tar stream of any `.tar.gz` file from its start: one gzip member or many.

mod event;
mod input;
mod output;

use std::{
    io::{self, Read},
    sync::mpsc::{self, Receiver, SyncSender},
};

use flate2::bufread::GzDecoder;

pub(crate) use self::event::Event;
use self::{
    event::{Ending, Tail},
    input::{Input, Observer, panicked},
    output::{Output, Stop},
};
use super::{
    index::COPY_MAX,
    input::Chunks,
    worker_pool::{BufferSource, WorkerPool},
};
use crate::{error::Result, rt::threads};

/// A tar stream that a separate thread decodes. The thread ends soon after this is dropped.
pub(crate) struct Gunzip(Receiver<Result<Event>>);

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

    /// Returns the next event. No event follows an error, [`Event::Damaged`] or [`Event::End`].
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
