//! Takes an archive that another node sends, piece by piece.

use std::{io, sync::Arc};

use blocking::unblock;
use bytes::Bytes;
use futures::FutureExt;
use http_body_util::BodyExt;
use hyper::{StatusCode, body::Incoming};
use uuid::Uuid;
use wingback::{Error, ErrorKind, PartialArchive, Sha1, Verify};

use crate::{
    api_error::ApiError,
    archives::{self, ArchiveLocation},
    commands,
    deadline::within,
    job::{Active, Kind},
    node::{Node, PREFLIGHT},
    record::{self, ArchiveInfo, Destination},
    stall::STALL_TIMEOUT,
    timestamp::Timestamp,
    transfer::{Piece, Received},
};

/// An archive whose next piece may arrive. No other job of this backup runs meanwhile.
pub(crate) struct Receiving {
    node: Arc<Node>,
    job: Active,
    location: ArchiveLocation,
    size: u64,
    sha1: Sha1,
    state: State,
}

enum State {
    Partial(PartialArchive),
    /// The archive is in the backup directory without a record: the daemon was killed before it wrote the record, or
    /// somebody has copied the file.
    Unrecorded,
}

/// Returns what this node has of an archive.
pub(crate) async fn received(node: &Node, server: Uuid, uuid: Uuid) -> Result<Received, ApiError> {
    let recorded = node.backups.get(uuid).filter(|b| b.server == server && b.is_complete());
    if let Some(archive) = recorded.and_then(|backup| backup.archive) {
        let sha1 = archive.sha1();
        return Ok(Received { offset: archive.size, complete: true, sha1 });
    }
    let look = async {
        if let Some((_, size)) = unrecorded(node, server, uuid).await? {
            return Ok(size);
        }
        let (store, key) = archives::new_local(&node.config, server, uuid);
        store.received(&key).await.map_err(io::Error::other)
    };
    let offset = within(PREFLIGHT, look).await.map_err(ApiError::failed)?;
    Ok(Received { offset, complete: false, sha1: None })
}

/// Returns an archive without a record, and its size.
async fn unrecorded(
    node: &Node,
    server: Uuid,
    uuid: Uuid,
) -> io::Result<Option<(ArchiveLocation, u64)>> {
    let found = archives::find_unrecorded(&node.config, server, uuid).await;
    let Some(location) = found.map_err(io::Error::other)? else { return Ok(None) };
    let object = location.store.head(&location.key).await.map_err(io::Error::other)?;
    Ok(object.map(|object| (location, object.size)))
}

/// Gets ready for a piece, after all checks.
pub(crate) async fn begin(
    node: &Arc<Node>,
    server: Uuid,
    uuid: Uuid,
    piece: &Piece,
) -> Result<Receiving, ApiError> {
    commands::check_open(node)?;
    check_free(node, uuid)?;
    let busy = || ApiError::busy("another job of this backup is running");
    let job = node.jobs.begin(uuid, server, Kind::Receive).ok_or_else(busy)?;
    // `stop` sees every job that begins after this check.
    commands::check_open(node)?;
    check_free(node, uuid)?;
    let (node, size, sha1) = (node.clone(), piece.size, piece.sha1);
    let found = within(PREFLIGHT, unrecorded(&node, server, uuid)).await;
    let (location, state) = match found.map_err(ApiError::failed)? {
        Some((location, there)) if there == size => (location, State::Unrecorded),
        Some(_) => return Err(exists()),
        None => {
            commands::check_backup_directory(&node).await?;
            let (store, key) = archives::new_local(&node.config, server, uuid);
            let archive = store.receive(&key, size).await.map_err(|e| api_error_of(&e))?;
            (ArchiveLocation { store: Arc::new(store), key }, State::Partial(archive))
        }
    };
    Ok(Receiving { node, job, location, size, sha1, state })
}

/// Returns an error if a backup has this UUID.
fn check_free(node: &Node, uuid: Uuid) -> Result<(), ApiError> {
    let is_taken = node.backups.get(uuid).is_some_and(|old| !old.can_be_replaced());
    if is_taken { Err(exists()) } else { Ok(()) }
}

impl Receiving {
    /// Returns where the next piece begins.
    pub(crate) fn offset(&self) -> u64 {
        match &self.state {
            State::Partial(archive) => archive.received(),
            State::Unrecorded => self.size,
        }
    }

    /// Appends a piece of `len` bytes. After the last one the archive is complete and has a record.
    pub(crate) async fn take(self, body: &mut Incoming, len: u64) -> Result<Received, ApiError> {
        let Receiving { node, job, location, size, sha1, state } = self;
        match state {
            State::Partial(mut archive) => {
                append(&node, &job, &mut archive, body, len).await?;
                let offset = archive.received();
                if offset < size {
                    return Ok(Received { offset, complete: false, sha1: None });
                }
                let completed = archive.complete(sha1).await;
                node.metrics.archive_received(completed.is_ok());
                completed.map_err(|e| api_error_of(&e))?;
            }
            State::Unrecorded => {
                let verify = Verify::new().sha1(sha1).start(location.archive());
                let verified = job.run(verify, |_| ()).await.map_err(|e| api_error_of(&e))?;
                if verified.sha1_matches != Some(true) {
                    return Err(exists());
                }
                node.metrics.archive_received(true);
            }
        }
        record(&node, job, &location, size, sha1).await?;
        Ok(Received { offset: size, complete: true, sha1: Some(sha1) })
    }
}

/// Appends the body to the archive. Bytes that have arrived before an error are kept.
async fn append(
    node: &Node,
    job: &Active,
    archive: &mut PartialArchive,
    body: &mut Incoming,
    len: u64,
) -> Result<(), ApiError> {
    let mut left = len;
    loop {
        let frame = within(STALL_TIMEOUT, body.frame().map(Ok));
        let frame = job.unless_cancelled(frame).await;
        let frame = frame.map_err(|_| ApiError::busy("the transfer was cancelled"))?;
        let frame = frame.map_err(|_| {
            ApiError::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")
        })?;
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.map_err(|e| ApiError::invalid(format!("cannot read the body: {e}")))?;
        let Ok(bytes) = frame.into_data() else { continue };
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| ApiError::invalid("the body is longer than the Content-Range"))?;
        write(node, archive, bytes).await.map_err(|e| api_error_of(&e))?;
    }
}

/// Writes at the speed that the node's limit allows.
async fn write(
    node: &Node,
    archive: &mut PartialArchive,
    mut bytes: Bytes,
) -> wingback::Result<()> {
    while !bytes.is_empty() {
        let (limit, want) = (node.write_limit.clone(), bytes.len());
        let granted = unblock(move || limit.wait(want)).await;
        archive.write(bytes.split_to(granted)).await?;
    }
    Ok(())
}

/// Records a complete archive. The Panel knows it already.
async fn record(
    node: &Node,
    job: Active,
    location: &ArchiveLocation,
    size: u64,
    sha1: Sha1,
) -> Result<(), ApiError> {
    let (uuid, server) = (job.uuid, job.server);
    // An archive of another program says nothing about itself.
    let info = location.archive().info().await.ok().flatten();
    let made = info.as_ref().and_then(|info| info.made).map(Timestamp::from);
    let made = made.unwrap_or_else(Timestamp::now);
    let mut archive = ArchiveInfo { size, sha1: sha1.to_string(), ..ArchiveInfo::default() };
    if let Some(info) = info {
        archive.files = info.files;
        archive.skipped = info.skipped;
        archive.partial = info.omits_unnamed;
    }
    let key = location.key.to_string();
    let backup = record::Backup {
        state: record::State::Complete,
        created: made,
        completed: Some(made),
        archive: Some(archive),
        ..record::Backup::new(uuid, server, Destination::Local, Some(key))
    };
    let added = node.backups.add(backup, record::Backup::can_be_replaced).await;
    if !added.map_err(ApiError::failed)? {
        return Err(exists());
    }
    tracing::info!(backup = %uuid, %server, size, %sha1, "archive received");
    // The job ends before clients receive the event.
    drop(job);
    node.events.send(server, format!("backup received:{uuid}"), Vec::new());
    Ok(())
}

fn exists() -> ApiError {
    ApiError::conflict("another backup with this UUID already exists")
}

fn api_error_of(error: &Error) -> ApiError {
    let status = match error.kind() {
        ErrorKind::AlreadyExists => StatusCode::CONFLICT,
        ErrorKind::Mismatch => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::NoSpace => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Busy | ErrorKind::Cancelled => return ApiError::busy(error.to_string()),
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    ApiError::new(status, error.to_string())
}
