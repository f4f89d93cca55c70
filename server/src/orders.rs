//! What clients have a node do, once all is looked at that can be known before the answer.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::StatusCode;
use rustix::fs::{Access, access, statvfs};
use smol::Timer;
use uuid::Uuid;

use crate::{
    archives, backup,
    client::within,
    job::{Active, Kind},
    moment::Moment,
    node::{Node, PREFLIGHT, in_time},
    outbox,
    record::{self, Adapter, Delivery, Place, State, Telling},
    refusal::Refusal,
    restore, verify,
};

/// How long the Panel is told things when the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A backup that somebody asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) adapter: Adapter,
    pub(crate) uuid: Uuid,
    pub(crate) ignore: String,
}

/// Queues a backup, after all that can be known of it without walking the tree.
pub(crate) async fn back_up(node: &Arc<Node>, server: Uuid, wanted: Wanted) -> Result<(), Refusal> {
    check_open(node)?;
    let dir = node.server(server).await?;
    let Wanted { adapter, uuid, ignore } = wanted;
    let place = archives::place(&node.config, adapter).ok_or_else(|| {
        Refusal::invalid("the adapter s3 needs an S3 service or a Panel in the configuration")
    })?;
    check_destination(node, place, server, uuid).await?;
    let exists = || Refusal::conflict("there is a backup with this UUID");
    let Some(job) = node.jobs.begin(uuid, server, Kind::Backup) else { return Err(exists()) };
    // Who begins after this is seen by what stops.
    check_open(node)?;
    let record = record::Backup {
        uuid,
        server,
        place,
        key: archives::key(&node.config, place, server, uuid),
        state: State::Queued,
        created: Moment::now(),
        completed: None,
        made: None,
        error: None,
        verified: None,
        restored: None,
        deleted: false,
        telling: Telling::default(),
    };
    let may_replace = |there: &record::Backup| {
        there.state == State::Failed && there.telling.state != Delivery::Pending
    };
    if !node.backups.add(record, may_replace).await.map_err(Refusal::failed)? {
        return Err(exists());
    }
    backup::start(node.clone(), job, dir, ignore);
    Ok(())
}

/// Refuses what comes while the daemon stops, or when too much waits already.
fn check_open(node: &Node) -> Result<(), Refusal> {
    if node.stopping.is_set() {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping"));
    }
    if node.queue.lengths().1 >= node.config.wingback.max_queued {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the queue is full"));
    }
    Ok(())
}

async fn check_destination(
    node: &Node,
    place: Place,
    server: Uuid,
    uuid: Uuid,
) -> Result<(), Refusal> {
    if place != Place::Local {
        return Ok(());
    }
    let look =
        async { archives::unrecorded(&node.config, server, uuid).await.map_err(io::Error::other) };
    if within(PREFLIGHT, look).await.map_err(Refusal::failed)?.is_some() {
        return Err(Refusal::conflict("there is a backup with this UUID"));
    }
    let (dir, reserve) = (node.config.backup_directory(), node.config.reserve());
    let shown = dir.display().to_string();
    let checked = in_time(move || {
        wingback::make_dirs(&dir, 0o700)?;
        access(&dir, Access::WRITE_OK | Access::EXEC_OK)?;
        let room = statvfs(&dir)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize) > reserve)
    });
    match checked.await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal::failed(format!("{shown}: there is not enough room"))),
        Err(e) => Err(Refusal::failed(format!("{shown}: {e}"))),
    }
}

/// Cancels a backup that waits or is made, or a check, and resolves once nothing is left of it.
pub(crate) async fn cancel(node: &Node, server: Uuid, uuid: Uuid) -> Result<(), Refusal> {
    match node.jobs.get(uuid) {
        Some(job) if job.server == server => {
            job.cancel();
            job.over().await;
            Ok(())
        }
        _ => {
            node.backup(server, uuid)?;
            Err(Refusal::conflict("nothing is being done with this backup"))
        }
    }
}

/// Removes a backup. One that waits or is made is cancelled.
pub(crate) async fn delete(node: &Node, server: Uuid, uuid: Uuid) -> Result<(), Refusal> {
    // Nothing else begins with it meanwhile.
    let _job = loop {
        match node.jobs.get(uuid) {
            Some(job) if job.server != server => {
                return Err(Refusal::missing("there is no such backup"));
            }
            Some(job) if job.kind == Kind::Restore => {
                return Err(Refusal::conflict("the backup is being restored"));
            }
            Some(job) => {
                job.cancel();
                job.over().await;
            }
            None => {
                if let Some(job) = node.jobs.begin(uuid, server, Kind::Delete) {
                    break job;
                }
            }
        }
    };
    let Some(backup) = node.backups.get(uuid) else {
        let at = node.archive(server, uuid).await?;
        return at.remove().await.map_err(Refusal::failed);
    };
    if backup.server != server || backup.deleted {
        return Err(Refusal::missing("there is no such backup"));
    }
    if backup.state == State::Complete {
        let at = archives::at(&node.config, &backup);
        if let Some(at) = at.map_err(Refusal::failed)? {
            at.remove().await.map_err(Refusal::failed)?;
        }
    }
    // What the Panel has not been told yet is still to be told.
    match node.backups.update(uuid, |backup| backup.deleted = true).await {
        Some(backup) if backup.telling.state == Delivery::Pending => {}
        _ => node.backups.remove(uuid).await,
    }
    Ok(())
}

/// Queues a restore of a backup into its server's directory.
pub(crate) async fn restore(
    node: &Arc<Node>,
    server: Uuid,
    uuid: Uuid,
    wanted: restore::Wanted,
) -> Result<(), Refusal> {
    check_open(node)?;
    let dir = node.server(server).await?;
    restore::source(node, server, uuid, &wanted).await?;
    let job = begin(node, uuid, server, Kind::Restore).await?;
    // It may have been deleted until now.
    let source = restore::source(node, server, uuid, &wanted).await?;
    let record = record::Restore {
        id: Uuid::new_v4(),
        backup: uuid,
        server,
        created: Moment::now(),
        begun: false,
        successful: None,
        telling: Telling::default(),
    };
    let id = record.id;
    node.restores.add(record, |_| false).await.map_err(Refusal::failed)?;
    restore::start(node.clone(), job, id, dir, source);
    Ok(())
}

/// Queues a check of a backup.
pub(crate) async fn verify(node: &Arc<Node>, server: Uuid, uuid: Uuid) -> Result<(), Refusal> {
    check_open(node)?;
    node.archive(server, uuid).await?;
    let job = begin(node, uuid, server, Kind::Verify).await?;
    node.backup(server, uuid)?;
    let at = node.archive(server, uuid).await?;
    verify::start(node.clone(), job, at);
    Ok(())
}

/// Begins what is done with a complete backup. A check gives way to a restore.
async fn begin(node: &Node, uuid: Uuid, server: Uuid, kind: Kind) -> Result<Active, Refusal> {
    if let Some(job) = node.jobs.get(uuid) {
        let gives_way = job.kind == Kind::Verify && kind == Kind::Restore;
        if gives_way {
            job.cancel();
        }
        if gives_way || job.ending.is_set() {
            job.over().await;
        }
    }
    let busy = || Refusal::conflict("something is being done with this backup");
    let job = node.jobs.begin(uuid, server, kind).ok_or_else(busy)?;
    check_open(node)?;
    Ok(job)
}

/// Takes nothing new, and ends what runs: what waits at once, the rest within the time that the
/// configuration gives it.
pub(crate) async fn stop(node: &Node) {
    node.stopping.set();
    let deadline = Instant::now() + node.config.wingback.stop_timeout;
    let running: Vec<_> = node.jobs.all();
    for job in running.iter().filter(|job| !job.has_begun()) {
        job.cancel();
    }
    let all_over = async {
        for job in &running {
            job.over().await;
        }
    };
    let late = async {
        Timer::at(deadline).await;
        tracing::warn!("cancelling what is still running");
        for job in &running {
            job.cancel();
        }
        Timer::after(Duration::from_secs(10)).await;
    };
    smol::future::or(all_over, late).await;
    // What cannot be said now is said by the next daemon.
    let told = async {
        while outbox::pending(node) > 0 {
            Timer::after(Duration::from_millis(50)).await;
        }
    };
    let enough = async {
        Timer::after(LAST_WORDS).await;
    };
    smol::future::or(told, enough).await;
}
