//! The enumerations, each with its conversion from or to the engine's own. Their numbers are a part of
//! the ABI.

use wingback::{
    DifferenceKind, Encoder, ErrorKind, GroupBy, IgnoreFile, Level, MemberKind, NoIndex,
    PatternOrigin, Phase, Profile, ReadMethod, Recovered, Rules, Verdict,
};

/// The status of a call or a task. A number never changes its meaning, and a retired number is not
/// used again. Later versions may add numbers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_status {
    /// Success.
    Ok = 0,
    /// The task is not done yet.
    NotYet = 1,
    /// There are no more entries.
    End = 2,
    /// The source or the archive does not exist.
    NotFound = 10,
    /// An archive of that name exists, or another backup is making it now.
    AlreadyExists = 11,
    /// The system refused access.
    PermissionDenied = 12,
    /// An argument is NULL or cannot be used, or a call came at a wrong time.
    InvalidInput = 13,
    /// The destination is full, over its quota, or below the reserve.
    NoSpace = 14,
    /// The task was cancelled.
    Cancelled = 15,
    /// The source directory was replaced or removed while it was read.
    SourceGone = 16,
    /// The archive does not match its checksums, or is not in a known format.
    Corrupt = 17,
    /// Another operation is using the directory, or an interrupted one must be recovered first.
    Busy = 18,
    /// A presigned URL has expired.
    UrlExpired = 19,
    /// Any other failure of the system, the disk, the network or the store.
    Io = 20,
    /// A fault of the library, such as a panic.
    Internal = 21,
    /// This build of the library does not have the function.
    Unsupported = 22,
    /// The archive has another SHA-1 than the caller expects.
    Mismatch = 23,
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
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Mismatch => Self::Mismatch,
            // A kind that this table lacks is a fault of the library.
            _ => Self::Internal,
        }
    }
}

/// The phases of a task, in their order.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_phase {
    /// Opening the source and the destination.
    Starting = 0,
    /// Reading the source or the archive.
    Reading = 1,
    /// The source has been read and is not needed any more; the archive is still being written.
    SourceRead = 2,
    /// Making the result durable and visible.
    Committing = 3,
    /// The task has ended, with or without success.
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

/// Compression level.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_level {
    /// No compression.
    None = 0,
    /// Fast, with a good size. The default.
    Fast = 1,
    /// The smallest size that deflate reaches; several times slower.
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

/// Code that compresses. wingback_build tells which encoders the library has.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_encoder {
    /// In every library, for all levels. The same tree gives the same archive. The default.
    Wingback = 0,
    /// ISA-L of Intel, only for the level FAST. It needs less processor time. Its bytes differ between
    /// processors.
    IsaL = 1,
}

impl From<wingback_encoder> for Encoder {
    fn from(encoder: wingback_encoder) -> Self {
        match encoder {
            wingback_encoder::Wingback => Encoder::Wingback,
            wingback_encoder::IsaL => Encoder::IsaL,
        }
    }
}

/// Language of exclude patterns.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_rules {
    /// The language of .gitignore, with the same matches as git. The default.
    Git = 0,
    /// The language of .pteroignore, with the same matches as Wings.
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

impl From<Rules> for wingback_rules {
    fn from(rules: Rules) -> Self {
        match rules {
            Rules::Wings => Self::Wings,
            _ => Self::Git,
        }
    }
}

/// Use of the ignore file in the root of the source.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_ignore_file {
    /// Its patterns come before those of the caller. The default.
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

/// Kinds of members that the tar gets.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_profile {
    /// Files, symlinks and directories. The default.
    Full = 0,
    /// Regular files only, for Wings' own restore. Symlinks and directories are only in the index.
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

impl From<Profile> for wingback_profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Wings => Self::Wings,
            _ => Self::Full,
        }
    }
}

/// Owner of written files.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_owner {
    /// FROM_ARCHIVE for root, otherwise KEEP.
    Default = 0,
    /// The given user and group.
    Fixed = 1,
    /// The user and group in the archive.
    FromArchive = 2,
    /// The user who runs the program.
    Keep = 3,
}

/// What the archives of a group have in common.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_group_by {
    /// The label and the host. The default.
    LabelAndHost = 0,
    /// The label.
    Label = 1,
    /// All archives are one group.
    None = 2,
}

impl From<wingback_group_by> for GroupBy {
    fn from(group_by: wingback_group_by) -> Self {
        match group_by {
            wingback_group_by::LabelAndHost => GroupBy::LabelAndHost,
            wingback_group_by::Label => GroupBy::Label,
            wingback_group_by::None => GroupBy::None,
        }
    }
}

/// Verdict on an archive.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_verdict {
    /// Leave it alone, for a reason that this library does not know.
    Other = 0,
    /// Keep it.
    Keep = 1,
    /// Remove it.
    Remove = 2,
    /// Leave it alone, because it is not whole: a restore cannot use it.
    NotWhole = 3,
    /// Leave it alone, because it has no label.
    Unidentified = 4,
    /// Leave it alone, because its time is not known.
    Undated = 5,
    /// Leave it alone, because it is dated in the future.
    InFuture = 6,
}

impl From<Verdict> for wingback_verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Keep(_) => Self::Keep,
            Verdict::Remove => Self::Remove,
            Verdict::NotWhole => Self::NotWhole,
            Verdict::Unidentified => Self::Unidentified,
            Verdict::Undated => Self::Undated,
            Verdict::InFuture => Self::InFuture,
            _ => Self::Other,
        }
    }
}

/// Kind of a difference.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_difference_kind {
    /// A kind that this library does not know.
    Other = 0,
    /// Only the second side has the path.
    Added = 1,
    /// Only the archive has the path.
    Removed = 2,
    /// The kind, the content or the target differs. Metadata may differ too.
    Changed = 3,
    /// Only mode, owner or time differ.
    Metadata = 4,
}

impl From<DifferenceKind> for wingback_difference_kind {
    fn from(kind: DifferenceKind) -> Self {
        match kind {
            DifferenceKind::Added => Self::Added,
            DifferenceKind::Removed => Self::Removed,
            DifferenceKind::Changed => Self::Changed,
            DifferenceKind::Metadata => Self::Metadata,
            _ => Self::Other,
        }
    }
}

/// Kind of a member.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_member_kind {
    /// A kind that this library does not know.
    Other = 0,
    /// A regular file.
    File = 1,
    /// A hard link to an earlier file.
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

/// The text that has a pattern.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_pattern_origin {
    /// There is no pattern.
    None = 0,
    /// The ignore file in the root of the source.
    IgnoreFile = 1,
    /// The texts of wingback_backup_exclude.
    Caller = 2,
}

impl From<Option<&PatternOrigin>> for wingback_pattern_origin {
    fn from(origin: Option<&PatternOrigin>) -> Self {
        match origin {
            None => Self::None,
            Some(PatternOrigin::IgnoreFile) => Self::IgnoreFile,
            Some(_) => Self::Caller,
        }
    }
}

/// How an archive was read.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_read_method {
    /// By its index: in parallel, and only the parts that were needed.
    Indexed = 0,
    /// In sequence: it has no index. Another program made it, or its end is missing.
    NoIndex = 1,
    /// In sequence: its index is damaged.
    DamagedIndex = 2,
    /// In sequence: its index and its content do not match.
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
            _ => Self::NoIndex,
        }
    }
}

/// What was done about an interrupted restore.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum wingback_recovered {
    /// There was none.
    Nothing = 0,
    /// The exchange of the trees had begun and was finished: the tree is the new one.
    Finished = 1,
    /// The exchange had begun and was undone: the tree is the old one.
    Undone = 2,
    /// The exchange had not begun: the tree is the old one.
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

/// Importance of a log message.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum wingback_log_level {
    /// A fault of the library.
    Error = 0,
    /// A task failed, or could not be waited for.
    Warning = 1,
    /// A task began, ended or was cancelled.
    Info = 2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_kind_has_its_own_status() {
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
            ErrorKind::Unsupported,
            ErrorKind::Mismatch,
        ];
        let statuses = kinds.map(|kind| wingback_status::of_error(kind) as i32);
        assert_eq!(
            statuses,
            [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23],
            "these numbers are frozen"
        );
    }
}
