//! The commands of clients. Each one checks what can be known before the response, and then queues a
//! job.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use blocking::unblock;
use futures::FutureExt;
use hyper::StatusCode;
use rustix::fs::{Access, access, statvfs};
use smol::Timer;
use uuid::Uuid;

use crate::{
    api_error::ApiError,
    archives::{self, ArchiveLocation},
    backup,
    deadline::within,
    job::{Active, Job, Kind},
    node::{Node, PREFLIGHT, in_time},
    outbox,
    queue::Claim,
    record::{self, Adapter, Delivery, Destination, Notification, State},
    restore::{self, RestoreRequest},
    timestamp::Timestamp,
    verify,
};

/// How long a daemon that stops waits for cancelled jobs. Their hooks may still run.
const LAST_JOBS: Duration = Duration::from_secs(25);

/// How long a daemon that stops waits for pending notifications.
const LAST_NOTIFICATIONS: Duration = Duration::from_secs(5);

/// A request for a backup.
#[derive(Debug)]
pub(crate) struct BackupRequest {
    pub(crate) adapter: Adapter,
    pub(crate) uuid: Uuid,
    pub(crate) ignore: String,
}

/// Queues a backup, after all checks that need not walk the tree.
pub(crate) async fn back_up(
    node: &Arc<Node>,
    server: Uuid,
    request: BackupRequest,
) -> Result<(), ApiError> {
    check_open(node)?;
    let dir = node.server(server).await?;
    let BackupRequest { adapter, uuid, ignore } = request;
    let destination = archives::destination(&node.config, adapter).ok_or_else(|| {
        ApiError::invalid("the adapter s3 needs an S3 service or a Panel in the configuration")
    })?;
    check_destination(node, destination, server, uuid).await?;
    let exists = || ApiError::conflict("a backup with this UUID already exists");
    let Some(job) = node.jobs.begin(uuid, server, Kind::Backup) else { return Err(exists()) };
    // `stop` sees every job that begins after this check.
    check_open(node)?;
    let record = record::Backup {
        uuid,
        server,
        destination,
        key: archives::key(&node.config, destination, server, uuid),
        state: State::Queued,
        created: Timestamp::now(),
        completed: None,
        archive: None,
        error: None,
        verified: None,
        restored: None,
        deleted: false,
        notification: Notification::default(),
    };
    let may_replace = |old: &record::Backup| {
        old.state == State::Failed && old.notification.state != Delivery::Pending
    };
    if !node.backups.add(record, may_replace).await.map_err(ApiError::failed)? {
        return Err(exists());
    }
    backup::start(node.clone(), job, dir, ignore);
    Ok(())
}

/// Returns an error while the daemon stops, or while the queue is full.
pub(crate) fn check_open(node: &Node) -> Result<(), ApiError> {
    if node.stopping.is_cancelled() {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping"));
    }
    if node.queue.lengths().1 >= node.config.wingback.max_queued {
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the queue is full"));
    }
    Ok(())
}

async fn check_destination(
    node: &Node,
    destination: Destination,
    server: Uuid,
    uuid: Uuid,
) -> Result<(), ApiError> {
    if destination != Destination::Local {
        return Ok(());
    }
    let look = async {
        archives::find_unrecorded(&node.config, server, uuid).await.map_err(io::Error::other)
    };
    if within(PREFLIGHT, look).await.map_err(ApiError::failed)?.is_some() {
        return Err(ApiError::conflict("a backup with this UUID already exists"));
    }
    let (dir, reserve) = (node.config.backup_directory(), node.config.reserve());
    let shown = dir.display().to_string();
    let is_local =
        |backup: &record::Backup| backup.is_complete() && backup.destination == Destination::Local;
    let has_archives = !node.backups.select(is_local).is_empty();
    let checked = in_time(move || {
        if has_archives && !dir.try_exists()? {
            // Archives in a directory that this daemon made now would fill another file system.
            let why = "it does not exist, but has archives; is its disk mounted?";
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        wingback::durable::make_dirs(&dir, 0o700)?;
        access(&dir, Access::WRITE_OK | Access::EXEC_OK)?;
        let free = statvfs(&dir)?;
        Ok(free.f_bavail.saturating_mul(free.f_frsize) > reserve)
    });
    match checked.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(ApiError::failed(format!("{shown}: there is not enough free space"))),
        Err(e) => Err(ApiError::failed(format!("{shown}: {e}"))),
    }
}

/// Cancels the job of a backup, and resolves after the job has ended.
pub(crate) async fn cancel(node: &Node, server: Uuid, uuid: Uuid) -> Result<(), ApiError> {
    match node.jobs.get(uuid) {
        Some(job) if job.server == server => {
            job.cancel();
            job.finished().await;
            Ok(())
        }
        _ => {
            node.backup(server, uuid)?;
            Err(ApiError::conflict("this backup has no job to cancel"))
        }
    }
}

/// Removes a backup. One that is queued or running is cancelled first.
pub(crate) async fn delete(node: &Node, server: Uuid, uuid: Uuid) -> Result<(), ApiError> {
    // While this job is held, no other job of the backup begins.
    let _job = loop {
        match node.jobs.get(uuid) {
            Some(job) if job.server != server => {
                return Err(ApiError::missing("there is no such backup"));
            }
            Some(job) if job.kind == Kind::Restore => {
                return Err(ApiError::conflict("the backup is being restored"));
            }
            Some(job) => {
                job.cancel();
                job.finished().await;
            }
            None => {
                if let Some(job) = node.jobs.begin(uuid, server, Kind::Delete) {
                    break job;
                }
            }
        }
    };
    let Some(backup) = node.backups.get(uuid) else {
        remove(&node.archive(server, uuid).await?).await?;
        remove_empty_folder(node, server, uuid).await;
        return Ok(());
    };
    if backup.server != server || backup.deleted {
        return Err(ApiError::missing("there is no such backup"));
    }
    if backup.state == State::Complete {
        let location = archives::location(&node.config, &backup);
        if let Some(location) = location.map_err(ApiError::failed)? {
            remove(&location).await?;
            remove_empty_folder(node, server, uuid).await;
        }
    }
    // A pending notification keeps the record.
    match node.backups.update(uuid, |backup| backup.deleted = true).await {
        Some(backup) if backup.notification.state == Delivery::Pending => {}
        _ => node.backups.remove(uuid).await,
    }
    Ok(())
}

/// Removes an archive, unless it has a lock.
async fn remove(location: &ArchiveLocation) -> Result<(), ApiError> {
    if location.archive().is_locked().await.map_err(ApiError::failed)? {
        return Err(ApiError::conflict("the backup is locked"));
    }
    location.remove().await.map_err(ApiError::failed)
}

/// Removes the folder of a server's archives after the last archive, as Pelican's Wings does.
async fn remove_empty_folder(node: &Node, server: Uuid, uuid: Uuid) {
    let folder = node.config.backup_directory().join(server.to_string());
    // During this turn, no backup of the server begins to use the folder.
    let claim = Claim { job: uuid, server: Some(server), slot: false };
    if let Some(_turn) = node.queue.enter(claim).now_or_never() {
        // It fails if the folder has files, or does not exist.
        let _ = unblock(move || std::fs::remove_dir(folder)).await;
    }
}

/// Queues a restore of a backup into its server's directory.
pub(crate) async fn restore(
    node: &Arc<Node>,
    server: Uuid,
    uuid: Uuid,
    request: RestoreRequest,
) -> Result<(), ApiError> {
    check_open(node)?;
    let dir = node.server(server).await?;
    restore::source(node, server, uuid, &request).await?;
    let job = begin(node, uuid, server, Kind::Restore).await?;
    // The backup may have been deleted before the job began.
    let source = restore::source(node, server, uuid, &request).await?;
    let record = record::Restore {
        id: Uuid::new_v4(),
        backup: uuid,
        server,
        created: Timestamp::now(),
        begun: false,
        successful: None,
        notification: Notification::default(),
    };
    let id = record.id;
    node.restores.add(record, |_| false).await.map_err(ApiError::failed)?;
    restore::start(node.clone(), job, id, dir, source);
    Ok(())
}

/// Queues the verification of a backup, and returns its job.
pub(crate) async fn verify(
    node: &Arc<Node>,
    server: Uuid,
    uuid: Uuid,
) -> Result<Arc<Job>, ApiError> {
    check_open(node)?;
    node.archive(server, uuid).await?;
    let job = begin(node, uuid, server, Kind::Verify).await?;
    node.backup(server, uuid)?;
    let location = node.archive(server, uuid).await?;
    let shared = job.shared();
    verify::start(node.clone(), job, location);
    Ok(shared)
}

/// Begins a job of a complete backup. A restore cancels a verification.
async fn begin(node: &Node, uuid: Uuid, server: Uuid, kind: Kind) -> Result<Active, ApiError> {
    if let Some(job) = node.jobs.get(uuid) {
        let gives_way = job.kind == Kind::Verify && kind == Kind::Restore;
        if gives_way {
            job.cancel();
        }
        if gives_way || job.is_ending() {
            job.finished().await;
        }
    }
    let busy = || ApiError::conflict("another job of this backup is running");
    let job = node.jobs.begin(uuid, server, kind).ok_or_else(busy)?;
    check_open(node)?;
    Ok(job)
}

/// Ends all jobs, and accepts no new ones. Waiting jobs end at once; running jobs have the configured
/// `stop_timeout`.
pub(crate) async fn stop(node: &Node) {
    node.stopping.cancel();
    let deadline = Instant::now() + node.config.wingback.stop_timeout;
    let running: Vec<_> = node.jobs.all();
    for job in running.iter().filter(|job| !job.has_begun()) {
        job.cancel();
    }
    let all_finished = async {
        for job in &running {
            job.finished().await;
        }
    };
    let late = async {
        Timer::at(deadline).await;
        tracing::warn!("cancelling the jobs that still run");
        for job in &running {
            job.cancel();
        }
        Timer::after(LAST_JOBS).await;
    };
    smol::future::or(all_finished, late).await;
    // The next daemon sends the notifications that are still pending.
    let all_sent = async {
        while outbox::pending(node) > 0 {
            Timer::after(Duration::from_millis(50)).await;
        }
    };
    let late = async {
        Timer::after(LAST_NOTIFICATIONS).await;
    };
    smol::future::or(all_sent, late).await;
}
