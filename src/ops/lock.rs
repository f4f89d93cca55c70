//! Locks of archives. A lock is an object beside the archive.

use crate::{error::Result, name::Key};

/// Returns the name of the lock of an archive.
///
/// Fails if the name is too long to have one.
pub(crate) fn lock_of(key: &Key) -> Result<Key> {
    Key::new(format!("{key}.lock"))
}
