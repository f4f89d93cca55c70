//! `wingback prune`.

use std::{os::unix::ffi::OsStrExt, sync::Arc, time::SystemTime};

use serde::Serialize;
use wingback::{
    Archive, ArchiveGroup, Archives, Error, ErrorKind, GroupBy, Limiter, PlannedArchive, Result,
    Retention, Store, Verdict, Verify,
};

use crate::{
    archives, args,
    output::{Style, bytes, plain, print, say},
    status::Status,
    stored::Located,
    units::{plural, size, timestamp},
};

pub async fn prune(args: &args::Prune) -> Status {
    let style = if args.json { Style::Json } else { Style::Quiet };
    match run(args).await {
        Ok(()) => Status::Done,
        Err(e) => {
            style.error(&e);
            Status::Failed
        }
    }
}

async fn run(args: &args::Prune) -> Result<()> {
    let store: Arc<dyn Store> = archives::existing(&args.place, &args.remote)?.into();
    let archives =
        args.label.iter().fold(Archives::new(), |archives, label| archives.label(label.as_bytes()));
    let style = Style::of_tasks(args.json);
    let archives = style.run(archives.start(store.clone())).await?;
    let plan = rules(args).plan(archives, SystemTime::now());
    if args.verify {
        let limit = args.limit.limiter();
        for newest in plan.iter().filter_map(ArchiveGroup::newest) {
            verify(style, &store, newest, &limit).await?;
        }
    }
    let mut totals = Totals::default();
    for group in &plan {
        if args.json {
            print(group);
        } else {
            say(&group_text(group));
        }
        for planned in &group.archives {
            let fate = match planned.verdict {
                Verdict::Remove if args.apply => remove(&store, planned).await?,
                _ => Fate::Stays,
            };
            totals.add(planned, fate);
            let location = store.location(&planned.archive.key);
            if args.json {
                let removed = fate == Fate::Removed;
                print(&Located::new(&Line { planned, removed }, &location));
            } else {
                say(&text(planned, fate, &plain(&location.to_string_lossy())));
            }
        }
    }
    if !args.json {
        say(&totals.text(args.apply));
        let groups = plural(plan.len() as u64, "group");
        let group_by = GroupBy::from(args.group_by).code();
        say(&format!("grouped by {group_by}: {groups}"));
    }
    Ok(())
}

fn rules(args: &args::Prune) -> Retention {
    let number = |n: Option<u32>| n.unwrap_or(0) as usize;
    let keep = &args.rules;
    let mut rules = Retention::new()
        .last(number(keep.keep_last))
        .hourly(number(keep.keep_hourly))
        .daily(number(keep.keep_daily))
        .weekly(number(keep.keep_weekly))
        .monthly(number(keep.keep_monthly))
        .yearly(number(keep.keep_yearly))
        .within(keep.keep_within.unwrap_or_default())
        .group_by(args.group_by.into())
        .unidentified(args.unidentified);
    for (key, value) in &keep.keep_tag {
        rules = rules.keep_tag(key, value);
    }
    keep.max_size.iter().fold(rules, |rules, &bytes| rules.max_bytes(bytes))
}

async fn verify(
    style: Style,
    store: &Arc<dyn Store>,
    newest: &PlannedArchive,
    limit: &Limiter,
) -> Result<()> {
    let key = newest.archive.key.clone();
    let location = store.location(&key);
    let archive = Archive::in_store(store.clone(), key).read_limit(limit.clone());
    if style.run(Verify::new().start(archive)).await?.is_whole() {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Corrupt, "verify").at(location);
    Err(error.caused_by("the newest archive is damaged; nothing was removed"))
}

/// The fate of an archive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Removed,
    /// It has got a lock after the archives were listed.
    LockedMeanwhile,
}

async fn remove(store: &Arc<dyn Store>, planned: &PlannedArchive) -> Result<Fate> {
    let archive = Archive::in_store(store.clone(), planned.archive.key.clone());
    Ok(if archive.remove().await? { Fate::Removed } else { Fate::LockedMeanwhile })
}

/// The line of `--json` for an archive.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    planned: &'a PlannedArchive,
    removed: bool,
}

fn group_text(group: &ArchiveGroup) -> String {
    let archives = plural(group.archives.len() as u64, "archive");
    let name = match (&group.label, &group.host) {
        _ if group.is_unidentified => "without a label".to_owned(),
        (None, _) => "all labels and hosts".to_owned(),
        (Some(label), None) => format!("label {}", bytes(label)),
        (Some(label), Some(host)) => format!("label {}, host {}", bytes(label), plain(host)),
    };
    format!("{name}: {archives}")
}

/// Returns the word for a verdict, and its reason, for people.
fn words(planned: &PlannedArchive, fate: Fate) -> (&'static str, &'static str) {
    match (planned.verdict, fate) {
        (_, Fate::Removed) => ("removed", ""),
        (_, Fate::LockedMeanwhile) => ("keep", "locked"),
        (Verdict::Keep(reason), _) => ("keep", reason.code()),
        (Verdict::Remove, _) => ("remove", ""),
        (Verdict::InFuture, _) => ("leave", "in the future"),
        (Verdict::Unidentified, _) => ("leave", "no label"),
        (Verdict::Undated, _) => ("leave", "no time"),
        _ => ("leave", "not whole"),
    }
}

fn text(planned: &PlannedArchive, fate: Fate, location: &str) -> String {
    let (word, why) = words(planned, fate);
    let made = planned.archive.made_ns().map_or_else(|| "-".to_owned(), timestamp);
    let size = size(planned.archive.size);
    let suspicious =
        if planned.is_suspicious { "  (suspicious: lost most of its content)" } else { "" };
    format!("{word:<8}{why:<15}{made:<19}  {size:>10}  {location}{suspicious}")
}

/// Sums over all groups.
#[derive(Default)]
struct Totals {
    archives: u64,
    bytes: u64,
    in_future: u64,
    unidentified: u64,
}

impl Totals {
    fn add(&mut self, planned: &PlannedArchive, fate: Fate) {
        let is_removed = planned.verdict == Verdict::Remove && fate != Fate::LockedMeanwhile;
        self.archives += u64::from(is_removed);
        self.bytes += if is_removed { planned.archive.size } else { 0 };
        self.in_future += u64::from(planned.verdict == Verdict::InFuture);
        self.unidentified += u64::from(planned.verdict == Verdict::Unidentified);
    }

    fn text(&self, is_applied: bool) -> String {
        let what = format!("{}, {}", plural(self.archives, "archive"), size(self.bytes));
        let mut text = match (self.archives, is_applied) {
            (0, _) => "nothing to remove".to_owned(),
            (_, true) => format!("removed {what}"),
            (_, false) => format!("to remove: {what}; nothing is removed without --apply"),
        };
        if self.in_future > 0 {
            let archives = plural(self.in_future, "archive");
            text += &format!(
                "\n{archives} dated in the future: a clock was wrong; the rules ignore them"
            );
        }
        if self.unidentified > 0 {
            let archives = plural(self.unidentified, "archive");
            text += &format!("\n{archives} without a label: left alone without --unidentified");
        }
        text
    }
}
