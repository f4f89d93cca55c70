//! Sends archives of a server to the daemon of another node, one after another.

use std::{
    cmp::Reverse,
    mem::replace,
    sync::Arc,
    time::{Duration, Instant},
};

use blocking::unblock;
use serde::Deserialize;
use uuid::Uuid;
use wingback::{Error, ErrorKind, Result};

use crate::{
    api_error::ApiError,
    archives,
    backoff::Backoff,
    commands,
    config::Secret,
    job::{Active, Kind, spawn},
    node::Node,
    other_node::{Failure, OtherNode, Outgoing, failed},
    record::{self, Destination, Finding, SendResult},
    timestamp::Timestamp,
    transfer::Received,
};

/// Longest pause between two attempts, unless the other node asks for more.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Time without a new byte at the other node after which the sending fails.
const RETRY_FOR: Duration = Duration::from_secs(3600);

/// Pause between two progress messages for people.
const MESSAGE_PAUSE: Duration = Duration::from_secs(5);

/// A request to send archives.
#[derive(Debug, Deserialize)]
pub(crate) struct SendRequest {
    /// URL of the other node's daemon.
    url: String,
    /// Token of the other node.
    token: Secret,
    /// Without them, all complete local archives of the server.
    backups: Option<Vec<Uuid>>,
}

/// Begins to send archives of a server, the newest first. Returns their number.
///
/// It takes no slot, because it may wait for the network. The server's directory may be gone already.
pub(crate) async fn start(
    node: &Arc<Node>,
    server: Uuid,
    request: SendRequest,
) -> Result<usize, ApiError> {
    commands::check_open(node)?;
    let SendRequest { url, token, backups } = request;
    let to = unblock(move || OtherNode::new(&url, token)).await.map_err(ApiError::invalid)?;
    let mut backups = match backups {
        Some(uuids) => named(node, server, &uuids)?,
        None => node.backups.select(|backup| backup.server == server && can_be_sent(backup)),
    };
    if backups.is_empty() {
        node.server(server).await?;
    }
    let busy = || ApiError::conflict("archives of this server are being sent");
    let pass = node.sends.begin(server, server, Kind::Send).ok_or_else(busy)?;
    backups.sort_by_key(|backup| Reverse(backup.created));
    let backups: Vec<_> = backups.into_iter().map(|backup| backup.uuid).collect();
    let count = backups.len();
    let node = node.clone();
    spawn(async move { run(&node, &pass, &to, backups).await });
    Ok(count)
}

fn named(node: &Node, server: Uuid, uuids: &[Uuid]) -> Result<Vec<record::Backup>, ApiError> {
    let find = |&uuid: &Uuid| {
        let backup = node.backup(server, uuid)?;
        let wrong = || ApiError::conflict("only complete local archives can be sent");
        can_be_sent(&backup).then_some(backup).ok_or_else(wrong)
    };
    uuids.iter().map(find).collect()
}

fn can_be_sent(backup: &record::Backup) -> bool {
    backup.is_complete() && backup.destination == Destination::Local
}

/// Ends the sending of a server's archives, and resolves after it has ended.
pub(crate) async fn cancel(node: &Node, server: Uuid) -> Result<(), ApiError> {
    let none = || ApiError::conflict("no archives of this server are being sent");
    let pass = node.sends.get(server).ok_or_else(none)?;
    pass.cancel();
    pass.finished().await;
    Ok(())
}

async fn run(node: &Arc<Node>, pass: &Active, to: &OtherNode, backups: Vec<Uuid>) {
    for uuid in backups {
        let job = match pass.unless_cancelled(begin(node, pass.server, uuid)).await {
            Ok(Some(job)) => job,
            // It was deleted.
            Ok(None) => continue,
            Err(_) => return,
        };
        if commands::check_open(node).is_err() {
            return;
        }
        let sending = job.unless_cancelled(job.work(send(node, &job, to)));
        let result = pass.unless_cancelled(sending).await;
        let is_cancelled = result.is_err();
        let cancelled = |_| Err(failed(ErrorKind::Cancelled, "it was cancelled".into()));
        let result = result.and_then(|sent| sent).unwrap_or_else(cancelled);
        end(node, job, to, result).await;
        if is_cancelled {
            return;
        }
    }
}

/// Begins the job of a backup, after its other jobs. `None` if the archive is gone.
async fn begin(node: &Node, server: Uuid, uuid: Uuid) -> Option<Active> {
    loop {
        if let Some(job) = node.jobs.begin(uuid, server, Kind::Send) {
            return node.backups.get(uuid).filter(can_be_sent).map(|_| job);
        }
        if let Some(other) = node.jobs.get(uuid) {
            other.finished().await;
        }
    }
}

/// Sends one archive. After an interruption it goes on where the other node's bytes end.
async fn send(node: &Node, job: &Active, to: &OtherNode) -> Result<()> {
    let archive = open(node, job).await?;
    let mut backoff = Backoff::new(PAUSE_MAX);
    let (mut until, mut reached) = (Instant::now() + RETRY_FOR, 0);
    let (mut last_message, mut has_mismatched) = (Instant::now(), false);
    loop {
        let progress = |received: &Received| {
            if received.offset > reached {
                until = Instant::now() + RETRY_FOR;
                backoff.reset();
            }
            reached = received.offset;
            if last_message.elapsed() >= MESSAGE_PAUSE {
                last_message = Instant::now();
                let text = format!("Sending: {reached} of {} bytes", archive.size);
                node.events.message(job.server, text);
            }
        };
        let Err(Failure { error, is_temporary, pause }) = send_rest(to, &archive, progress).await
        else {
            return Ok(());
        };
        // The first bytes may be from another archive. The other node has removed them.
        let begins_anew =
            error.kind() == ErrorKind::Mismatch && !replace(&mut has_mismatched, true);
        if !is_temporary && !begins_anew || Instant::now() >= until {
            return Err(error);
        }
        tracing::warn!(backup = %job.uuid, server = %job.server, ?pause, "trying again: {error}");
        node.events.message(job.server, format!("Trying again: {error}"));
        backoff.wait(pause).await;
    }
}

/// Opens the archive, and checks its size.
async fn open(node: &Node, job: &Active) -> Result<Outgoing> {
    let gone = || failed(ErrorKind::NotFound, "the backup was deleted".into());
    let backup = node.backups.get(job.uuid).filter(can_be_sent).ok_or_else(gone)?;
    let location = archives::location(&node.config, &backup)?.ok_or_else(gone)?;
    let archive = backup.archive.ok_or_else(gone)?;
    let file = location.store.file(&location.key).await?.ok_or_else(gone)?;
    let len = file.metadata().map_err(|e| Error::io("look at the archive", e))?.len();
    let Some(sha1) = archive.sha1().filter(|_| len == archive.size) else {
        let why = format!("it has {len} bytes instead of {}", archive.size);
        return Err(failed(ErrorKind::Corrupt, why));
    };
    let (server, limit) = (job.server, node.write_limit.clone());
    Ok(Outgoing { server, backup: job.uuid, file: Arc::new(file), size: len, sha1, limit })
}

/// Sends what the other node does not have, unless a request fails.
async fn send_rest(
    to: &OtherNode,
    archive: &Outgoing,
    mut progress: impl FnMut(&Received),
) -> Result<(), Failure> {
    let mut received = to.received(archive).await?;
    loop {
        progress(&received);
        match received {
            Received { complete: true, sha1, .. } if sha1 == Some(archive.sha1) => return Ok(()),
            Received { complete: true, .. } => {
                let why = "the other node has another archive with this UUID".to_owned();
                let error = failed(ErrorKind::AlreadyExists, why);
                return Err(Failure { error, is_temporary: false, pause: None });
            }
            // More bytes than the archive has are not of it. The other node then begins anew.
            Received { offset, .. } if offset > archive.size => {
                received = to.send(archive, 0).await?;
            }
            Received { offset, .. } => received = to.send(archive, offset).await?,
        }
    }
}

/// Records the result, and reports it to clients.
async fn end(node: &Node, job: Active, to: &OtherNode, result: Result<()>) {
    let (uuid, server) = (job.uuid, job.server);
    job.set_ending();
    let error = result.err().map(|e| Finding::of_error(&e));
    node.metrics.archive_sent(error.is_none());
    let sent = SendResult { at: Timestamp::now(), to: to.to_string(), error: error.clone() };
    node.backups.update(uuid, |backup| backup.sent = Some(sent)).await;
    // The job ends before clients receive the event.
    drop(job);
    match error {
        None => {
            tracing::info!(backup = %uuid, %server, %to, "archive sent");
            node.events.message(server, format!("The backup {uuid} was sent to {to}."));
        }
        Some(Finding { message: why, .. }) => {
            tracing::warn!(backup = %uuid, %server, %to, why, "archive not sent");
            node.events.message(server, format!("The backup {uuid} was not sent to {to}: {why}"));
        }
    }
    node.events.send(server, format!("backup sent:{uuid}"), Vec::new());
}
