//! The results of a check of all archives.

use std::time::{Duration, SystemTime};

use crate::{
    error::{ErrorKind, Result},
    format::info::ns_of,
    listed::Listed,
    name::Key,
    ops::{archives::StoredArchive, verify::Verified},
};

/// The check of one of the archives of a store.
#[derive(Debug)]
#[non_exhaustive]
pub struct ArchiveCheck {
    /// The archive.
    pub archive: StoredArchive,
    /// What was found out, or why the archive could not be read.
    pub result: Result<Verified>,
}

impl ArchiveCheck {
    /// Returns whether the archive was read and no damage was found.
    pub fn is_whole(&self) -> bool {
        self.result.as_ref().is_ok_and(Verified::is_whole)
    }

    pub(super) fn finding(&self) -> Finding {
        match &self.result {
            Ok(verified) if verified.is_whole() => Finding::Whole,
            Ok(_) => Finding::Damaged,
            Err(e) => match e.kind() {
                ErrorKind::Corrupt => Finding::Damaged,
                ErrorKind::NotFound => Finding::Gone,
                _ => Finding::Unreadable,
            },
        }
    }
}

/// What a check found out.
pub(super) enum Finding {
    Whole,
    Damaged,
    /// It was deleted after the store was listed.
    Gone,
    Unreadable,
}

/// The result of a [`VerifyAll`](crate::VerifyAll), after its last archive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VerifiedAll {
    /// Number of archives.
    pub archives: u64,
    /// Archives that were read now.
    pub verified: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Archives that were not read now because the interrupted pass had read them.
    pub earlier: u64,
    /// Start of the interrupted pass that was continued.
    pub resumed: Option<SystemTime>,
    /// Archives whose last check found damage, now or earlier.
    pub damaged: Listed<Key>,
    /// Archives that could not be read now.
    pub failed: u64,
    /// Archives without a check so far.
    pub never: u64,
    /// Time of the oldest of the last checks of all archives.
    pub oldest: Option<SystemTime>,
    /// Time from the start to the end.
    pub duration: Duration,
}

impl VerifiedAll {
    /// Returns [`resumed`](VerifiedAll::resumed) in nanoseconds since 1970. A time before 1677 or after 2262 is
    /// replaced with the nearest that fits.
    pub fn resumed_ns(&self) -> Option<i64> {
        self.resumed.map(ns_of)
    }

    /// Returns [`oldest`](VerifiedAll::oldest) in nanoseconds since 1970, in the same range.
    pub fn oldest_ns(&self) -> Option<i64> {
        self.oldest.map(ns_of)
    }

    /// Returns whether no damage is known, and every archive that was to be read could be.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty() && self.failed == 0
    }
}
