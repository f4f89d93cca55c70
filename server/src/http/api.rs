//! What the daemon knows, as JSON.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::{
    http::reply::{self, Reply},
    job::{Kind, Pace},
    metrics::Now,
    moment::Moment,
    node::Node,
    outbox,
    record::{self, Adapter, Delivery, Place, State},
    refusal::Refusal,
};

/// A backup, for those who ask.
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
    panel: Delivery,
    panel_answer: Option<String>,
    files: Option<u64>,
    copied: Option<u64>,
    skipped: Option<u64>,
    partial: bool,
    warnings: Vec<String>,
    progress: Option<Pace>,
    verified: Option<Checked>,
    restored: Option<Restored>,
    verifying: bool,
    restoring: bool,
    readable: bool,
}

#[derive(Serialize)]
struct Checked {
    at: String,
    whole: bool,
    damage: Vec<String>,
}

#[derive(Serialize)]
struct Restored {
    at: String,
    successful: bool,
    error: Option<String>,
}

pub(crate) fn health(node: &Node) -> Reply {
    let state = if node.stopping.is_set() { "stopping" } else { "running" };
    reply::json(&json!({ "status": state, "version": env!("CARGO_PKG_VERSION") }))
}

pub(crate) fn metrics(node: &Node) -> Reply {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let (running, queued) = node.queue.lengths();
    let (untold, listeners) = (outbox::pending(node), node.events.listeners());
    let now = Now { running, queued, untold, listeners };
    reply::text(node.metrics.text(&now), kind)
}

pub(crate) async fn servers(node: &Node) -> Result<Reply, Refusal> {
    let servers = node.servers().await.map_err(Refusal::failed)?;
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

pub(crate) async fn backups(node: &Node, server: Uuid) -> Result<Reply, Refusal> {
    node.server(server).await?;
    let mut backups = node.backups.select(|b| b.server == server && !b.deleted);
    backups.sort_by_key(|backup| std::cmp::Reverse(backup.created));
    let backups: Vec<_> = backups.into_iter().map(|backup| shown(node, backup)).collect();
    Ok(reply::json(&json!({ "backups": backups })))
}

pub(crate) fn backup(node: &Node, server: Uuid, uuid: Uuid) -> Result<Reply, Refusal> {
    Ok(reply::json(&shown(node, node.backup(server, uuid)?)))
}

fn shown(node: &Node, backup: record::Backup) -> Backup {
    let job = node.jobs.get(backup.uuid);
    let is = |kind| job.as_ref().is_some_and(|job| job.kind == kind);
    let is_readable = match backup.place {
        Place::Local => true,
        Place::Bucket => node.config.s3.is_some(),
        Place::Panel => false,
    };
    let made = backup.made.as_ref();
    Backup {
        uuid: backup.uuid,
        server: backup.server,
        adapter: backup.adapter(),
        state: backup.state,
        position: node.queue.position(backup.uuid).filter(|_| backup.state == State::Queued),
        size: made.map(|made| made.size),
        checksum: made.map(|made| made.sha1.clone()),
        checksum_type: "sha1",
        created_at: backup.created.text(),
        completed_at: backup.completed.map(Moment::text),
        error: backup.error.clone(),
        panel: backup.telling.state,
        panel_answer: backup.telling.answer.clone(),
        files: made.map(|made| made.files),
        copied: made.map(|made| made.copied),
        skipped: made.map(|made| made.skipped),
        partial: made.is_some_and(|made| made.partial),
        warnings: made.map(|made| made.warnings.clone()).unwrap_or_default(),
        progress: job.as_ref().filter(|job| job.kind == Kind::Backup).and_then(|job| job.pace()),
        verified: backup.verified.as_ref().map(|checked| Checked {
            at: checked.at.text(),
            whole: checked.damage.is_empty(),
            damage: checked.damage.clone(),
        }),
        restored: backup.restored.as_ref().map(|restored| Restored {
            at: restored.at.text(),
            successful: restored.error.is_none(),
            error: restored.error.clone(),
        }),
        verifying: is(Kind::Verify),
        restoring: is(Kind::Restore),
        readable: is_readable && backup.is_complete(),
    }
}
