//! The state of the daemon as JSON.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    api_error::ApiError,
    http::reply::{self, Reply},
    job::Kind,
    metrics::Gauges,
    node::Node,
    outbox,
    progress::ProgressView,
    record::{self, Adapter, Delivery, Destination, Finding, State},
    timestamp::Timestamp,
};

/// A backup as clients see it.
#[derive(Serialize)]
struct Backup {
    uuid: Uuid,
    server: Uuid,
    adapter: Adapter,
    state: State,
    position: Option<usize>,
    size: Option<u64>,
    checksum: Option<String>,
    checksum_type: &'static str,
    created_at: String,
    completed_at: Option<String>,
    error: Option<String>,
    error_kind: Option<String>,
    panel: Delivery,
    panel_answer: Option<String>,
    files: Option<u64>,
    copied: Option<u64>,
    skipped: Option<u64>,
    partial: bool,
    warnings: Vec<Finding>,
    progress: Option<ProgressView>,
    verified: Option<VerifyResult>,
    restored: Option<RestoreResult>,
    verifying: bool,
    restoring: bool,
    readable: bool,
}

#[derive(Serialize)]
struct VerifyResult {
    at: String,
    whole: bool,
    damage: Vec<Finding>,
}

#[derive(Serialize)]
struct RestoreResult {
    at: String,
    successful: bool,
    error: Option<String>,
    error_kind: Option<String>,
}

pub(crate) fn health(node: &Node) -> Reply {
    let state = if node.stopping.is_cancelled() { "stopping" } else { "running" };
    reply::json(&json!({ "status": state, "version": env!("CARGO_PKG_VERSION") }))
}

pub(crate) fn metrics(node: &Node) -> Reply {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let (running, queued) = node.queue.lengths();
    let gauges = Gauges {
        running,
        queued,
        notifications_pending: outbox::pending(node),
        websocket_clients: node.events.clients(),
    };
    reply::text(node.metrics.text(&gauges), kind)
}

pub(crate) async fn servers(node: &Node) -> Result<Reply, ApiError> {
    let servers = node.servers().await.map_err(ApiError::failed)?;
    let mut counts: HashMap<Uuid, usize> = HashMap::new();
    for backup in node.backups.select(|backup| !backup.deleted) {
        *counts.entry(backup.server).or_default() += 1;
    }
    let servers: Vec<_> = servers
        .iter()
        .map(|uuid| json!({ "uuid": uuid, "backups": counts.get(uuid).unwrap_or(&0) }))
        .collect();
    Ok(reply::json(&json!({ "servers": servers })))
}

pub(crate) async fn backups(node: &Node, server: Uuid) -> Result<Reply, ApiError> {
    node.server(server).await?;
    let mut backups = node.backups.select(|b| b.server == server && !b.deleted);
    backups.sort_by_key(|backup| std::cmp::Reverse(backup.created));
    let backups: Vec<_> = backups.into_iter().map(|backup| shown(node, backup)).collect();
    Ok(reply::json(&json!({ "backups": backups })))
}

pub(crate) fn backup(node: &Node, server: Uuid, uuid: Uuid) -> Result<Reply, ApiError> {
    Ok(reply::json(&shown(node, node.backup(server, uuid)?)))
}

fn shown(node: &Node, backup: record::Backup) -> Backup {
    let job = node.jobs.get(backup.uuid);
    let is = |kind| job.as_ref().is_some_and(|job| job.kind == kind);
    let is_readable = match backup.destination {
        Destination::Local => true,
        Destination::Bucket => node.config.s3.is_some(),
        Destination::Panel => false,
    };
    let archive = backup.archive.as_ref();
    Backup {
        uuid: backup.uuid,
        server: backup.server,
        adapter: backup.adapter(),
        state: backup.state,
        position: node.queue.position(backup.uuid).filter(|_| backup.state == State::Queued),
        size: archive.map(|archive| archive.size),
        checksum: archive.map(|archive| archive.sha1.clone()),
        checksum_type: "sha1",
        created_at: backup.created.text(),
        completed_at: backup.completed.map(Timestamp::text),
        error: backup.error.as_ref().map(|error| error.message.clone()),
        error_kind: backup.error.as_ref().map(|error| error.code.clone()),
        panel: backup.notification.state,
        panel_answer: backup.notification.answer.clone(),
        files: archive.map(|archive| archive.files),
        copied: archive.map(|archive| archive.copied),
        skipped: archive.map(|archive| archive.skipped),
        partial: archive.is_some_and(|archive| archive.partial),
        warnings: archive.map(|archive| archive.warnings.clone()).unwrap_or_default(),
        progress: job
            .as_ref()
            .filter(|job| job.kind == Kind::Backup)
            .and_then(|job| job.progress()),
        verified: backup.verified.as_ref().map(|verified| VerifyResult {
            at: verified.at.text(),
            whole: verified.damage.is_empty(),
            damage: verified.damage.clone(),
        }),
        restored: backup.restored.as_ref().map(|restored| RestoreResult {
            at: restored.at.text(),
            successful: restored.error.is_none(),
            error: restored.error.as_ref().map(|error| error.message.clone()),
            error_kind: restored.error.as_ref().map(|error| error.code.clone()),
        }),
        verifying: is(Kind::Verify),
        restoring: is(Kind::Restore),
        readable: is_readable && backup.is_complete(),
    }
}
