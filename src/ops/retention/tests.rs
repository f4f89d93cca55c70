use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::{
    format::info::Info,
    name::Key,
    ops::{archives::StoredArchive, retention::Verdict::*},
    store::Object,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Time from 1970 to the first Monday.
const MONDAY: Duration = Duration::from_secs(4 * 86_400);

/// Returns an archive made this many hours after a Monday, with a size that identifies it.
fn at(hours: u64) -> StoredArchive {
    let info = Info {
        label: b"lobby".to_vec(),
        host: Some("node7".into()),
        made: Some(UNIX_EPOCH + MONDAY + HOUR * hours as u32),
        files: 1,
        content: 1000,
        ..Info::default()
    };
    with(hours, info)
}

fn with(hours: u64, info: Info) -> StoredArchive {
    let key = Key::new(format!("{hours}.tar.gz")).unwrap();
    // The store says another time, because somebody copied the file.
    StoredArchive::new(Object::new(key, 100 + hours, Some(UNIX_EPOCH)), Some(info))
}

fn change(mut archive: StoredArchive, change: impl FnOnce(&mut Info)) -> StoredArchive {
    if let Some(info) = &mut archive.info {
        change(info);
    }
    archive
}

fn locked(archive: StoredArchive) -> StoredArchive {
    StoredArchive { is_locked: true, ..archive }
}

/// Returns a time later than all archives.
fn now() -> SystemTime {
    UNIX_EPOCH + MONDAY + HOUR * 100_000
}

/// Returns the verdicts of the only group.
fn verdicts(rules: &Retention, archives: Vec<StoredArchive>) -> Vec<Verdict> {
    let groups = rules.plan(archives, now());
    assert_eq!(groups.len(), 1);
    groups[0].archives.iter().map(|planned| planned.verdict).collect()
}

fn kept(rules: &Retention, hours: &[u64]) -> Vec<(u64, Reason)> {
    let groups = rules.plan(hours.iter().map(|&hours| at(hours)).collect(), now());
    let planned = groups.into_iter().flat_map(|group| group.archives);
    let kept = planned.filter_map(|planned| match planned.verdict {
        Keep(reason) => Some((planned.archive.size - 100, reason)),
        _ => None,
    });
    kept.collect()
}

#[test]
fn each_rule_keeps_its_archives() {
    use Reason::{Any, Daily, Hourly, Last, Monthly, Newest, Weekly, Within, Yearly};
    // Twice a day, for four weeks.
    let hours: Vec<u64> = (0..56).map(|n| n * 12).collect();
    let newest = (660, Newest);
    let rules = Retention::new();
    let all = kept(&rules, &hours);
    assert!(all.len() == 56 && all[0] == newest && all[1] == (648, Any));
    let kept_of = |rules: Retention| kept(&rules, &hours);
    assert_eq!(kept_of(rules.clone().last(3)), [newest, (648, Last), (636, Last)]);
    assert_eq!(kept_of(rules.clone().hourly(3)), [newest, (648, Hourly), (636, Hourly)]);
    assert_eq!(kept_of(rules.clone().daily(3)), [newest, (636, Daily), (612, Daily)]);
    // Sundays at noon.
    assert_eq!(kept_of(rules.clone().weekly(3)), [newest, (492, Weekly), (324, Weekly)]);
    assert_eq!(kept_of(rules.clone().within(HOUR * 13)), [newest, (648, Within)]);
    let several = rules.clone().last(2).daily(2).weekly(2);
    assert_eq!(kept_of(several), [newest, (648, Last), (636, Daily), (492, Weekly)]);
    // 760 and 748 bytes, and no 736 more.
    assert_eq!(kept_of(rules.clone().max_bytes(1600)), [newest, (648, Any)]);
    assert_eq!(kept_of(rules.clone().max_bytes(0)), [newest]);
    // Each tenth day of two years. The first days are in January.
    let days: Vec<u64> = (0..73).map(|n| n * 240).collect();
    let newest = (17280, Newest);
    let monthly = kept(&rules.clone().monthly(3), &days);
    assert_eq!(monthly, [newest, (16560, Monthly), (15840, Monthly)]);
    assert_eq!(kept(&rules.clone().yearly(5), &days), [newest, (8640, Yearly)]);
    // A day without a backup does not count.
    assert_eq!(kept(&rules.clone().daily(2), &[0, 240, 250]), [(250, Newest), (0, Daily)]);
    assert!(kept(&rules.last(1), &[]).is_empty());
}

#[test]
fn what_the_rules_ignore_is_left_alone() {
    let not_whole = StoredArchive { info: None, ..at(3) };
    let nameless = |hours| change(at(hours), |info| info.label.clear());
    let undated = change(StoredArchive { modified: None, ..at(4) }, |info| info.made = None);
    let archives = vec![at(1), at(2), undated, at(200_000)];
    let rules = Retention::new().last(1).max_bytes(0);
    let expected = [InFuture, Keep(Reason::Newest), Remove, Undated];
    assert_eq!(verdicts(&rules, archives), expected);

    let groups = rules.plan(vec![at(1), nameless(2), nameless(5), not_whole.clone()], now());
    assert!(!groups[0].is_unidentified && groups[1].is_unidentified && groups.len() == 2);
    let of = |group: &ArchiveGroup| -> Vec<_> {
        group.archives.iter().map(|planned| planned.verdict).collect()
    };
    assert_eq!(of(&groups[0]), [Keep(Reason::Newest)]);
    assert_eq!(of(&groups[1]), [Unidentified, Unidentified, NotWhole]);
    assert!(groups[1].newest().is_none());
    let groups = rules.unidentified(true).plan(vec![nameless(2), nameless(5), not_whole], now());
    assert_eq!(of(&groups[0]), [Keep(Reason::Newest), Remove, NotWhole]);
}

#[test]
fn clocks_may_differ_by_five_minutes() {
    let seen = |behind: u64| {
        let now = at(9).made().unwrap() - Duration::from_secs(behind);
        Retention::new().plan(vec![at(9)], now)[0].archives[0].verdict
    };
    assert_eq!((seen(300), seen(301)), (Keep(Reason::Newest), InFuture));
}

#[test]
fn locks_and_tags_keep_archives() {
    let gold = change(at(1), |info| info.tags.push(("plan".into(), "gold".into())));
    let archives = || vec![locked(at(0)), gold.clone(), at(2), at(3), at(4)];
    let rules = Retention::new().last(1).keep_tag("plan", "gold");
    let newest = Keep(Reason::Newest);
    let expected = [newest, Remove, Remove, Keep(Reason::Tag), Keep(Reason::Locked)];
    assert_eq!(verdicts(&rules, archives()), expected);
    assert_eq!(
        verdicts(&rules.max_bytes(0), archives()),
        [newest, Remove, Remove, Remove, Keep(Reason::Locked)]
    );
    assert_eq!(verdicts(&Retention::new().keep_tag("plan", "silver"), archives())[3], Remove);
}

#[test]
fn an_empty_or_suspicious_archive_is_never_the_newest_good_one() {
    let small = |hours, content| change(at(hours), |info| info.content = content);
    let empty = |hours| change(small(hours, 0), |info| info.files = 0);
    let rules = Retention::new().last(1);
    let newest = Keep(Reason::Newest);
    let last = Keep(Reason::Last);
    // The source was lost. The backups of what is left do not replace the last good one.
    assert_eq!(verdicts(&rules, vec![at(1), at(2), empty(3)]), [last, newest, Remove]);
    assert_eq!(verdicts(&rules, vec![at(2), empty(3), small(4, 99)])[..2], [last, Remove]);
    assert_eq!(verdicts(&rules, vec![at(2), empty(3), small(4, 99)])[2], newest);
    assert_eq!(verdicts(&rules, vec![at(2), small(3, 100)]), [newest, Remove]);
    // The server has become small for good: the second one of this size is good.
    assert_eq!(verdicts(&rules, vec![at(2), small(3, 50), small(4, 60)])[0], newest);
    // The first one of all has nothing to compare with.
    assert_eq!(verdicts(&rules, vec![small(1, 0), small(2, 0)]), [newest, Remove]);
    let groups = rules.plan(vec![at(2), empty(3)], now());
    assert!(groups[0].archives[0].is_suspicious && !groups[0].archives[1].is_suspicious);
    assert_eq!(groups[0].newest().unwrap().archive, at(2));
}

#[test]
fn archives_are_grouped_by_label_and_host() {
    let of = |hours, label: &str, host: &str| {
        change(at(hours), |info| {
            (info.label, info.host) = (label.into(), Some(host.to_owned()));
        })
    };
    let archives = || vec![of(1, "b", "x"), of(2, "a", "y"), of(3, "b", "y"), of(4, "a", "y")];
    let plan = |group_by| {
        let groups = Retention::new().last(1).group_by(group_by).plan(archives(), now());
        let of_group = |group: ArchiveGroup| {
            let label = group.label.map(|label| String::from_utf8(label).unwrap());
            (label.unwrap_or_default(), group.host.unwrap_or_default(), group.archives.len())
        };
        groups.into_iter().map(of_group).collect::<Vec<_>>()
    };
    let group = |label: &str, host: &str, n| (label.to_owned(), host.to_owned(), n);
    let both = [group("a", "y", 2), group("b", "x", 1), group("b", "y", 1)];
    assert_eq!(plan(GroupBy::LabelAndHost), both);
    assert_eq!(plan(GroupBy::Label), [group("a", "", 2), group("b", "", 2)]);
    assert_eq!(plan(GroupBy::None), [group("", "", 4)]);
}

/// Archives of three labels, some without a label, not whole, locked or small.
fn archives() -> impl Strategy<Value = Vec<StoredArchive>> {
    let one = (0u64..2000, 0usize..4, any::<[bool; 3]>());
    prop::collection::vec(one, 0..40).prop_map(|made| {
        let archive = |(n, (hours, label, [is_broken, is_locked, is_small])): (
            u64,
            (u64, usize, [bool; 3]),
        )| {
            let archive = change(at(hours), |info| {
                info.label = ["a", "b", "c", ""][label].into();
                info.content = if is_small { 1 } else { 1000 };
            });
            let info = archive.info.clone().filter(|_| !is_broken || !is_small);
            let key = Key::new(format!("{n}.tar.gz")).unwrap();
            StoredArchive { key, info, is_locked: is_locked && is_small, ..archive }
        };
        (0..).zip(made).map(archive).collect()
    })
}

fn rules() -> impl Strategy<Value = Retention> {
    let counts = prop::array::uniform6(0usize..4);
    (counts, 0u32..100, any::<bool>(), 0usize..3).prop_map(|(n, within, unidentified, by)| {
        Retention::new()
            .last(n[0])
            .hourly(n[1])
            .daily(n[2])
            .weekly(n[3])
            .monthly(n[4])
            .yearly(n[5])
            .within(HOUR * within)
            .unidentified(unidentified)
            .group_by([GroupBy::None, GroupBy::Label, GroupBy::LabelAndHost][by])
    })
}

fn flat(groups: &[ArchiveGroup]) -> impl Iterator<Item = &PlannedArchive> {
    groups.iter().flat_map(|group| &group.archives)
}

proptest! {
    #[test]
    fn the_newest_good_archive_and_those_left_alone_stay(
        archives in archives(), rules in rules(), max in prop::option::of(0u64..40_000),
    ) {
        let is_left_alone = |a: &StoredArchive| {
            !a.is_whole() || (a.label().is_none() && !rules.unidentified)
        };
        let rules = max.iter().fold(rules.clone(), |rules, &max| rules.max_bytes(max));
        let groups = rules.plan(archives.clone(), now());
        prop_assert_eq!(flat(&groups).count(), archives.len());
        for planned in flat(&groups) {
            let is_kept = matches!(planned.verdict, Keep(_));
            let left_alone = matches!(planned.verdict, NotWhole | Unidentified);
            prop_assert_eq!(left_alone, is_left_alone(&planned.archive));
            prop_assert!(left_alone || is_kept || !planned.archive.is_locked);
        }
        for group in &groups {
            let counted = group.archives.iter().filter(|p| !is_left_alone(&p.archive));
            let good: Vec<_> = counted.filter(|p| !p.is_suspicious).collect();
            prop_assert_eq!(good.first().copied(), group.newest());
        }
    }

    #[test]
    fn only_the_maximum_size_lets_groups_influence_each_other(
        archives in archives(), rules in rules(),
    ) {
        let groups = rules.plan(archives.clone(), now());
        for group in &groups {
            let alone: Vec<_> = group.archives.iter().map(|p| p.archive.clone()).collect();
            prop_assert_eq!(std::slice::from_ref(group), rules.plan(alone, now()));
        }
    }

    #[test]
    fn the_kept_archives_fit_and_the_oldest_are_removed_first(
        archives in archives(), rules in rules(), max in 0u64..40_000,
    ) {
        let before = rules.plan(archives.clone(), now());
        let groups = rules.max_bytes(max).plan(archives, now());
        let kept: Vec<_> = flat(&groups).filter(|p| matches!(p.verdict, Keep(_))).collect();
        let bytes: u64 = kept.iter().map(|p| p.archive.size).sum();
        let stays = |p: &&&PlannedArchive| matches!(p.verdict, Keep(Reason::Newest | Reason::Locked));
        let optional: Vec<_> = kept.iter().filter(|p| !stays(p)).collect();
        prop_assert!(bytes <= max || optional.is_empty());
        let age = |p: &PlannedArchive| (p.archive.made(), p.archive.key.clone());
        let removed = flat(&groups).zip(flat(&before)).filter(|(now, then)| now != then);
        let newest_removed = removed.map(|(now, _)| age(now)).max();
        let oldest_kept = optional.iter().map(|p| age(p)).min();
        if let (Some(removed), Some(kept)) = (newest_removed, oldest_kept) {
            prop_assert!(removed < kept);
        }
    }

    #[test]
    fn archives_dated_in_the_future_do_not_change_other_verdicts(
        archives in archives(), rules in rules(), today in 0u32..2000,
    ) {
        let now = UNIX_EPOCH + MONDAY + HOUR * today;
        let earlier = archives.iter().filter(|a| a.made().unwrap() <= now).cloned().collect();
        let groups = rules.plan(archives, now);
        let later = |p: &&PlannedArchive| p.archive.made().unwrap() > now;
        prop_assert!(flat(&groups).filter(later).all(|p| !matches!(p.verdict, Keep(_) | Remove)));
        let others: Vec<_> = flat(&groups).filter(|p| !later(p)).collect();
        let expected = rules.plan(earlier, now);
        prop_assert_eq!(others, flat(&expected).collect::<Vec<_>>());
    }
}
