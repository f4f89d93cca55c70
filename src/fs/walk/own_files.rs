//! The files of the store that a backup goes to.

use std::{fmt, fs::Metadata, os::unix::fs::MetadataExt, sync::Arc};

use crate::fs::stat::FileId;

type IsOwn = dyn Fn(&[u8]) -> bool + Send + Sync;

/// The files of a store in one directory: its archives, and those that are being written. A backup into a
/// store inside of its own source leaves them out.
///
/// [`Upload::own_files`](crate::Upload::own_files) returns it. The report lists each of these files with
/// [`SkipReason::OwnBackup`](crate::SkipReason::OwnBackup).
///
/// ```
/// use wingback::OwnFiles;
///
/// # let tmp = tempfile::tempdir().unwrap();
/// # let dir = tmp.path();
/// let own = OwnFiles::new(&std::fs::metadata(dir)?, |name| name.ends_with(b".tar.gz"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct OwnFiles {
    dir: FileId,
    is_own: Arc<IsOwn>,
}

impl OwnFiles {
    /// Returns the regular files in a directory that have a name for which `is_own` returns true. `dir` is the
    /// metadata of the directory.
    ///
    /// The walk finds the directory by its device and inode, so its path does not matter. It calls `is_own`
    /// with each name in that directory alone, without the path, on a thread of the engine.
    pub fn new(dir: &Metadata, is_own: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        let dir = FileId { dev: dir.dev(), ino: dir.ino() };
        OwnFiles { dir, is_own: Arc::new(is_own) }
    }

    /// Returns whether the file `name` in the directory `dir` is one of them.
    pub(super) fn contain(&self, dir: FileId, name: &[u8]) -> bool {
        self.dir == dir && (self.is_own)(name)
    }
}

impl fmt::Debug for OwnFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnFiles").field("dir", &self.dir).finish_non_exhaustive()
    }
}
