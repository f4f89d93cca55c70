//! What `stat` returns: which file it is, and its metadata.

use rustix::fs::Stat;

use crate::entry::{Metadata, nearest_ns};

/// Identifies a file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

impl FileId {
    pub(crate) fn of(stat: &Stat) -> Self {
        FileId { dev: stat.st_dev, ino: stat.st_ino }
    }
}

impl Metadata {
    pub(crate) fn of(stat: &Stat) -> Self {
        Metadata {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            ctime_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
        }
    }
}

#[expect(clippy::useless_conversion, reason = "the fields differ between architectures")]
fn nanoseconds(seconds: i64, nanos: impl TryInto<i64>) -> i64 {
    let nanos = nanos.try_into().unwrap_or(0);
    nearest_ns(i128::from(i64::from(seconds)) * 1_000_000_000 + i128::from(nanos))
}
