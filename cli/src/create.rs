//! `wingback create` and `wingback estimate`.

use std::os::unix::ffi::OsStrExt;

use uuid::Uuid;
use wingback::{Backup, Error, ErrorKind, Limiter, LocalStore, Report};

use crate::{
    Status, args, json,
    output::{self, Style, print, say},
    units::{count, plural, size},
};

pub async fn create(args: &args::Create) -> Status {
    let style = Style::of(&args.output);
    let uuid = args.uuid.unwrap_or_else(Uuid::new_v4);
    let store = LocalStore::new(&args.to).names(args.name.clone()).reserve(args.reserve);
    let path = store.path(&store.key(&uuid));
    match run(args, style, store, uuid).await {
        Ok(report) => {
            match style {
                Style::Json => print(&json::report(&report, path.as_os_str().as_bytes(), uuid)),
                _ => say(&output::report(&report, &path.display().to_string())),
            }
            if report.is_partial() { Status::Partial } else { Status::Done }
        }
        Err(e) => {
            style.error(&e);
            Status::Failed
        }
    }
}

async fn run(
    args: &args::Create,
    style: Style,
    store: LocalStore,
    uuid: Uuid,
) -> Result<Report, Error> {
    let mut backup = source(&args.source)?
        .level(args.level.into())
        .write_limit(Limiter::new(args.write_limit))
        .read_limit(Limiter::new(args.read_limit))
        .background(args.background)
        .reproducible(args.reproducible)
        .count_first(matches!(style, Style::Bar | Style::Json));
    if let Some(threads) = args.threads {
        backup = backup.threads(threads.into());
    }
    for (path, len) in &args.max_len {
        backup = backup.max_len(path.as_bytes(), *len);
    }
    let key = store.key(&uuid);
    style.run(backup.start(store, key)).await
}

pub async fn estimate(args: &args::Estimate) -> Status {
    let style = if args.json { Style::Json } else { Style::Quiet };
    let estimate = match source(&args.source) {
        Ok(backup) => backup.estimate().await,
        Err(e) => Err(e),
    };
    match estimate {
        Ok(estimate) if args.json => print(&json::estimate(&estimate)),
        Ok(estimate) => say(&format!(
            "content   {}, {}, {}, {}\narchive   at most {} ({} bytes)",
            plural(estimate.files, "file"),
            plural(estimate.directories, "directory"),
            plural(estimate.symlinks, "symlink"),
            size(estimate.content),
            size(estimate.archive_max),
            count(estimate.archive_max),
        )),
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    }
    Status::Done
}

fn source(args: &args::Source) -> Result<Backup, Error> {
    let mut backup = Backup::new(&args.dir)
        .rules(args.rules.into())
        .ignore_file(args.ignore_file.into())
        .ignore_file_name(&args.ignore_file_name)
        .strict_patterns(args.strict_patterns)
        .one_file_system(args.one_file_system)
        .profile(args.profile.into());
    for file in &args.exclude_from {
        let patterns =
            std::fs::read(file).map_err(|e| Error::io("read the patterns in", e).at(file))?;
        backup = backup.exclude(patterns);
    }
    for pattern in &args.exclude {
        if pattern.contains('\n') {
            return Err(Error::new(ErrorKind::InvalidInput, "use the pattern")
                .at(pattern)
                .caused_by("it has a line break"));
        }
        backup = backup.exclude(pattern);
    }
    Ok(backup)
}
