//! The tree that is written: its parent directories, held open, and its temporary names.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use rustix::{fs::Mode, io::Errno};

use crate::fs::{
    beneath::Beneath,
    sys::rename_new,
    unpack::{open_dirs::OpenDirs, options::OverwritePolicy},
};

/// Mode of directories that the archive does not name, less the umask.
const IMPLIED_MODE: Mode = Mode::from_raw_mode(0o755);

/// A root, and the parent directories beneath it that were used last.
#[derive(Debug)]
pub(super) struct Parents {
    pub(super) root: Beneath,
    open: OpenDirs<Arc<OwnedFd>>,
    next_temporary: AtomicU64,
}

impl Parents {
    pub(super) fn new(root: Beneath) -> Self {
        Parents {
            root,
            open: OpenDirs::default(),
            // The start is random, so that nobody can guess the names and take them first.
            next_temporary: AtomicU64::new(uuid::Uuid::new_v4().as_u64_pair().1),
        }
    }

    /// Opens the directory at `path`, after making it and its parents if they are missing.
    pub(super) fn open(&self, path: &[u8]) -> Result<Arc<OwnedFd>, Errno> {
        self.open.get(path, || self.root.make_dir(path, IMPLIED_MODE).map(Arc::new))
    }

    /// Closes all directories, since one of them may have been removed.
    pub(super) fn close_all(&self) {
        self.open.close_all();
    }

    /// Returns the name under which an entry is made: its own, or a temporary one that
    /// [`publish`] renames.
    pub(super) fn creation_name(&self, own: &[u8], policy: OverwritePolicy) -> Vec<u8> {
        match policy {
            OverwritePolicy::NewTree => own.to_vec(),
            OverwritePolicy::Refuse | OverwritePolicy::Overwrite => self.temporary_name(),
        }
    }

    pub(super) fn temporary_name(&self) -> Vec<u8> {
        format!(".wingback-{:016x}", self.next_temporary.fetch_add(1, Relaxed)).into_bytes()
    }
}

/// Gives an entry that was made under the name `made` its own name.
pub(super) fn publish(
    dir: &OwnedFd,
    made: &[u8],
    own: &[u8],
    policy: OverwritePolicy,
) -> Result<(), Errno> {
    match policy {
        OverwritePolicy::NewTree => Ok(()),
        OverwritePolicy::Refuse => rename_new(dir, made, dir, own),
        OverwritePolicy::Overwrite => rustix::fs::renameat(dir, made, dir, own),
    }
}
