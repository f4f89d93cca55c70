//! Options and results of writing the members of an archive.

use crate::{
    entry::Member,
    error::{Error, ErrorKind, Result},
    fs::unpack::Owner,
    listed::Listed,
    size::Size,
    warning::Warning,
};

/// Default limit of the members of an archive. [`UnpackOptions::max_members`] and
/// [`List::max_members`](crate::List::max_members) change it.
///
/// The limit bounds the memory, because something is remembered of most members until the end. An archive of
/// 100 MB can have 200 million directories. A member counts once more for each 128 bytes of its path and
/// target, so that long names need no more memory than many short ones.
pub const MEMBERS_MAX: u64 = 5_000_000;

/// Returns how often a member counts towards [`MEMBERS_MAX`].
pub(crate) fn weight(member: &Member) -> u64 {
    1 + (member.path.len() + member.target.len()) as u64 / 128
}

/// Returns the error of an archive with too many members.
pub(crate) fn too_many(operation: &'static str, max: u64) -> Error {
    let why = format!("the archive has more than {max} members, the most that max_members allows");
    Error::new(ErrorKind::NoSpace, operation).caused_by(why)
}

/// Counts content against [`UnpackOptions::max_bytes`] and [`UnpackOptions::max_ratio`].
pub(crate) struct ContentLimit {
    max: u64,
    content: u64,
}

impl ContentLimit {
    /// Returns the limit for an archive of `archive_len` bytes, if that is known.
    pub(crate) fn new(options: &UnpackOptions, archive_len: Option<u64>) -> Self {
        let by_ratio = archive_len.map_or(u64::MAX, |len| len.saturating_mul(options.max_ratio));
        ContentLimit { max: options.max_bytes.min(by_ratio), content: 0 }
    }

    /// Adds the size of a file. Holes count, because a later reader of the file reads them.
    pub(crate) fn add(&mut self, operation: &'static str, size: u64) -> Result<()> {
        self.content = self.content.saturating_add(size);
        if self.content <= self.max {
            return Ok(());
        }
        let max = Size(self.max);
        let why = format!(
            "the content is larger than {max}, the most that max_bytes or max_ratio allows"
        );
        Err(Error::new(ErrorKind::NoSpace, operation).caused_by(why))
    }
}

/// Threads, owner and limits of [`Extract`](crate::Extract) and [`Restore`](crate::Restore).
/// [`Archive::write_limit`](crate::Archive::write_limit) limits the speed.
#[derive(Clone, Debug)]
pub struct UnpackOptions {
    pub(crate) threads: usize,
    pub(crate) background: bool,
    pub(crate) owner: Owner,
    pub(crate) reserve: u64,
    pub(crate) max_bytes: u64,
    pub(crate) max_members: u64,
    pub(crate) max_ratio: u64,
    pub(crate) skip_refused: bool,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        UnpackOptions {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            background: false,
            owner: Owner::default(),
            reserve: 0,
            max_bytes: u64::MAX,
            max_members: MEMBERS_MAX,
            max_ratio: u64::MAX,
            skip_refused: false,
        }
    }
}

impl UnpackOptions {
    /// Returns the default options: one thread for each processor, the [default owner](Owner::default), at
    /// most [`MEMBERS_MAX`], and no other limit.
    pub fn new() -> Self {
        UnpackOptions::default()
    }

    /// Sets the number of threads that decode and write, at least one. One or two more threads read.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, 1024);
        self
    }

    /// Runs with the lowest priority for the processor and the disk.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Sets the owner of the extracted files. The default is [`Owner::FromArchive`] for root, and otherwise
    /// [`Owner::Keep`].
    ///
    /// An owner that cannot be set is a [warning](Warning::RestoredOwner), and not an error. The user namespace of
    /// the process may not have that user, or a network file system may refuse it.
    #[must_use]
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// Keeps `bytes` of the file system free. The task fails with [`NoSpace`](crate::ErrorKind::NoSpace) if
    /// less is free.
    #[must_use]
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// Limits the content to `bytes`, holes included. The task fails with
    /// [`NoSpace`](crate::ErrorKind::NoSpace) if there is more. There is no limit by default.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Limits the number of members. The default is [`MEMBERS_MAX`], which explains how members count. The
    /// task fails with [`NoSpace`](crate::ErrorKind::NoSpace) if there are more.
    #[must_use]
    pub fn max_members(mut self, members: u64) -> Self {
        self.max_members = members;
        self
    }

    /// Limits the content to `ratio` times the size of the archive, holes included. The task fails with
    /// [`NoSpace`](crate::ErrorKind::NoSpace) if there is more. Deflate reaches a ratio of 1,032 for equal
    /// bytes. There is no limit by default, and none for a stream.
    #[must_use]
    pub fn max_ratio(mut self, ratio: u64) -> Self {
        self.max_ratio = ratio;
        self
    }

    /// Skips unusable members, such as a path that leads outside of the directory.
    /// [`Unpacked::skipped`] lists them. Without this option the first such member is an error.
    #[must_use]
    pub fn skip_refused(mut self, skip_refused: bool) -> Self {
        self.skip_refused = skip_refused;
        self
    }
}

/// A member of the archive that was not written, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotExtracted {
    /// Path in the archive. It may hold any bytes.
    pub path: Vec<u8>,
    /// Reason.
    pub reason: NotExtractedReason,
}

/// The reason why a member was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotExtractedReason {
    /// A named pipe.
    Fifo,
    /// A block or character device.
    Device,
    /// The member is unusable, for this reason, such as a path that leads outside of the directory. Only
    /// [`skip_refused`](UnpackOptions::skip_refused) and [`salvage`](crate::Extract::salvage) skip such members.
    Refused(String),
}

impl NotExtractedReason {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(&self) -> &'static str {
        match self {
            NotExtractedReason::Fifo => "fifo",
            NotExtractedReason::Device => "device",
            NotExtractedReason::Refused(_) => "refused",
        }
    }
}

impl std::fmt::Display for NotExtractedReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotExtractedReason::Fifo => f.write_str("is a named pipe"),
            NotExtractedReason::Device => f.write_str("is a device"),
            NotExtractedReason::Refused(why) => f.write_str(why),
        }
    }
}

/// Counts of the written members, and the members that were not written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Unpacked {
    /// Files that were written, including hard links.
    pub files: u64,
    /// Directories that were created or existed already.
    pub directories: u64,
    /// Symlinks that were created.
    pub symlinks: u64,
    /// Files that became a hard link to a file before.
    pub hard_links: u64,
    /// Bytes of content, including the content of files that a later member replaced.
    pub content: u64,
    /// Members that were not written, with the reasons.
    pub skipped: Listed<NotExtracted>,
    /// Number of those members that are unusable.
    pub refused: u64,
}

/// Most members without their owner that get a warning each.
const OWNERS_MAX: usize = 100;

/// Returns the warnings for members whose times or owners could not be set.
pub(crate) fn attribute_warnings(
    clamped: &Listed<Vec<u8>>,
    unowned: &Listed<Vec<u8>>,
) -> Vec<Warning> {
    let times = Some(clamped.more()).filter(|&more| more > 0).map(Warning::MoreRestoredTimes);
    let times = clamped.iter().cloned().map(Warning::RestoredTime).chain(times);
    let owners = unowned.total().saturating_sub(OWNERS_MAX as u64);
    let owners = Some(owners).filter(|&more| more > 0).map(Warning::MoreRestoredOwners);
    let first = unowned.iter().take(OWNERS_MAX).cloned();
    times.chain(first.map(Warning::RestoredOwner)).chain(owners).collect()
}

impl Unpacked {
    pub(crate) fn skip(&mut self, path: Vec<u8>, reason: NotExtractedReason) {
        self.refused += u64::from(matches!(reason, NotExtractedReason::Refused(_)));
        self.skipped.push(NotExtracted { path, reason });
    }
}
