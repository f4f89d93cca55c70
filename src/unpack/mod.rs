//! Writes a tree beneath one directory: files, links and directories, from any number of threads.
//!
//! Every parent is found without following a link, every file is made with `O_EXCL`, and owners,
//! modes and times go through the open file. Symlinks are made last, so that nothing is ever
//! written through one; then hard links; then what directories are to look like, deepest first.

pub(crate) mod beneath;
mod file;
mod links;
#[cfg(test)]
mod tests;

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

pub(crate) use crate::unpack::{
    beneath::{Beneath, check_path},
    file::{NewFile, times},
};
use crate::{
    error::{Error, Result},
    unpack::{
        beneath::{fail, split},
        file::Place,
    },
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
}

/// What comes last.
#[derive(Debug, Default)]
struct Later {
    symlinks: BTreeMap<Vec<u8>, (Vec<u8>, Meta)>,
    hard_links: Vec<(Vec<u8>, Vec<u8>)>,
    same: Vec<Vec<Vec<u8>>>,
    directories: BTreeMap<Vec<u8>, Meta>,
}

/// What was done at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Finished {
    /// Files that became another name of one before.
    pub(crate) linked: u64,
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
        }
    }

    /// Bytes that the file system has left for this process.
    pub(crate) fn free_space(&self) -> Result<u64> {
        let stat =
            rustix::fs::fstatvfs(&self.root).map_err(|e| Error::io("look at the free space", e))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Makes a directory, or takes the one that is there; [`finish`](Unpacker::finish) sets what
    /// it is to look like.
    pub(crate) fn directory(&self, path: &[u8], meta: &Meta) -> Result<()> {
        self.root.make_dir(path, Mode::RWXU).map_err(|e| fail("make the directory", path, e))?;
        self.later().directories.insert(path.to_vec(), *meta);
        Ok(())
    }

    /// Begins a file of `size` bytes; what is not written of it is zeros.
    pub(crate) fn file(&self, path: &[u8], size: u64, meta: &Meta) -> Result<NewFile> {
        let (parent, own) = split(path);
        let dir = self.parent(parent).map_err(|e| fail("make the directory of", path, e))?;
        let (name, file) = loop {
            let name = match self.options.existing {
                Existing::Fresh => own.to_vec(),
                _ => self.temporary(),
            };
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&dir, &*name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => break (name, file),
                Err(Errno::EXIST) if self.options.existing != Existing::Fresh => {}
                Err(e) => return Err(fail("create", path, e)),
            }
        };
        Ok(NewFile {
            file,
            dir,
            path: path.to_vec(),
            name,
            place: match self.options.existing {
                Existing::Fresh => Place::Here,
                Existing::Refuse => Place::New,
                Existing::Overwrite => Place::Over,
            },
            size,
            end: AtomicU64::new(0),
            meta: *meta,
            owner: self.options.owner,
        })
    }

    /// Removes a file that this has written, since another of its name comes.
    pub(crate) fn remove_file(&self, path: &[u8]) -> Result<()> {
        let (parent, name) = split(path);
        let fail = |e| fail("replace", path, e);
        let dir = self.parent(parent).map_err(fail)?;
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(fail(e)),
        }
    }

    /// Remembers a symlink.
    pub(crate) fn symlink(&self, path: &[u8], target: &[u8], meta: &Meta) -> Result<()> {
        links::check_target(path, target)?;
        self.later().symlinks.insert(path.to_vec(), (target.to_vec(), *meta));
        Ok(())
    }

    /// Forgets a symlink, since something else of its name comes.
    pub(crate) fn forget_symlink(&self, path: &[u8]) {
        self.later().symlinks.remove(path);
    }

    /// Remembers another name, `path`, of the file `to` that this writes.
    pub(crate) fn hard_link(&self, path: &[u8], to: &[u8]) {
        self.later().hard_links.push((path.to_vec(), to.to_vec()));
    }

    /// Remembers files that were one, and will be again if their bytes are equal.
    pub(crate) fn same_file(&self, paths: Vec<Vec<u8>>) {
        self.later().same.push(paths);
    }

    /// Makes links, and gives directories their owners, modes and times.
    pub(crate) fn finish(self) -> Result<Finished> {
        let later = std::mem::take(&mut *self.later());
        for (path, (target, meta)) in &later.symlinks {
            self.make_symlink(path, target, meta)?;
        }
        let mut linked = 0;
        for (path, to) in &later.hard_links {
            self.make_hard_link(path, to)?;
            linked += 1;
        }
        for group in &later.same {
            linked += self.join(group)?;
        }
        // Deepest first: what is made in a directory changes its time.
        for (path, meta) in later.directories.iter().rev() {
            let dir = self.root.dir(path).map_err(|e| fail("open the directory", path, e))?;
            file::set_meta(&dir, path, meta, self.options.owner)?;
        }
        Ok(Finished { linked })
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
