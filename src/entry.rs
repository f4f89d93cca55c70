//! The entries of an archive: one for each file, symlink and directory.

use serde::{Deserialize, Serialize};

/// The kind of an entry that a backup stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
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

/// The metadata of an entry in the file system.
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
    /// Last change of content or metadata, in nanoseconds since 1970 (negative before).
    pub(crate) ctime_ns: i64,
    /// Inode number.
    pub(crate) inode: u64,
}

/// Converts nanoseconds since 1970 to 64 bits, which hold 1677 to 2262. Returns the nearest time that fits.
pub(crate) fn nearest_ns(ns: i128) -> i64 {
    ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// Returns whether [`nearest_ns`] may have changed this time.
pub(crate) fn is_beyond(ns: i64) -> bool {
    ns == i64::MIN || ns == i64::MAX
}

/// One entry of the tar stream, as the index records it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Entry {
    /// Path relative to the root, without a leading `./` or a trailing `/`. It may hold any bytes.
    #[serde(with = "serde_bytes")]
    pub path: Vec<u8>,
    pub(crate) kind: u8,
    /// Bytes of all header blocks of the entry.
    pub header_len: u32,
    /// Bytes of content, without padding.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of content or metadata, in nanoseconds since 1970. 0 in a
    /// [reproducible](crate::Backup::reproducible) archive.
    pub ctime_ns: i64,
    /// Inode number. 0 in a [reproducible](crate::Backup::reproducible) archive.
    pub inode: u64,
    /// A combination of [`Entry::CHANGED`] and [`Entry::RECENT`].
    pub flags: u32,
}

impl Entry {
    /// Flag: the file changed while the backup read it.
    pub const CHANGED: u32 = 1;
    /// Flag: the ctime was less than a minute old when the backup opened the file. A write right after it may
    /// leave the ctime as it is.
    pub const RECENT: u32 = 2;

    /// Returns the kind of the entry.
    pub fn kind(&self) -> EntryKind {
        EntryKind::from_code(self.kind).unwrap_or(EntryKind::File)
    }

    /// Returns the bytes of the entry in the tar stream: headers, content and padding.
    pub fn tar_len(&self) -> u64 {
        u64::from(self.header_len) + self.size.next_multiple_of(512)
    }
}

/// A symlink or directory that only the index has (profile [`Wings`](crate::Profile::Wings)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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
    /// Target of the symlink, unchanged. Empty for directories.
    #[serde(with = "serde_bytes")]
    pub target: Vec<u8>,
}

impl Unlisted {
    /// Returns the kind of the entry: a symlink or a directory.
    pub fn kind(&self) -> EntryKind {
        EntryKind::from_code(self.kind).unwrap_or(EntryKind::Directory)
    }
}

/// The kind of a member of any tar archive. A [`Backup`](crate::Backup) stores only some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MemberKind {
    /// A regular file.
    File,
    /// Another name of a file earlier in the archive.
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
    /// Returns the kind as a word for programs. The words are stable across versions.
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

/// A member of an archive that is read: of this crate, or of any other program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Path in the archive, without empty components, `.` and a trailing `/`. It may hold any bytes.
    /// Empty for the root.
    pub path: Vec<u8>,
    /// Kind of the member.
    pub kind: MemberKind,
    /// Bytes of content of a file. In a [`List`](crate::List), a hard link has the size of its file. 0 for
    /// all others.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Last change of the content, in nanoseconds since 1970. A time before 1677 or after 2262 is replaced
    /// by the nearest that 64 bits hold.
    pub mtime_ns: i64,
    /// Target of a symlink, unchanged, or the path that a hard link names. A listing that was read by the
    /// index does not have the targets of symlinks: they are empty.
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
