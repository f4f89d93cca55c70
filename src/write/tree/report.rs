//! Counts and lists of the source tree, for the report.

use crate::{
    listed::Listed,
    report::{Changed, Skipped},
};

/// Counts and lists of the source tree, for the report.
#[derive(Debug, Default)]
pub(crate) struct TreeReport {
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) symlinks: u64,
    /// Groups of hard links.
    pub(crate) hard_links: u64,
    /// Bytes of the files' content.
    pub(crate) content: u64,
    /// Bytes that were read.
    pub(crate) read: u64,
    pub(crate) excluded: u64,
    pub(crate) skipped: Listed<Skipped>,
    /// Whether something was skipped that belongs into the archive.
    pub(crate) is_partial: bool,
    pub(crate) changed: Listed<Changed>,
    /// Entries with a time that the index cannot represent.
    pub(crate) times_beyond: Listed<Vec<u8>>,
    /// Paths of `max_len` that were not found.
    pub(crate) unused_max_len: Vec<Vec<u8>>,
}

impl TreeReport {
    /// Returns the number of members of the archive.
    pub(crate) fn members(&self) -> u64 {
        self.files + self.directories + self.symlinks
    }
}
