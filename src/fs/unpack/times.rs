//! Times of members, and the members whose times a file system cannot store.

use std::{
    ops::RangeInclusive,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{Stat, Timespec, Timestamps, UTIME_NOW},
    io::Errno,
};

use crate::{entry::is_beyond, listed::Listed};

/// Seconds since 1970 that every file system can store, from 1980 (FAT) to 2038 (older ext4 and XFS).
const COMMON: RangeInclusive<i64> = 315_532_800..=0x7fff_ffff;

/// The coarsest resolution of a file system's times, in seconds (FAT).
const COARSEST: u64 = 2;

/// Members whose time differs from the one that the writer of the archive meant.
#[derive(Debug, Default)]
pub(crate) struct ClampedTimes(Mutex<Listed<Vec<u8>>>);

impl ClampedTimes {
    /// Checks, after a time was set, whether the file has it. The kernel silently sets the nearest time
    /// that the file system can store.
    pub(super) fn check(
        &self,
        path: &[u8],
        mtime_ns: i64,
        stat: impl FnOnce() -> Result<Stat, Errno>,
    ) {
        let seconds = seconds(mtime_ns);
        let is_set = COMMON.contains(&seconds)
            || stat().is_ok_and(|found| found.st_mtime.abs_diff(seconds) <= COARSEST);
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

/// Returns the times to set: `mtime_ns` for the last modification, and now for the last access. With
/// `UTIME_OMIT` some FUSE file systems (bindfs 1.14) set neither and report success.
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
