//! Divides archives into groups, and judges each.

use std::{cmp::Reverse, collections::BTreeMap, time::SystemTime};

use crate::{
    format::info::Info,
    ops::{
        archives::StoredArchive,
        retention::{GroupBy, Reason, Retention, Verdict, is_in_future},
    },
    utc::Utc,
};

/// Archives to which the rules of a [`Retention`] apply together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveGroup {
    /// What the archives have in common.
    pub group_by: GroupBy,
    /// Label of the archives. `None` if the archives are not grouped by it, or have none.
    pub label: Option<Vec<u8>>,
    /// Host of the archives. `None` if the archives are not grouped by it, or do not have it.
    pub host: Option<String>,
    /// Whether these are the archives without a label.
    pub is_unidentified: bool,
    /// The archives, newest first.
    pub archives: Vec<PlannedArchive>,
}

/// An archive in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlannedArchive {
    /// The archive.
    pub archive: StoredArchive,
    /// The verdict. [`Archive::remove`](crate::Archive::remove) carries out [`Remove`](Verdict::Remove).
    pub verdict: Verdict,
    /// Whether the archive has no members, or less than a tenth of the content of the last archive before it that
    /// has any. The source may have been lost. Such an archive is never the newest good one.
    pub is_suspicious: bool,
}

impl ArchiveGroup {
    /// Returns the newest good archive of those that are kept.
    pub fn newest(&self) -> Option<&PlannedArchive> {
        let is_good = |planned: &&PlannedArchive| {
            matches!(planned.verdict, Verdict::Keep(_)) && !planned.is_suspicious
        };
        self.archives.iter().find(is_good)
    }
}

impl Retention {
    /// Returns the verdicts on the archives, in groups: in the order of their labels and hosts, and the archives
    /// without a label last. An archive is dated in the future if it is more than five minutes later than `now`.
    pub fn plan(&self, mut archives: Vec<StoredArchive>, now: SystemTime) -> Vec<ArchiveGroup> {
        archives.sort_by(|a, b| (b.made(), &b.key).cmp(&(a.made(), &a.key)));
        let mut grouped = BTreeMap::<_, Vec<_>>::new();
        for archive in archives {
            grouped.entry(self.group_of(&archive)).or_default().push(archive);
        }
        let judge = |((is_unidentified, label, host), archives)| {
            let archives = self.judge(archives, is_unidentified, now);
            ArchiveGroup { group_by: self.group_by, label, host, is_unidentified, archives }
        };
        let mut groups: Vec<_> = grouped.into_iter().map(judge).collect();
        self.limit_size(&mut groups);
        groups
    }

    /// Returns whether the archive has no label, and its label and host if they matter.
    fn group_of(&self, archive: &StoredArchive) -> (bool, Option<Vec<u8>>, Option<String>) {
        let Some(label) = archive.label().map(<[u8]>::to_vec) else { return (true, None, None) };
        match self.group_by {
            GroupBy::None => (false, None, None),
            GroupBy::Label => (false, Some(label), None),
            GroupBy::LabelAndHost => (false, Some(label), archive.host().map(str::to_owned)),
        }
    }

    /// Judges the archives of a group, which come newest first.
    fn judge(
        &self,
        archives: Vec<StoredArchive>,
        is_unidentified: bool,
        now: SystemTime,
    ) -> Vec<PlannedArchive> {
        let left_alone = |archive: &StoredArchive| match (&archive.info, archive.made()) {
            (None, _) => Some(Verdict::NotWhole),
            _ if is_unidentified && !self.unidentified => Some(Verdict::Unidentified),
            (_, None) => Some(Verdict::Undated),
            (_, Some(made)) if is_in_future(made, now) => Some(Verdict::InFuture),
            _ => None,
        };
        let mut rules = Rules::new(self);
        let mut planned = Vec::new();
        for (at, archive) in archives.iter().enumerate() {
            let older = archives[at + 1..].iter().filter(|older| left_alone(older).is_none());
            let left_alone = left_alone(archive);
            let is_suspicious = left_alone.is_none() && is_suspicious(archive, older);
            let verdict = left_alone.unwrap_or_else(|| rules.judge(archive, is_suspicious));
            planned.push(PlannedArchive { archive: archive.clone(), verdict, is_suspicious });
        }
        planned
    }

    /// Removes the oldest archives of all groups until the others have at most the maximum size.
    fn limit_size(&self, groups: &mut [ArchiveGroup]) {
        let Some(max) = self.max_bytes else { return };
        let all = groups.iter_mut().flat_map(|group| &mut group.archives);
        let mut kept: Vec<_> =
            all.filter(|planned| matches!(planned.verdict, Verdict::Keep(_))).collect();
        kept.sort_by_key(|planned| Reverse((planned.archive.made(), planned.archive.key.clone())));
        let mut bytes: u128 = kept.iter().map(|planned| u128::from(planned.archive.size)).sum();
        for planned in kept.into_iter().rev() {
            let stays = matches!(planned.verdict, Verdict::Keep(Reason::Newest | Reason::Locked));
            if bytes > max.into() && !stays {
                planned.verdict = Verdict::Remove;
                bytes -= u128::from(planned.archive.size);
            }
        }
    }
}

/// Returns whether the archive is empty, or far smaller than the last of `older` that is not.
fn is_suspicious<'a>(
    archive: &StoredArchive,
    older: impl Iterator<Item = &'a StoredArchive>,
) -> bool {
    let content = |archive: &StoredArchive| archive.info.as_ref().map_or(0, |info| info.content);
    let is_empty = |info: &Info| info.files + info.directories + info.symlinks == 0;
    let before = older.map(content).find(|&content| content > 0).unwrap_or(0);
    let is_small = u128::from(content(archive)) * 10 < u128::from(before);
    is_small || archive.info.as_ref().is_some_and(is_empty)
}

/// The rules while they judge one group. Archives come newest first.
struct Rules<'a> {
    of: &'a Retention,
    last: usize,
    hours: Periods,
    days: Periods,
    weeks: Periods,
    months: Periods,
    years: Periods,
    /// Time of the newest good archive.
    newest: Option<SystemTime>,
}

impl<'a> Rules<'a> {
    fn new(of: &'a Retention) -> Self {
        let periods = |left| Periods { left, newest: None };
        Rules {
            of,
            last: of.last,
            hours: periods(of.hourly),
            days: periods(of.daily),
            weeks: periods(of.weekly),
            months: periods(of.monthly),
            years: periods(of.yearly),
            newest: None,
        }
    }

    fn judge(&mut self, archive: &StoredArchive, is_suspicious: bool) -> Verdict {
        let made = archive.made().unwrap_or(SystemTime::UNIX_EPOCH);
        let utc = Utc::of(made);
        let is_newest = self.newest.is_none() && !is_suspicious;
        if is_newest {
            self.newest = Some(made);
        }
        let age = self.newest.map(|newest| newest.duration_since(made).unwrap_or_default());
        // An archive that is newer than the newest good one has no age.
        let is_within = age.is_none_or(|age| age <= self.of.within) && !self.of.within.is_zero();
        let has = |tag| archive.info.as_ref().is_some_and(|info| info.tags.contains(tag));
        // Every rule must see every archive.
        let reasons = [
            (archive.is_locked, Reason::Locked),
            (is_newest, Reason::Newest),
            (self.last > 0, Reason::Last),
            (self.hours.take(utc.days * 24 + utc.seconds / 3600), Reason::Hourly),
            (self.days.take(utc.days), Reason::Daily),
            // 1 January 1970 was a Thursday.
            (self.weeks.take((utc.days + 3).div_euclid(7)), Reason::Weekly),
            (self.months.take(utc.year * 12 + utc.month), Reason::Monthly),
            (self.years.take(utc.year), Reason::Yearly),
            (is_within, Reason::Within),
            (self.of.tags.iter().any(has), Reason::Tag),
            (self.of.keeps_all(), Reason::Any),
        ];
        self.last = self.last.saturating_sub(1);
        let reason = reasons.into_iter().find(|(applies, _)| *applies);
        reason.map_or(Verdict::Remove, |(_, reason)| Verdict::Keep(reason))
    }
}

/// Finds the newest archive of each of a number of periods.
struct Periods {
    left: usize,
    newest: Option<i64>,
}

impl Periods {
    /// Returns whether this is the first archive of a period that counts.
    fn take(&mut self, period: i64) -> bool {
        let is_first = self.left > 0 && self.newest != Some(period);
        if is_first {
            self.newest = Some(period);
            self.left -= 1;
        }
        is_first
    }
}
