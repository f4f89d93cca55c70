//! The enumerations, each with its conversion from or to the engine's own. Their numbers are a part of
//! the ABI.

use wingback::{
    ErrorKind, IgnoreFile, Level, MemberKind, NoIndex, Phase, Profile, ReadMethod, Recovered, Rules,
};

/// How a call or a task ended. A number never changes its meaning, and one that is retired is not
/// used again; there may be more of them one day.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_status {
    /// All is well.
    Ok = 0,
    /// The task is not over yet.
    NotYet = 1,
    /// There are no more entries.
    End = 2,
    /// The source, or the archive asked for, does not exist.
    NotFound = 10,
    /// An archive of that name exists, or another backup is making it right now.
    AlreadyExists = 11,
    /// The system refused access.
    PermissionDenied = 12,
    /// An argument is NULL that must not be, or not usable; or a call came out of its order.
    InvalidInput = 13,
    /// The destination is full, over its quota, or under the reserve that was asked for.
    NoSpace = 14,
    /// The task was cancelled.
    Cancelled = 15,
    /// The source directory was replaced or went away while it was read.
    SourceGone = 16,
    /// An archive is not what its checksums or its format promise.
    Corrupt = 17,
    /// Another operation is under way there, or one that was interrupted must be ended first.
    Busy = 18,
    /// A link with a signature that is not good any more.
    UrlExpired = 19,
    /// Any other failure of the system below: the disk, the network, the store.
    Io = 20,
    /// A fault of the library, such as a panic.
    Internal = 21,
    /// This build of the library lacks what was asked for.
    Unsupported = 22,
}

impl wingback_status {
    pub(crate) fn of_error(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::AlreadyExists,
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::InvalidInput => Self::InvalidInput,
            ErrorKind::NoSpace => Self::NoSpace,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::SourceGone => Self::SourceGone,
            ErrorKind::Corrupt => Self::Corrupt,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::UrlExpired => Self::UrlExpired,
            ErrorKind::Io => Self::Io,
            // A kind that this table lacks is a fault of the library.
            _ => Self::Internal,
        }
    }
}

/// The phases of a task, in their order.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_phase {
    /// Opening source and destination.
    Starting = 0,
    /// Reading the source, or the archive.
    Reading = 1,
    /// The source is read to its end and not needed any more; the archive is still being written.
    SourceRead = 2,
    /// What was made is being made durable and visible.
    Committing = 3,
    /// Over, well or not.
    Done = 4,
}

impl From<Phase> for wingback_phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Starting => Self::Starting,
            Phase::Reading => Self::Reading,
            Phase::SourceRead => Self::SourceRead,
            Phase::Committing => Self::Committing,
            _ => Self::Done,
        }
    }
}

/// How hard to compress.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_level {
    /// Not at all.
    None = 0,
    /// Fast, and small enough. The default.
    Fast = 1,
    /// As small as deflate gets, several times slower.
    Best = 2,
}

impl From<wingback_level> for Level {
    fn from(level: wingback_level) -> Self {
        match level {
            wingback_level::None => Level::None,
            wingback_level::Fast => Level::Fast,
            wingback_level::Best => Level::Best,
        }
    }
}

/// Which language exclude patterns are written in.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_rules {
    /// That of .gitignore, answering as git does. The default.
    Git = 0,
    /// That of .pteroignore, answering as Wings does.
    Wings = 1,
}

impl From<wingback_rules> for Rules {
    fn from(rules: wingback_rules) -> Self {
        match rules {
            wingback_rules::Git => Rules::Git,
            wingback_rules::Wings => Rules::Wings,
        }
    }
}

/// What the ignore file in the source's root is used for.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_ignore_file {
    /// Its patterns come first, the caller's after them. The default.
    Merge = 0,
    /// It is used only if the caller gave no patterns, as Wings does.
    Replace = 1,
    /// It is not used.
    None = 2,
}

impl From<wingback_ignore_file> for IgnoreFile {
    fn from(mode: wingback_ignore_file) -> Self {
        match mode {
            wingback_ignore_file::Merge => IgnoreFile::Merge,
            wingback_ignore_file::Replace => IgnoreFile::Replace,
            wingback_ignore_file::None => IgnoreFile::None,
        }
    }
}

/// Which entries get a place in the tar.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_profile {
    /// Files, symlinks and directories. The default.
    Full = 0,
    /// Regular files only, for Wings' own restore; the others are in the index.
    Wings = 1,
}

impl From<wingback_profile> for Profile {
    fn from(profile: wingback_profile) -> Self {
        match profile {
            wingback_profile::Full => Profile::Full,
            wingback_profile::Wings => Profile::Wings,
        }
    }
}

/// Whose the files that are written will be.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_owner {
    /// The caller's. The default.
    Keep = 0,
    /// The user and group that are given.
    Fixed = 1,
    /// Those that the archive says.
    FromArchive = 2,
}

/// What a member of an archive is.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_member_kind {
    /// Another kind than this library knows.
    Other = 0,
    /// A regular file.
    File = 1,
    /// Another name of a file that came before it.
    HardLink = 2,
    /// A symbolic link.
    Symlink = 3,
    /// A directory.
    Directory = 4,
    /// A named pipe.
    Fifo = 5,
    /// A character device.
    CharDevice = 6,
    /// A block device.
    BlockDevice = 7,
}

impl From<MemberKind> for wingback_member_kind {
    fn from(kind: MemberKind) -> Self {
        match kind {
            MemberKind::File => Self::File,
            MemberKind::HardLink => Self::HardLink,
            MemberKind::Symlink => Self::Symlink,
            MemberKind::Directory => Self::Directory,
            MemberKind::Fifo => Self::Fifo,
            MemberKind::CharDevice => Self::CharDevice,
            MemberKind::BlockDevice => Self::BlockDevice,
            _ => Self::Other,
        }
    }
}

/// How an archive was read.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_read_method {
    /// By the index inside: side by side, and only what was needed.
    Indexed = 0,
    /// In sequence: it has no index. Another program made it, or its end is missing.
    NoIndex = 1,
    /// In sequence: its index is damaged.
    DamagedIndex = 2,
    /// In sequence: its index says something else than the archive itself.
    MismatchedIndex = 3,
    /// In sequence: it came as a stream.
    Stream = 4,
}

impl From<ReadMethod> for wingback_read_method {
    fn from(method: ReadMethod) -> Self {
        match method {
            ReadMethod::Indexed => Self::Indexed,
            ReadMethod::Sequential(NoIndex::Damaged) => Self::DamagedIndex,
            ReadMethod::Sequential(NoIndex::Mismatch) => Self::MismatchedIndex,
            ReadMethod::Sequential(NoIndex::Stream) => Self::Stream,
            ReadMethod::Sequential(_) => Self::NoIndex,
        }
    }
}

/// What became of a restore that was interrupted.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_recovered {
    /// There was none.
    Nothing = 0,
    /// Its exchange had begun, and was finished: the tree is the new one.
    Finished = 1,
    /// Its exchange had begun and was undone: the tree is the old one.
    Undone = 2,
    /// Its exchange had not begun: the tree is the old one.
    Discarded = 3,
}

impl From<Option<Recovered>> for wingback_recovered {
    fn from(recovered: Option<Recovered>) -> Self {
        match recovered {
            None => Self::Nothing,
            Some(Recovered::Finished) => Self::Finished,
            Some(Recovered::Undone) => Self::Undone,
            Some(_) => Self::Discarded,
        }
    }
}

/// How much a message of the log matters.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum wingback_log_level {
    /// A fault of the library.
    Error = 0,
    /// Something failed, or could not be waited for.
    Warning = 1,
    /// A task began or ended.
    Info = 2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_a_status_of_its_own() {
        let kinds = [
            ErrorKind::NotFound,
            ErrorKind::AlreadyExists,
            ErrorKind::PermissionDenied,
            ErrorKind::InvalidInput,
            ErrorKind::NoSpace,
            ErrorKind::Cancelled,
            ErrorKind::SourceGone,
            ErrorKind::Corrupt,
            ErrorKind::Busy,
            ErrorKind::UrlExpired,
            ErrorKind::Io,
            ErrorKind::Internal,
        ];
        let statuses = kinds.map(|kind| wingback_status::of_error(kind) as i32);
        assert_eq!(
            statuses,
            [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21],
            "these numbers are frozen"
        );
    }
}
