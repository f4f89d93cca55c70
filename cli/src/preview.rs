//! `wingback create --dry-run`.

use futures::TryStreamExt;
use uuid::Uuid;
use wingback::{
    Backup, Error, ErrorKind, MemberKind, OwnFiles, PatternOrigin, Preview, PreviewEntry,
};

use crate::{
    archives::Archives,
    args,
    create::{self, counted},
    output::{
        Lines, Style, bytes, complain, json_line, list_skipped, list_warnings, plain, print, say,
    },
    status::Status,
    units::{contents, count},
};

pub async fn preview(args: &args::Create) -> Status {
    let style = match args.output.quiet && !args.output.json {
        true => Style::Quiet,
        false => Style::of_short(args.output.json),
    };
    let preview = match run(args, style).await {
        Ok(preview) => preview,
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    };
    match (style, args.list) {
        (Style::Json, _) => print(&preview),
        (_, None) => say(&text(&preview)),
        (_, Some(_)) => summarize(&preview),
    }
    if preview.is_partial() { Status::Partial } else { Status::Done }
}

/// Prints the paths of `--list`.
async fn run(args: &args::Create, style: Style) -> Result<Preview, Error> {
    let backup = create::backup(args, style)?;
    let own = own_files(args, &backup);
    let mut entries = backup.preview(own);
    let mut lines = Lines::default();
    let handle = entries.handle();
    let print_all = async {
        while let Some(entry) = entries.try_next().await? {
            if args.list.is_some_and(|list| is_listed(list, &entry)) {
                lines.say(&if style == Style::Json {
                    json_line(&entry)
                } else {
                    line(&entry, args)
                });
            }
        }
        Ok(())
    };
    let printed = style.watch(handle, print_all).await;
    lines.flush();
    printed?;
    entries.into_preview().ok_or_else(|| Error::new(ErrorKind::Internal, "look at the source"))
}

/// Returns the files that the destination has, if it is a directory. It need not exist.
fn own_files(args: &args::Create, backup: &Backup) -> Option<OwnFiles> {
    match Archives::at(&args.to, &args.name, &args.remote, |_| {}) {
        Ok(Archives::Local(store)) => {
            store.own_files(&store.key(backup.name_fields(Uuid::new_v4())))
        }
        _ => None,
    }
}

fn is_listed(list: args::PathList, entry: &PreviewEntry) -> bool {
    match list {
        args::PathList::Included => entry.is_included,
        // An included directory may lack its content.
        args::PathList::Excluded => !entry.is_included || entry.skipped.is_some(),
    }
}

fn line(entry: &PreviewEntry, args: &args::Create) -> String {
    let slash = if entry.kind == Some(MemberKind::Directory) { "/" } else { "" };
    let path = bytes(&entry.path);
    match reason(entry, &args.source.ignore_file_name).filter(|_| args.verbose) {
        Some(reason) => format!("{path}{slash}  ({reason})"),
        None => format!("{path}{slash}"),
    }
}

/// Returns what decides about an entry: a pattern, or another reason.
fn reason(entry: &PreviewEntry, ignore_file_name: &str) -> Option<String> {
    if let Some(skipped) = &entry.skipped {
        return Some(plain(&skipped.to_string()));
    }
    let found = entry.pattern.as_ref()?;
    let place = match &found.origin {
        PatternOrigin::IgnoreFile => format!("{ignore_file_name}, line {}", found.line),
        PatternOrigin::Caller => format!("--exclude {}", found.line),
        origin => format!("{origin}, line {}", found.line),
    };
    Some(format!("{}: {}", plain(&place), bytes(&found.pattern)))
}

/// Prints the numbers on standard error, because standard output has the paths.
fn summarize(preview: &Preview) {
    for warning in &preview.warnings {
        complain(&warning.to_string());
    }
    let estimate = &preview.estimate;
    complain(&format!(
        "{} would be backed up; {} excluded, {} not selected, {} skipped",
        contents(estimate.files, estimate.directories, estimate.symlinks, estimate.content),
        count(preview.excluded),
        count(preview.unselected),
        count(preview.skipped.total()),
    ));
}

fn text(preview: &Preview) -> String {
    let mut lines = vec![
        "dry run   nothing was written".to_owned(),
        counted(&preview.estimate),
        format!("time      {:.2} s", preview.duration.as_secs_f64()),
        format!(
            "excluded  {}, {} not selected",
            count(preview.excluded),
            count(preview.unselected)
        ),
    ];
    list_skipped(&mut lines, &preview.skipped);
    list_warnings(&mut lines, &preview.warnings);
    lines.join("\n")
}
