//! What clients have the daemon do with backups.

use std::sync::Arc;

use hyper::{Request, StatusCode, body::Incoming};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    http::{
        body,
        reply::{self, Reply},
    },
    node::{Node, uuid_of},
    orders::{self, Wanted},
    record::Adapter,
    refusal::Refusal,
    restore,
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
) -> Result<Reply, Refusal> {
    let Create { adapter, uuid, ignore } = body::json(request, &node.config.wingback).await?;
    let adapter = self::adapter(adapter)?;
    let uuid = uuid.ok_or_else(|| Refusal::invalid("the uuid is missing"))?;
    let uuid = uuid_of(&uuid).ok_or_else(|| Refusal::invalid("the uuid is none"))?;
    let ignore = ignore.unwrap_or_default();
    orders::back_up(node, server, Wanted { adapter, uuid, ignore }).await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn restore(
    node: &Arc<Node>,
    server: Uuid,
    backup: Uuid,
    request: Request<Incoming>,
) -> Result<Reply, Refusal> {
    let wanted: Restore = body::json(request, &node.config.wingback).await?;
    let wanted = restore::Wanted {
        adapter: adapter(wanted.adapter)?,
        truncate: wanted.truncate_directory,
        download_url: wanted.download_url.filter(|url| !url.is_empty()),
    };
    orders::restore(node, server, backup, wanted).await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

pub(crate) async fn delete(node: &Arc<Node>, server: Uuid, backup: Uuid) -> Result<Reply, Refusal> {
    orders::delete(node, server, backup).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn cancel(node: &Arc<Node>, server: Uuid, backup: Uuid) -> Result<Reply, Refusal> {
    orders::cancel(node, server, backup).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

pub(crate) async fn verify(node: &Arc<Node>, server: Uuid, backup: Uuid) -> Result<Reply, Refusal> {
    orders::verify(node, server, backup).await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

fn adapter(word: Option<String>) -> Result<Adapter, Refusal> {
    let word = word.ok_or_else(|| Refusal::invalid("the adapter is missing"))?;
    let wrong = || Refusal::invalid("the adapter must be wings or s3");
    Adapter::of(&word).ok_or_else(wrong)
}
