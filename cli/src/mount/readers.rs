//! The archives of a mount. They are opened when they are needed.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use wingback::{Archive, ArchiveReader, Error, Limiter, Store, StoredArchive};

use crate::{archives, args};

/// Most archives that stay open without an open file.
const OPEN_MAX: usize = 8;

pub type Reader = ArchiveReader<'static>;

/// The archives by their numbers.
pub struct Readers {
    archives: Archives,
    /// Limit of all reads together.
    limit: Limiter,
    /// The archives that were used last. The newest is at the end.
    open: Mutex<VecDeque<(usize, Reader)>>,
}

enum Archives {
    One { path: PathBuf, remote: args::Remote, made: Option<SystemTime> },
    Many(Arc<dyn Store>, Vec<StoredArchive>),
}

impl Readers {
    /// Returns one archive, which `reader` has opened.
    pub fn of_one(path: PathBuf, remote: args::Remote, limit: Limiter, reader: Reader) -> Self {
        let archives = Archives::One { path, remote, made: reader.info().made };
        Readers { archives, limit, open: Mutex::new([(0, reader)].into()) }
    }

    pub fn of_many(store: Arc<dyn Store>, archives: Vec<StoredArchive>, limit: Limiter) -> Self {
        Readers { archives: Archives::Many(store, archives), limit, open: Mutex::default() }
    }

    /// Returns what is known about the archives of a place.
    pub fn stored(&self) -> &[StoredArchive] {
        match &self.archives {
            Archives::One { .. } => &[],
            Archives::Many(_, archives) => archives,
        }
    }

    /// Returns the time of an archive.
    pub fn made(&self, number: usize) -> Option<SystemTime> {
        match &self.archives {
            Archives::One { made, .. } => *made,
            Archives::Many(_, archives) => archives[number].made(),
        }
    }

    /// Opens an archive, unless it is open.
    pub async fn get(&self, number: usize) -> Result<Reader, Error> {
        if let Some(reader) = self.take(number) {
            self.keep(number, reader.clone());
            return Ok(reader);
        }
        // Two requests may open it at the same time, and one of the readers is then kept.
        let reader = ArchiveReader::open(self.archive(number)?).await?;
        self.keep(number, reader.clone());
        Ok(reader)
    }

    /// Closes an archive after an error, so that the next request opens it again.
    pub fn close(&self, number: usize) {
        self.take(number);
    }

    fn archive(&self, number: usize) -> Result<Archive<'static>, Error> {
        let archive = match &self.archives {
            Archives::One { path, remote, .. } => archives::archive(path, remote)?,
            Archives::Many(store, archives) => {
                Archive::in_store(store.clone(), archives[number].key.clone())
            }
        };
        Ok(archive.read_limit(self.limit.clone()))
    }

    fn take(&self, number: usize) -> Option<Reader> {
        let mut open = self.open();
        let at = open.iter().position(|(other, _)| *other == number)?;
        open.remove(at).map(|(_, reader)| reader)
    }

    fn keep(&self, number: usize, reader: Reader) {
        let mut open = self.open();
        open.retain(|(other, _)| *other != number);
        if open.len() == OPEN_MAX {
            open.pop_front();
        }
        open.push_back((number, reader));
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<(usize, Reader)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
