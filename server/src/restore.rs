//! Restores one backup into a server's directory.

use std::{
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;
use wingback::{Archive, Error, Owner, Restore, Result, Sha1, UnpackOptions};

use crate::{
    api_error::ApiError,
    archives::ArchiveLocation,
    config::User,
    job::{Active, spawn},
    node::Node,
    outbox::{self, Subject},
    progress::ProgressView,
    queue::Claim,
    record::{Adapter, Delivery, Finding, RestoreResult},
    timestamp::Timestamp,
};

/// Pause between two progress messages for people.
const MESSAGE_PAUSE: Duration = Duration::from_secs(5);

/// A request for a restore.
#[derive(Debug)]
pub(crate) struct RestoreRequest {
    pub(crate) adapter: Adapter,
    /// Whether all existing files are removed.
    pub(crate) truncate: bool,
    pub(crate) download_url: Option<String>,
}

/// The archive of a restore, and how to apply it.
pub(crate) struct Source {
    archive: Archive<'static>,
    sha1: Option<Sha1>,
    truncate: bool,
}

/// Finds the archive before the request is accepted.
pub(crate) async fn source(
    node: &Node,
    server: Uuid,
    uuid: Uuid,
    request: &RestoreRequest,
) -> Result<Source, ApiError> {
    let archive = match (request.adapter, &request.download_url) {
        (Adapter::S3, Some(url)) => {
            if !url.bytes().all(is_uri_byte) {
                return Err(ApiError::invalid("the download_url is not a URL"));
            }
            Archive::link(url, node.config.link_transfer())
                .map_err(|e| ApiError::invalid(format!("the download_url: {e}")))?
        }
        (Adapter::S3, None) if node.config.s3.is_none() => {
            return Err(ApiError::invalid("an s3 backup needs its download_url"));
        }
        _ => ArchiveLocation::archive(&node.archive(server, uuid).await?),
    };
    let recorded = node.backups.get(uuid).filter(|b| b.server == server).and_then(|b| b.archive);
    let sha1 = recorded.and_then(|archive| archive.sha1());
    Ok(Source { archive, sha1, truncate: request.truncate })
}

/// Whether a URI may contain this byte: an unescaped character, or the percent sign (RFC 3986).
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// Queues the job, and runs it to its end. `id` is the ID of its record.
pub(crate) fn start(node: Arc<Node>, job: Active, id: Uuid, dir: PathBuf, source: Source) {
    // A restore needs no slot, because a person waits for it.
    let claim = Claim { job: job.uuid, server: Some(job.server), slot: false };
    let turn = node.queue.enter(claim);
    let work = async move {
        match job.unless_cancelled(turn).await {
            Ok(turn) => {
                let result = job.work(run(&node, &job, id, dir, source)).await;
                // The turn is still held, so that a server has at most one restore without a
                // recorded result.
                end(&node, id, job, result).await;
                drop(turn);
            }
            Err(e) => end(&node, id, job, Err(e)).await,
        }
    };
    spawn(work);
}

async fn run(node: &Arc<Node>, job: &Active, id: Uuid, dir: PathBuf, source: Source) -> Result<()> {
    let (uuid, server) = (job.uuid, job.server);
    job.unless_cancelled(node.restores.update(id, |record| record.begun = true)).await?;
    tracing::info!(backup = %uuid, %server, "restore started");
    let stopped = "The server must stay stopped until the restore has ended.";
    node.events.message(server, format!("Restoring the backup {uuid}. {stopped}"));
    let options = UnpackOptions::new()
        .background(node.config.wingback.background)
        .owner(owner(node.config.user(), dir.clone()).await?)
        .reserve(node.config.reserve());
    let options = match node.config.wingback.threads {
        0 => options,
        threads => options.threads(threads),
    };
    let recording = node.clone();
    let mut restore = Restore::new(dir)
        // The Panel's user has asked for the removal of all files.
        .delete(source.truncate)
        .delete_excluded(source.truncate)
        .state_dir(node.config.engine_directory())
        .options(options)
        // A later failure does not undo the restore.
        .on_committed(move || {
            smol::block_on(recording.restores.update(id, |record| record.successful = Some(true)));
        });
    if let Some(sha1) = source.sha1 {
        restore = restore.sha1(sha1);
    }
    let archive = source.archive.write_limit(node.write_limit.clone());
    let mut last_message = Instant::now();
    let report = |ProgressView { progress, .. }: &ProgressView| {
        if last_message.elapsed() >= MESSAGE_PAUSE {
            last_message = Instant::now();
            let percent = progress.percent().map(|percent| format!(" ({percent:.0} %)"));
            let text =
                format!("Restoring: {} bytes{}", progress.bytes, percent.unwrap_or_default());
            node.events.message(server, text);
        }
    };
    let restored = job.run(restore.start(archive), report).await?;
    for warning in &restored.warnings {
        node.events.message(server, format!("Restored, with a warning: {warning}"));
    }
    for skipped in &restored.unpacked.skipped {
        let path = String::from_utf8_lossy(&skipped.path);
        node.events.message(server, format!("Not restored: {path}: {}", skipped.reason));
    }
    if let more @ 1.. = restored.unpacked.skipped.more() {
        node.events.message(server, format!("Not restored: {more} more"));
    }
    Ok(())
}

/// Records the result of a restore, and reports it to clients and the Panel.
pub(crate) async fn end(node: &Arc<Node>, id: Uuid, job: Active, result: Result<()>) {
    let (backup, server) = (job.uuid, job.server);
    job.set_ending();
    let error = result.err().map(|e| Finding::of_error(&e));
    let successful = error.is_none();
    if node.backups.get(backup).is_some_and(|record| record.server == server) {
        let restored = RestoreResult { at: Timestamp::now(), error: error.clone() };
        node.backups.update(backup, |record| record.restored = Some(restored)).await;
    }
    let has_panel = node.panel.is_some();
    if has_panel {
        node.restores
            .update(id, move |record| {
                record.successful = Some(successful);
                record.notification.state = Delivery::Pending;
            })
            .await;
    } else {
        node.restores.remove(id).await;
    }
    node.metrics.restore_finished(successful);
    // The job ends before clients receive the event.
    drop(job);
    match error {
        None => {
            tracing::info!(%backup, %server, "restore complete");
            node.events.message(server, "The backup is restored.");
        }
        Some(Finding { message: why, .. }) => {
            tracing::warn!(%backup, %server, why, "restore failed");
            node.events.message(server, format!("The restore failed: {why}"));
        }
    }
    // Also after a failure: the Panel's page waits for it.
    node.events.send(server, "backup restore completed", Vec::new());
    if has_panel {
        outbox::notify(node, Subject::Restore(id));
    }
}

/// Returns the owner of the restored files: the configured one, or the owner of the server's directory.
/// Only root can change owners. Without root, the files belong to the user of the daemon.
async fn owner(user: User, dir: PathBuf) -> Result<Owner> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Owner::Keep);
    }
    let there = smol::fs::metadata(&dir).await.map_err(|e| Error::io("look at", e).at(&dir))?;
    let (uid, gid) = (user.uid.unwrap_or(there.uid()), user.gid.unwrap_or(there.gid()));
    Ok(Owner::Fixed { uid, gid })
}
