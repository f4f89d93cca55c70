//! What a restart does with what the process before it left: nothing that ran goes on, nothing of it
//! stays, and whoever asked for it is told.

use std::{sync::Arc, time::Duration};

use smol::Timer;
use uuid::Uuid;
use wingback::{Error, ErrorKind, Recovered, Restore, Result, Store, Transfer};

use crate::{
    archives, backup,
    job::Kind,
    moment::Moment,
    node::Node,
    outbox::{self, Subject},
    queue::Claim,
    record::{self, Delivery, Place, State, Telling},
    restore,
};

/// How often it is tried to clear away, and the wait between.
const TRIES: usize = 5;
const WAIT: Duration = Duration::from_secs(5);

/// How long the S3 service is asked again at the start.
const ASK_FOR: Duration = Duration::from_secs(10);

/// How long a failed backup is remembered, in seconds.
const REMEMBERED: u64 = 30 * 24 * 3600;

/// Between two looks for backups that failed so long ago.
const FORGET_EVERY: Duration = Duration::from_secs(3600);

/// Ends what was open, and goes on telling.
pub(crate) async fn recover(node: &Arc<Node>) {
    if node.panel.is_none() {
        tell_nobody(node).await;
    }
    // Before anything is ended: that tells by itself.
    let is_untold = |telling: &Telling| telling.state == Delivery::Pending;
    let backups = node.backups.select(|backup| is_untold(&backup.telling));
    let restores = node.restores.select(|restore| is_untold(&restore.telling));
    for backup in backups {
        outbox::tell(node, Subject::Backup(backup.uuid));
    }
    for restore in restores {
        outbox::tell(node, Subject::Restore(restore.id));
    }
    for backup in node.backups.select(record::Backup::is_open) {
        end_backup(node.clone(), backup);
    }
    // The one that had its turn first: what is halfway is its work.
    let mut restores = node.restores.select(|restore| restore.telling.state == Delivery::None);
    restores.sort_by_key(|restore| (!restore.begun, restore.created));
    for restore in restores {
        end_restore(node.clone(), restore);
    }
    // Told, and not forgotten in time.
    let is_told = |restore: &record::Restore| {
        !matches!(restore.telling.state, Delivery::None | Delivery::Pending)
    };
    for restore in node.restores.select(is_told) {
        node.restores.remove(restore.id).await;
    }
    forget_old(node).await;
}

/// Asks the S3 service once, and logs what an operator has to mend: credentials that are refused, a
/// bucket that is not there. The daemon runs all the same, as the service may come back.
pub(crate) async fn check_bucket(node: Arc<Node>) {
    let Some(s3) = &node.config.s3 else { return };
    let place = s3.place();
    // No server has this UUID, so nothing lies there. Every backup needs the permission to look.
    let asked = async {
        let transfer = Transfer::new().retry_for(ASK_FOR);
        s3.store(Uuid::nil())?.transfer(transfer).sweep().await
    };
    match asked.await {
        Ok(_) => tracing::info!("{place} can be used"),
        Err(e) => tracing::error!("{place} cannot be used, so backups to it will fail: {e}"),
    }
}

/// Drops failed backups that are old, again and again, for as long as the daemon runs.
pub(crate) async fn keep_forgetting(node: Arc<Node>) {
    loop {
        Timer::after(FORGET_EVERY).await;
        forget_old(&node).await;
    }
}

/// Drops the records of failed backups that are old, and of those that are deleted and told.
async fn forget_old(node: &Node) {
    let now = Moment::now();
    let is_old = |b: &record::Backup| {
        let told = b.telling.state != Delivery::Pending;
        let is_failed = b.state == State::Failed && now.seconds_since(b.created) > REMEMBERED;
        told && (is_failed || b.deleted)
    };
    for backup in node.backups.select(is_old) {
        // A backup that is tried again under its UUID keeps its record.
        let Some(_job) = node.jobs.begin(backup.uuid, backup.server, Kind::Delete) else {
            continue;
        };
        if node.backups.get(backup.uuid).is_some_and(|now| is_old(&now)) {
            node.backups.remove(backup.uuid).await;
        }
    }
}

/// There is no Panel any more: what waited to be told waits for nobody.
async fn tell_nobody(node: &Node) {
    for backup in node.backups.select(|backup| backup.telling.state == Delivery::Pending) {
        node.backups.update(backup.uuid, |backup| backup.telling.state = Delivery::None).await;
    }
    for restore in node.restores.select(|restore| restore.telling.state == Delivery::Pending) {
        node.restores.remove(restore.id).await;
    }
}

/// Beside everything else, since a bucket may not answer; the server's next job waits for it.
fn end_backup(node: Arc<Node>, record: record::Backup) {
    let Some(job) = node.jobs.begin(record.uuid, record.server, Kind::Backup) else { return };
    let claim = Claim { job: record.uuid, server: Some(record.server), slot: false };
    let turn = node.queue.enter(claim);
    smol::spawn(async move {
        let _turn = turn.await;
        for tries_left in (0..TRIES).rev() {
            match job.work(clear(&node, &record)).await {
                Ok(()) => break,
                Err(e) => {
                    tracing::error!(backup = %record.uuid, tries_left, "cannot clear away: {e}")
                }
            }
            Timer::after(WAIT).await;
        }
        let error = Error::new(ErrorKind::Cancelled, "make the backup");
        let error = error.caused_by("the daemon ended meanwhile");
        backup::end(&node, job, Err(error)).await;
    })
    .detach();
}

/// Removes what there is of a backup that was not recorded as complete: to whoever asked, it failed.
async fn clear(node: &Node, record: &record::Backup) -> Result<()> {
    let Some(at) = archives::at(&node.config, record)? else {
        // The Panel aborts its upload when it is told.
        return Ok(());
    };
    if record.state == State::Running {
        at.remove().await?;
    }
    match (record.place, &node.config.s3) {
        (Place::Bucket, Some(s3)) => {
            // Whatever is unfinished there was this daemon's own.
            s3.store(record.server)?.dead_after(Duration::ZERO).sweep().await.map(drop)
        }
        _ => at.store.sweep().await.map(drop),
    }
}

/// Finishes or undoes what is halfway. The servers' disk may be slow to come after a power cut.
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
        Timer::after(WAIT).await;
    }
}

fn end_restore(node: Arc<Node>, record: record::Restore) {
    let record::Restore { id, backup, server, begun, successful, .. } = record;
    let Some(job) = node.jobs.begin(backup, server, Kind::Restore) else { return };
    let claim = Claim { job: backup, server: Some(server), slot: false };
    let turn = node.queue.enter(claim);
    smol::spawn(async move {
        let turn = turn.await;
        // What is halfway is not the work of one that only waited.
        let recover = recover_server(&node, server);
        let recovered = if begun { job.work(recover).await } else { Ok(None) };
        let result = match recovered {
            // It had come so far that the files are in place.
            Ok(Some(Recovered::Finished)) => Ok(()),
            Ok(_) if successful == Some(true) => Ok(()),
            Ok(_) => {
                let error = Error::new(ErrorKind::Cancelled, "restore");
                Err(error.caused_by("the daemon ended meanwhile"))
            }
            Err(e) => Err(e),
        };
        restore::end(&node, id, job, result).await;
        drop(turn);
    })
    .detach();
}
