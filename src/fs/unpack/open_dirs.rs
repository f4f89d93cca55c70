//! Directories that are held open, because most entries have the parent of an entry shortly before them.

use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

/// Directories that are held open. Each worker is in another one.
const OPEN_MAX: usize = 16;

/// The directories that were used last. `T` is a handle, or its absence.
#[derive(Debug)]
pub(super) struct OpenDirs<T>(Mutex<Vec<(Vec<u8>, T)>>);

impl<T> Default for OpenDirs<T> {
    fn default() -> Self {
        OpenDirs(Mutex::default())
    }
}

impl<T: Clone> OpenDirs<T> {
    /// Returns the directory at `path`. Opens it if it is not held open.
    pub(super) fn get(
        &self,
        path: &[u8],
        open: impl FnOnce() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        // The least recently used directory is the first.
        let mut dirs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = dirs.iter().rposition(|(known, _)| known == path);
        let dir = match known {
            Some(i) => dirs.remove(i),
            None => (path.to_vec(), open()?),
        };
        if dirs.len() == OPEN_MAX {
            dirs.remove(0);
        }
        let handle = dir.1.clone();
        dirs.push(dir);
        Ok(handle)
    }

    /// Closes all directories, since one of them may have been removed.
    pub(super) fn close_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
