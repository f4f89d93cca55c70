//! The results of a comparison.

use std::time::Duration;

use crate::{entry::Member, listed::Listed, read::damage::ReadMethod, report::Skipped};

/// A path that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Path in the archive, relative to the root. It may hold any bytes.
    pub path: Vec<u8>,
    /// The member of the archive. `None` if the path was added.
    pub before: Option<Member>,
    /// The member of the other archive, or the entry of the directory. `None` if the path was removed.
    pub after: Option<Member>,
    /// What differs of a path that both have, in the order of [`Aspect`].
    pub changes: Vec<Aspect>,
}

impl Difference {
    /// Returns whether the path was added, removed or changed.
    pub fn kind(&self) -> DifferenceKind {
        match (&self.before, &self.after) {
            (None, _) => DifferenceKind::Added,
            (_, None) => DifferenceKind::Removed,
            (Some(_), Some(_)) => {
                let is_data = |aspect: &Aspect| *aspect <= Aspect::Target;
                match self.changes.iter().any(is_data) {
                    true => DifferenceKind::Changed,
                    false => DifferenceKind::Metadata,
                }
            }
        }
    }
}

/// Kind of a [`Difference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DifferenceKind {
    /// Only the second side has the path.
    Added,
    /// Only the archive has the path.
    Removed,
    /// The kind, the content or the target differs. Metadata may differ too.
    Changed,
    /// Only mode, owner or time differ.
    Metadata,
}

impl DifferenceKind {
    /// Returns the kind as a word for programs. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            DifferenceKind::Added => "added",
            DifferenceKind::Removed => "removed",
            DifferenceKind::Changed => "changed",
            DifferenceKind::Metadata => "metadata",
        }
    }
}

/// A property of a path that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Aspect {
    /// A file became a symlink, or the other way round.
    Kind,
    /// Content of a file.
    Content,
    /// Target of a symlink.
    Target,
    /// Permission bits of a file or directory.
    Mode,
    /// Owner or group.
    Owner,
    /// Last change of a file or symlink.
    Mtime,
}

impl Aspect {
    /// Returns the property as a word for programs. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Aspect::Kind => "kind",
            Aspect::Content => "content",
            Aspect::Target => "target",
            Aspect::Mode => "mode",
            Aspect::Owner => "owner",
            Aspect::Mtime => "mtime",
        }
    }
}

/// The result of a [`Diff`](crate::Diff), after its last difference.
#[derive(Debug)]
#[non_exhaustive]
pub struct Compared {
    /// How the archive was read.
    pub read_method: ReadMethod,
    /// How the other archive was read. `None` for a directory.
    pub other_read_method: Option<ReadMethod>,
    /// Paths that only the second side has.
    pub added: u64,
    /// Bytes of content of the added files.
    pub added_bytes: u64,
    /// Paths that only the archive has.
    pub removed: u64,
    /// Bytes of content of the removed files.
    pub removed_bytes: u64,
    /// Paths whose kind, content or target differs.
    pub changed: u64,
    /// Bytes of content of the changed files, on the second side.
    pub changed_bytes: u64,
    /// Paths of which only metadata differs.
    pub metadata: u64,
    /// Paths without a difference.
    pub unchanged: u64,
    /// Bytes of content that were read to compare it, of both sides together.
    pub read: u64,
    /// Paths of the directory that the archive's own patterns exclude. The content of an excluded directory is not
    /// counted.
    pub excluded: u64,
    /// Paths of the directory that could not be read, and were not compared.
    pub skipped: Listed<Skipped>,
    /// The selected paths and patterns that matched nothing on both sides.
    pub unmatched: Vec<Vec<u8>>,
    /// Time from the start to the end.
    pub duration: Duration,
}

impl Compared {
    pub(super) fn new(read_method: ReadMethod, other_read_method: Option<ReadMethod>) -> Self {
        Compared {
            read_method,
            other_read_method,
            added: 0,
            added_bytes: 0,
            removed: 0,
            removed_bytes: 0,
            changed: 0,
            changed_bytes: 0,
            metadata: 0,
            unchanged: 0,
            read: 0,
            excluded: 0,
            skipped: Listed::default(),
            unmatched: Vec::new(),
            duration: Duration::ZERO,
        }
    }

    /// Returns whether there was no difference.
    pub fn is_equal(&self) -> bool {
        self.added + self.removed + self.changed + self.metadata == 0
    }

    /// Returns whether some paths could not be compared.
    pub fn is_partial(&self) -> bool {
        !self.skipped.is_empty()
    }
}
