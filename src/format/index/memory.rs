//! The limit for the memory of a decoded index.
//!
//! An index has a few bytes in the archive for each entry, and deflate can expand one byte to a thousand.
//! So a reader counts the memory before it allocates it, and compares it with the actual length of the
//! index in the archive. A writer counts in the same way, and does not write an index that a reader
//! would refuse.

use std::mem::size_of;

use super::lists::Segment;
use crate::{
    entry::{Entry, Unlisted},
    error::{Error, ErrorKind, Result},
};

/// Memory that every index may need.
const BASE: u64 = 8 << 20;

/// Memory in addition to [`BASE`] that an index may need for each of its bytes in the archive.
const PER_BYTE: u64 = 16;

/// Maximum memory of any index: about twelve million entries with paths of 50 bytes.
pub(super) const MEMORY_MAX: u64 = 2 << 30;

/// Maximum length of an index in the archive. An index needs more memory than it has bytes before
/// compression, and padding adds a sixteenth.
pub(super) const LEN_MAX: u64 = MEMORY_MAX + MEMORY_MAX / 8;

/// Memory of a group of hard links, and of each link in it.
pub(super) const GROUP: u64 = 56;
pub(super) const LINK: u64 = 8;

/// Returns the memory that an index of `len` bytes may need.
pub(super) fn allowed(len: u64) -> u64 {
    BASE.saturating_add(len.saturating_mul(PER_BYTE)).min(MEMORY_MAX)
}

/// Returns the minimum length in the archive of an index that needs `memory`.
pub(super) fn least_len(memory: u64) -> u64 {
    memory.saturating_sub(BASE).div_ceil(PER_BYTE)
}

/// Fails if an index needs more memory than readers allow.
pub(super) fn check(memory: u64) -> Result<()> {
    if memory <= MEMORY_MAX {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "write the index").caused_by(format!(
        "there are too many entries: a reader would need over {MEMORY_MAX} bytes of memory for the index"
    )))
}

/// An item in a list of an index.
pub(crate) trait Item {
    /// Memory of one item in its list, and of the data that a reader keeps with it.
    const FIXED: u64;

    /// Returns the memory that the item owns outside the list.
    fn heap(&self) -> u64;
}

impl Item for Segment {
    /// With two offsets, and its entry in the hash table of a previous archive.
    const FIXED: u64 = 96;

    fn heap(&self) -> u64 {
        0
    }
}

impl Item for Entry {
    /// With its offset.
    const FIXED: u64 = 96;

    fn heap(&self) -> u64 {
        allocated(self.path.len())
    }
}

impl Item for Unlisted {
    const FIXED: u64 = 80;

    fn heap(&self) -> u64 {
        allocated(self.path.len()) + allocated(self.target.len())
    }
}

// These numbers belong to the format, so they must not depend on the compiler.
const _: () = assert!(
    size_of::<Segment>() + 2 * 8 + 48 <= 96
        && size_of::<Entry>() + 8 <= 96
        && size_of::<Unlisted>() <= 80
);

/// Returns the memory that an allocator needs for `len` bytes.
fn allocated(len: usize) -> u64 {
    if len == 0 { 0 } else { (len as u64 + 8).next_multiple_of(16).max(32) }
}
