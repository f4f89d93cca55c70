//! Plans which archives to keep, from their names, sizes and ages. It removes nothing.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::name::Key;

const DAY: u64 = 24 * 60 * 60;

/// Allowed difference between the clocks of two machines.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// An archive in a directory, as [`Retention::plan`] needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aged {
    /// Name.
    pub key: Key,
    /// Size in bytes.
    pub size: u64,
    /// Time at which it was made: the mtime of its file.
    pub made: SystemTime,
    /// Whether the archive has its full length and the end of its index. Only a full read finds other damage.
    pub is_whole: bool,
}

impl Aged {
    /// Returns the record of an archive, with the values of the fields.
    pub fn new(key: Key, size: u64, made: SystemTime, is_whole: bool) -> Self {
        Aged { key, size, made, is_whole }
    }
}

/// Rules for which archives to keep.
///
/// Rules add up: an archive is kept if one of them keeps it. Without rules all archives are kept. After that,
/// [`max_bytes`](Retention::max_bytes) removes the oldest of them.
///
/// The newest complete archive is always kept. An incomplete archive counts for no rule and is left alone,
/// because a restore cannot use it. An archive that is dated in the future is left alone as well: a wrong clock
/// has dated it, and it would be the newest archive until that day.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use wingback::{Aged, Retention, Verdict};
///
/// let now = SystemTime::now();
/// let aged = |days: u64| -> wingback::Result<Aged> {
///     let made = now - Duration::from_secs(days * 24 * 60 * 60);
///     Ok(Aged::new(format!("{days}.tar.gz").parse()?, 1000, made, true))
/// };
/// let plan = Retention::new().last(2).plan(vec![aged(0)?, aged(1)?, aged(2)?], now);
/// assert_eq!(plan[2].1, Verdict::Remove);
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    last: usize,
    daily: usize,
    weekly: usize,
    max_bytes: Option<u64>,
}

/// The verdict of a plan about one archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Keep it, for this reason.
    Keep(Reason),
    /// Remove it.
    Remove,
    /// Leave it alone, because it is not complete.
    NotWhole,
    /// Leave it alone, because it is dated in the future.
    InFuture,
}

impl Verdict {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Verdict::Keep(_) => "keep",
            Verdict::Remove => "remove",
            Verdict::NotWhole => "not-whole",
            Verdict::InFuture => "in-future",
        }
    }
}

/// The reason to keep an archive: the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is the newest.
    Newest,
    /// It is one of the [last](Retention::last).
    Last,
    /// It is the newest of its day, in UTC.
    Daily,
    /// It is the newest of its week, which begins on Monday, in UTC.
    Weekly,
    /// There are no rules.
    Any,
}

impl Reason {
    /// Returns a word for programs. The words are stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Newest => "newest",
            Reason::Last => "last",
            Reason::Daily => "daily",
            Reason::Weekly => "weekly",
            Reason::Any => "any",
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

    /// Keeps the newest archive of each of the last `n` days that have one.
    #[must_use]
    pub fn daily(mut self, n: usize) -> Self {
        self.daily = n;
        self
    }

    /// Keeps the newest archive of each of the last `n` weeks that have one.
    #[must_use]
    pub fn weekly(mut self, n: usize) -> Self {
        self.weekly = n;
        self
    }

    /// Removes the oldest archives until the others have at most `bytes` together. The newest is kept in any
    /// case.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Returns each archive with its verdict, newest first. An archive is dated in the future if it is more than
    /// five minutes later than `now`.
    pub fn plan(&self, mut archives: Vec<Aged>, now: SystemTime) -> Vec<(Aged, Verdict)> {
        archives.sort_by(|a, b| (b.made, &b.key).cmp(&(a.made, &a.key)));
        let is_any = (self.last, self.daily, self.weekly) == (0, 0, 0);
        let mut last = self.last;
        let mut days = Periods { left: self.daily, of: |day| day, newest: None };
        // 1 January 1970 was a Thursday.
        let mut weeks =
            Periods { left: self.weekly, of: |day| (day + 3).div_euclid(7), newest: None };
        let mut bytes = 0u64;
        let mut is_newest = true;
        let verdict = |archive: &Aged| {
            if !archive.is_whole {
                return Verdict::NotWhole;
            }
            if is_in_future(archive.made, now) {
                return Verdict::InFuture;
            }
            let day = day(archive.made);
            // Every rule must see every archive.
            let (of_last, of_day, of_week) = (last > 0, days.take(day), weeks.take(day));
            last = last.saturating_sub(1);
            let reason = match () {
                () if std::mem::take(&mut is_newest) => Reason::Newest,
                () if of_last => Reason::Last,
                () if of_day => Reason::Daily,
                () if of_week => Reason::Weekly,
                () if is_any => Reason::Any,
                () => return Verdict::Remove,
            };
            bytes = bytes.saturating_add(archive.size);
            let is_too_much = self.max_bytes.is_some_and(|max| bytes > max);
            if is_too_much && reason != Reason::Newest {
                return Verdict::Remove;
            }
            Verdict::Keep(reason)
        };
        let verdicts: Vec<_> = archives.iter().map(verdict).collect();
        archives.into_iter().zip(verdicts).collect()
    }
}

/// Finds the newest archive of each of a number of periods.
struct Periods {
    left: usize,
    of: fn(i64) -> i64,
    newest: Option<i64>,
}

impl Periods {
    /// Returns whether this is the first archive of a period that counts. Archives come newest first.
    fn take(&mut self, day: i64) -> bool {
        let period = (self.of)(day);
        let is_first = self.left > 0 && self.newest != Some(period);
        if is_first {
            self.newest = Some(period);
            self.left -= 1;
        }
        is_first
    }
}

/// Returns whether a file of this time is dated in the future at the time `now`.
pub(crate) fn is_in_future(made: SystemTime, now: SystemTime) -> bool {
    made.duration_since(now).is_ok_and(|ahead| ahead > TOLERANCE)
}

/// Returns the days since 1970.
fn day(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => (since.as_secs() / DAY) as i64,
        Err(before) => -(before.duration().as_secs().div_ceil(DAY) as i64),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns an archive made this many hours after a Monday, with a size that identifies it.
    fn at(hours: u64, is_whole: bool) -> Aged {
        let monday = UNIX_EPOCH + Duration::from_secs(4 * DAY);
        Aged {
            key: Key::new(format!("{hours}.tar.gz")).unwrap(),
            size: 100 + hours,
            made: monday + Duration::from_secs(hours * 3600),
            is_whole,
        }
    }

    /// Returns a time later than all archives.
    fn now() -> SystemTime {
        at(10_000, true).made
    }

    fn kept(rules: Retention, hours: &[u64]) -> Vec<(u64, Reason)> {
        let archives = hours.iter().map(|&hours| at(hours, true)).collect();
        let plan = rules.plan(archives, now()).into_iter();
        plan.filter_map(|(archive, verdict)| match verdict {
            Verdict::Keep(reason) => Some((archive.size - 100, reason)),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn each_retention_rule_keeps_its_archives() {
        use Reason::{Any, Daily, Last, Newest, Weekly};
        // Twice a day, for four weeks.
        let hours: Vec<u64> = (0..56).map(|n| n * 12).collect();
        let newest = 660;
        let all = kept(Retention::new(), &hours);
        assert!(all.len() == 56 && all[0] == (newest, Newest) && all[1] == (648, Any));
        let last = kept(Retention::new().last(3), &hours);
        assert_eq!(last, [(660, Newest), (648, Last), (636, Last)]);
        let daily = kept(Retention::new().daily(3), &hours);
        assert_eq!(daily, [(660, Newest), (636, Daily), (612, Daily)]);
        // Sundays at noon.
        let weekly = kept(Retention::new().weekly(3), &hours);
        assert_eq!(weekly, [(660, Newest), (492, Weekly), (324, Weekly)]);
        let both = kept(Retention::new().last(2).daily(2).weekly(2), &hours);
        assert_eq!(both, [(660, Newest), (648, Last), (636, Daily), (492, Weekly)]);
        // 760 and 748 bytes, and no 736 more.
        let sized = kept(Retention::new().max_bytes(1600), &hours);
        assert_eq!(sized, [(660, Newest), (648, Any)]);
        assert_eq!(kept(Retention::new().max_bytes(0), &hours), [(660, Newest)]);
        // A day without a backup does not count.
        let daily = kept(Retention::new().daily(2), &[0, 240, 250]);
        assert_eq!(daily, [(250, Newest), (0, Daily)]);
        assert!(kept(Retention::new().last(1), &[]).is_empty());
    }

    #[test]
    fn an_incomplete_archive_is_neither_counted_nor_removed() {
        let archives = vec![at(1, true), at(2, true), at(3, false), at(4, false)];
        let plan = Retention::new().last(1).max_bytes(0).plan(archives, now());
        let verdicts: Vec<_> = plan.iter().map(|(_, verdict)| *verdict).collect();
        use Verdict::{Keep, NotWhole, Remove};
        assert_eq!(verdicts, [NotWhole, NotWhole, Keep(Reason::Newest), Remove]);
    }

    #[test]
    fn an_archive_dated_in_the_future_is_neither_counted_nor_removed() {
        use Verdict::{InFuture, Keep, NotWhole, Remove};
        let archives =
            vec![at(1, true), at(2, true), at(3, true), at(9, true), at(9, false), at(500, true)];
        let verdicts = |now: SystemTime, rules: Retention| -> Vec<_> {
            rules.plan(archives.clone(), now).into_iter().map(|(_, verdict)| verdict).collect()
        };
        let one = Retention::new().last(1);
        let at_three = at(3, true).made;
        let expected = [InFuture, NotWhole, InFuture, Keep(Reason::Newest), Remove, Remove];
        let mut said = verdicts(at_three, one.max_bytes(0));
        said[1..3].sort_by_key(|verdict| *verdict == InFuture);
        assert_eq!(said, expected);
        // Clocks may differ by a little.
        let just_before = |ahead| at(9, true).made - Duration::from_secs(ahead);
        assert!(verdicts(just_before(300), one).contains(&Keep(Reason::Newest)));
        let counted = |now| verdicts(now, one).iter().filter(|v| **v == InFuture).count();
        assert_eq!((counted(just_before(300)), counted(just_before(301))), (1, 2));
        // If all archives are in the future, none is the newest and none is removed.
        let first = verdicts(UNIX_EPOCH, one.max_bytes(0));
        assert!(first.iter().all(|verdict| matches!(verdict, InFuture | NotWhole)), "{first:?}");
    }

    proptest! {
        #[test]
        fn archives_dated_in_the_future_do_not_change_other_verdicts(
            made in prop::collection::vec((0u64..2000, any::<bool>()), 0..40), today in 0u64..2000,
            last in 0usize..5, daily in 0usize..5, weekly in 0usize..5,
            max in prop::option::of(0u64..20_000),
        ) {
            let mut rules = Retention::new().last(last).daily(daily).weekly(weekly);
            if let Some(max) = max {
                rules = rules.max_bytes(max);
            }
            let archives: Vec<_> = made.iter().map(|&(hours, whole)| at(hours, whole)).collect();
            let now = at(today, true).made;
            let (later, earlier): (Vec<_>, Vec<_>) =
                archives.iter().cloned().partition(|archive| archive.made > now);
            let plan = rules.plan(archives, now);
            let of_later: Vec<_> = plan.iter().filter(|(a, _)| a.made > now).collect();
            prop_assert_eq!(of_later.len(), later.len());
            let left = |archive: &Aged| match archive.is_whole {
                true => Verdict::InFuture,
                false => Verdict::NotWhole,
            };
            prop_assert!(of_later.iter().all(|(a, v)| *v == left(a)));
            let of_earlier: Vec<_> = plan.into_iter().filter(|(a, _)| a.made <= now).collect();
            prop_assert_eq!(of_earlier, rules.plan(earlier, now));
        }

        #[test]
        fn the_newest_complete_archive_stays_and_the_sum_is_bounded(
            made in prop::collection::vec((0u64..2000, any::<bool>()), 0..40),
            last in 0usize..5, daily in 0usize..5, weekly in 0usize..5,
            max in prop::option::of(0u64..20_000),
        ) {
            let mut rules = Retention::new().last(last).daily(daily).weekly(weekly);
            if let Some(max) = max {
                rules = rules.max_bytes(max);
            }
            let archives: Vec<_> = made.iter().map(|&(hours, whole)| at(hours, whole)).collect();
            let plan = rules.plan(archives.clone(), now());
            prop_assert_eq!(plan.len(), archives.len());
            let newest = archives.iter().filter(|a| a.is_whole).max_by_key(|a| a.made);
            let kept: Vec<_> =
                plan.iter().filter(|(_, v)| matches!(v, Verdict::Keep(_))).collect();
            prop_assert_eq!(kept.first().map(|(a, _)| a.made), newest.map(|a| a.made));
            let bytes: u64 = kept.iter().map(|(a, _)| a.size).sum();
            prop_assert!(max.is_none_or(|max| bytes <= max) || kept.len() == 1);
            prop_assert!(plan.iter().all(|(a, v)| a.is_whole || *v == Verdict::NotWhole));
            let rules = (last, daily, weekly) != (0, 0, 0);
            prop_assert!(!rules || kept.len() <= (last + daily + weekly).max(1));
        }
    }
}
