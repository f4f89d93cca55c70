//! The record of what was verified when.
//!
//! ```text
//! wingback verified 1
//! place s3://bucket/prefix
//! pass 1763886391000000000
//! 1763886392000000000 whole 573565428 1763886391000000000 backup-….tar.gz
//! ```
//!
//! Times are in nanoseconds since 1970, or `-`. A line has the time of the check, its result, the size and time of
//! the archive then, and its name.

use std::{collections::BTreeMap, time::SystemTime};

use crate::{
    error::Result,
    format::info::{ns_of, time_of},
    fs::state_file::StateFile,
    name::Key,
    ops::archives::StoredArchive,
};

const FIRST_LINE: &str = "wingback verified 1";

/// The largest record.
const RECORD_MAX: u64 = 64 << 20;

/// Most archives in a record. A record of this many, with the longest names, is smaller than [`RECORD_MAX`].
const ARCHIVES_MAX: usize = 50_000;

/// What is known about the archives of a place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// Start of the pass over all archives that has not ended yet.
    pub(super) pass: Option<SystemTime>,
    checks: BTreeMap<Key, Check>,
}

/// The last check of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) at: SystemTime,
    pub(super) is_whole: bool,
    size: u64,
    modified_ns: Option<i64>,
}

impl Record {
    /// Reads the record of a place. It is empty if there is none.
    pub(super) fn read(file: &StateFile) -> Result<Self> {
        match file.read(RECORD_MAX)? {
            None => Ok(Record::default()),
            Some(content) => std::str::from_utf8(&content)
                .ok()
                .and_then(Record::parse)
                .ok_or_else(|| file.corrupt("it is not a record of this version")),
        }
    }

    /// Forgets archives that are not in the place any more, or were replaced.
    pub(super) fn retain(&mut self, archives: &[StoredArchive]) {
        let mut checks = std::mem::take(&mut self.checks);
        for archive in archives.iter().take(ARCHIVES_MAX) {
            let Some((key, check)) = checks.remove_entry(&archive.key) else { continue };
            if (check.size, check.modified_ns) == (archive.size, archive.modified.map(ns_of)) {
                self.checks.insert(key, check);
            }
        }
    }

    /// Returns the last check of an archive.
    pub(super) fn check(&self, archive: &StoredArchive) -> Option<&Check> {
        self.checks.get(&archive.key)
    }

    /// Records a check.
    pub(super) fn set(&mut self, archive: &StoredArchive, at: SystemTime, is_whole: bool) {
        // Rounded as in the file.
        let at = time_of(ns_of(at)).unwrap_or(at);
        let modified_ns = archive.modified.map(ns_of);
        let check = Check { at, is_whole, size: archive.size, modified_ns };
        if self.checks.len() < ARCHIVES_MAX || self.checks.contains_key(&archive.key) {
            self.checks.insert(archive.key.clone(), check);
        }
    }

    /// Returns the content of the file.
    pub(super) fn format(&self, place: &str) -> String {
        let ns = |ns: Option<i64>| ns.map_or_else(|| "-".to_owned(), |ns| ns.to_string());
        let place: String = place.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let mut text = format!("{FIRST_LINE}\nplace {place}\npass {}\n", ns(self.pass.map(ns_of)));
        for (key, check) in &self.checks {
            let Check { at, is_whole, size, modified_ns } = check;
            let result = if *is_whole { "whole" } else { "damaged" };
            let (at, modified) = (ns_of(*at), ns(*modified_ns));
            text += &format!("{at} {result} {size} {modified} {key}\n");
        }
        text
    }

    fn parse(text: &str) -> Option<Record> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let is_known = lines.next() == Some(FIRST_LINE) && lines.next()?.starts_with("place ");
        let pass = lines.next().filter(|_| is_known)?.strip_prefix("pass ")?;
        let pass = match pass {
            "-" => None,
            ns => Some(time_of(ns.parse().ok()?)?),
        };
        let checks: Option<_> = lines.map(parse_check).collect();
        Some(Record { pass, checks: checks? })
    }
}

fn parse_check(line: &str) -> Option<(Key, Check)> {
    let mut words = line.splitn(5, ' ');
    let at = time_of(words.next()?.parse().ok()?)?;
    let is_whole = match words.next()? {
        "whole" => true,
        "damaged" => false,
        _ => return None,
    };
    let size = words.next()?.parse().ok()?;
    let modified_ns = match words.next()? {
        "-" => None,
        ns => Some(ns.parse().ok()?),
    };
    Some((Key::new(words.next()?).ok()?, Check { at, is_whole, size, modified_ns }))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::store::Object;

    fn archive(name: &str, size: u64, modified: Option<SystemTime>) -> StoredArchive {
        StoredArchive::new(Object::new(Key::new(name).expect("a key"), size, modified), None)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let time = UNIX_EPOCH + Duration::new(1_763_886_391, 7);
        let (a, b) = (archive("a b.tar.gz", 1, Some(time)), archive("dir/c.tar.gz", 2, None));
        let mut record = Record { pass: Some(time), ..Record::default() };
        record.set(&a, time, true);
        record.set(&b, time, false);
        let text = record.format("/backups\nof one");
        assert_eq!(Record::parse(&text), Some(Record { pass: Some(time), ..record }));
        assert_eq!(text.lines().count(), 5, "{text}");
        for at in 0..text.len() {
            let found = Record::parse(&text[..at]);
            assert!(found.is_none_or(|record| record.checks.len() < 2), "{at}");
        }
        assert_eq!(Record::parse("wingback verified 2\nplace x\npass -\n"), None);
    }

    #[test]
    fn a_replaced_or_deleted_archive_is_forgotten() {
        let time = UNIX_EPOCH + Duration::from_secs(1_763_886_391);
        let (a, b, c) = (archive("a", 1, Some(time)), archive("b", 1, None), archive("c", 1, None));
        let mut record = Record::default();
        [&a, &b, &c].iter().for_each(|archive| record.set(archive, time, true));
        record.retain(&[archive("a", 1, Some(time + Duration::from_secs(1))), b.clone()]);
        assert!(record.check(&a).is_none() && record.check(&c).is_none());
        assert!(record.check(&b).is_some_and(|check| check.is_whole && check.at == time));
    }
}
