//! `wingback archives`, `lock` and `unlock`.

use std::{ffi::OsStr, ops::Range, os::unix::ffi::OsStrExt, sync::Arc};

use serde::Serialize;
use wingback::{Archives, NamedBytes, Result, Store, StoredArchive, Task};

use crate::{
    archives, args,
    output::{Lines, Style, bytes, complain, json_line, plain, print, say},
    status::Status,
    units::{count, plural, size, timestamp},
};

/// Columns of numbers, which are aligned at the right.
const NUMBERS: Range<usize> = 2..6;

/// A result with the path or URL of its archive, for `--json`.
#[derive(Serialize)]
pub struct Located<'a, T> {
    #[serde(flatten)]
    result: &'a T,
    #[serde(flatten)]
    location: NamedBytes<'a>,
}

impl<'a, T> Located<'a, T> {
    pub fn new(result: &'a T, location: &'a OsStr) -> Self {
        Located { result, location: NamedBytes::new("location", location.as_bytes()) }
    }
}

pub async fn archives(args: &args::Archives) -> Status {
    let style = if args.json { Style::Json } else { Style::Quiet };
    match list(args).await {
        Ok(()) => Status::Done,
        Err(e) => {
            style.error(&e);
            Status::Failed
        }
    }
}

async fn list(args: &args::Archives) -> Result<()> {
    let store: Arc<dyn Store> = archives::existing(&args.place, &args.remote)?.into();
    let mut archives = Archives::new();
    if let Some(label) = &args.label {
        archives = archives.label(label.as_bytes());
    }
    if let Some(since) = args.since {
        archives = archives.since(since);
    }
    let archives = Style::of_tasks(args.json).run(archives.start(store.clone())).await?;
    let mut lines = Lines::default();
    if args.json {
        for archive in &archives {
            let location = store.location(&archive.key);
            lines.say(&json_line(&Located::new(archive, &location)));
        }
    } else {
        table(&archives).iter().for_each(|line| lines.say(line));
    }
    lines.flush();
    if !args.json {
        let sum = archives.iter().map(|archive| archive.size).fold(0, u64::saturating_add);
        complain(&format!("{}, {}", plural(archives.len() as u64, "archive"), size(sum)));
    }
    Ok(())
}

/// Returns the lines of the table, the titles first.
fn table(archives: &[StoredArchive]) -> Vec<String> {
    let titles = ["TIME", "LABEL", "SIZE", "CONTENT", "FILES", "CHANGE", "STATE", "NAME"];
    let titles = titles.map(str::to_owned);
    let rows: Vec<_> = std::iter::once(titles).chain(archives.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths = std::array::from_fn(|column| width(column).unwrap_or_default());
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[String; 8], widths: &[usize; 8]) -> String {
    let cells = row.iter().zip(widths).enumerate();
    let cells = cells.map(|(column, (text, width))| match NUMBERS.contains(&column) {
        true => format!("{text:>width$}"),
        false => format!("{text:<width$}"),
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn row(archive: &StoredArchive) -> [String; 8] {
    let none = || "-".to_owned();
    let info = archive.info.as_ref();
    let change = archive.content_change.map_or_else(none, |bytes| {
        let sign = if bytes < 0 { '-' } else { '+' };
        format!("{sign}{}", size(bytes.unsigned_abs()))
    });
    [
        archive.made_ns().map_or_else(none, timestamp),
        archive.label().map_or_else(none, bytes),
        size(archive.size),
        info.map_or_else(none, |info| size(info.content)),
        info.map_or_else(none, |info| count(info.files)),
        change,
        state(archive).to_owned(),
        plain(archive.key.as_str()),
    ]
}

fn state(archive: &StoredArchive) -> &'static str {
    match (archive.is_whole(), archive.is_locked) {
        (true, false) => "whole",
        (true, true) => "whole, locked",
        (false, false) => "not whole",
        (false, true) => "not whole, locked",
    }
}

/// The line of `lock` and `unlock` with `--json`.
#[derive(Serialize)]
#[serde(tag = "type", rename = "lock")]
struct Lock {
    locked: bool,
    changed: bool,
}

pub async fn lock(args: &args::Lock) -> Status {
    set(&args.archive, true).await
}

pub async fn unlock(args: &args::Unlock) -> Status {
    set(&args.archive, false).await
}

async fn set(args: &args::Locked, locked: bool) -> Status {
    let style = if args.json { Style::Json } else { Style::Quiet };
    let start = |archive: wingback::Archive<'static>| -> Task<'static, bool> {
        if locked { archive.lock() } else { archive.unlock() }
    };
    match Style::Quiet.run_on(&args.archive, &args.remote, start).await {
        Ok(changed) if args.json => {
            print(&Located::new(&Lock { locked, changed }, args.archive.as_os_str()));
        }
        Ok(changed) => {
            let word = if locked { "locked" } else { "unlocked" };
            let already = if changed { "" } else { " already" };
            say(&format!("{word}{already}  {}", plain(&args.archive.to_string_lossy())));
        }
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    }
    Status::Done
}
