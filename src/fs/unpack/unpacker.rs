//! The writer of a tree.

use std::{
    collections::{BTreeMap, HashSet},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Error, Result},
    fs::{
        beneath::{Beneath, fail, split},
        sys,
        unpack::{
            attributes::{Attributes, Deviations},
            file::NewFile,
            old_tree::OldTree,
            options::{OverwritePolicy, UnpackerOptions},
            parents::Parents,
            same_file::link_equal_files,
        },
    },
    listed::Listed,
    throttle::Throttle,
};

/// Writes a tree.
#[derive(Debug)]
pub(crate) struct Unpacker {
    pub(super) parents: Parents,
    pub(super) options: UnpackerOptions,
    pub(super) old: Option<OldTree>,
    pub(super) deviations: Arc<Deviations>,
    writes: Throttle,
    deferred: Mutex<Deferred>,
}

/// Work that [`Unpacker::finish`] does.
#[derive(Debug, Default)]
struct Deferred {
    /// Files that become one file if their content is equal.
    link_groups: Vec<Vec<Vec<u8>>>,
    directories: BTreeMap<Vec<u8>, Directory>,
}

#[derive(Clone, Copy, Debug)]
struct Directory {
    attributes: Attributes,
    /// The unpacker has made it.
    is_ours: bool,
}

/// The result of [`Unpacker::finish`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FinishReport {
    /// Files that became another name of a file with equal content.
    pub(crate) linked: u64,
    /// Members whose times the file system could not store.
    pub(crate) clamped: Listed<Vec<u8>>,
    /// Members whose owner could not be set.
    pub(crate) unowned: Listed<Vec<u8>>,
    /// Directories that are members.
    pub(crate) directories: HashSet<Vec<u8>>,
}

impl Unpacker {
    pub(crate) fn new(root: Beneath, options: UnpackerOptions) -> Self {
        Unpacker {
            parents: Parents::new(root),
            options,
            old: None,
            deviations: Arc::default(),
            writes: Throttle::default(),
            deferred: Mutex::default(),
        }
    }

    /// Limits how fast the content of files is written.
    pub(crate) fn limited(self, writes: &Throttle) -> Self {
        Unpacker { writes: writes.clone(), ..self }
    }

    /// Compares files with those of a tree on the same file system. An equal file gets another name instead of a
    /// copy.
    pub(crate) fn with_old(self, old: OldTree) -> Self {
        Unpacker { old: Some(old), ..self }
    }

    /// Returns whether the file at `path` may be equal to a file of the old tree: only its content is not
    /// compared yet.
    pub(crate) fn may_be_unchanged(&self, path: &[u8], size: u64, attributes: &Attributes) -> bool {
        self.old.as_ref().is_some_and(|old| old.may_equal(path, size, attributes))
    }

    /// Returns the bytes that this process may still write to the file system; `None` if the file system
    /// does not say.
    pub(crate) fn free_space(&self) -> Result<Option<u64>> {
        sys::free_space(&self.parents.root).map_err(|e| Error::io("read the free space", e))
    }

    /// Makes a directory, or uses the existing one. [`finish`](Unpacker::finish) sets its attributes.
    /// Returns whether this is the first member for the directory.
    pub(crate) fn directory(&self, path: &[u8], attributes: &Attributes) -> Result<bool> {
        let fail = |e| fail("make the directory", path, e);
        let (parent, name) = split(path);
        let parent = self.parents.open(parent).map_err(fail)?;
        let was_missing = match rustix::fs::mkdirat(&parent, name, Mode::RWXU) {
            Ok(()) => true,
            Err(Errno::EXIST) => {
                self.parents.root.dir(path).map_err(fail)?;
                false
            }
            Err(e) => return Err(fail(e)),
        };
        let mut deferred = self.deferred();
        let before = deferred.directories.get(path).copied();
        let is_ours = before.map_or(was_missing, |before| before.is_ours);
        let directory = Directory { attributes: *attributes, is_ours };
        deferred.directories.insert(path.to_vec(), directory);
        Ok(before.is_none())
    }

    /// Makes the parent directory of a member that is skipped itself.
    pub(crate) fn make_parent(&self, path: &[u8]) -> Result<()> {
        self.parent(path).map(drop)
    }

    /// Opens the parent directory of a member, after making it if it is missing.
    pub(super) fn parent(&self, path: &[u8]) -> Result<Arc<OwnedFd>> {
        let (parent, _) = split(path);
        self.parents.open(parent).map_err(|e| fail("make the directory of", path, e))
    }

    /// Removes an empty directory, to make room for a later member of the same name. It must have been
    /// made by the unpacker, or the policy must allow to replace it. Fails if the directory is not
    /// empty. Returns whether a member had named it.
    pub(crate) fn remove_directory(&self, path: &[u8]) -> Result<bool> {
        let fail = |e| fail("replace", path, e);
        let is_ours = self.deferred().directories.get(path).is_some_and(|dir| dir.is_ours);
        if self.options.policy == OverwritePolicy::Refuse && !is_ours {
            return Err(fail(Errno::ISDIR));
        }
        let (parent, name) = split(path);
        let parent = self.parents.open(parent).map_err(fail)?;
        match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Err(fail(Errno::ISDIR)),
            Err(e) => return Err(fail(e)),
        }
        self.parents.close_all();
        Ok(self.deferred().directories.remove(path).is_some())
    }

    /// Returns the directories that the unpacker has made, deepest first.
    pub(crate) fn own_directories(&self) -> Vec<Vec<u8>> {
        let deferred = self.deferred();
        let ours = deferred.directories.iter().rev().filter(|(_, dir)| dir.is_ours);
        ours.map(|(path, _)| path.clone()).collect()
    }

    /// Begins a file of `size` bytes. Bytes that are never written are zeros.
    pub(crate) fn file(
        &self,
        path: &[u8],
        size: u64,
        attributes: &Attributes,
        policy: OverwritePolicy,
    ) -> Result<NewFile> {
        let (_, own) = split(path);
        let dir = self.parent(path)?;
        let (name, file) = loop {
            let name = self.parents.creation_name(own, policy);
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&dir, &*name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => break (name, file),
                Err(Errno::EXIST) if policy != OverwritePolicy::NewTree => {}
                Err(e) => return Err(fail("create", path, e)),
            }
        };
        Ok(NewFile {
            file,
            dir,
            path: path.to_vec(),
            name,
            policy,
            size,
            end: AtomicU64::new(0),
            attributes: *attributes,
            owner: self.options.owner,
            deviations: self.deviations.clone(),
            writes: self.writes.clone(),
        })
    }

    /// Removes a file or link that the unpacker has made, to make room for a later member of the same
    /// name.
    pub(crate) fn remove_file(&self, path: &[u8]) -> Result<()> {
        let (parent, name) = split(path);
        let fail = |e| fail("replace", path, e);
        let dir = self.parents.open(parent).map_err(fail)?;
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(fail(e)),
        }
    }

    /// Clears the lists of members with other attributes. Call this before all members are unpacked again.
    pub(crate) fn clear_deviations(&self) {
        self.deviations.times.take();
        self.deviations.owners.take();
    }

    /// Notes files that had one content in the source. [`finish`](Unpacker::finish) makes them one file
    /// if their content is equal.
    pub(crate) fn link_if_equal(&self, paths: Vec<Vec<u8>>) {
        self.deferred().link_groups.push(paths);
    }

    /// Links files with equal content, and sets owners, modes and times of directories.
    pub(crate) fn finish(self) -> Result<FinishReport> {
        let deferred = std::mem::take(&mut *self.deferred());
        let mut linked = 0;
        for paths in &deferred.link_groups {
            linked += link_equal_files(&self.parents, paths)?;
        }
        // Deepest first: each entry that is made in a directory changes the directory's time.
        for (path, Directory { attributes, .. }) in deferred.directories.iter().rev() {
            let dir = self.parents.root.dir(path);
            let dir = dir.map_err(|e| fail("open the directory", path, e))?;
            attributes.set(&dir, path, self.options.owner, &self.deviations)?;
        }
        Ok(FinishReport {
            linked,
            clamped: self.deviations.times.take(),
            unowned: self.deviations.owners.take(),
            directories: deferred.directories.into_keys().collect(),
        })
    }

    fn deferred(&self) -> MutexGuard<'_, Deferred> {
        self.deferred.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
