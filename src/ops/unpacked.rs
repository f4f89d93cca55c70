//! How an archive's members are to be written, and what was written of them.

use crate::{
    entry::Member,
    error::{Error, ErrorKind},
    fs::unpack::Owner,
    listed::Listed,
};

/// Members that an archive may have unless an option says otherwise, such as
/// [`UnpackOptions::max_members`].
///
/// Something is remembered of most members until the end, so this bounds the memory, too: an archive of
/// 100 MB can have 200 million directories. So that long names cannot take more than many short ones, a
/// member counts once more for each 128 bytes of its path and target.
pub const MAX_MEMBERS: u64 = 5_000_000;

/// How much a member counts.
pub(crate) fn weight(member: &Member) -> u64 {
    1 + (member.path.len() + member.target.len()) as u64 / 128
}

/// The error of an archive with more of them.
pub(crate) fn too_many(operation: &'static str, max: u64) -> Error {
    let why = format!("the archive has more than {max} members, the most that max_members allows");
    Error::new(ErrorKind::NoSpace, operation).caused_by(why)
}

/// How members are written, and how much of them at most.
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
            owner: Owner::Keep,
            reserve: 0,
            max_bytes: u64::MAX,
            max_members: MAX_MEMBERS,
            max_ratio: u64::MAX,
            skip_refused: false,
        }
    }
}

impl UnpackOptions {
    /// As many threads as there are processors, the caller's owner, at most [`MAX_MEMBERS`], and no
    /// other limit but the free space.
    pub fn new() -> Self {
        UnpackOptions::default()
    }

    /// How many threads decode and write, at least one. One or two more read.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.clamp(1, 1024);
        self
    }

    /// Gives way to other work: the lowest priority for the processor and the disk.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Whose the files will be.
    #[must_use]
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// Keeps `bytes` of the file system free: fails with [`NoSpace`](crate::ErrorKind::NoSpace) when less
    /// is left.
    #[must_use]
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// Fails when the content comes to more than so many bytes, holes counted.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Fails with [`NoSpace`](crate::ErrorKind::NoSpace) when there are more members:
    /// [`MAX_MEMBERS`] unless told otherwise, which says how they are counted.
    #[must_use]
    pub fn max_members(mut self, members: u64) -> Self {
        self.max_members = members;
        self
    }

    /// Fails when the content comes to more than so many times the bytes of the archive, holes
    /// counted. Deflate reaches 1,032 for bytes that are all the same. No limit for a stream.
    #[must_use]
    pub fn max_ratio(mut self, ratio: u64) -> Self {
        self.max_ratio = ratio;
        self
    }

    /// Leaves out members that cannot be used, such as a path that leads outside, and takes the rest.
    /// [`Unpacked::skipped`] lists them. Without this the first one is an error.
    #[must_use]
    pub fn skip_refused(mut self, skip_refused: bool) -> Self {
        self.skip_refused = skip_refused;
        self
    }
}

/// A member of the archive that was not written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotExtracted {
    /// Its path in the archive, any bytes.
    pub path: Vec<u8>,
    /// Why.
    pub reason: NotExtractedReason,
}

/// Why a member was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotExtractedReason {
    /// A named pipe.
    Fifo,
    /// A block or character device.
    Device,
    /// What makes it unusable, such as a path that leads outside; only where
    /// [`skip_refused`](UnpackOptions::skip_refused) or a salvage leaves such members out.
    Refused(String),
}

impl NotExtractedReason {
    /// A word for programs, stable across versions.
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

/// What was written, and what was not.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Unpacked {
    /// Files written, other names of one file included.
    pub files: u64,
    /// Directories made or found.
    pub directories: u64,
    /// Symlinks made.
    pub symlinks: u64,
    /// Files that became another name of one before.
    pub hard_links: u64,
    /// Bytes of content, that of files which a later member replaced included.
    pub content: u64,
    /// Members that were not written, and why.
    pub skipped: Listed<NotExtracted>,
    /// How many of them could not be used.
    pub refused: u64,
}

/// What is said of members whose times came out otherwise.
pub(crate) fn time_warnings(clamped: &Listed<Vec<u8>>) -> Vec<String> {
    let mut warnings: Vec<_> = (clamped.iter())
        .map(|path| {
            let path = String::from_utf8_lossy(path);
            format!(
                "{path}: its time is beyond what the file system or the archive can say, and is the nearest"
            )
        })
        .collect();
    if clamped.more() > 0 {
        warnings.push(format!("{} more members have such a time", clamped.more()));
    }
    warnings
}

impl Unpacked {
    pub(crate) fn skip(&mut self, path: Vec<u8>, reason: NotExtractedReason) {
        self.refused += u64::from(matches!(reason, NotExtractedReason::Refused(_)));
        self.skipped.push(NotExtracted { path, reason });
    }
}
