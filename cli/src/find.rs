//! `wingback find`.

use std::{
    collections::BTreeSet,
    os::unix::ffi::{OsStrExt, OsStringExt},
    sync::Arc,
};

use wingback::{Error, FileVersion, Find, Found, Store};

use crate::{
    archives, args,
    output::{Lines, Style, bytes, complain, json_line, plain, print},
    status::Status,
    units::{count, plural, shell_word, timestamp},
};

pub async fn find(args: &args::Find) -> Status {
    let style = if args.json { Style::Json } else { Style::Quiet };
    let (store, found) = match search(args).await {
        Ok(found) => found,
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    };
    let mut lines = Lines::default();
    let mut path = None;
    for version in &found.versions {
        if args.json {
            lines.say(&json_line(version));
            continue;
        }
        if path.replace(&version.member.path) != Some(&version.member.path) {
            lines.say(&bytes(&version.member.path));
        }
        lines.say(&text(&*store, version));
    }
    lines.flush();
    report(&*store, &found, args.json);
    match (found.versions.is_empty(), found.unsearched.is_empty()) {
        (true, _) => Status::Failed,
        (false, true) => Status::Done,
        (false, false) => Status::Partial,
    }
}

async fn search(args: &args::Find) -> Result<(Arc<dyn Store>, Found), Error> {
    let store: Arc<dyn Store> = archives::existing(&args.place, &args.remote)?.into();
    let mut find = Find::new().select(args.pattern.as_bytes()).read_limit(args.limit.limiter());
    if let Some(label) = &args.label {
        find = find.label(label.as_bytes());
    }
    let found = Style::of_tasks(args.json).run(find.start(store.clone())).await?;
    Ok((store, found))
}

/// Formats a version: its time and size, its archives, and the command that extracts it.
fn text(store: &dyn Store, version: &FileVersion) -> String {
    let FileVersion { member, archives, .. } = version;
    let made = |at: usize| archives[at].made_ns().map_or_else(|| "-".to_owned(), timestamp);
    let times = match archives.len() {
        1 => made(0),
        n => format!("{} to {}", made(n - 1), made(0)),
    };
    let archive = store.location(&archives[0].key).into_vec();
    format!(
        "  {}  {:>12}  in {}{}, {times}\n    wingback extract {} . {}",
        timestamp(member.mtime_ns),
        member.size,
        plural(archives.len() as u64, "archive"),
        labels(version),
        shell_word(&archive),
        shell_word(&member.path),
    )
}

/// Returns the labels of the archives of a version: ` of arena, lobby`.
fn labels(version: &FileVersion) -> String {
    let labels: BTreeSet<_> =
        version.archives.iter().filter_map(|archive| archive.label()).collect();
    let labels: Vec<_> = labels.into_iter().map(bytes).collect();
    if labels.is_empty() { String::new() } else { format!(" of {}", labels.join(", ")) }
}

fn report(store: &dyn Store, found: &Found, is_json: bool) {
    for pattern in &found.unmatched {
        complain(&format!("{}: nothing in the archives matches it", bytes(pattern)));
    }
    if is_json {
        return print(found);
    }
    for unsearched in &found.unsearched {
        let archive = store.location(&unsearched.key);
        let why = match unsearched.error.path() {
            Some(_) => unsearched.error.to_string(),
            None => format!("{}: {}", archive.to_string_lossy(), unsearched.error),
        };
        complain(&format!("not searched: {}", plain(&why)));
    }
    if found.unsearched.more() > 0 {
        complain(&format!("{} more were not searched", count(found.unsearched.more())));
    }
    complain(&format!(
        "{} in {}, {} searched",
        plural(found.paths, "path"),
        plural(found.versions.len() as u64, "version"),
        plural(found.searched, "archive"),
    ));
}
