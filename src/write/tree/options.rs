//! Options for reading the source tree.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{format::Profile, limiter::Limiter, read::is_own_archive};

/// A file whose ctime is younger than this may have changes that the ctime does not show yet:
/// memory-mapped pages change it only when they are written back.
const RECENT: Duration = Duration::from_secs(60);

/// What is read from the tree, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeOptions {
    pub(crate) profile: Profile,
    /// For some paths, the maximum number of bytes to store.
    pub(crate) max_len: HashMap<Vec<u8>, u64>,
    /// Leaves out values that differ between two copies of a tree: ctimes and inode numbers.
    pub(crate) reproducible: bool,
    /// A file whose mtime is unchanged has unchanged content, even if its ctime differs.
    pub(crate) trust_mtime: bool,
    /// The current time, for tests.
    pub(crate) now: Option<SystemTime>,
    pub(crate) read_limit: Limiter,
    /// Reads archives of wingback as well, instead of leaving them out.
    pub(crate) include_archives: bool,
}

impl TreeOptions {
    /// Returns whether a file of `len` bytes is left out because it is an archive of wingback. `fills` reads
    /// bytes from an offset on, and returns whether all of them are there.
    pub(crate) fn leaves_out(&self, len: u64, fills: impl FnMut(&mut [u8], u64) -> bool) -> bool {
        !self.include_archives && is_own_archive(len, fills)
    }

    /// Returns whether a ctime is too young to prove that a file is unchanged.
    pub(super) fn is_recent(&self, ctime_ns: i64) -> bool {
        let now = self.now.unwrap_or_else(SystemTime::now);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let until = i128::from(ctime_ns) + RECENT.as_nanos() as i128;
        now.as_nanos() as i128 <= until
    }
}
