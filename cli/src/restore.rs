//! `wingback extract`, `restore` and `recover`. They write members of an archive.

use std::os::unix::ffi::OsStrExt;

use serde_json::json;
use wingback::{
    Extract, Extracted, LISTED_MAX, Listed, NotExtracted, Recovered, Restore, Restored,
    UnpackOptions, Unpacked,
};

use crate::{
    args,
    inspect::{damage_lines, unmatched},
    output::{Style, bytes, list, list_first, list_warnings, print, say},
    status::Status,
    units::{contents, plural},
};

pub async fn extract(args: &args::Extract) -> Status {
    let style = Style::of(&args.output);
    let mut extract = Extract::new(&args.dir)
        .overwrite(args.overwrite)
        .salvage(args.salvage)
        .options(options(&args.unpack));
    for pattern in &args.patterns {
        extract = extract.select(pattern.as_bytes());
    }
    if let Some(sha1) = args.sha1 {
        extract = extract.sha1(sha1);
    }
    let start = |archive| extract.start(args.unpack.limits.on(archive));
    let done = match style.run_on(&args.archive, &args.remote, start).await {
        Ok(done) => done,
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    };
    match style {
        Style::Json => print(&done),
        _ => say(&extracted_text(&done)),
    }
    match unmatched(&done.unmatched) {
        Status::Done if !done.damage.is_empty() => Status::Partial,
        Status::Done => status(&done.unpacked),
        status => status,
    }
}

pub async fn restore(args: &args::Restore) -> Status {
    let style = Style::of(&args.output);
    let mut restore = Restore::new(&args.dir)
        .delete(args.delete)
        .delete_excluded(args.delete_excluded)
        .dry_run(args.dry_run)
        .in_place(args.in_place)
        .options(options(&args.unpack));
    for path in &args.paths {
        restore = restore.select(path.as_bytes());
    }
    for pattern in &args.keep {
        restore = restore.keep(pattern.as_bytes());
    }
    if let Some(dir) = &args.staging {
        restore = restore.staging(dir);
    }
    if let Some(dir) = &args.state.state_dir {
        restore = restore.state_dir(dir);
    }
    if let Some(sha1) = args.sha1 {
        restore = restore.sha1(sha1);
    }
    let start = |archive| restore.start(args.unpack.limits.on(archive));
    match style.run_on(&args.archive, &args.remote, start).await {
        Ok(done) => {
            match style {
                Style::Json => print(&done),
                _ => say(&restored_text(&done, args.dry_run)),
            }
            status(&done.unpacked)
        }
        Err(e) => {
            style.error(&e);
            Status::Failed
        }
    }
}

pub async fn recover(args: &args::Recover) -> Status {
    let style = Style::of_short(args.json);
    let mut restore = Restore::new(&args.dir);
    if let Some(dir) = &args.state.state_dir {
        restore = restore.state_dir(dir);
    }
    match style.run(restore.recover()).await {
        Ok(recovered) if args.json => {
            print(&json!({ "type": "recovered", "recovered": recovered }))
        }
        Ok(recovered) => say(&recovered_text(recovered)),
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    }
    Status::Done
}

fn status(unpacked: &Unpacked) -> Status {
    if unpacked.refused > 0 { Status::Partial } else { Status::Done }
}

fn options(args: &args::Unpack) -> UnpackOptions {
    let mut options = UnpackOptions::new()
        .background(args.background)
        .owner(args.owner.unwrap_or_default())
        .reserve(args.reserve)
        .skip_refused(args.skip_refused)
        .max_bytes(args.max_size.unwrap_or(u64::MAX))
        .max_members(args.max_members)
        .max_ratio(args.max_ratio.unwrap_or(u64::MAX));
    if let Some(threads) = args.threads {
        options = options.threads(threads.into());
    }
    options
}

fn extracted_text(done: &Extracted) -> String {
    let mut lines = vec![
        content(&done.unpacked),
        format!("read      {}", done.read_method),
        format!("time      {:.2} s", done.duration.as_secs_f64()),
    ];
    list_skipped(&mut lines, &done.unpacked.skipped);
    list_warnings(&mut lines, &done.warnings);
    if !done.damage.is_empty() {
        damage_lines(&mut lines, &done.damage);
    }
    lines.join("\n")
}

fn restored_text(done: &Restored, dry_run: bool) -> String {
    let mut lines = Vec::new();
    if dry_run {
        lines.push("dry run   nothing was changed".to_owned());
    }
    lines.extend([
        content(&done.unpacked),
        format!("read      {}", done.read_method),
        format!("time      {:.2} s", done.duration.as_secs_f64()),
    ]);
    // The list of all files is long. A preview is for reading it, and removed files are always named.
    let shown = |is_shown| if is_shown { LISTED_MAX } else { 0 };
    for (title, paths, max) in [
        ("added", &done.added, shown(dry_run)),
        ("replaced", &done.replaced, shown(dry_run)),
        ("removed", &done.removed, LISTED_MAX),
    ] {
        list_first(&mut lines, title, paths.total(), paths.iter().map(|path| bytes(path)), max);
    }
    lines.push(format!("unchanged {}", plural(done.unchanged, "file")));
    if done.recovered.is_some() {
        lines.push(format!("before    {}", recovered_text(done.recovered)));
    }
    list_skipped(&mut lines, &done.unpacked.skipped);
    list_warnings(&mut lines, &done.warnings);
    lines.join("\n")
}

fn content(unpacked: &Unpacked) -> String {
    format!(
        "content   {}",
        contents(unpacked.files, unpacked.directories, unpacked.symlinks, unpacked.content),
    )
}

fn list_skipped(lines: &mut Vec<String>, skipped: &Listed<NotExtracted>) {
    let reasons = skipped.iter().map(|s| format!("{}: {}", bytes(&s.path), s.reason));
    list(lines, "skipped", skipped.total(), reasons);
}

fn recovered_text(recovered: Option<Recovered>) -> String {
    match recovered {
        None => "there is no interrupted restore".to_owned(),
        Some(recovered) => recovered.to_string(),
    }
}
