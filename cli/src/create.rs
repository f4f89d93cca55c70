//! `wingback create` and `wingback estimate`.

use std::{
    io::{IsTerminal, Read, stdin, stdout},
    os::unix::ffi::OsStrExt,
};

use serde::Serialize;
use uuid::Uuid;
use wingback::{Backup, Cache, Error, ErrorKind, Estimate, Previous, Report, S3Config};
use wingback_hooks::{Hooks, has_problem};

use crate::{
    archives::Archives,
    args, hooks,
    output::{self, Style, complain, json_line, print, say},
    status::Status,
    stdout::Stdout,
    units::{contents, count, size},
};

/// The line of `--json`.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
}

pub async fn create(args: &args::Create) -> Status {
    let style = Style::of(&args.output);
    let is_to_stdout = args.to.as_os_str() == "-";
    if is_to_stdout {
        if stdout().is_terminal() {
            complain("the archive is not written to a terminal; redirect the output");
            return Status::Usage;
        }
        output::use_stderr();
    }
    // An archive that goes to standard output has no UUID.
    let uuid = (!is_to_stdout).then(|| args.uuid.unwrap_or_else(Uuid::new_v4));
    let json =
        |report: &Report| json_line(&Created { report, uuid: uuid.map(|uuid| uuid.to_string()) });
    let configured = Hooks::from(&args.hooks);
    // A wrong option must not stop a server.
    let backup = backup(args, style);
    let hooks = hooks::around(&configured, &args.source.dir);
    let mut made = match backup {
        Ok(backup) => hooks.run(|paused| run(args, style, uuid, paused.apply(backup))).await,
        Err(e) => Err(e),
    };
    let line = |made: &Result<Report, Error>| match made {
        Ok(report) => json(report),
        Err(e) => json_line(e),
    };
    hooks.after(&mut made, line).await;
    match made {
        Ok(report) => {
            match style {
                Style::Json => say(&json(&report)),
                _ => say(&output::report(&report)),
            }
            if has_problem(&report) { Status::Partial } else { Status::Done }
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
    uuid: Option<Uuid>,
    backup: Backup,
) -> Result<Report, Error> {
    let Some(uuid) = uuid else {
        return style.run(backup.send_to(Stdout::open()?)).await;
    };
    wingback::set_memory_limit(args.memory_limit);
    let archives = Archives::at(&args.to, &args.name, &args.remote, |config| set(config, args))?;
    let archives = match archives {
        Archives::Local(store) => Archives::Local(store.reserve(args.reserve).mkdir(args.mkdir)),
        s3 => s3,
    };
    let key = archives.key(backup.name_fields(uuid));
    style.run(backup.start(archives.store(), key)).await
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

/// Returns the backup with all options.
pub fn backup(args: &args::Create, style: Style) -> Result<Backup, Error> {
    let mut backup = source(&args.source)?
        .level(args.level.into())
        .encoder(args.encoder.into())
        .write_limit(args.limits.write())
        .read_limit(args.limits.read())
        .background(args.background)
        .reproducible(args.reproducible)
        .align(args.align)
        .allow_empty(args.allow_empty)
        .include_archives(args.include_archives)
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
    Ok(backup)
}

pub async fn estimate(args: &args::Estimate) -> Status {
    let style = Style::of_short(args.json);
    let estimate = match source(&args.source) {
        Ok(backup) => style.run(backup.estimate()).await,
        Err(e) => Err(e),
    };
    match estimate {
        Ok(estimate) if args.json => print(&estimate),
        Ok(estimate) => say(&counted(&estimate)),
        Err(e) => {
            style.error(&e);
            return Status::Failed;
        }
    }
    Status::Done
}

/// Formats an estimate for people.
pub fn counted(estimate: &Estimate) -> String {
    format!(
        "content   {}\narchive   at most {} ({} bytes)",
        contents(estimate.files, estimate.directories, estimate.symlinks, estimate.content),
        size(estimate.archive_max),
        count(estimate.archive_max),
    )
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
    for file in &args.files_from {
        let fail = |e| Error::io("read the paths in", e).at(file);
        let list = match file.to_str() {
            Some("-") => {
                let mut list = Vec::new();
                stdin().read_to_end(&mut list).map_err(fail)?;
                list
            }
            _ => std::fs::read(file).map_err(fail)?,
        };
        let end = if args.null { 0 } else { b'\n' };
        let paths = list.split(|&byte| byte == end).filter(|path| !path.is_empty());
        backup = backup.select(paths);
    }
    for file in &args.exclude_from {
        let patterns =
            std::fs::read(file).map_err(|e| Error::io("read the patterns in", e).at(file))?;
        backup = backup.exclude_from(file.to_string_lossy(), patterns);
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
