//! Workers write files while the leading thread reads on.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::unpack::{Attributes, MemberFile, OverwritePolicy, Unpacker},
    ops::extractor::paths::PathHash,
    read::worker_pool::{SharedBuffer, WorkerPool},
};

/// Batches that may wait or run at once. Empty files hold no buffers, so buffers do not bound them.
const BATCHES: usize = 256;

/// The file whose content the reader delivers now.
pub(super) struct Current {
    pub(super) name: PathHash,
    pub(super) path: Vec<u8>,
    pub(super) size: u64,
    pub(super) meta: Attributes,
    pub(super) existing: OverwritePolicy,
    pub(super) parts: Vec<Part>,
    /// End of the content that has come.
    pub(super) end: u64,
    /// Open already, because its content spans several stretches.
    pub(super) file: Option<Arc<OpenFile>>,
}

/// A piece of content.
pub(super) struct Part {
    raw: SharedBuffer,
    range: Range<usize>,
    offset: u64,
    /// Start of the hole before it, which is empty for most parts.
    hole: u64,
}

/// A file that several tasks write to. The last task finishes it if all of the content has come.
pub(super) struct OpenFile {
    name: PathHash,
    path: Vec<u8>,
    file: MemberFile,
    /// End of the last part, after all have come.
    end: OnceLock<u64>,
    /// Dropped after the file is finished.
    ticket: Arc<()>,
}

/// A file that could not be written because the file itself is unusable.
pub(super) struct Refused {
    pub(super) name: PathHash,
    pub(super) path: Vec<u8>,
    pub(super) size: u64,
    pub(super) why: Error,
}

enum Write {
    Whole(Current),
    Part(Arc<OpenFile>, Part),
    /// All parts have been sent.
    Done(Arc<OpenFile>),
}

/// State that the workers share.
struct Shared {
    unpacker: Arc<Unpacker>,
    /// Collects unusable files. `None` if such a file is an error.
    refused: Option<Mutex<Vec<Refused>>>,
}

/// Sends files to the workers, and tracks which are not written yet.
pub(super) struct Writes<'a> {
    pool: &'a WorkerPool,
    shared: Arc<Shared>,
    batch: Vec<Write>,
    /// The files that the batch finishes.
    batch_files: Vec<PathHash>,
    /// Batches that were sent: a ticket that the worker drops after its batch, and the files of the batch.
    sent: VecDeque<(Arc<()>, Vec<PathHash>)>,
}

impl<'a> Writes<'a> {
    pub(super) fn new(pool: &'a WorkerPool, unpacker: Arc<Unpacker>, skips_unusable: bool) -> Self {
        let refused = skips_unusable.then(Mutex::default);
        let shared = Arc::new(Shared { unpacker, refused });
        Writes { pool, shared, batch: Vec::new(), batch_files: Vec::new(), sent: VecDeque::new() }
    }

    /// Opens the file if it is not open, and adds the parts that have come to the batch. Returns false if
    /// the file is refused.
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

    /// Adds a file whose content is complete to the batch.
    pub(super) fn end(&mut self, mut current: Current) {
        match current.file.take() {
            None => {
                self.batch_files.push(current.name);
                self.batch.push(Write::Whole(current));
            }
            Some(file) => {
                let _ = file.end.set(current.end);
                let parts = current.parts.into_iter();
                self.batch.extend(parts.map(|part| Write::Part(file.clone(), part)));
                self.batch.push(Write::Done(file));
            }
        }
    }

    /// Sends the batch to a worker.
    pub(super) fn send(&mut self) -> Result<()> {
        while self.sent.front().is_some_and(|(ticket, _)| Arc::strong_count(ticket) == 1) {
            self.sent.pop_front();
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        if self.sent.len() >= BATCHES {
            self.pool.drain()?;
            self.sent.clear();
        }
        let ticket = Arc::new(());
        self.sent.push_back((ticket.clone(), std::mem::take(&mut self.batch_files)));
        let (shared, batch) = (self.shared.clone(), std::mem::take(&mut self.batch));
        self.pool.write(move || {
            let done = batch.into_iter().try_for_each(|write| write.run(&shared));
            drop(ticket);
            done
        });
        Ok(())
    }

    /// Waits until the file of that path is written, if it is not yet.
    pub(super) fn wait_for(&mut self, name: PathHash) -> Result<()> {
        let is_sent = |(ticket, names): &(Arc<()>, Vec<PathHash>)| {
            names.contains(&name) && Arc::strong_count(ticket) > 1
        };
        if self.batch_files.contains(&name) || self.sent.iter().any(is_sent) {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits until all files are written.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.send()?;
        self.pool.drain()?;
        self.sent.clear();
        Ok(())
    }

    /// Returns the files that were refused since the last call.
    pub(super) fn refused(&self) -> Vec<Refused> {
        let refused = self.shared.refused.as_ref();
        refused.map_or_else(Vec::new, |refused| {
            std::mem::take(&mut *refused.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}

impl Shared {
    /// Remembers an unusable file, or fails with its error.
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
                part.write(&file.file)?;
                OpenFile::close(file, shared)
            }
            Write::Done(file) => OpenFile::close(file, shared),
        }
    }
}

impl Current {
    /// Takes the next piece of content.
    pub(super) fn push(&mut self, raw: SharedBuffer, range: Range<usize>, offset: u64) {
        let hole = self.end;
        self.end = offset + range.len() as u64;
        self.parts.push(Part { raw, range, offset, hole });
    }

    fn open(&self, unpacker: &Arc<Unpacker>) -> Result<MemberFile> {
        MemberFile::begin(unpacker, &self.path, self.size, &self.meta, self.existing)
    }

    fn write(&self, unpacker: &Arc<Unpacker>) -> Result<()> {
        let file = self.open(unpacker)?;
        self.parts.iter().try_for_each(|part| part.write(&file))?;
        file.finish(self.end)
    }
}

impl Part {
    fn write(&self, file: &MemberFile) -> Result<()> {
        file.write_at(self.hole, self.offset, &self.raw[self.range.clone()])
    }
}

impl OpenFile {
    fn open(unpacker: &Arc<Unpacker>, current: &Current) -> Result<Self> {
        Ok(OpenFile {
            name: current.name,
            path: current.path.clone(),
            file: current.open(unpacker)?,
            end: OnceLock::new(),
            ticket: Arc::new(()),
        })
    }

    /// Finishes the file if this was its last user.
    fn close(file: Arc<OpenFile>, shared: &Shared) -> Result<()> {
        let Some(OpenFile { name, path, file, end, ticket }) = Arc::into_inner(file) else {
            return Ok(());
        };
        let size = file.size();
        let done = match end.get() {
            Some(&end) => file.finish(end),
            None => {
                drop(file);
                Ok(())
            }
        };
        let done = done.or_else(|why| shared.refuse(Refused { name, path, size, why }));
        drop(ticket);
        done
    }
}
