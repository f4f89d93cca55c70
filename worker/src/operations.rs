//! Runs the operations of the engine that requests ask for, and returns their results as JSON.

use std::{
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use futures::{TryStreamExt, io::copy};
use serde::Serialize;
use serde_json::{Value, json};
#[cfg(feature = "s3")]
use wingback::UploadedPart;
use wingback::{
    Archives, Backup, Cache, Entries, Error, ErrorKind, Extract, Key, MemberKind, NamedBytes,
    Previous, Report, Restore, Result, Store, Verify,
};

use crate::{
    job::Job,
    lines::{close, line, write, write_all, write_error, written},
    request::{self, Operation},
    shared::Shared,
    store::{self, Destination},
    streamed,
};

pub(crate) async fn run(operation: Operation, job: &Job, shared: &Shared) -> Result<Value> {
    match operation {
        Operation::Backup(args) => backup(*args, job, shared).await,
        Operation::Estimate(source) => written(&job.task(from(source).estimate()).await?),
        Operation::Preview(args) => preview(args, job, shared).await,
        Operation::Info(args) => {
            let archive = args.archive.open(job.id, &shared.streams)?;
            written(&job.task(archive.info()).await?)
        }
        #[cfg(feature = "s3")]
        Operation::Upload(args) => {
            let task = args.to.open()?.upload_file(args.file.into_path::<PathBuf>());
            Ok(json!({ "parts": job.task(task).await? }))
        }
        Operation::List(args) => streamed::list(args, job, shared).await,
        Operation::Diff(args) => streamed::diff(args, job, shared).await,
        Operation::Find(args) => streamed::find(args, job, shared).await,
        Operation::VerifyAll(args) => streamed::verify_all(args, job, shared).await,
        Operation::Entries(args) => entries(args, job, shared).await,
        Operation::Copy(args) => {
            let archive = shared.open(args.archive, job, args.read_limit, args.write_limit)?;
            let mut to = shared.streams.take(job.id, args.to)?;
            let member = job.task(archive.copy_file(args.path.0, &mut to)).await?;
            job.plain(close(&mut to)).await?;
            written(&member)
        }
        Operation::Verify(args) => {
            let mut verify = Verify::new().background(args.background);
            if let Some(threads) = args.threads {
                verify = verify.threads(threads);
            }
            if let Some(sha1) = args.sha1 {
                verify = verify.sha1(sha1);
            }
            let archive = shared.open(args.archive, job, args.read_limit, None)?;
            written(&job.task(verify.start(archive)).await?)
        }
        Operation::Extract(args) => {
            let mut extract = Extract::new(args.dir.into_path::<PathBuf>())
                .overwrite(args.overwrite)
                .salvage(args.salvage)
                .options(args.unpack.into());
            for pattern in args.select {
                extract = extract.select(pattern.0);
            }
            if let Some(sha1) = args.sha1 {
                extract = extract.sha1(sha1);
            }
            let archive = shared.open(args.archive, job, args.read_limit, args.write_limit)?;
            written(&job.task(extract.start(archive)).await?)
        }
        Operation::Restore(args) => restore(args, job, shared).await,
        Operation::Recover(args) => {
            let mut restore = Restore::new(args.dir.into_path::<PathBuf>());
            if let Some(dir) = args.state_dir {
                restore = restore.state_dir(dir.into_path::<PathBuf>());
            }
            let recovered = job.task(restore.recover()).await?;
            Ok(json!({ "type": "recovered", "recovered": recovered }))
        }
        Operation::Objects(args) => {
            let store = args.store.open()?;
            let objects = job.plain(store.list()).await?;
            let objects = objects.iter().map(|object| store::stored(&*store, &object.key, object));
            Ok(json!({ "objects": objects.collect::<Result<Vec<_>>>()? }))
        }
        Operation::Archives(args) => archives(args, job).await,
        Operation::Plan(args) => streamed::plan(args, job, shared).await,
        Operation::Lock(args) => {
            let archive = args.archive.open(job.id, &shared.streams)?;
            Ok(
                json!({ "type": "lock", "locked": true, "changed": job.task(archive.lock()).await? }),
            )
        }
        Operation::Unlock(args) => {
            let archive = args.archive.open(job.id, &shared.streams)?;
            let changed = job.task(archive.unlock()).await?;
            Ok(json!({ "type": "lock", "locked": false, "changed": changed }))
        }
        Operation::Remove(args) => {
            let archive = args.archive.open(job.id, &shared.streams)?;
            Ok(json!({ "removed": job.task(archive.remove()).await? }))
        }
        Operation::Head(args) => {
            let (store, key) = store::open_named(args.store, &args.name)?;
            match job.plain(store.head(&key)).await? {
                Some(object) => store::stored(&*store, &object.key, &object),
                None => Err(Error::new(ErrorKind::NotFound, "look for").at(store.location(&key))),
            }
        }
        Operation::Delete(args) => {
            let (store, key) = store::open_named(args.store, &args.name)?;
            job.plain(store.delete(&key)).await?;
            Ok(json!({}))
        }
        Operation::Sweep(args) => {
            let store = args.store.open()?;
            let swept = job.plain(store.sweep().try_collect::<Vec<_>>()).await?;
            let locations = swept.iter().map(|at| NamedBytes::new("location", at.as_bytes()));
            Ok(json!({ "removed": locations.collect::<Vec<_>>() }))
        }
        // The request loop handles these.
        Operation::Cancel
        | Operation::Answer(_)
        | Operation::Limit(_)
        | Operation::Unlimit(_)
        | Operation::MemoryLimit(_) => Err(Error::new(ErrorKind::Internal, "run the job")),
    }
}

fn from(source: request::Source) -> Backup {
    let mut backup = Backup::new(source.dir.into_path::<PathBuf>())
        .strict_patterns(source.strict_patterns)
        .one_file_system(source.one_file_system);
    if let Some(dir) = source.state_dir {
        backup = backup.state_dir(dir.into_path::<PathBuf>());
    }
    if let Some(paths) = source.select {
        backup = backup.select(paths.into_iter().map(|path| path.0));
    }
    for patterns in source.exclude {
        backup = backup.exclude(patterns.0);
    }
    if let Some(rules) = source.rules {
        backup = backup.rules(rules);
    }
    if let Some(mode) = source.ignore_file {
        backup = backup.ignore_file(mode);
    }
    if let Some(name) = source.ignore_file_name {
        backup = backup.ignore_file_name(name);
    }
    if let Some(profile) = source.profile {
        backup = backup.profile(profile);
    }
    backup
}

async fn preview(args: request::Preview, job: &Job, shared: &Shared) -> Result<Value> {
    let mut backup =
        from(args.source).include_archives(args.include_archives).allow_empty(args.allow_empty);
    for (path, len) in args.max_len {
        backup = backup.max_len(path.0, len);
    }
    let mut to = shared.streams.take(job.id, args.to)?;
    let mut entries = backup.preview(None);
    write_all(job, entries.handle(), &mut entries, &mut to).await?;
    let no_result = || Error::new(ErrorKind::Internal, "look at the source");
    written(entries.preview().ok_or_else(no_result)?)
}

async fn backup(args: request::Backup, job: &Job, shared: &Shared) -> Result<Value> {
    let mut backup = from(args.source)
        .background(args.background)
        .reproducible(args.reproducible)
        .align(args.align)
        .include_archives(args.include_archives)
        .allow_empty(args.allow_empty)
        .trust_mtime(args.trust_mtime)
        .reuse_any(args.reuse_any)
        .read_limit(shared.limits.get(args.read_limit)?)
        .write_limit(shared.limits.get(args.write_limit)?);
    if let Some(previous) = args.previous {
        backup = backup.previous(match previous {
            request::Previous::File(path) => Previous::File(path.into_path()),
            request::Previous::Key(key) => Previous::Key(Key::new(key)?),
            request::Previous::Latest => Previous::Latest,
        });
    }
    if let Some(request::Cache { dir, max_bytes }) = args.cache {
        backup = backup.cache(Cache::new(dir.into_path::<PathBuf>(), max_bytes));
    }
    if let Some(count) = args.count_first {
        backup = backup.count_first(count);
    }
    if let Some(label) = args.label {
        backup = backup.label(label.0);
    }
    for request::Tag { key, value } in args.tags {
        backup = backup.tag(key, value);
    }
    if let Some(level) = args.level {
        backup = backup.level(level);
    }
    if let Some(encoder) = args.encoder {
        backup = backup.encoder(encoder);
    }
    if let Some(threads) = args.threads {
        backup = backup.threads(threads);
    }
    for (path, len) in args.max_len {
        backup = backup.max_len(path.0, len);
    }
    if args.source_read {
        backup = backup.on_source_read(job.source_read());
    }
    match args.to {
        Destination::Store(spec, name) => {
            let (store, key) = store::open_new(spec, &name, |uuid| backup.name_fields(uuid))?;
            let report = job.task(backup.start(store, key.clone())).await?;
            written(&BackupResult { key: Some(key), ..report.into() })
        }
        #[cfg(feature = "s3")]
        Destination::PartUrls(urls) => {
            let (upload, parts) = urls.open()?.upload();
            let report = job.task(backup.send_to(upload)).await?;
            written(&BackupResult { parts: Some(parts.get()), ..report.into() })
        }
        Destination::Stream(stream) => {
            let mut to = shared.streams.take(job.id, stream)?;
            let report = job.task(backup.write_to(&mut to)).await?;
            job.plain(close(&mut to)).await?;
            written(&BackupResult::from(report))
        }
    }
}

/// The result of a backup: the report, and the facts that only its destination has.
#[derive(Serialize)]
struct BackupResult {
    #[serde(flatten)]
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    #[cfg(feature = "s3")]
    #[serde(skip_serializing_if = "Option::is_none")]
    parts: Option<Vec<UploadedPart>>,
}

impl From<Report> for BackupResult {
    fn from(report: Report) -> Self {
        BackupResult {
            report,
            key: None,
            #[cfg(feature = "s3")]
            parts: None,
        }
    }
}

async fn archives(args: request::Archives, job: &Job) -> Result<Value> {
    let mut archives = Archives::new();
    if let Some(label) = args.label {
        archives = archives.label(label.0);
    }
    if let Some(ns) = args.since_ns {
        archives = archives.since(UNIX_EPOCH + Duration::from_nanos(ns));
    }
    let store: Arc<dyn Store> = args.store.open()?.into();
    let archives = job.task(archives.start(store.clone())).await?;
    let written = archives.iter().map(|archive| store::stored(&*store, &archive.key, archive));
    Ok(json!({ "archives": written.collect::<Result<Vec<_>>>()? }))
}

async fn entries(args: request::Entries, job: &Job, shared: &Shared) -> Result<Value> {
    let archive = shared.open(args.archive, job, args.read_limit, None)?;
    let mut to = shared.streams.take(job.id, args.to)?;
    let mut entries = Entries::open(archive);
    let handle = entries.handle();
    let mut members = 0u64;
    let all = async {
        let mut head = Vec::new();
        while let Some(member) = entries.try_next().await? {
            members += 1;
            head.clear();
            line(&mut head, &member)?;
            write(&mut to, &head).await?;
            if member.kind == MemberKind::File {
                let written = copy(&mut entries, &mut to).await.map_err(write_error)?;
                if written != member.size {
                    let error = Error::new(ErrorKind::Internal, "read the archive");
                    return Err(
                        error.caused_by("the size of a file differs from the size in its header")
                    );
                }
            }
        }
        close(&mut to).await
    };
    // The engine cannot cancel a write that waits for its reader, so `plain` drops it.
    job.plain(job.follow(handle, all)).await?;
    Ok(json!({ "members": members }))
}

async fn restore(args: request::Restore, job: &Job, shared: &Shared) -> Result<Value> {
    let mut restore = Restore::new(args.dir.into_path::<PathBuf>())
        .delete(args.delete)
        .delete_excluded(args.delete_excluded)
        .dry_run(args.dry_run)
        .in_place(args.in_place)
        .options(args.unpack.into());
    for pattern in args.select {
        restore = restore.select(pattern.0);
    }
    for pattern in args.keep {
        restore = restore.keep(pattern.0);
    }
    if let Some(dir) = args.staging {
        restore = restore.staging(dir.into_path::<PathBuf>());
    }
    if let Some(dir) = args.state_dir {
        restore = restore.state_dir(dir.into_path::<PathBuf>());
    }
    if let Some(sha1) = args.sha1 {
        restore = restore.sha1(sha1);
    }
    let archive = shared.open(args.archive, job, args.read_limit, args.write_limit)?;
    written(&job.task(restore.start(archive)).await?)
}
