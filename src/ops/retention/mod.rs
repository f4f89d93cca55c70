//! Plans which archives to keep, from their identities, times and sizes. It removes nothing.

mod plan;
#[cfg(test)]
mod tests;
mod verdict;

use std::time::{Duration, SystemTime};

pub use plan::{ArchiveGroup, PlannedArchive};
pub use verdict::{Reason, Verdict};

/// Allowed difference between the clocks of two machines.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// Rules for which archives to keep.
///
/// The archives are divided into groups, by default by label and host, and the rules apply to each group by
/// itself. Rules add up: an archive is kept if one of them keeps it. Without rules all archives are kept. After
/// that, [`max_bytes`](Retention::max_bytes) removes the oldest of all groups together.
///
/// The newest good archive of each group is always kept. An archive is good if it is
/// [whole](crate::StoredArchive::is_whole) and not [suspicious](PlannedArchive::is_suspicious). An archive with a
/// lock is always kept as well. These count for no rule and are left alone:
///
/// - an archive that is not whole, because a restore cannot use it
/// - an archive without a label, unless [`unidentified`](Retention::unidentified) is set
/// - an archive of an unknown time, or dated in the future: a wrong clock has dated it, and it would be the newest
///   archive until that day
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use wingback::{Archives, Retention, Verdict};
/// # use wingback::{Backup, MemoryStore, NameTemplate};
///
/// # let tmp = tempfile::tempdir().unwrap();
/// # let store = MemoryStore::new();
/// # std::fs::write(tmp.path().join("level.dat"), "level").unwrap();
/// # for _ in 0..3 {
/// #     let key = NameTemplate::default().key(uuid::Uuid::new_v4());
/// #     Backup::new(tmp.path()).start(store.clone(), key).wait()?;
/// # }
/// let archives = Archives::new().start(store).wait()?; // There are three of one server.
/// let groups = Retention::new().last(2).plan(archives, SystemTime::now());
/// assert_eq!(groups.len(), 1);
/// assert_eq!(groups[0].archives[2].verdict, Verdict::Remove);
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    last: usize,
    hourly: usize,
    daily: usize,
    weekly: usize,
    monthly: usize,
    yearly: usize,
    within: Duration,
    tags: Vec<(String, String)>,
    max_bytes: Option<u64>,
    group_by: GroupBy,
    unidentified: bool,
}

/// What the archives of one group have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupBy {
    /// All archives are one group.
    None,
    /// The label.
    Label,
    /// The label and the host.
    #[default]
    LabelAndHost,
}

impl GroupBy {
    /// Returns a word for programs: `none`, `label` or `label,host`. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            GroupBy::None => "none",
            GroupBy::Label => "label",
            GroupBy::LabelAndHost => "label,host",
        }
    }
}

impl Retention {
    /// Returns rules that keep everything.
    pub fn new() -> Self {
        Retention::default()
    }

    /// Keeps the last `n` archives.
    #[must_use]
    pub fn last(mut self, n: usize) -> Self {
        self.last = n;
        self
    }

    /// Keeps the newest archive of each of the last `n` hours that have one. Hours and all other periods are in
    /// UTC.
    #[must_use]
    pub fn hourly(mut self, n: usize) -> Self {
        self.hourly = n;
        self
    }

    /// Keeps the newest archive of each of the last `n` days that have one.
    #[must_use]
    pub fn daily(mut self, n: usize) -> Self {
        self.daily = n;
        self
    }

    /// Keeps the newest archive of each of the last `n` weeks that have one. A week begins on Monday.
    #[must_use]
    pub fn weekly(mut self, n: usize) -> Self {
        self.weekly = n;
        self
    }

    /// Keeps the newest archive of each of the last `n` months that have one.
    #[must_use]
    pub fn monthly(mut self, n: usize) -> Self {
        self.monthly = n;
        self
    }

    /// Keeps the newest archive of each of the last `n` years that have one.
    #[must_use]
    pub fn yearly(mut self, n: usize) -> Self {
        self.yearly = n;
        self
    }

    /// Keeps the archives that are at most this much older than the newest good one of their group. So nothing is
    /// removed only because there are no new backups.
    #[must_use]
    pub fn within(mut self, age: Duration) -> Self {
        self.within = age;
        self
    }

    /// Keeps the archives with this [tag](crate::Info::tags). Calls add up.
    #[must_use]
    pub fn keep_tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.push((key.into(), value.into()));
        self
    }

    /// Removes the oldest archives of all groups until the kept ones have at most `bytes` together, even if a rule
    /// keeps them. The newest good archive of each group and archives with a lock are kept in any case. Archives
    /// that are left alone do not count.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Sets what the archives of one group have in common. The default is the label and the host.
    #[must_use]
    pub fn group_by(mut self, group_by: GroupBy) -> Self {
        self.group_by = group_by;
        self
    }

    /// Sets whether the rules also apply to archives without a label. These are one more group. By default they
    /// are left alone, because nothing says whether they are of one server.
    #[must_use]
    pub fn unidentified(mut self, include: bool) -> Self {
        self.unidentified = include;
        self
    }

    /// Returns whether all archives are kept, except for those over the size.
    fn keeps_all(&self) -> bool {
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        counts == [0; 6] && self.within.is_zero() && self.tags.is_empty()
    }
}

/// Returns whether an archive of this time is dated in the future at the time `now`.
pub(crate) fn is_in_future(made: SystemTime, now: SystemTime) -> bool {
    made.duration_since(now).is_ok_and(|ahead| ahead > TOLERANCE)
}
