//! The file that becomes an archive. All calls block.

use std::{
    ffi::OsString,
    fs::{File, Metadata},
    num::NonZeroU64,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use rustix::{
    fs::{Advice, CWD, FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        durable::make_dirs,
        stat::FileId,
        sys::{self, rename_new},
    },
    size::Size,
    store::local::writer::Writer,
};

const PART_SUFFIX: &str = ".wingback-part";

/// Bytes between two checks of the free space, and between two starts of write-back.
const STRIDE: u64 = 8 << 20;

pub(super) fn is_part(name: &[u8]) -> bool {
    name.starts_with(b".") && name.ends_with(PART_SUFFIX.as_bytes())
}

/// Removes an unfinished archive unless its writer still runs. Returns its path if it was removed.
pub(super) fn sweep(path: &Path) -> Result<Option<OsString>> {
    let fail = |e: Errno| Error::io("sweep", e).at(path);
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    if !lock(&file).map_err(fail)? || !is_same_file(&file, path).map_err(fail)? {
        return Ok(None);
    }
    rustix::fs::unlink(path).map_err(fail)?;
    Ok(Some(path.into()))
}

/// Takes the lock that marks a running writer. Returns false if another process holds it. The lock ends with
/// the descriptor, and so with the process.
fn lock(file: &OwnedFd) -> Result<bool, Errno> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Takes the lock, and waits until no other process holds it.
fn wait_for_lock(file: &OwnedFd) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, FlockOperation::LockExclusive))
}

/// Returns whether there is a file of any kind at `path`. Does not follow a link.
fn exists_at(path: &Path) -> Result<bool, Errno> {
    match rustix::fs::lstat(path) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Returns whether the open file is still the one at `path`.
fn is_same_file(file: &OwnedFd, path: &Path) -> Result<bool, Errno> {
    match rustix::fs::lstat(path) {
        Ok(named) => Ok(FileId::of(&rustix::fs::fstat(file)?) == FileId::of(&named)),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// An archive that is being written.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    writer: Mutex<Writer>,
    /// The directory. It is synced after the rename.
    dir: File,
    pub(super) dir_meta: Metadata,
    part: PathBuf,
    path: PathBuf,
    reserve: u64,
    /// The part was renamed or removed already, so there is nothing left to remove.
    is_done: AtomicBool,
}

impl Part {
    pub(super) fn create(dir: &Path, path: &Path, reserve: u64) -> Result<Self> {
        let exists = || Error::new(ErrorKind::AlreadyExists, "create").at(path);
        make_dirs(dir, 0o700)
            .map_err(|e| match e.kind() {
                // The kind `AlreadyExists` means that a backup exists, which is not the case here.
                std::io::ErrorKind::AlreadyExists => Errno::NOTDIR.into(),
                _ => e,
            })
            .map_err(|e| Error::io("create the directory", e).at(dir))?;
        if exists_at(path).map_err(|e| Error::io("look at", e).at(path))? {
            return Err(exists().caused_by("a backup of that name exists already"));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(dir, flags, Mode::empty()).map(File::from);
        let directory = directory.map_err(|e| Error::io("open the directory", e).at(dir))?;
        let dir_meta = directory.metadata().map_err(|e| Error::io("look at", e).at(dir))?;
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(PART_SUFFIX);
        let part = dir.join(name);
        let fail = |e: Errno| Error::io("create", e).at(&part);
        let file = loop {
            // An existing part without a lock was left by a killed process.
            let is_taken = || exists_at(&part).map_err(fail);
            if is_taken()? && sweep(&part)?.is_none() && is_taken()? {
                return Err(exists().caused_by("a backup of that name is being made"));
            }
            let flags =
                OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::open(&part, flags, Mode::RUSR | Mode::WUSR) {
                // Before this process has the lock, a sweep may take the part as abandoned. The sweep holds
                // the lock for moments and removes the file. Then this loop creates another.
                Ok(file) => match wait_for_lock(&file).and_then(|()| is_same_file(&file, &part)) {
                    Ok(true) => break file,
                    Ok(false) => {}
                    Err(e) => {
                        if is_same_file(&file, &part) != Ok(false) {
                            let _ = rustix::fs::unlink(&part);
                        }
                        return Err(Error::io("lock", e).at(&part));
                    }
                },
                Err(Errno::EXIST) => {}
                Err(e) => return Err(fail(e)),
            }
        };
        let part = Part {
            file: file.into(),
            writer: Mutex::default(),
            dir: directory,
            dir_meta,
            part,
            path: path.to_owned(),
            reserve,
            is_done: AtomicBool::new(false),
        };
        part.check_space()?;
        Ok(part)
    }

    fn check_space(&self) -> Result<()> {
        let free = sys::free_space(&self.file)
            .map_err(|e| Error::io("check the free space of", e).at(&self.part))?;
        let why = match free {
            Some(free) if free < self.reserve => {
                format!("{} are free, and {} must stay free", Size(free), Size(self.reserve))
            }
            None if self.reserve > 0 => sys::UNKNOWN_SPACE.to_owned(),
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::NoSpace, "write").at(&self.path).caused_by(why))
    }

    /// Appends bytes. If they are a copy, also takes the file that has them, and their offset there.
    pub(super) fn write(&self, bytes: &[u8], copy_of: Option<(&File, u64)>) -> Result<()> {
        let (before, after) = self.with_writer(|writer| {
            let before = writer.len();
            match copy_of {
                Some((other, at)) => writer.copy(&self.file, other, at, bytes)?,
                None => writer.write(&self.file, bytes)?,
            }
            Ok((before / STRIDE, writer.len() / STRIDE))
        })?;
        if after > before {
            self.check_space()?;
            // Starts to write dirty pages back and drops clean ones. So the sync at the end has little
            // left to do, and an archive does not flood the page cache. The stride before is included
            // again, because it is written back by now.
            let from = before.saturating_sub(1) * STRIDE;
            let len = NonZeroU64::new(after * STRIDE - from);
            let _ = rustix::fs::fadvise(&self.file, from, len, Advice::DontNeed);
        }
        Ok(())
    }

    fn with_writer<T>(&self, f: impl FnOnce(&mut Writer) -> std::io::Result<T>) -> Result<T> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut writer).map_err(|e| Error::io("write", e).at(&self.part))
    }

    /// Syncs the file, renames it without replacing another, and syncs the directory. If the file system
    /// supports neither such a rename nor links, the lock keeps other writers of this name out.
    pub(super) fn complete(&self) -> Result<()> {
        self.with_writer(|writer| writer.flush(&self.file))?;
        sys::sync(&self.file).map_err(|e| Error::io("sync", e).at(&self.part))?;
        rename_new(CWD, &*self.part, CWD, &*self.path)
            .map_err(|e| Error::io("rename to", e).at(&self.path))?;
        self.is_done.store(true, SeqCst);
        sys::sync(&self.dir).map_err(|e| {
            let _ = rustix::fs::unlink(&self.path);
            Error::io("sync the directory of", e).at(&self.path)
        })
    }

    /// Removes the part. A second call does nothing, because the name may belong to another writer by then.
    pub(super) fn remove(&self) -> Result<()> {
        if self.is_done.swap(true, SeqCst) {
            return Ok(());
        }
        #[cfg(test)]
        slow::unlink(&self.part);
        match rustix::fs::unlink(&self.part) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io("remove", e).at(&self.part)),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // If this fails, the lock ends all the same, so the next sweep removes the file.
        let _ = self.remove();
    }
}

/// A file system that is slow to unlink.
#[cfg(test)]
pub(super) mod slow {
    use std::{
        path::{Path, PathBuf},
        sync::{Mutex, mpsc::Receiver},
        time::Duration,
    };

    /// The directory, and what ends the wait of the next unlink there.
    static UNLINK: Mutex<Option<(PathBuf, Receiver<()>)>> = Mutex::new(None);

    /// The next unlink in `dir` waits until something is sent, or the sender is gone.
    pub(crate) fn next_unlink(dir: PathBuf, until: Receiver<()>) {
        *UNLINK.lock().expect("no panic") = Some((dir, until));
    }

    pub(super) fn unlink(path: &Path) {
        let waits = UNLINK.lock().expect("no panic").take_if(|(dir, _)| path.starts_with(dir));
        if let Some((_, until)) = waits {
            let _ = until.recv_timeout(Duration::from_secs(10));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;
    use crate::fs::durable::record;

    #[test]
    fn a_new_directory_of_a_store_is_durable_before_its_archive() {
        let tmp = tempfile::tempdir().expect("made");
        let dir = tmp.path().join("backups/server");
        record::take();
        let part = Part::create(&dir, &dir.join("a.tar.gz"), 0).expect("begun");
        let inode = |path: &Path| fs::metadata(path).expect("there").ino();
        let parents = [inode(tmp.path()), inode(&tmp.path().join("backups"))];
        assert_eq!(record::take(), parents.into());
        part.complete().expect("complete");
    }
}
