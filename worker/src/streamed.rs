//! Operations whose results are lines on a stream, and a summary.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::stream;
use serde_json::{Value, json};
use wingback::{
    Archives, Diff, Error, ErrorKind, Find, List, MEMBERS_MAX, Result, Retention, Store, VerifyAll,
};

use crate::{
    job::Job,
    lines::{write_all, written},
    request,
    shared::Shared,
    store::stored,
};

pub(crate) async fn list(args: request::List, job: &Job, shared: &Shared) -> Result<Value> {
    let mut list = List::new();
    for pattern in args.select {
        list = list.select(pattern.0);
    }
    let archive = shared.open(args.archive, job, args.read_limit, None)?;
    let mut to = shared.streams.take(job.id, args.to)?;
    let mut members = list.stream(archive);
    write_all(job, members.handle(), &mut members, &mut to).await?;
    written(&members)
}

pub(crate) async fn diff(args: request::Diff, job: &Job, shared: &Shared) -> Result<Value> {
    let mut diff = Diff::new()
        .content(args.content)
        .excluded(args.excluded)
        .max_members(args.max_members.unwrap_or(MEMBERS_MAX));
    for pattern in args.select {
        diff = diff.select(pattern.0);
    }
    let open = |archive| shared.open(archive, job, args.read_limit, None);
    let archive = open(args.archive)?;
    let mut differences = match args.with {
        request::Other::Archive(other) => diff.start(archive, open(other)?),
        request::Other::Dir(dir) => diff.with_dir(archive, dir.into_path::<PathBuf>()),
    };
    let mut to = shared.streams.take(job.id, args.to)?;
    write_all(job, differences.handle(), &mut differences, &mut to).await?;
    written(differences.compared().ok_or_else(no_result)?)
}

pub(crate) async fn find(args: request::Find, job: &Job, shared: &Shared) -> Result<Value> {
    let mut find = Find::new().read_limit(shared.limits.get(args.read_limit)?);
    for pattern in args.select {
        find = find.select(pattern.0);
    }
    if let Some(label) = args.label {
        find = find.label(label.0);
    }
    if let Some(max) = args.max_members {
        find = find.max_members(max);
    }
    let store: Arc<dyn Store> = args.store.open()?.into();
    let mut to = shared.streams.take(job.id, args.to)?;
    let task = find.start(store);
    let handle = task.handle();
    let found = job.task(task).await?;
    let versions = stream::iter(found.versions.iter().map(Ok));
    write_all(job, handle, versions, &mut to).await?;
    written(&found)
}

pub(crate) async fn verify_all(
    args: request::VerifyAll,
    job: &Job,
    shared: &Shared,
) -> Result<Value> {
    let mut verify = VerifyAll::new()
        .restart(args.restart)
        .background(args.background)
        .read_limit(shared.limits.get(args.read_limit)?);
    if let Some(threads) = args.threads {
        verify = verify.threads(threads);
    }
    if let Some(label) = args.label {
        verify = verify.label(label.0);
    }
    if let Some(percent) = args.sample {
        verify = verify.sample(percent);
    }
    if let Some(request::Record { place, state_dir }) = args.record {
        verify = verify.record(state_dir.map(|dir| dir.into_path::<PathBuf>()), place.0);
    }
    let store: Arc<dyn Store> = args.store.open()?.into();
    let mut checks = verify.start(store);
    let mut to = shared.streams.take(job.id, args.to)?;
    write_all(job, checks.handle(), &mut checks, &mut to).await?;
    written(checks.verified_all().ok_or_else(no_result)?)
}

/// Writes a line for each group, and after it one for each archive of the group.
pub(crate) async fn plan(args: request::Plan, job: &Job, shared: &Shared) -> Result<Value> {
    let mut rules = Retention::new()
        .last(args.last)
        .hourly(args.hourly)
        .daily(args.daily)
        .weekly(args.weekly)
        .monthly(args.monthly)
        .yearly(args.yearly)
        .within(Duration::from_nanos(args.within_ns))
        .unidentified(args.unidentified);
    for request::Tag { key, value } in args.keep_tags {
        rules = rules.keep_tag(key, value);
    }
    if let Some(bytes) = args.max_bytes {
        rules = rules.max_bytes(bytes);
    }
    if let Some(group_by) = args.group_by {
        rules = rules.group_by(group_by);
    }
    let mut archives = Archives::new();
    if let Some(label) = args.label {
        archives = archives.label(label.0);
    }
    let store: Arc<dyn Store> = args.store.open()?.into();
    let mut to = shared.streams.take(job.id, args.to)?;
    let task = archives.start(store.clone());
    let handle = task.handle();
    let groups = rules.plan(job.task(task).await?, SystemTime::now());
    let lines = groups.iter().flat_map(|group| {
        let archives = group.archives.iter();
        let archives = archives.map(|planned| stored(&*store, &planned.archive.key, planned));
        std::iter::once(written(group)).chain(archives)
    });
    write_all(job, handle, stream::iter(lines), &mut to).await?;
    Ok(json!({ "groups": groups.len() }))
}

fn no_result() -> Error {
    Error::new(ErrorKind::Internal, "read the result")
}
