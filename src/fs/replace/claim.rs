//! Locks a record for the restore that it describes.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{fs::FlockOperation, io::Errno};

use crate::{
    error::{Error, Result},
    fs::{
        beneath::Beneath,
        replace::{
            journal::Journal,
            ops::{self, At},
            record::{self, Phase, Record, StagingRecord},
            target::{RecordName, Target},
        },
        stat::FileId,
    },
};

/// The result of [`StateDir::claim`](crate::fs::replace::StateDir::claim).
pub(crate) enum NewOrInterrupted {
    New(NewClaim),
    Interrupted(Claim),
}

/// A directory, and whether this process holds its lock.
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
            // Closing is not enough: a child process that was just forked has the descriptor as well, until
            // it runs its own program.
            let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
        }
    }
}

/// The directory of a record that is not written yet. The directory of all records stays locked, so that
/// no other process finds the directory without its record.
pub(crate) struct NewClaim {
    pub(super) dir: LockedDir,
    pub(super) restores: Beneath,
    pub(super) name: RecordName,
    pub(super) path: PathBuf,
    pub(super) _lock: LockedDir,
}

impl NewClaim {
    /// Writes the record, before the staging directory that it names is made.
    pub(crate) fn begin(self, target: &Target, staging: StagingRecord) -> Result<Claim> {
        let record = Record {
            target: target.path_bytes().to_vec(),
            inode: target.id.ino,
            staging,
            phase: Phase::Unpacking,
        };
        let NewClaim { dir, restores, name, path, _lock } = self;
        if let Err(e) = record.write(&dir) {
            // The staging directory was not made yet.
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

    /// Returns the directory of the record, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the record, and makes the change durable.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut record = self.record.clone();
        change(&mut record);
        record.write(&self.dir).map_err(|e| e.at(&self.path))?;
        self.record = record;
        Ok(())
    }

    /// Writes the journal, and then the record that names it. After that, the exchange is finished or
    /// undone, whatever happens.
    pub(crate) fn begin_exchange(&mut self, journal: &Journal) -> Result<()> {
        let hash = journal.write(&self.dir).map_err(|e| e.at(&self.path))?;
        self.update(|record| record.phase = Phase::Exchanging(hash))
    }

    /// Reads the journal with this hash. The inner error says why it is unusable.
    pub(crate) fn journal(&self, hash: &[u8; 32]) -> Result<Result<Journal, String>> {
        Journal::read(&self.dir, hash).map_err(|e| e.at(&self.path))
    }

    /// Removes the record, since nothing is left to finish.
    pub(crate) fn remove(self) -> Result<()> {
        let fail = |e: Errno| Error::io("remove the record of the restore", e).at(&self.path);
        remove(&self.restores, &self.name, &self.dir).map_err(fail)
    }
}

/// Removes a record and its directory.
pub(super) fn remove(restores: &Beneath, name: &RecordName, dir: impl AsFd) -> Result<(), Errno> {
    record::remove(dir)?;
    ops::remove_dir(restores, name.format().as_bytes())
}

/// Returns whether the name of a record still leads to the directory that was opened.
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
