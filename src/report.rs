//! The report of a finished backup.

use std::{ffi::OsString, fmt, io, sync::Arc, time::Duration};

use crate::{checksum::Sha1, error::without_os_code, listed::Listed, warning::Warning};

/// The result of a backup: size, hash and counts of the archive, and the paths that it does not contain.
///
/// A file that cannot be read does not fail a backup. [`is_partial`](Report::is_partial) tells of such files,
/// and [`skipped`](Report::skipped) lists them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Path or URL of the archive, from [`Store::location`](crate::Store::location). `None` for
    /// [`send_to`](crate::Backup::send_to) and [`write_to`](crate::Backup::write_to): the caller knows where
    /// the bytes went.
    pub location: Option<OsString>,
    /// Bytes of the archive.
    pub size: u64,
    /// SHA-1 of the archive.
    pub sha1: Sha1,
    /// Regular files in the archive.
    pub files: u64,
    /// Directories in the archive. With profile `wings`, only the index has them.
    pub directories: u64,
    /// Symlinks in the archive. With profile `wings`, only the index has them.
    pub symlinks: u64,
    /// Groups of files that are hard links of one another. Each file is stored in full.
    pub hard_links: u64,
    /// Bytes of file content in the archive, holes included.
    pub content: u64,
    /// Bytes read from the source. Less than `content` if files have holes or are unchanged.
    pub read: u64,
    /// Bytes of the archive that were copied from the previous archive.
    pub copied: u64,
    /// Bytes of the tar stream that were compressed: all except the copied ones.
    pub compressed: u64,
    /// Bytes of the archive that were sent to a service. 0 if the destination is not a service.
    pub uploaded: u64,
    /// Bytes of the archive that a service has copied from the previous archive in the same store. They were not
    /// sent.
    pub copied_in_store: u64,
    /// Segments of the tar stream.
    pub segments: u64,
    /// Files, symlinks and directories that a pattern excludes. The content of an excluded directory that
    /// was not entered is not counted.
    pub excluded: u64,
    /// Paths that the archive does not contain, or only in part, in the order of the walk.
    pub skipped: Listed<Skipped>,
    /// Files that changed while the backup read them.
    pub changed: Listed<Changed>,
    /// Suspicious patterns, options that name paths that were not found, and the like.
    pub warnings: Vec<Warning>,
    /// Time from the start to the commit.
    pub duration: Duration,
    pub(crate) is_partial: bool,
}

impl Report {
    /// Returns whether the archive lacks something that could not be read.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }
}

/// A path that the backup left out, with the reason.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Skipped {
    /// Path relative to the root. It may hold any bytes.
    pub path: Vec<u8>,
    /// Reason.
    pub reason: SkipReason,
}

/// The reason why a path is not in the archive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SkipReason {
    /// The operating system refused to open or read it. If it is a directory, only its content is missing.
    Unreadable(Arc<io::Error>),
    /// It was removed after its directory was listed and before the backup opened it.
    Vanished,
    /// It became another kind of file before the backup opened it: for example, a directory.
    Replaced,
    /// Its path is longer than 4,096 bytes, so no program could restore it.
    PathTooLong,
    /// A directory on another file system, with [`one_file_system`](crate::Backup::one_file_system).
    OtherFileSystem,
    /// A socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A block or character device.
    Device,
    /// An archive of wingback, or a file, finished or not, of the store that this backup goes to. See
    /// [`include_archives`](crate::Backup::include_archives).
    OwnBackup,
    /// [`select`](crate::Backup::select) names it, and the source does not have it.
    Missing,
    /// [`select`](crate::Backup::select) names other paths. Only a [preview](crate::Backup::preview) has it.
    NotSelected,
}

impl SkipReason {
    /// Returns whether the backup lacks data that it should have. True for paths that could not be read, false
    /// for paths that a backup never contains.
    pub fn is_data_loss(&self) -> bool {
        matches!(
            self,
            SkipReason::Unreadable(_)
                | SkipReason::Replaced
                | SkipReason::PathTooLong
                | SkipReason::Missing
        )
    }

    /// Returns a word for programs. The words are stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            SkipReason::Unreadable(_) => "unreadable",
            SkipReason::Vanished => "vanished",
            SkipReason::Replaced => "replaced",
            SkipReason::PathTooLong => "path-too-long",
            SkipReason::OtherFileSystem => "other-file-system",
            SkipReason::Socket => "socket",
            SkipReason::Fifo => "fifo",
            SkipReason::Device => "device",
            SkipReason::OwnBackup => "own-backup",
            SkipReason::Missing => "missing",
            SkipReason::NotSelected => "not-selected",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::Unreadable(e) => {
                return write!(f, "cannot be read: {}", without_os_code(&e.to_string()));
            }
            SkipReason::Vanished => "vanished before it was read",
            SkipReason::Replaced => "became another kind of file before it was read",
            SkipReason::PathTooLong => "its path is longer than 4096 bytes",
            SkipReason::OtherFileSystem => "is on another file system",
            SkipReason::Socket => "is a socket",
            SkipReason::Fifo => "is a named pipe",
            SkipReason::Device => "is a device",
            SkipReason::OwnBackup => "is a backup itself",
            SkipReason::Missing => "was selected, but is not in the source",
            SkipReason::NotSelected => "is not selected",
        })
    }
}

/// A file that changed while the backup read it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// Path relative to the root. It may hold any bytes.
    pub path: Vec<u8>,
    /// The change that was noticed.
    pub change: Change,
}

/// The change of a file while the backup read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It was written to, or its metadata changed. The stored content may mix old and new.
    Modified,
    /// It became longer. The archive has the length at the time of opening.
    Grew,
    /// It became shorter. A small file is stored with the length that was read; a large file is filled with
    /// zeros.
    Shrank,
}

impl Change {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Change::Modified => "modified",
            Change::Grew => "grew",
            Change::Shrank => "shrank",
        }
    }
}
