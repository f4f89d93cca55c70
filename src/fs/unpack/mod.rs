//! Writes a tree beneath one directory: files, links and directories, from any number of threads.
//!
//! Every parent is found without following a link, every file is made with `O_EXCL`, and owners,
//! modes and times go through the open file. So nothing is ever written through a symlink, whoever
//! made it. Owners, modes and times of directories come last, deepest first.

mod file;
mod links;
#[cfg(test)]
mod tests;
mod times;

use std::{
    collections::BTreeMap,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

pub(crate) use crate::fs::{
    beneath::{Beneath, check_path},
    unpack::{file::NewFile, links::check_target, times::times},
};
use crate::{
    error::{Error, Result},
    fs::{
        beneath::{fail, split},
        sys,
        unpack::{file::Place, times::Clamped},
    },
    listed::Listed,
};

/// Parents that are held open.
const PARENTS: usize = 16;

/// Mode of directories that the archive does not name, less the umask.
const IMPLIED: Mode = Mode::from_raw_mode(0o755);

/// What to do about files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// There are none: the directory is new and ours, so files are made under their own names.
    Fresh,
    /// They are an error.
    Refuse,
    /// They are replaced, each at once.
    Overwrite,
}

/// Whose the files will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// Whoever writes them.
    #[default]
    Keep,
    /// This user and group.
    Fixed(u32, u32),
    /// Who the archive says.
    FromArchive,
}

/// How to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) existing: Existing,
    pub(crate) owner: Owner,
}

/// What a file, link or directory is to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Setuid, setgid and sticky bits are never set.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime_ns: i64,
}

/// Writes a tree.
#[derive(Debug)]
pub(crate) struct Unpacker {
    root: Beneath,
    options: Options,
    /// The least recently used first.
    parents: Mutex<Vec<(Vec<u8>, Arc<OwnedFd>)>>,
    later: Mutex<Later>,
    temporaries: AtomicU64,
    clamped: Arc<Clamped>,
}

/// What comes last.
#[derive(Debug, Default)]
struct Later {
    same: Vec<Vec<Vec<u8>>>,
    directories: BTreeMap<Vec<u8>, Directory>,
}

#[derive(Clone, Copy, Debug)]
struct Directory {
    meta: Meta,
    /// It was not there before.
    is_ours: bool,
}

/// What was done at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finished {
    /// Files that became another name of an equal one.
    pub(crate) linked: u64,
    /// Members whose times came out otherwise.
    pub(crate) clamped: Listed<Vec<u8>>,
}

impl Unpacker {
    pub(crate) fn new(root: Beneath, options: Options) -> Self {
        Unpacker {
            root,
            options,
            parents: Mutex::default(),
            later: Mutex::default(),
            // Not to be guessed, so that nobody can stand in the way.
            temporaries: AtomicU64::new(uuid::Uuid::new_v4().as_u64_pair().1),
            clamped: Arc::default(),
        }
    }

    /// Bytes that the file system has left for this process; `None` if it does not say.
    pub(crate) fn free_space(&self) -> Result<Option<u64>> {
        sys::free_space(&self.root).map_err(|e| Error::io("look at the free space", e))
    }

    /// Makes a directory, or takes the one that is there; [`finish`](Unpacker::finish) sets what
    /// it is to look like. Returns whether no member had named it before.
    pub(crate) fn directory(&self, path: &[u8], meta: &Meta) -> Result<bool> {
        let fail = |e| fail("make the directory", path, e);
        let (parent, name) = split(path);
        let parent = self.parent(parent).map_err(fail)?;
        let is_missing = match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => {
                self.root.dir(path).map_err(fail)?;
                false
            }
            Err(e) => return Err(fail(e)),
        };
        let mut later = self.later();
        let before = later.directories.get(path).copied();
        let is_ours = before.map_or(is_missing, |before| before.is_ours);
        later.directories.insert(path.to_vec(), Directory { meta: *meta, is_ours });
        Ok(before.is_none())
    }

    /// Makes the directory that `path` lies in, of something that is left out itself.
    pub(crate) fn parent_of(&self, path: &[u8]) -> Result<()> {
        let (parent, _) = split(path);
        self.parent(parent).map(drop).map_err(|e| fail("make the directory of", path, e))
    }

    /// Removes a directory that this has made or may replace, since something else of its name
    /// comes. One that holds something is an error. Returns whether a member had named it.
    pub(crate) fn remove_directory(&self, path: &[u8]) -> Result<bool> {
        let fail = |e| fail("replace", path, e);
        let is_ours = self.later().directories.get(path).is_some_and(|dir| dir.is_ours);
        if self.options.existing == Existing::Refuse && !is_ours {
            return Err(fail(Errno::ISDIR));
        }
        let (parent, name) = split(path);
        let parent = self.parent(parent).map_err(fail)?;
        match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Err(fail(Errno::ISDIR)),
            Err(e) => return Err(fail(e)),
        }
        // One of them may be that directory.
        self.parents.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(self.later().directories.remove(path).is_some())
    }

    /// The directories that were not there before, deepest first.
    pub(crate) fn own_directories(&self) -> Vec<Vec<u8>> {
        let later = self.later();
        let ours = later.directories.iter().rev().filter(|(_, dir)| dir.is_ours);
        ours.map(|(path, _)| path.clone()).collect()
    }

    /// Begins a file of `size` bytes; what is not written of it is zeros.
    pub(crate) fn file(
        &self,
        path: &[u8],
        size: u64,
        meta: &Meta,
        existing: Existing,
    ) -> Result<NewFile> {
        let (parent, own) = split(path);
        let dir = self.parent(parent).map_err(|e| fail("make the directory of", path, e))?;
        let (name, file) = loop {
            let name = match existing {
                Existing::Fresh => own.to_vec(),
                _ => self.temporary(),
            };
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&dir, &*name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => break (name, file),
                Err(Errno::EXIST) if existing != Existing::Fresh => {}
                Err(e) => return Err(fail("create", path, e)),
            }
        };
        Ok(NewFile {
            file,
            dir,
            path: path.to_vec(),
            name,
            place: match existing {
                Existing::Fresh => Place::Here,
                Existing::Refuse => Place::New,
                Existing::Overwrite => Place::Over,
            },
            size,
            end: AtomicU64::new(0),
            meta: *meta,
            owner: self.options.owner,
            clamped: self.clamped.clone(),
        })
    }

    /// Removes a file or link that this has made, since something else of its name comes.
    pub(crate) fn remove_file(&self, path: &[u8]) -> Result<()> {
        let (parent, name) = split(path);
        let fail = |e| fail("replace", path, e);
        let dir = self.parent(parent).map_err(fail)?;
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(fail(e)),
        }
    }

    /// Forgets whose times came out otherwise, since all members come again.
    pub(crate) fn forget_times(&self) {
        self.clamped.take();
    }

    /// Remembers files that were one, and will be again if their bytes are equal.
    pub(crate) fn same_file(&self, paths: Vec<Vec<u8>>) {
        self.later().same.push(paths);
    }

    /// Joins files that were one, and gives directories their owners, modes and times.
    pub(crate) fn finish(self) -> Result<Finished> {
        let later = std::mem::take(&mut *self.later());
        let mut linked = 0;
        for group in &later.same {
            linked += self.join(group)?;
        }
        // Deepest first: what is made in a directory changes its time.
        for (path, Directory { meta, .. }) in later.directories.iter().rev() {
            let dir = self.root.dir(path).map_err(|e| fail("open the directory", path, e))?;
            file::set_meta(&dir, path, meta, self.options.owner, &self.clamped)?;
        }
        Ok(Finished { linked, clamped: self.clamped.take() })
    }

    /// The directory at `path`, made if it is not there.
    fn parent(&self, path: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        let mut parents = self.parents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(i) = parents.iter().rposition(|(known, _)| known == path) {
            let known = parents.remove(i);
            let dir = known.1.clone();
            parents.push(known);
            return Ok(dir);
        }
        let dir = Arc::new(self.root.make_dir(path, IMPLIED)?);
        if parents.len() == PARENTS {
            parents.remove(0);
        }
        parents.push((path.to_vec(), dir.clone()));
        Ok(dir)
    }

    fn temporary(&self) -> Vec<u8> {
        format!(".wingback-{:016x}", self.temporaries.fetch_add(1, Relaxed)).into_bytes()
    }

    fn later(&self) -> MutexGuard<'_, Later> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
