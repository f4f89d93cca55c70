//! Files on their way to the disk: written by the workers while the archive is read on.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::unpack::{Attributes, NewFile, OverwritePolicy, Unpacker},
    ops::extractor::names::Name,
    read::worker_pool::{SharedBuffer, WorkerPool},
};

/// Batches that may be on their way at once. Empty files hold no memory that would bound them.
const BATCHES: usize = 256;

/// The file whose content comes.
pub(super) struct Current {
    pub(super) name: Name,
    pub(super) path: Vec<u8>,
    pub(super) size: u64,
    pub(super) meta: Attributes,
    pub(super) existing: OverwritePolicy,
    pub(super) parts: Vec<Part>,
    /// Open already, since its content spans stretches.
    pub(super) file: Option<Arc<OpenFile>>,
}

/// A piece of content.
pub(super) struct Part {
    pub(super) raw: SharedBuffer,
    pub(super) range: Range<usize>,
    pub(super) offset: u64,
}

/// A file that several tasks write to. The last one finishes it, if all of it came.
pub(super) struct OpenFile {
    name: Name,
    path: Vec<u8>,
    file: NewFile,
    is_complete: AtomicBool,
    /// Dropped once it is finished.
    ticket: Arc<()>,
}

/// A file that was taken up and could not be written, for a reason that is its own.
pub(super) struct Refused {
    pub(super) name: Name,
    pub(super) path: Vec<u8>,
    pub(super) size: u64,
    pub(super) why: Error,
}

enum Write {
    Whole(Current),
    Part(Arc<OpenFile>, Part),
    /// All parts are on their way.
    Done(Arc<OpenFile>),
}

/// What the workers share.
struct Shared {
    unpacker: Arc<Unpacker>,
    /// Where a file that cannot be used must not end the extraction.
    refused: Option<Mutex<Vec<Refused>>>,
}

/// Hands files to the workers, and knows which are not written yet.
pub(super) struct Writes<'a> {
    crew: &'a WorkerPool,
    shared: Arc<Shared>,
    batch: Vec<Write>,
    /// The files that the batch finishes.
    names: Vec<Name>,
    /// What is on its way: a ticket that the workers drop once it is done, and its files.
    sent: VecDeque<(Arc<()>, Vec<Name>)>,
}

impl<'a> Writes<'a> {
    pub(super) fn new(crew: &'a WorkerPool, unpacker: Arc<Unpacker>, is_lenient: bool) -> Self {
        let refused = is_lenient.then(Mutex::default);
        let shared = Arc::new(Shared { unpacker, refused });
        Writes { crew, shared, batch: Vec::new(), names: Vec::new(), sent: VecDeque::new() }
    }

    /// Opens the file if it is not open, and takes up the parts that have come. False if the file is
    /// refused.
    pub(super) fn begin(&mut self, current: &mut Current) -> Result<bool> {
        let file = match &current.file {
            Some(file) => file.clone(),
            None => match OpenFile::open(&self.shared.unpacker, current) {
                Ok(file) => {
                    self.sent.push_back((file.ticket.clone(), vec![file.name]));
                    current.file.insert(Arc::new(file)).clone()
                }
                Err(why) => {
                    let (name, path) = (current.name, current.path.clone());
                    self.shared.refuse(Refused { name, path, size: current.size, why })?;
                    return Ok(false);
                }
            },
        };
        let parts = current.parts.drain(..);
        self.batch.extend(parts.map(|part| Write::Part(file.clone(), part)));
        Ok(true)
    }

    /// Takes up a file whose content has come.
    pub(super) fn end(&mut self, mut current: Current) {
        match current.file.take() {
            None => {
                self.names.push(current.name);
                self.batch.push(Write::Whole(current));
            }
            Some(file) => {
                file.is_complete.store(true, SeqCst);
                let parts = current.parts.into_iter();
                self.batch.extend(parts.map(|part| Write::Part(file.clone(), part)));
                self.batch.push(Write::Done(file));
            }
        }
    }

    /// Hands what has come together to a worker.
    pub(super) fn send(&mut self) -> Result<()> {
        while self.sent.front().is_some_and(|(ticket, _)| Arc::strong_count(ticket) == 1) {
            self.sent.pop_front();
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        if self.sent.len() >= BATCHES {
            self.crew.drain()?;
            self.sent.clear();
        }
        let ticket = Arc::new(());
        self.sent.push_back((ticket.clone(), std::mem::take(&mut self.names)));
        let (shared, batch) = (self.shared.clone(), std::mem::take(&mut self.batch));
        self.crew.write(move || {
            let done = batch.into_iter().try_for_each(|write| write.run(&shared));
            drop(ticket);
            done
        });
        Ok(())
    }

    /// Waits until the file of that name is written, if one is on its way.
    pub(super) fn wait_for(&mut self, name: Name) -> Result<()> {
        let is_sent = |(ticket, names): &(Arc<()>, Vec<Name>)| {
            names.contains(&name) && Arc::strong_count(ticket) > 1
        };
        if self.names.contains(&name) || self.sent.iter().any(is_sent) {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits until all files are written.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.send()?;
        self.crew.drain()?;
        self.sent.clear();
        Ok(())
    }

    /// The files that were refused since the last call.
    pub(super) fn refused(&self) -> Vec<Refused> {
        let refused = self.shared.refused.as_ref();
        refused.map_or_else(Vec::new, |refused| {
            std::mem::take(&mut *refused.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}

impl Shared {
    /// Remembers a file that cannot be used, or fails with what is wrong.
    fn refuse(&self, file: Refused) -> Result<()> {
        match &self.refused {
            Some(refused) if file.why.kind() == ErrorKind::InvalidInput => {
                refused.lock().unwrap_or_else(PoisonError::into_inner).push(file);
                Ok(())
            }
            _ => Err(file.why),
        }
    }
}

impl Write {
    fn run(self, shared: &Shared) -> Result<()> {
        match self {
            Write::Whole(file) => file.write(&shared.unpacker).or_else(|why| {
                let Current { name, path, size, .. } = file;
                shared.refuse(Refused { name, path, size, why })
            }),
            Write::Part(file, part) => {
                file.file.write_at(part.offset, &part.raw[part.range])?;
                OpenFile::close(file, shared)
            }
            Write::Done(file) => OpenFile::close(file, shared),
        }
    }
}

impl Current {
    fn write(&self, unpacker: &Unpacker) -> Result<()> {
        let file = unpacker.file(&self.path, self.size, &self.meta, self.existing)?;
        for part in &self.parts {
            file.write_at(part.offset, &part.raw[part.range.clone()])?;
        }
        file.finish()
    }
}

impl OpenFile {
    fn open(unpacker: &Unpacker, current: &Current) -> Result<Self> {
        let Current { name, ref path, size, ref meta, existing, .. } = *current;
        Ok(OpenFile {
            name,
            path: path.clone(),
            file: unpacker.file(path, size, meta, existing)?,
            is_complete: AtomicBool::new(false),
            ticket: Arc::new(()),
        })
    }

    /// Finishes the file if this was its last user.
    fn close(file: Arc<OpenFile>, shared: &Shared) -> Result<()> {
        let Some(OpenFile { name, path, file, is_complete, ticket }) = Arc::into_inner(file) else {
            return Ok(());
        };
        let size = file.size;
        let done = match is_complete.load(SeqCst) {
            true => file.finish(),
            false => {
                drop(file);
                Ok(())
            }
        };
        let done = done.or_else(|why| shared.refuse(Refused { name, path, size, why }));
        drop(ticket);
        done
    }
}
