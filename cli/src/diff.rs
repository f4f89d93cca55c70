//! `wingback diff`.

use std::{fmt::Write as _, os::unix::ffi::OsStrExt, path::Path};

use futures::TryStreamExt;
use wingback::{Compared, Diff, DiffStream, Difference, Error, ErrorKind, Member, MemberKind};

use crate::{
    archives, args,
    output::{Lines, Style, bytes, complain, json_line, print, with_output},
    status::Status,
    units::{count, size},
};

pub async fn diff(args: &args::Diff) -> Status {
    if args.archive == Path::new("-") && args.other == Path::new("-") {
        complain("standard input can be only one of the two");
        return Status::Usage;
    }
    let style = Style::of_short(args.json);
    let compared = match run(args, style).await {
        Ok(compared) => compared,
        Err(e) => {
            style.error(&e);
            return Status::Usage;
        }
    };
    report(&compared, args.json);
    let is_complete = compared.unmatched.is_empty() && !compared.is_partial();
    // An error of standard output must not mean that the two differ.
    match with_output(Status::Done) {
        Status::Done if !is_complete => Status::Usage,
        Status::Done if compared.is_equal() => Status::Done,
        Status::Done => Status::Failed,
        _ => Status::Usage,
    }
}

/// Prints the differences.
async fn run(args: &args::Diff, style: Style) -> Result<Compared, Error> {
    let mut differences = start(args)?;
    let mut lines = Lines::default();
    let handle = differences.handle();
    let print_all = async {
        while let Some(difference) = differences.try_next().await? {
            lines.say(&if args.json { json_line(&difference) } else { line(&difference) });
        }
        Ok(())
    };
    let printed = style.watch(handle, print_all).await;
    lines.flush();
    printed?;
    differences.into_compared().ok_or_else(|| Error::new(ErrorKind::Internal, "compare"))
}

fn start(args: &args::Diff) -> Result<DiffStream<'static>, Error> {
    let diff =
        Diff::new().content(args.content).excluded(args.excluded).max_members(args.max_members);
    let diff = args.patterns.iter().fold(diff, |diff, pattern| diff.select(pattern.as_bytes()));
    // Both archives share one limit.
    let limit = args.limit.limiter();
    let open = |path| -> Result<_, Error> {
        Ok(archives::archive(path, &args.remote)?.read_limit(limit.clone()))
    };
    let archive = open(&args.archive)?;
    Ok(match args.other.is_dir() {
        true => diff.with_dir(archive, &args.other),
        false => diff.start(archive, open(&args.other)?),
    })
}

fn line(difference: &Difference) -> String {
    let Difference { path, before, after, changes, .. } = difference;
    let Some(member) = after.as_ref().or(before.as_ref()) else { return String::new() };
    let slash = if member.kind == MemberKind::Directory { "/" } else { "" };
    let (kind, path) = (difference.kind().code(), bytes(path));
    let mut line = format!("{kind:<8} {:>12}  {path}{slash}", member.size);
    if !changes.is_empty() {
        let changes: Vec<_> = changes.iter().map(|aspect| aspect.code()).collect();
        let _ = write!(line, "  ({}", changes.join(", "));
        let other_size = |before: &&Member| before.size != member.size;
        if let Some(before) = before.as_ref().filter(other_size) {
            let _ = write!(line, "; {} bytes before", before.size);
        }
        line.push(')');
    }
    line
}

fn report(compared: &Compared, is_json: bool) {
    for pattern in &compared.unmatched {
        complain(&format!("{}: nothing on either side matches it", bytes(pattern)));
    }
    if is_json {
        return print(compared);
    }
    for skipped in &compared.skipped {
        complain(&format!("{}: not compared: {}", bytes(&skipped.path), skipped.reason));
    }
    if compared.skipped.more() > 0 {
        complain(&format!("{} more were not compared", count(compared.skipped.more())));
    }
    let of = |n: u64, bytes: u64| format!("{} ({})", count(n), size(bytes));
    complain(&format!(
        "{} added, {} removed, {} changed, {} with other metadata, {} unchanged",
        of(compared.added, compared.added_bytes),
        of(compared.removed, compared.removed_bytes),
        of(compared.changed, compared.changed_bytes),
        count(compared.metadata),
        count(compared.unchanged),
    ));
}
