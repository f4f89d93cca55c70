//! What an index may take in memory.
//!
//! An index is a few bytes in the file for each entry, and deflate makes a thousand bytes of one. So a
//! reader counts what it is going to keep before it takes memory for it, and holds that against the
//! bytes that the index really has in the file. A writer counts in the same way, and writes no index
//! that a reader would not take.

use std::mem::size_of;

use crate::{
    entry::{Entry, Unlisted},
    error::{Error, ErrorKind, Result},
    format::index::Segment,
};

/// Memory that every index may take.
const BASE: u64 = 8 << 20;

/// Memory that an index may take for each byte that it has in the file, beyond [`BASE`].
const PER_BYTE: u64 = 16;

/// Memory that no index may exceed: some twelve million entries with paths of 50 bytes.
pub(super) const MEMORY_MAX: u64 = 2 << 30;

/// The longest that an index can be in the file: it takes more in memory than its raw bytes, and
/// padding adds a sixteenth.
pub(super) const LEN_MAX: u64 = MEMORY_MAX + MEMORY_MAX / 8;

/// What a group of hard links takes, and each link in it.
pub(super) const GROUP: u64 = 56;
pub(super) const LINK: u64 = 8;

/// Memory that an index of `len` bytes may take.
pub(super) fn allowed(len: u64) -> u64 {
    BASE.saturating_add(len.saturating_mul(PER_BYTE)).min(MEMORY_MAX)
}

/// The fewest bytes that an index must have in the file to take `memory`.
pub(super) fn least_len(memory: u64) -> u64 {
    memory.saturating_sub(BASE).div_ceil(PER_BYTE)
}

/// Fails where an index would take more memory than readers allow.
pub(super) fn check(memory: u64) -> Result<()> {
    if memory <= MEMORY_MAX {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, "write the index").caused_by(format!(
        "there are too many entries: their index would take a reader over {MEMORY_MAX} bytes of memory"
    )))
}

/// Something that an index has many of.
pub(crate) trait Item {
    /// Bytes of one in a list, with what a reader keeps beside it.
    const FIXED: u64;

    /// Bytes that one takes elsewhere.
    fn heap(&self) -> u64;
}

impl Item for Segment {
    /// With two offsets, and its place in the table of a previous archive.
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

// The numbers are of the format, and must not follow the compiler.
const _: () = assert!(
    size_of::<Segment>() + 2 * 8 + 48 <= 96
        && size_of::<Entry>() + 8 <= 96
        && size_of::<Unlisted>() <= 80
);

/// What an allocator takes for so many bytes.
fn allocated(len: usize) -> u64 {
    if len == 0 { 0 } else { (len as u64 + 8).next_multiple_of(16).max(32) }
}
