//! The entries of an archive: one for each file, symlink and directory.

/// The kind of an entry that a backup stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum EntryKind {
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

/// One entry of the index: a file, symlink or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Path relative to the root, without a leading `./` or a trailing `/`. It may hold any bytes.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// Bytes of all header blocks in the tar stream. 0 for an entry that only the index has.
    pub(crate) header_len: u32,
    /// Bytes of content, without padding. 0 for symlinks and directories.
    pub(crate) size: u64,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Last change of the content, in nanoseconds since 1970.
    pub(crate) mtime_ns: i64,
    /// Last change of content or metadata, in nanoseconds since 1970. 0 in a reproducible archive.
    pub(crate) ctime_ns: i64,
    /// Inode number. 0 in a reproducible archive.
    pub(crate) inode: u64,
    /// The file changed while the backup read it.
    pub(crate) is_changed: bool,
    /// The ctime was less than a minute old when the backup opened the file. A write right after it may leave
    /// the ctime as it is.
    pub(crate) is_recent: bool,
    /// Target of a symlink, unchanged. Of a file with several names: the first of its names in the archive,
    /// and empty for that one.
    pub(crate) target: Vec<u8>,
}

impl Default for Entry {
    fn default() -> Self {
        Entry {
            path: Vec::new(),
            kind: EntryKind::File,
            header_len: 0,
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime_ns: 0,
            ctime_ns: 0,
            inode: 0,
            is_changed: false,
            is_recent: false,
            target: Vec::new(),
        }
    }
}

impl Entry {
    /// Returns whether the tar stream has the entry. Otherwise only the index has it (profile `wings`).
    pub(crate) fn is_in_tar(&self) -> bool {
        self.header_len > 0
    }

    /// Returns the bytes of the entry in the tar stream: headers, content and padding.
    pub(crate) fn tar_len(&self) -> u64 {
        u64::from(self.header_len) + self.size.next_multiple_of(512)
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
    /// Target of a symlink, unchanged, or the path that a hard link names. Empty for all others.
    pub target: Vec<u8>,
}

impl Member {
    pub(crate) fn of_entry(entry: &Entry) -> Self {
        Member {
            path: entry.path.clone(),
            kind: entry.kind.into(),
            size: entry.size,
            mode: entry.mode,
            uid: entry.uid.into(),
            gid: entry.gid.into(),
            mtime_ns: entry.mtime_ns,
            target: match entry.kind {
                EntryKind::Symlink => entry.target.clone(),
                EntryKind::File | EntryKind::Directory => Vec::new(),
            },
        }
    }
}
