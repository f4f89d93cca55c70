//! Times of members, and which of them a file system does not keep.

use std::{
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{Stat, Timespec, Timestamps, UTIME_NOW},
    io::Errno,
};

use crate::{entry::is_beyond, listed::Listed};

/// Seconds since 1970 that every file system can say, from 1980 (FAT) to 2038 (older ext4 and XFS).
const COMMON: RangeInclusive<i64> = 315_532_800..=0x7fff_ffff;

/// How much coarser than a second a file system's times can be (FAT).
const COARSE: u64 = 2;

/// Members whose times came out otherwise than the archive's maker meant.
#[derive(Debug, Default)]
pub(crate) struct Clamped(Mutex<Listed<Vec<u8>>>);

impl Clamped {
    /// Looks, after a time was set, whether it is the one that was wanted. The kernel sets the nearest
    /// that the file system can say, and says nothing.
    pub(super) fn check(
        &self,
        path: &[u8],
        mtime_ns: i64,
        look: impl FnOnce() -> Result<Stat, Errno>,
    ) {
        let seconds = seconds(mtime_ns);
        let is_set = COMMON.contains(&seconds)
            || look().is_ok_and(|found| found.st_mtime.abs_diff(seconds) <= COARSE);
        if !is_set || is_beyond(mtime_ns) {
            self.lock().push(path.to_vec());
        }
    }

    pub(crate) fn take(&self) -> Listed<Vec<u8>> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Listed<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time of the last change. The last access is now: with `UTIME_OMIT` some file systems in FUSE
/// (bindfs 1.14) set neither and succeed.
pub(crate) fn times(mtime_ns: i64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        last_modification: Timespec {
            tv_sec: seconds(mtime_ns),
            tv_nsec: mtime_ns.rem_euclid(1_000_000_000),
        },
    }
}

fn seconds(ns: i64) -> i64 {
    ns.div_euclid(1_000_000_000)
}
