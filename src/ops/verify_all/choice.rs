//! Chooses the archives that are verified next.

use std::time::SystemTime;

use crate::ops::{archives::StoredArchive, verify_all::record::Record};

/// Returns the archives whose last check was before `began`, those of the oldest checks first.
pub(super) fn after(
    archives: &[StoredArchive],
    record: &Record,
    began: SystemTime,
) -> Vec<StoredArchive> {
    let mut chosen = oldest_first(archives, record);
    chosen.retain(|archive| record.check(archive).is_none_or(|check| check.at < began));
    chosen
}

/// Returns the archives of the oldest checks that have about `percent` of all bytes.
pub(super) fn sample(
    archives: &[StoredArchive],
    record: &Record,
    percent: f64,
) -> Vec<StoredArchive> {
    let total: u64 = archives.iter().map(|archive| archive.size).sum();
    let wanted = total as f64 * percent.clamp(0.0, 100.0) / 100.0;
    let mut bytes = 0;
    let mut chosen = oldest_first(archives, record);
    let is_in = |(at, archive): (usize, &StoredArchive)| {
        // The sum comes as near as it can.
        let is_in = at == 0 || bytes as f64 + archive.size as f64 / 2.0 < wanted;
        bytes += archive.size;
        is_in
    };
    let count = chosen.iter().enumerate().map(is_in).take_while(|is_in| *is_in).count();
    chosen.truncate(count);
    chosen
}

/// Returns the archives without a check, newest first, and then the others, those of the oldest checks first.
fn oldest_first(archives: &[StoredArchive], record: &Record) -> Vec<StoredArchive> {
    let mut archives = archives.to_vec();
    archives.sort_by_key(|archive| record.check(archive).map(|check| check.at));
    archives
}
