//! `wingback prune`.

use std::{
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use wingback::{
    Aged, Archive, Error, ErrorKind, LocalStore, NamedBytes, Result, Retention, Store, Verdict,
    Verify,
};

use crate::{
    args,
    output::{Style, plain, print, say},
    status::Status,
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
    let store = LocalStore::new(&args.dir).names(args.name.clone());
    // A store creates its directory on demand. Here, a missing directory is probably a typing error.
    if !args.dir.is_dir() {
        let error = Error::new(ErrorKind::NotFound, "open the directory").at(&args.dir);
        return Err(error.caused_by("it does not exist, or is not a directory"));
    }
    let now = SystemTime::now();
    let plan = rules(args).plan(store.aged(now).await?, now);
    let newest = plan.iter().find(|(_, verdict)| matches!(verdict, Verdict::Keep(_)));
    if let (true, Some((newest, _))) = (args.verify, newest) {
        let path = store.path(&newest.key);
        let verified = Verify::new().start(Archive::file(&path)).await?;
        if !verified.is_whole() {
            let error = Error::new(ErrorKind::Corrupt, "verify").at(path);
            return Err(error.caused_by("the newest archive is damaged; nothing was removed"));
        }
    }
    for (archive, verdict) in &plan {
        let is_removed = args.apply && *verdict == Verdict::Remove;
        if is_removed {
            store.delete(&archive.key).await?;
        }
        if args.json {
            print(&line(&store.path(&archive.key), archive, *verdict, is_removed));
        } else {
            say(&text(&store, archive, *verdict, is_removed));
        }
    }
    if !args.json {
        say(&summary(&plan, args.apply));
    }
    Ok(())
}

fn rules(args: &args::Prune) -> Retention {
    let number = |n: Option<u32>| n.unwrap_or(0) as usize;
    let rules = Retention::new()
        .last(number(args.keep_last))
        .daily(number(args.keep_daily))
        .weekly(number(args.keep_weekly));
    args.max_size.iter().fold(rules, |rules, &bytes| rules.max_bytes(bytes))
}

/// Returns the word for a verdict, and its reason, for people.
fn words(verdict: Verdict) -> (&'static str, String) {
    match verdict {
        Verdict::Keep(reason) => ("keep", reason.to_string()),
        Verdict::Remove => ("remove", String::new()),
        Verdict::InFuture => ("leave", "in the future".to_owned()),
        _ => ("leave", "not whole".to_owned()),
    }
}

fn text(store: &LocalStore, archive: &Aged, verdict: Verdict, is_removed: bool) -> String {
    let (word, why) = if is_removed { ("removed", String::new()) } else { words(verdict) };
    let (made, size) = (timestamp(nanoseconds(archive.made)), size(archive.size));
    let path = plain(&store.path(&archive.key).to_string_lossy());
    format!("{word:<8}{why:<15}{made}  {size:>10}  {path}")
}

/// The line of `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename = "archive")]
struct Line<'a> {
    #[serde(flatten)]
    path: NamedBytes<'a>,
    verdict: &'static str,
    reason: Option<&'static str>,
    removed: bool,
    size: u64,
    made_ns: i64,
}

fn line<'a>(path: &'a Path, archive: &Aged, verdict: Verdict, removed: bool) -> Line<'a> {
    let reason = match verdict {
        Verdict::Keep(reason) => Some(reason.code()),
        _ => None,
    };
    Line {
        path: NamedBytes::new("path", path.as_os_str().as_bytes()),
        verdict: verdict.code(),
        reason,
        removed,
        size: archive.size,
        made_ns: nanoseconds(archive.made),
    }
}

fn summary(plan: &[(Aged, Verdict)], is_applied: bool) -> String {
    let removed = plan.iter().filter(|(_, verdict)| *verdict == Verdict::Remove);
    let (mut archives, mut bytes) = (0, 0);
    for (archive, _) in removed {
        archives += 1;
        bytes += archive.size;
    }
    let what = format!("{}, {}", plural(archives, "archive"), size(bytes));
    let mut summary = match (archives, is_applied) {
        (0, _) => "nothing to remove".to_owned(),
        (_, true) => format!("removed {what}"),
        (_, false) => format!("to remove: {what}; nothing is removed without --apply"),
    };
    let later = plan.iter().filter(|(_, verdict)| *verdict == Verdict::InFuture).count() as u64;
    if later > 0 {
        let later = plural(later, "archive");
        summary +=
            &format!("\n{later} dated in the future: a clock was wrong; the rules ignore them");
    }
    summary
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}
