//! Recovery at the start. Jobs of the process before do not continue: the daemon removes their remains
//! and reports their end.

use std::{sync::Arc, time::Duration};

use futures::{TryStreamExt, future::ready};
use smol::Timer;
use uuid::Uuid;
use wingback::{Error, ErrorKind, Recovered, Restore, Result, S3Store, Store};

use crate::{
    archives, backup,
    job::Kind,
    node::Node,
    outbox::{self, Subject},
    queue::Claim,
    record::{self, Delivery, Destination, Notification, State},
    restore,
    timestamp::Timestamp,
};

/// Number of attempts to clean up, and the pause between them.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_secs(5);

/// How long the check of the S3 service is repeated at the start.
const RETRY_FOR: Duration = Duration::from_secs(10);

/// How long the record of a failed backup is kept, in seconds.
const KEEP_FAILED: u64 = 30 * 24 * 3600;

/// Pause between two removals of old records.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Ends what was open, and goes on notification.
pub(crate) async fn recover(node: &Arc<Node>) {
    if node.panel.is_none() {
        drop_notifications(node).await;
    }
    // Before jobs are ended, because their ends create further notifications.
    let is_pending = |notification: &Notification| notification.state == Delivery::Pending;
    let backups = node.backups.select(|backup| is_pending(&backup.notification));
    let restores = node.restores.select(|restore| is_pending(&restore.notification));
    for backup in backups {
        outbox::notify(node, Subject::Backup(backup.uuid));
    }
    for restore in restores {
        outbox::notify(node, Subject::Restore(restore.id));
    }
    for backup in node.backups.select(record::Backup::is_open) {
        end_backup(node.clone(), backup);
    }
    // A restore that has begun goes first: the interrupted exchange belongs to it.
    let mut restores = node.restores.select(|restore| restore.notification.state == Delivery::None);
    restores.sort_by_key(|restore| (!restore.begun, restore.created));
    for restore in restores {
        end_restore(node.clone(), restore);
    }
    // The process ended before it removed the records of delivered notifications.
    let is_over = |restore: &record::Restore| {
        !matches!(restore.notification.state, Delivery::None | Delivery::Pending)
    };
    for restore in node.restores.select(is_over) {
        node.restores.remove(restore.id).await;
    }
    forget_old(node).await;
}

/// Checks the S3 service once, and logs what an operator must correct: rejected credentials, or a
/// bucket that does not exist. The daemon runs in any case, because the service may recover.
pub(crate) async fn check_bucket(node: Arc<Node>) {
    let Some(s3) = &node.config.s3 else { return };
    let url = s3.url();
    // No server has this UUID, so its prefix is empty. Every backup needs the permission to list.
    let check = async {
        let mut config = s3.config(Uuid::nil());
        config.transfer = config.transfer.retry_for(RETRY_FOR);
        sweep(&S3Store::new(config)?).await
    };
    match check.await {
        Ok(_) => tracing::info!("{url} can be used"),
        Err(e) => tracing::error!("{url} cannot be used, so backups to it will fail: {e}"),
    }
}

/// Removes old records every hour, for as long as the daemon runs.
pub(crate) async fn keep_forgetting(node: Arc<Node>) {
    loop {
        Timer::after(FORGET_EVERY).await;
        forget_old(&node).await;
    }
}

/// Removes the records of old failed backups, and of deleted backups without a pending notification.
async fn forget_old(node: &Node) {
    let now = Timestamp::now();
    let is_old = |b: &record::Backup| {
        let is_final = b.notification.state != Delivery::Pending;
        let is_failed = b.state == State::Failed && now.seconds_since(b.created) > KEEP_FAILED;
        is_final && (is_failed || b.deleted)
    };
    for backup in node.backups.select(is_old) {
        // A backup that is running again under its UUID keeps its record.
        let Some(_job) = node.jobs.begin(backup.uuid, backup.server, Kind::Delete) else {
            continue;
        };
        if node.backups.get(backup.uuid).is_some_and(|now| is_old(&now)) {
            node.backups.remove(backup.uuid).await;
        }
    }
}

/// Drops pending notifications. The configuration has no Panel any more.
async fn drop_notifications(node: &Node) {
    for backup in node.backups.select(|backup| backup.notification.state == Delivery::Pending) {
        node.backups.update(backup.uuid, |backup| backup.notification.state = Delivery::None).await;
    }
    for restore in node.restores.select(|restore| restore.notification.state == Delivery::Pending) {
        node.restores.remove(restore.id).await;
    }
}

/// Ends a backup in a task of its own, because a bucket may not answer. The server's next job waits for
/// this one.
fn end_backup(node: Arc<Node>, record: record::Backup) {
    let Some(job) = node.jobs.begin(record.uuid, record.server, Kind::Backup) else { return };
    let claim = Claim { job: record.uuid, server: Some(record.server), slot: false };
    let turn = node.queue.enter(claim);
    smol::spawn(async move {
        let _turn = turn.await;
        for tries_left in (0..TRIES).rev() {
            match job.work(clean_up(&node, &record)).await {
                Ok(()) => break,
                Err(e) => {
                    tracing::error!(backup = %record.uuid, tries_left, "cannot clean up: {e}")
                }
            }
            Timer::after(PAUSE).await;
        }
        let error = Error::new(ErrorKind::Cancelled, "make the backup");
        let error = error.caused_by("the daemon ended before the job");
        backup::end(&node, job, Err(error)).await;
    })
    .detach();
}

/// Removes all data of a backup that is not recorded as complete. Such a backup counts as failed.
async fn clean_up(node: &Node, record: &record::Backup) -> Result<()> {
    let Some(location) = archives::location(&node.config, record)? else {
        // The notification lets the Panel abort its upload.
        return Ok(());
    };
    if record.state == State::Running {
        location.remove().await?;
    }
    match (record.destination, &node.config.s3) {
        (Destination::Bucket, Some(s3)) => {
            // Every unfinished upload below this prefix is this daemon's own.
            let mut config = s3.config(record.server);
            config.dead_after = Duration::ZERO;
            sweep(&S3Store::new(config)?).await
        }
        _ => sweep(&location.store).await,
    }
}

/// Removes what is unfinished in a store.
async fn sweep(store: &dyn Store) -> Result<()> {
    store.sweep().try_for_each(|_| ready(Ok(()))).await
}

/// Finishes or undoes an interrupted restore. The disk of the servers may be mounted late after a power
/// cut.
async fn recover_server(node: &Node, server: Uuid) -> Result<Option<Recovered>> {
    let dir = node.config.data().join(server.to_string());
    let mut tries_left = TRIES;
    loop {
        tries_left -= 1;
        match Restore::new(&dir).state_dir(node.config.engine_directory()).recover().await {
            Err(e) if tries_left > 0 => {
                tracing::error!(%server, tries_left, "cannot recover the server: {e}");
            }
            result => return result,
        }
        Timer::after(PAUSE).await;
    }
}

fn end_restore(node: Arc<Node>, record: record::Restore) {
    let record::Restore { id, backup, server, begun, successful, .. } = record;
    let Some(job) = node.jobs.begin(backup, server, Kind::Restore) else { return };
    let claim = Claim { job: backup, server: Some(server), slot: false };
    let turn = node.queue.enter(claim);
    smol::spawn(async move {
        let turn = turn.await;
        // A restore that had not begun has no interrupted exchange.
        let recover = recover_server(&node, server);
        let recovered = if begun { job.work(recover).await } else { Ok(None) };
        let result = match recovered {
            // The exchange was finished, so the new files are in place.
            Ok(Some(Recovered::Finished)) => Ok(()),
            Ok(_) if successful == Some(true) => Ok(()),
            Ok(_) => {
                let error = Error::new(ErrorKind::Cancelled, "restore");
                Err(error.caused_by("the daemon ended before the job"))
            }
            Err(e) => Err(e),
        };
        restore::end(&node, id, job, result).await;
        drop(turn);
    })
    .detach();
}
