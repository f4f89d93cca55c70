//! Runs one backup, from its turn in the queue to the notification of the Panel.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use blocking::unblock;
use serde_json::json;
use smol::Timer;
use uuid::Uuid;
use wingback::{Backup, Cache, Error, ErrorKind, Previous, Report, Result};
use wingback_hooks::Around;

use crate::{
    answer::{Answer, Verdict},
    archives,
    config::Trust,
    events::progress,
    hooks::BackupHost,
    job::{Active, spawn},
    node::Node,
    outbox::{self, Subject},
    panel::PartUrls,
    progress::ProgressView,
    queue::{Claim, Turn},
    record::{self, ArchiveInfo, Delivery, Destination, Finding, Part, State},
    timestamp::Timestamp,
};

/// Pause before the Panel is asked again for part URLs.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Queues the job, and runs it to its end.
pub(crate) fn start(node: Arc<Node>, job: Active, dir: PathBuf, ignore: String) {
    let claim = Claim { job: job.uuid, server: Some(job.server), slot: true };
    let turn = node.queue.enter(claim);
    let work = async move {
        let started = Instant::now();
        let result = job.work(run(&node, &job, turn, dir, ignore)).await;
        node.metrics.backup_finished(started.elapsed(), result.as_ref().ok());
        end(&node, job, result).await;
    };
    spawn(work);
}

async fn run(
    node: &Arc<Node>,
    job: &Active,
    turn: impl Future<Output = Turn>,
    dir: PathBuf,
    ignore: String,
) -> Result<ArchiveInfo> {
    // The turn ends with this function.
    let _turn = job.unless_cancelled(turn).await?;
    // This waits while the disk is full.
    let running = node.backups.update(job.uuid, |backup| backup.state = State::Running);
    let record = job.unless_cancelled(running).await?;
    let record = record.ok_or_else(|| Error::new(ErrorKind::Internal, "find the record"))?;
    let destination = record.destination;
    tracing::info!(backup = %job.uuid, server = %job.server, ?destination, "backup started");
    node.events.send(job.server, "backup progress", progress(None));

    let options = &node.config.wingback;
    let mut backup = Backup::new(&dir)
        .label(job.server.to_string())
        .exclude(ignore)
        .rules(node.config.rules())
        .ignore_file(node.config.ignore_mode())
        .ignore_file_name(node.config.ignore_file())
        .profile(options.profile)
        // A new server is empty. The record, the event and the metrics say so.
        .allow_empty(true)
        .level(node.config.level())
        .encoder(options.encoder)
        .background(options.background)
        .write_limit(node.write_limit.clone())
        .trust_mtime(options.trust == Trust::Mtime)
        .state_dir(node.config.engine_directory());
    if options.threads > 0 {
        backup = backup.threads(options.threads);
    }
    if destination == Destination::Local {
        if let Some(previous) = previous(node, job.server)? {
            backup = backup.previous(previous);
        }
    } else if options.cache_mib > 0 {
        let dir = node.config.state_directory().join("cache");
        backup = backup.cache(Cache::new(dir, options.cache_mib.saturating_mul(1 << 20)));
    }
    let hooks = node.config.hooks(job.server);
    let hooks = Around::new(&hooks, &dir, BackupHost::new(node.clone(), job.shared()));
    let made = hooks.run(|paused| write(node, job, &record, paused.apply(backup))).await;
    let (mut made, parts) = match made {
        Ok((report, parts)) => (Ok(report), parts),
        Err(e) => (Err(e), Vec::new()),
    };
    let line =
        |made: &Result<Report>| made.as_ref().map_or_else(|e| json!(e), |report| json!(report));
    hooks.after(&mut made, |made| line(made).to_string()).await;
    Ok(info(&made?, parts))
}

/// Makes the archive, and writes it to its destination.
async fn write(
    node: &Node,
    job: &Active,
    record: &record::Backup,
    backup: Backup,
) -> Result<(Report, Vec<Part>)> {
    let report_progress = |view: &ProgressView| {
        node.events.send(job.server, "backup progress", progress(Some(&json!(view))));
    };
    match archives::location(&node.config, record)? {
        Some(location) => {
            let task = backup.start(location.store, location.key);
            Ok((job.run(task, report_progress).await?, Vec::new()))
        }
        None => {
            let estimate = job.run(backup.clone().estimate(), |_| ()).await?;
            let urls = part_urls(node, job, estimate.archive_max).await?;
            let staging = node.config.backup_directory();
            let dir = staging.clone();
            unblock(move || wingback::durable::make_dirs(&dir, 0o700))
                .await
                .map_err(|e| Error::io("create the directory", e).at(&staging))?;
            let urls = wingback::PartUrls::new(urls.parts, urls.part_size)?.staging(staging);
            let (upload, parts) = urls.upload();
            let report = job.run(backup.send_to(upload), report_progress).await?;
            let parts = parts.get().into_iter();
            let parts = parts.map(|part| Part { etag: part.etag, part_number: part.number });
            Ok((report, parts.collect()))
        }
    }
}

/// Returns the server's newest local archive; `None` if the configuration turns this off.
fn previous(node: &Node, server: Uuid) -> Result<Option<Previous>> {
    if !node.config.wingback.previous {
        return Ok(None);
    }
    let is_local = |backup: &record::Backup| {
        backup.server == server && backup.is_complete() && backup.destination == Destination::Local
    };
    let newest = node.backups.select(is_local).into_iter().max_by_key(|backup| backup.completed);
    let Some(newest) = newest else { return Ok(None) };
    let location = archives::location(&node.config, &newest)?;
    Ok(location.map(|location| Previous::Key(location.key)))
}

/// Asks the Panel for part URLs. The Panel may not have committed the backup yet, so the daemon asks
/// again. It does not repeat a request that the Panel may have received, because each one begins an
/// upload.
async fn part_urls(node: &Node, job: &Active, at_most: u64) -> Result<PartUrls> {
    const OPERATION: &str = "ask the Panel for part URLs";
    let no_panel = || {
        Error::new(ErrorKind::InvalidInput, OPERATION).caused_by("the configuration has no Panel")
    };
    let panel = node.panel.as_ref().ok_or_else(no_panel)?;
    let ask = async {
        let until = Instant::now() + node.config.wingback.panel_missing_timeout;
        loop {
            let Answer { verdict, text, pause } = match panel.part_urls(job.uuid, at_most).await {
                Ok(urls) => return Ok(urls),
                Err(answer) => answer,
            };
            let can_wait = matches!(verdict, Verdict::Missing | Verdict::TryLater);
            let kind = match verdict {
                Verdict::Missing => ErrorKind::NotFound,
                Verdict::AlreadyCompleted => ErrorKind::AlreadyExists,
                _ => ErrorKind::Io,
            };
            let left = until.saturating_duration_since(Instant::now());
            if !can_wait || left.is_zero() {
                return Err(Error::new(kind, OPERATION).caused_by(text));
            }
            tracing::warn!(backup = %job.uuid, answer = text, "no part URLs from the Panel yet");
            Timer::after(ASK_AGAIN.max(pause.unwrap_or_default()).min(left)).await;
        }
    };
    job.unless_cancelled(ask).await?
}

fn info(report: &Report, parts: Vec<Part>) -> ArchiveInfo {
    ArchiveInfo {
        size: report.size,
        sha1: report.sha1.to_string(),
        copied: report.copied,
        files: report.files,
        skipped: report.skipped.total(),
        partial: report.is_partial(),
        warnings: report.warnings.iter().map(|w| Finding::new(w.code(), w)).collect(),
        parts,
    }
}

/// Records the result of a backup, and reports it to clients and the Panel.
pub(crate) async fn end(node: &Arc<Node>, job: Active, result: Result<ArchiveInfo>) {
    let (uuid, server) = (job.uuid, job.server);
    job.set_ending();
    let (archive, error) = match result {
        Ok(archive) => (Some(archive), None),
        Err(e) => (None, Some(Finding::of_error(&e))),
    };
    match (&archive, &error) {
        (Some(ArchiveInfo { size, sha1, warnings, .. }), _) => {
            tracing::info!(backup = %uuid, %server, size, sha1, "backup complete");
            for Finding { code, message } in warnings {
                tracing::warn!(backup = %uuid, %server, code, message, "warning of the backup");
            }
        }
        (_, error) => {
            let why = error.as_ref().map(|error| &*error.message);
            tracing::warn!(backup = %uuid, %server, why, "backup failed");
        }
    }
    let delivery = if node.panel.is_some() { Delivery::Pending } else { Delivery::None };
    let recorded = archive.clone();
    node.backups
        .update(uuid, move |backup| {
            backup.state = if recorded.is_some() { State::Complete } else { State::Failed };
            backup.completed = Some(Timestamp::now());
            backup.archive = recorded;
            backup.error = error;
            backup.notification.state = delivery;
        })
        .await;
    // The job ends before clients receive the event.
    drop(job);
    node.events.backup_finished(server, uuid, archive.as_ref());
    outbox::notify(node, Subject::Backup(uuid));
}
