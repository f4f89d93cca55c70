//! `wingback create` and `wingback estimate`.

use std::os::unix::ffi::OsStrExt;

use serde::Serialize;
use uuid::Uuid;
use wingback::{Backup, Cache, Error, ErrorKind, Limiter, Previous, Report, S3Config};

use crate::{
    archives::Archives,
    args,
    output::{self, Style, print, say},
    status::Status,
    units::{count, plural, size},
};

/// The line of `--json`.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    report: &'a Report,
    uuid: String,
}

pub async fn create(args: &args::Create) -> Status {
    let style = Style::of(&args.output);
    let uuid = args.uuid.unwrap_or_else(Uuid::new_v4);
    let archives = Archives::at(&args.to, &args.name, &args.remote, |config| set(config, args));
    let archives = match archives {
        Ok(Archives::Local(store)) => Archives::Local(store.reserve(args.reserve)),
        Ok(s3) => s3,
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    };
    match run(args, style, archives, uuid).await {
        Ok(report) => {
            match style {
                Style::Json => print(&Created { report: &report, uuid: uuid.to_string() }),
                _ => say(&output::report(&report)),
            }
            if report.is_partial() { Status::Partial } else { Status::Done }
        }
        Err(e) => {
            style.error(&e);
            Status::Failed
        }
    }
}

/// Sets the options of a store in S3 that only this subcommand has.
fn set(config: &mut S3Config, args: &args::Create) {
    config.part_size = args.part_size;
    config.storage_class = args.storage_class.clone();
    match args.encryption.as_deref().and_then(|text| text.split_once('=')) {
        Some((algorithm, key)) => {
            config.encryption = Some(algorithm.to_owned());
            config.kms_key_id = Some(key.to_owned());
        }
        None => config.encryption = args.encryption.clone(),
    }
}

async fn run(
    args: &args::Create,
    style: Style,
    archives: Archives,
    uuid: Uuid,
) -> Result<Report, Error> {
    let mut backup = source(&args.source)?
        .level(args.level.into())
        .encoder(args.encoder.into())
        .write_limit(Limiter::new(args.write_limit))
        .read_limit(Limiter::new(args.read_limit))
        .background(args.background)
        .reproducible(args.reproducible)
        .align(args.align)
        .count_first(style != Style::Quiet);
    backup = backup.trust_mtime(args.trust == args::Trust::Mtime).reuse_any(args.reuse_any);
    if let Some(previous) = &args.previous {
        backup = backup.previous(match previous.to_str() {
            Some("latest") => Previous::Latest,
            _ => Previous::File(previous.clone()),
        });
    }
    if let Some(cache) = &args.cache {
        backup = backup.cache(Cache::new(cache, args.cache_size));
    }
    if let Some(label) = &args.label {
        backup = backup.label(label.as_bytes());
    }
    for (key, value) in &args.tag {
        backup = backup.tag(key, value);
    }
    if let Some(threads) = args.threads {
        backup = backup.threads(threads.into());
    }
    for (path, len) in &args.max_len {
        backup = backup.max_len(path.as_bytes(), *len);
    }
    let key = archives.key(backup.name_fields(uuid));
    style.run(backup.start(archives.store(), key)).await
}

pub async fn estimate(args: &args::Estimate) -> Status {
    let style = Style::of_short(args.json);
    let estimate = match source(&args.source) {
        Ok(backup) => style.run(backup.estimate()).await,
        Err(e) => Err(e),
    };
    match estimate {
        Ok(estimate) if args.json => print(&estimate),
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
    if let Some(dir) = &args.state.state_dir {
        backup = backup.state_dir(dir);
    }
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
