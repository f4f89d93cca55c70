//! What an archive says about itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    compression::ArchiveEncoder,
    error::{Error, ErrorKind, Result},
    format::options::Profile,
    fs::ignore::{MAX_TEXT, Rules},
};

/// Maximum bytes of [`Info::label`], [`Info::host`], and a key of a tag.
pub const LABEL_MAX: usize = 255;

/// Maximum bytes of a value of a tag.
pub const TAG_VALUE_MAX: usize = 512;

/// Maximum number of tags.
pub const TAGS_MAX: usize = 32;

/// Maximum bytes of the patterns that an archive records. A backup with so many patterns fails before that.
pub const EXCLUDES_MAX: usize = 17 << 16;

// All patterns are recorded, with a line feed after each of the two lists.
const _: () = assert!(MAX_TEXT + 2 <= EXCLUDES_MAX);

/// The identity of an archive: what it is a backup of, when it was made and how. See
/// [`Archive::info`](crate::Archive::info).
///
/// The archive says all of this about itself, and nobody has confirmed it. A
/// [reproducible](crate::Backup::reproducible) archive has no source, host and time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The label that [`Backup::label`](crate::Backup::label) has set, otherwise the name of the source
    /// directory. It may hold any bytes.
    pub label: Vec<u8>,
    /// Path of the source. It may hold any bytes.
    pub source: Option<Vec<u8>>,
    /// Name of the host that made the archive.
    pub host: Option<String>,
    /// Time when the backup began.
    pub made: Option<SystemTime>,
    /// Name and version of the program that made the archive.
    pub tool: String,
    /// Encoder and level of the archive.
    pub encoder: ArchiveEncoder,
    /// Entries of the tar stream: see [`Profile`](crate::Profile).
    pub profile: Profile,
    /// Language of [`excludes`](Info::excludes).
    pub rules: Rules,
    /// The patterns that were in force: the ignore file, then those of the caller. Paths that they exclude are
    /// not in the archive. Empty if there were none.
    pub excludes: Vec<u8>,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Bytes of content of the files.
    pub content: u64,
    /// Paths that the archive lacks because they could not be read.
    pub skipped: u64,
    /// Whether the archive lacks paths of the source that no pattern in [`excludes`](Info::excludes) names: some
    /// could not be read, or the backup [selected](crate::Backup::select) paths.
    pub omits_unnamed: bool,
    /// Bytes of the tar stream.
    pub tar_len: u64,
    /// Segments of the tar stream.
    pub segments: u64,
    /// Bytes of the archive.
    pub size: u64,
    /// Keys and values that the caller has added, in their order.
    pub tags: Vec<(String, String)>,
}

impl Info {
    /// Returns [`made`](Info::made) in nanoseconds since 1970. A time before 1677 or after 2262 is replaced
    /// with the nearest that fits.
    pub fn made_ns(&self) -> Option<i64> {
        self.made.map(ns_of)
    }
}

/// Converts a time to nanoseconds since 1970. Returns the nearest time that fits.
pub(crate) fn ns_of(time: SystemTime) -> i64 {
    let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => ns(after),
        Err(before) => -ns(before.duration()),
    }
}

/// Converts nanoseconds since 1970 to a time.
pub(crate) fn time_of(ns: i64) -> Option<SystemTime> {
    let duration = Duration::from_nanos(ns.unsigned_abs());
    if ns < 0 { UNIX_EPOCH.checked_sub(duration) } else { UNIX_EPOCH.checked_add(duration) }
}

/// Checks what a caller has set.
pub(crate) fn check(label: Option<&[u8]>, tags: &[(String, String)]) -> Result<()> {
    let refuse =
        |why: String| Err(Error::new(ErrorKind::InvalidInput, "label the archive").caused_by(why));
    if label.is_some_and(|label| label.len() > LABEL_MAX) {
        return refuse(format!("the label has more than {LABEL_MAX} bytes"));
    }
    if tags.len() > TAGS_MAX {
        return refuse(format!("there are more than {TAGS_MAX} tags"));
    }
    for (key, value) in tags {
        if key.is_empty() || key.contains('=') || key.len() > LABEL_MAX {
            return refuse(format!(
                "the key {key:?} of a tag is empty, contains '=' or has more than {LABEL_MAX} bytes"
            ));
        }
        if value.len() > TAG_VALUE_MAX {
            return refuse(format!(
                "the value of the tag {key} has more than {TAG_VALUE_MAX} bytes"
            ));
        }
    }
    Ok(())
}
