//! What a finished backup says of itself.

use std::{fmt, io, time::Duration};

use crate::{listed::Listed, warning::Warning};

/// The result of a backup: what the archive is, and what of the source is not in it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// Bytes of the archive.
    pub size: u64,
    /// SHA-1 of the archive's bytes.
    pub sha1: [u8; 20],
    /// Regular files in the archive.
    pub files: u64,
    /// Directories in the archive (in its index only, with profile `wings`).
    pub directories: u64,
    /// Symlinks in the archive (likewise).
    pub symlinks: u64,
    /// Groups of files that are hard links of one another; each is stored in full.
    pub hard_links: u64,
    /// Bytes of file content in the archive, holes included.
    pub content: u64,
    /// Bytes read from the source; less than `content` where files have holes.
    pub read: u64,
    /// Bytes of the archive that were copied from the previous one.
    pub copied: u64,
    /// Bytes of the tar stream that were compressed: all of it but what was copied.
    pub compressed: u64,
    /// Segments that the tar stream was cut into.
    pub segments: u64,
    /// Files, symlinks and directories left out by a pattern; what lies in an excluded directory
    /// that was not entered is not counted.
    pub excluded: u64,
    /// Paths that are not in the archive, or not wholly, in the order of the walk.
    pub skipped: Listed<Skipped>,
    /// Files that changed while they were read.
    pub changed: Listed<Changed>,
    /// Odd patterns, and options that named a path which was not met.
    pub warnings: Vec<Warning>,
    /// From start to commit.
    pub duration: Duration,
    pub(crate) is_partial: bool,
}

impl Report {
    /// Whether something that should be in the archive could not be read.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// The SHA-1 in lower-case hexadecimal.
    pub fn sha1_hex(&self) -> String {
        use fmt::Write;
        self.sha1.iter().fold(String::with_capacity(40), |mut s, b| {
            let _ = write!(s, "{b:02x}");
            s
        })
    }
}

/// A path that was left out, and why.
#[derive(Debug)]
pub struct Skipped {
    /// Relative to the root, any bytes.
    pub path: Vec<u8>,
    /// Why.
    pub reason: SkipReason,
}

/// Why a path is not in the archive.
#[derive(Debug)]
#[non_exhaustive]
pub enum SkipReason {
    /// The system refused to open or read it. Of a directory, only its content is missing.
    Unreadable(io::Error),
    /// It was there when its directory was listed, and gone when its turn came.
    Vanished,
    /// It was something else when its turn came: a file became a directory, say.
    Replaced,
    /// Its path is over 4,096 bytes, which nothing could restore.
    PathTooLong,
    /// A directory on another file system, not entered since that was asked for.
    OtherFileSystem,
    /// A socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A block or character device.
    Device,
    /// An archive, or one in the making, of the store that this backup goes to.
    OwnBackup,
}

impl SkipReason {
    /// Whether the backup lacks something that it should have: true for what could not be read,
    /// false for what a backup leaves out by its nature.
    pub fn is_data_loss(&self) -> bool {
        matches!(self, SkipReason::Unreadable(_) | SkipReason::Replaced | SkipReason::PathTooLong)
    }

    /// A word for programs, stable across versions.
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
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SkipReason::Unreadable(e) => return write!(f, "cannot be read: {e}"),
            SkipReason::Vanished => "vanished before it was read",
            SkipReason::Replaced => "became another kind of file before it was read",
            SkipReason::PathTooLong => "its path is over 4096 bytes",
            SkipReason::OtherFileSystem => "is on another file system",
            SkipReason::Socket => "is a socket",
            SkipReason::Fifo => "is a named pipe",
            SkipReason::Device => "is a device",
            SkipReason::OwnBackup => "is a backup in the store that this one goes to",
        })
    }
}

/// A file that changed while it was read, and how the archive has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Relative to the root, any bytes.
    pub path: Vec<u8>,
    /// What was seen.
    pub change: Change,
}

/// How a file changed while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It was written to, or its metadata changed: the content may mix old and new.
    Modified,
    /// It became longer: the archive has the length it had when it was opened.
    Grew,
    /// It became shorter. A small file is stored at the length that was read; of a large one the
    /// rest is zeros.
    Shrank,
}

impl Change {
    /// A word for programs, stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Change::Modified => "modified",
            Change::Grew => "grew",
            Change::Shrank => "shrank",
        }
    }
}
