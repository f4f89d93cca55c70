//! Commands on backups: create, restore, delete, cancel, verify.

use std::sync::Arc;

use hyper::{Request, StatusCode, body::Incoming};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;
use wingback::ErrorKind;

use crate::{
    api_error::ApiError,
    commands::{self, BackupRequest},
    http::{
        body,
        reply::{self, Reply},
    },
    node::{Node, uuid_of},
    pass,
    record::Adapter,
    restore::RestoreRequest,
};

#[derive(Deserialize)]
struct Create {
    adapter: Option<String>,
    uuid: Option<String>,
    ignore: Option<String>,
}

#[derive(Deserialize)]
struct Restore {
    adapter: Option<String>,
    #[serde(default)]
    truncate_directory: bool,
    download_url: Option<String>,
}

pub(crate) async fn create(
    node: &Arc<Node>,
    server: Uuid,
    request: Request<Incoming>,
) -> Result<Reply, ApiError> {
    let Create { adapter, uuid, ignore } = body::json(request, &node.config.wingback).await?;
    let adapter = self::adapter(adapter, node.config.invalid_adapter_status())?;
    let uuid = uuid.ok_or_else(|| ApiError::invalid("the uuid is missing"))?;
    let uuid = uuid_of(&uuid).ok_or_else(|| ApiError::invalid("the uuid is not a UUID"))?;
    let ignore = ignore.unwrap_or_default();
    commands::back_up(node, server, BackupRequest { adapter, uuid, ignore }).await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn restore(
    node: &Arc<Node>,
    server: Uuid,
    backup: Uuid,
    request: Request<Incoming>,
) -> Result<Reply, ApiError> {
    let body: Restore = body::json(request, &node.config.wingback).await?;
    let request = RestoreRequest {
        adapter: adapter(body.adapter, StatusCode::BAD_REQUEST)?,
        truncate: body.truncate_directory,
        download_url: body.download_url.filter(|url| !url.is_empty()),
    };
    commands::restore(node, server, backup, request).await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn delete(
    node: &Arc<Node>,
    server: Uuid,
    backup: Uuid,
) -> Result<Reply, ApiError> {
    commands::delete(node, server, backup).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn cancel(
    node: &Arc<Node>,
    server: Uuid,
    backup: Uuid,
) -> Result<Reply, ApiError> {
    commands::cancel(node, server, backup).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn verify(
    node: &Arc<Node>,
    server: Uuid,
    backup: Uuid,
) -> Result<Reply, ApiError> {
    commands::verify(node, server, backup).await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

/// Locks the archive, or removes its lock.
pub(crate) async fn set_lock(
    node: &Node,
    server: Uuid,
    backup: Uuid,
    locked: bool,
) -> Result<Reply, ApiError> {
    let archive = node.archive(server, backup).await?.archive();
    let set = if locked { archive.lock() } else { archive.unlock() };
    let changed = set.await.map_err(|e| match e.kind() {
        ErrorKind::NotFound => ApiError::missing("the archive does not exist any more"),
        _ => ApiError::failed(e),
    })?;
    Ok(reply::json(&json!({ "locked": locked, "changed": changed })))
}

/// Verifies all backups of a server.
pub(crate) async fn verify_all(node: &Arc<Node>, server: Uuid) -> Result<Reply, ApiError> {
    let backups = pass::start(node, server).await?;
    let mut reply = reply::json(&json!({ "backups": backups }));
    *reply.status_mut() = StatusCode::ACCEPTED;
    Ok(reply)
}

pub(crate) async fn cancel_verify_all(node: &Node, server: Uuid) -> Result<Reply, ApiError> {
    pass::cancel(node, server).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Returns the adapter, or an error with the given status.
fn adapter(word: Option<String>, status: StatusCode) -> Result<Adapter, ApiError> {
    let word = word.ok_or_else(|| ApiError::new(status, "the adapter is missing"))?;
    let wrong = || ApiError::new(status, "the adapter is not valid: it must be wings or s3");
    Adapter::of(&word).ok_or_else(wrong)
}
