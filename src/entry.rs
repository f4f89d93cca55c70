//! What an archive holds: one [`Entry`] for each file, symlink and directory.

use serde::{Deserialize, Serialize};

/// The kinds of entry that an archive stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
}

impl EntryKind {
    pub(crate) fn code(self) -> u8 {
        match self {
            EntryKind::File => 0,
            EntryKind::Symlink => 1,
            EntryKind::Directory => 2,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [EntryKind::File, EntryKind::Symlink, EntryKind::Directory]
            .into_iter()
            .find(|k| k.code() == code)
    }
}

/// What the file system says of an entry, beside its path and content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Bytes of content; 0 for symlinks and directories.
    pub(crate) size: u64,
    /// Permission bits, `st_mode & 0o7777`.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Last change of the content, in nanoseconds since 1970 (negative before).
    pub(crate) mtime_ns: i64,
    /// Last change of content or metadata, likewise.
    pub(crate) ctime_ns: i64,
    /// The file's number on its file system.
    pub(crate) inode: u64,
}

/// Nanoseconds since 1970 in 64 bits, which reach from 1677 to 2262: of a time beyond, the nearest.
pub(crate) fn nearest_ns(ns: i128) -> i64 {
    ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Whether a time may be only the nearest to the true one.
pub(crate) fn is_beyond(ns: i64) -> bool {
    ns == i64::MIN || ns == i64::MAX
}

/// One entry of the tar stream, as the index records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Path relative to the root, without `./` in front or `/` behind, any bytes.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    pub(crate) kind: u8,
    /// Bytes of all its header blocks.
    pub header_len: u32,
    /// Bytes of content, without the padding.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of content or metadata, in nanoseconds since 1970; 0 where it was left out.
    pub ctime_ns: i64,
    /// Inode number; 0 where it was left out.
    pub inode: u64,
    /// [`Entry::CHANGED`] and [`Entry::RECENT`].
    pub flags: u32,
}

impl Entry {
    /// The file changed while it was read.
    pub const CHANGED: u32 = 1;
    /// Its ctime was less than a minute old when it was opened, so a later write may not show in it.
    pub const RECENT: u32 = 2;

    /// The kind of entry.
    pub fn kind(&self) -> EntryKind {
        EntryKind::from_code(self.kind).unwrap_or(EntryKind::File)
    }

    /// Bytes that the entry takes in the tar stream: headers, content and padding.
    pub fn tar_len(&self) -> u64 {
        u64::from(self.header_len) + self.size.next_multiple_of(512)
    }
}

/// A symlink or directory that has no tar entry of its own (profile `wings`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlisted {
    /// Path relative to the root.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    pub(crate) kind: u8,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Where the symlink points, verbatim; empty for directories.
    #[serde(with = "serde_bytes")]
    pub target: Vec<u8>,
}

impl Unlisted {
    /// The kind of entry: a symlink or a directory.
    pub fn kind(&self) -> EntryKind {
        EntryKind::from_code(self.kind).unwrap_or(EntryKind::Directory)
    }
}

/// What a member of a tar archive is: more than what a backup of ours stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MemberKind {
    /// A regular file.
    File,
    /// Another name of a file that came before it.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl MemberKind {
    /// A word for programs, stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            MemberKind::File => "file",
            MemberKind::HardLink => "hard-link",
            MemberKind::Symlink => "symlink",
            MemberKind::Directory => "directory",
            MemberKind::Fifo => "fifo",
            MemberKind::CharDevice => "char-device",
            MemberKind::BlockDevice => "block-device",
        }
    }
}

impl From<EntryKind> for MemberKind {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::File => MemberKind::File,
            EntryKind::Symlink => MemberKind::Symlink,
            EntryKind::Directory => MemberKind::Directory,
        }
    }
}

/// A member of an archive that is read: one of ours, or any other `.tar.gz`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Path as the archive has it, any bytes, without empty components, `.`, and a `/` behind it.
    /// Empty for the root.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// Bytes of content; 0 for all but files, and in a [`List`](crate::List) hard links to files.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Last change of the content, in nanoseconds since 1970. Of a time before 1677 or after 2262, the
    /// nearest that 64 bits hold.
    pub mtime_ns: i64,
    /// Where a symlink points, verbatim, or the path that a hard link names. Of a symlink that is known from the index
    /// only (a listing), it is empty.
    pub target: Vec<u8>,
}

impl Member {
    pub(crate) fn of_entry(entry: &Entry) -> Self {
        Member {
            path: entry.path.clone(),
            kind: entry.kind().into(),
            size: entry.size,
            mode: entry.mode,
            uid: entry.uid.into(),
            gid: entry.gid.into(),
            mtime_ns: entry.mtime_ns,
            target: Vec::new(),
        }
    }

    pub(crate) fn of_unlisted(unlisted: &Unlisted) -> Self {
        Member {
            path: unlisted.path.clone(),
            kind: unlisted.kind().into(),
            size: 0,
            mode: unlisted.mode,
            uid: unlisted.uid.into(),
            gid: unlisted.gid.into(),
            mtime_ns: unlisted.mtime_ns,
            target: unlisted.target.clone(),
        }
    }
}
