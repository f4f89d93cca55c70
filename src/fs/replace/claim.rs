//! A record that is locked by the restore that it describes.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{fs::FlockOperation, io::Errno};

use crate::{
    error::{Error, Result},
    fs::{
        replace::{
            journal::Journal,
            ops::{self, At},
            record::{self, Phase, Record, Staging},
            target::{RecordName, Target},
        },
        root::FileId,
        unpack::Beneath,
    },
};

/// What [`StateDir::claim`](crate::fs::replace::StateDir::claim) came to.
pub(crate) enum Claimed {
    New(NewClaim),
    Interrupted(Claim),
}

/// A directory that this process has locked, or has tried to.
#[derive(Debug)]
pub(super) struct LockedDir {
    fd: OwnedFd,
    pub(super) is_held: bool,
}

impl LockedDir {
    /// Waits for the lock.
    pub(super) fn lock(fd: OwnedFd) -> Result<LockedDir, Errno> {
        rustix::io::retry_on_intr(|| rustix::fs::flock(&fd, FlockOperation::LockExclusive))?;
        Ok(LockedDir { fd, is_held: true })
    }

    pub(super) fn try_lock(fd: OwnedFd) -> Result<LockedDir, Errno> {
        let is_held = match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => true,
            Err(Errno::WOULDBLOCK) => false,
            Err(e) => return Err(e),
        };
        Ok(LockedDir { fd, is_held })
    }
}

impl AsFd for LockedDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for LockedDir {
    fn drop(&mut self) {
        if self.is_held {
            // A child that was just forked has the handle too until it runs its own program.
            let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
        }
    }
}

/// A record's directory that has no record yet. The directory of records stays locked, so that
/// nobody finds it without.
pub(crate) struct NewClaim {
    pub(super) dir: LockedDir,
    pub(super) restores: Beneath,
    pub(super) name: RecordName,
    pub(super) path: PathBuf,
    pub(super) _guard: LockedDir,
}

impl NewClaim {
    /// Writes the first record, before anything is made that it names.
    pub(crate) fn begin(self, target: &Target, staging: Staging) -> Result<Claim> {
        let record = Record {
            target: target.path_bytes().to_vec(),
            inode: target.id.ino,
            staging,
            phase: Phase::Unpacking,
        };
        let NewClaim { dir, restores, name, path, _guard } = self;
        if let Err(e) = record.write(&dir) {
            // Nothing that it names was made yet.
            let _ = remove(&restores, &name, &dir);
            return Err(e.at(&path));
        }
        Ok(Claim { dir, restores, name, path, record })
    }
}

/// The locked record of one restore.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(super) dir: LockedDir,
    pub(super) restores: Beneath,
    pub(super) name: RecordName,
    pub(super) path: PathBuf,
    pub(super) record: Record,
}

impl Claim {
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// The record's directory, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the record, durably.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut record = self.record.clone();
        change(&mut record);
        record.write(&self.dir).map_err(|e| e.at(&self.path))?;
        self.record = record;
        Ok(())
    }

    /// Writes the journal, then the record that names it: from its end on, the exchange is finished
    /// or undone whatever happens.
    pub(crate) fn begin_exchange(&mut self, journal: &Journal) -> Result<()> {
        let hash = journal.write(&self.dir).map_err(|e| e.at(&self.path))?;
        self.update(|record| record.phase = Phase::Exchanging(hash))
    }

    /// Reads the journal of that hash.
    pub(crate) fn journal(&self, hash: &[u8; 32]) -> Result<Result<Journal, String>> {
        Journal::read(&self.dir, hash).map_err(|e| e.at(&self.path))
    }

    /// Removes the record: there is nothing to finish any more.
    pub(crate) fn remove(self) -> Result<()> {
        let fail = |e: Errno| Error::io("remove the restore's record", e).at(&self.path);
        remove(&self.restores, &self.name, &self.dir).map_err(fail)
    }
}

pub(super) fn remove(restores: &Beneath, name: &RecordName, dir: impl AsFd) -> Result<(), Errno> {
    record::remove(dir)?;
    ops::remove_dir(restores, name.format().as_bytes())
}

pub(super) fn leads_to(
    restores: &Beneath,
    name: &RecordName,
    dir: impl AsFd,
) -> Result<bool, Errno> {
    let open = FileId::of(&rustix::fs::fstat(dir)?);
    match At(restores, name.format().as_bytes()).stat() {
        Ok(named) => Ok(FileId::of(&named) == open),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e),
    }
}
