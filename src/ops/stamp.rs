//! Properties by which a file is taken for unchanged.

use crate::entry::{Entry, Metadata, is_beyond};

/// Properties of a file that change with its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp {
    mtime_ns: i64,
    ctime_ns: i64,
    /// 0 if it is unknown.
    inode: u64,
    /// The file changed while the backup read it.
    pub(super) is_changed: bool,
    /// The file changed shortly before the backup read it.
    is_recent: bool,
}

impl Stamp {
    pub(super) fn of_entry(entry: &Entry) -> Self {
        Stamp {
            mtime_ns: entry.mtime_ns,
            ctime_ns: entry.ctime_ns,
            inode: entry.inode,
            is_changed: entry.is_changed,
            is_recent: entry.is_recent,
        }
    }

    /// Returns the stamp of a file of a directory.
    pub(super) fn of_file(meta: &Metadata) -> Self {
        Stamp {
            mtime_ns: meta.mtime_ns,
            ctime_ns: meta.ctime_ns,
            inode: meta.inode,
            is_changed: false,
            is_recent: false,
        }
    }

    /// Returns whether two archives have the same content of a file of one size, as a backup with a previous
    /// archive judges it.
    pub(super) fn is_same(&self, other: &Stamp) -> bool {
        let is_settled = |stamp: &Stamp| !stamp.is_changed && !stamp.is_recent;
        let times = |stamp: &Stamp| (stamp.mtime_ns, stamp.ctime_ns, stamp.inode);
        times(self) == times(other)
            && self.inode != 0
            && !is_beyond(self.ctime_ns)
            && is_settled(self)
            && is_settled(other)
    }
}
