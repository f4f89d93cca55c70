//! Files of an earlier tree that are equal to members of the archive.
//!
//! A tenant may change that tree at any moment. Its files are reached through open directories and without
//! following links, and a new name is used only if it leads to the file that was compared.

use std::{
    os::{fd::OwnedFd, unix::fs::FileExt},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, SeekFrom, Stat},
    io::Errno,
};

use crate::{
    entry::{Metadata, is_beyond},
    error::{Error, Result},
    fs::{
        beneath::{Beneath, os, split},
        open_flags::FILE,
        stat::FileId,
        unpack::{attributes::Attributes, file::NewFile, open_dirs::OpenDirs, options::Owner},
    },
};

/// Bytes that are compared or copied at a time.
const CHUNK: usize = 256 << 10;

/// The tree that is replaced.
#[derive(Debug)]
pub(crate) struct OldTree {
    root: Beneath,
    /// Files of another file system cannot get a name in the new tree.
    dev: u64,
    /// Owner that the members get.
    owner: Owner,
    /// `None` is a directory that the tree does not have.
    dirs: OpenDirs<Option<Arc<OwnedFd>>>,
}

impl OldTree {
    pub(crate) fn new(root: Beneath, owner: Owner) -> Result<OldTree> {
        let stat = rustix::fs::fstat(&root).map_err(|e| Error::io("open the directory", e))?;
        Ok(OldTree { root, dev: stat.st_dev, owner, dirs: OpenDirs::default() })
    }

    /// Returns whether the file at `path` has the size and attributes that the member would get, and no other
    /// name. Then only its content may differ.
    pub(crate) fn may_equal(&self, path: &[u8], size: u64, attributes: &Attributes) -> bool {
        self.find(path, size, attributes).is_some()
    }

    /// Opens the file at `path` if [`may_equal`](OldTree::may_equal) is true for it.
    pub(crate) fn open(&self, path: &[u8], size: u64, attributes: &Attributes) -> Option<OldFile> {
        let dir = self.find(path, size, attributes)?;
        let (_, name) = split(path);
        let file = rustix::fs::openat(&dir, name, FILE, Mode::empty()).ok()?;
        let stat = rustix::fs::fstat(&file).ok()?;
        self.matches(&stat, size, attributes).then(|| OldFile {
            dir,
            path: path.to_vec(),
            file: file.into(),
            id: FileId::of(&stat),
            metadata: Metadata::of(&stat),
        })
    }

    /// Returns whether the old tree has an equal symlink at `path`.
    pub(crate) fn has_link(&self, path: &[u8], target: &[u8], attributes: &Attributes) -> bool {
        let (parent, name) = split(path);
        let Some(dir) = self.dir(parent) else { return false };
        let Ok(stat) = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else {
            return false;
        };
        let Metadata { uid, gid, mtime_ns, .. } = Metadata::of(&stat);
        // Times beyond the limits of the index cannot be compared.
        !is_beyond(mtime_ns)
            && (uid.into(), gid.into()) == attributes.final_owner(self.owner)
            && mtime_ns == attributes.mtime_ns
            && rustix::fs::readlinkat(&dir, name, Vec::new())
                .is_ok_and(|found| found.as_bytes() == target)
    }

    /// Returns the directory of the file at `path` if [`may_equal`](OldTree::may_equal) is true for it.
    fn find(&self, path: &[u8], size: u64, attributes: &Attributes) -> Option<Arc<OwnedFd>> {
        let (parent, name) = split(path);
        let dir = self.dir(parent)?;
        let stat = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        self.matches(&stat, size, attributes).then_some(dir)
    }

    fn dir(&self, path: &[u8]) -> Option<Arc<OwnedFd>> {
        self.dirs.get(path, || Ok(self.root.dir(path).ok().map(Arc::new))).ok()?
    }

    fn matches(&self, stat: &Stat, size: u64, attributes: &Attributes) -> bool {
        let found = Metadata::of(stat);
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_nlink == 1
            && stat.st_dev == self.dev
            && found.size == size
            && !is_beyond(found.mtime_ns)
            && found.mtime_ns == attributes.mtime_ns
            && found.mode == attributes.mode & 0o777
            && (found.uid.into(), found.gid.into()) == attributes.final_owner(self.owner)
    }
}

/// A file of the old tree, open. Its content may be that of a member.
#[derive(Debug)]
pub(crate) struct OldFile {
    dir: Arc<OwnedFd>,
    path: Vec<u8>,
    file: std::fs::File,
    id: FileId,
    metadata: Metadata,
}

impl OldFile {
    /// Returns whether the file has a hole from `hole` to `offset`, and `bytes` from there on.
    pub(crate) fn has(&self, hole: u64, offset: u64, bytes: &[u8]) -> bool {
        let mut buffer = vec![0; bytes.len().min(CHUNK)];
        let mut at = offset;
        let is_equal = |chunk: &[u8]| {
            let found = &mut buffer[..chunk.len()];
            let read = self.file.read_exact_at(found, at);
            at += chunk.len() as u64;
            read.is_ok() && found == chunk
        };
        (hole == offset || self.next_data(hole).is_none_or(|data| data >= offset))
            && bytes.chunks(CHUNK).all(is_equal)
    }

    /// Returns the offset of the next byte that is not in a hole.
    fn next_data(&self, at: u64) -> Option<u64> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
            Ok(data) => Some(data),
            // Nothing but a hole is left.
            Err(Errno::NXIO) => None,
            Err(_) => Some(at),
        }
    }

    /// Returns whether nobody has changed the file since it was opened.
    pub(super) fn is_untouched(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|found| Metadata::of(&found) == self.metadata)
    }

    /// Gives the file the name `name` in `dir` as well. Returns false if that is not possible: the file system
    /// has no hard links, or another process changed the file or took its name.
    pub(super) fn link(&self, dir: &OwnedFd, name: &[u8]) -> bool {
        let (_, own) = split(&self.path);
        if !self.is_untouched()
            || rustix::fs::linkat(&self.dir, own, dir, name, AtFlags::empty()).is_err()
        {
            return false;
        }
        let is_same = |found: Stat| {
            let ctime_ns = self.metadata.ctime_ns;
            FileId::of(&found) == self.id
                && found.st_nlink == 2
                && Metadata { ctime_ns, ..Metadata::of(&found) } == self.metadata
        };
        let found = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        let is_linked = found.is_ok_and(is_same);
        if !is_linked {
            let _ = rustix::fs::unlinkat(dir, name, AtFlags::empty());
        }
        is_linked
    }

    /// Copies the bytes from `start` to `end` to a new file.
    pub(super) fn copy(&self, start: u64, end: u64, new: &NewFile) -> Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut at = start;
        while let Some(data) = self.next_data(at).filter(|&data| data < end) {
            let len = (end - data).min(CHUNK as u64) as usize;
            let n = self.file.read_at(&mut buffer[..len], data);
            let n = n.map_err(|e| Error::io("read", e).at(os(&self.path)))?;
            if n == 0 {
                break;
            }
            new.write_at(data, &buffer[..n])?;
            at = data + n as u64;
        }
        Ok(())
    }
}
