//! The contents of an archive.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{AsyncWrite, SinkExt, StreamExt, TryStreamExt, channel::mpsc};
use hyper::{
    HeaderMap, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;
use wingback::{ErrorKind, List, Member, MemberKind};

use crate::{
    api_error::ApiError,
    archives::ArchiveLocation,
    http::{
        body::{self, Query},
        reply::{self, Reply, attachment},
    },
    node::Node,
    timestamp::rfc3339,
};

#[derive(Deserialize)]
struct Link {
    file: Option<String>,
}

/// Returns what the archive says about itself.
pub(crate) async fn info(node: &Node, server: Uuid, backup: Uuid) -> Result<Reply, ApiError> {
    let location = node.archive(server, backup).await?;
    let info = location.archive().info().await.map_err(|e| api_error_of(&e))?;
    let no_index =
        "the archive has no index: another program made it, or its end is missing or damaged";
    let info = info.ok_or_else(|| ApiError::missing(no_index))?;
    let locked = location.archive().is_locked().await.map_err(|e| api_error_of(&e))?;
    let tags = info.tags.iter().map(|(key, value)| json!({ "key": key, "value": value }));
    Ok(reply::json(&json!({
        "label": String::from_utf8_lossy(&info.label),
        "source": info.source.as_ref().map(|source| String::from_utf8_lossy(source)),
        "host": info.host,
        "tool": info.tool,
        "made_at": info.made_ns().map(|ns| rfc3339(ns.into())),
        "tags": tags.collect::<Vec<_>>(),
        "locked": locked,
    })))
}

/// Returns a page of the archive's members, in their order. Only paths that contain the filter count.
pub(crate) async fn files(
    node: &Node,
    server: Uuid,
    backup: Uuid,
    request: &Request<Incoming>,
) -> Result<Reply, ApiError> {
    let query = Query::of(request);
    let filter = query.text("filter")?.unwrap_or_default().to_lowercase();
    let page = query.page()?;
    let location = node.archive(server, backup).await?;
    let mut members = List::new().stream(location.archive());
    let mut total = 0;
    let mut files = Vec::new();
    while let Some(member) = members.try_next().await.map_err(|e| api_error_of(&e))? {
        let path = String::from_utf8_lossy(&member.path);
        if path.to_lowercase().contains(&filter) {
            if page.range().contains(&total) {
                files.push(File::from(member));
            }
            total += 1;
        }
    }
    Ok(reply::json(&json!({
        "files": files,
        "page": page.number,
        "per_page": page.len,
        "total": total,
    })))
}

/// A member as clients see it.
#[derive(Serialize)]
pub(super) struct File {
    #[serde(flatten)]
    member: Member,
    modified_at: String,
}

impl From<Member> for File {
    fn from(member: Member) -> Self {
        File { modified_at: rfc3339(member.mtime_ns.into()), member }
    }
}

/// Sends one file of the archive.
pub(crate) async fn file(
    node: &Arc<Node>,
    server: Uuid,
    backup: Uuid,
    request: &Request<Incoming>,
) -> Result<Reply, ApiError> {
    let path = Query::of(request).bytes("path");
    let path = path.ok_or_else(|| ApiError::invalid("the path is missing"))?;
    one(node.archive(server, backup).await?, path).await
}

/// Sends a file of an archive. A missing file or a read error at its beginning gives an error status.
pub(crate) async fn one(location: ArchiveLocation, path: Vec<u8>) -> Result<Reply, ApiError> {
    let members = List::new().stream(location.archive());
    let found = members.try_filter(|member| std::future::ready(member.path == path));
    let member = pin!(found).try_next().await.map_err(|e| api_error_of(&e))?;
    let member = member.ok_or_else(|| ApiError::missing("there is no such file in the backup"))?;
    if !matches!(member.kind, MemberKind::File | MemberKind::HardLink) {
        return Err(ApiError::invalid("it is not a file"));
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, member.size.into());
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    headers.insert(header::CONTENT_DISPOSITION, attachment(&String::from_utf8_lossy(name)));
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);

    let (bytes_in, bytes) = mpsc::channel(1);
    let mut failed = bytes_in.clone();
    // The stream below polls this future.
    let copy = async move {
        if let Err(e) = location.archive().copy_file(path, ChannelWriter(bytes_in)).await {
            tracing::warn!("cannot send a file of an archive: {e}");
            let _ = failed.send(Err(io::Error::other(e))).await;
        }
    };
    let copying = futures::stream::once(copy).filter_map(|()| async { None });
    let mut bytes = Box::pin(futures::stream::select(bytes, copying));
    let first = match bytes.next().await {
        Some(Err(e)) => {
            let error = e.get_ref().and_then(|e| e.downcast_ref::<wingback::Error>());
            return Err(error.map_or_else(|| ApiError::failed(&e), api_error_of));
        }
        first => futures::stream::iter(first),
    };
    Ok(reply::stream(StatusCode::OK, headers, first.chain(bytes)))
}

/// Returns a link for one download, of the archive or of a file in it.
pub(crate) async fn link(
    node: &Node,
    server: Uuid,
    backup: Uuid,
    request: Request<Incoming>,
) -> Result<Reply, ApiError> {
    let Link { file } = body::json(request, &node.config.wingback).await?;
    node.archive(server, backup).await?;
    let token = node.tokens.for_download(server, backup, file);
    Ok(reply::json(&json!({ "url": format!("/download/backup?token={token}") })))
}

/// Converts an error of the engine.
pub(super) fn api_error_of(error: &wingback::Error) -> ApiError {
    match error.kind() {
        ErrorKind::NotFound => ApiError::missing("there is no such file"),
        ErrorKind::InvalidInput => ApiError::invalid(error.to_string()),
        _ => ApiError::failed(error),
    }
}

/// Sends written bytes to a channel.
struct ChannelWriter(mpsc::Sender<io::Result<Bytes>>);

impl AsyncWrite for ChannelWriter {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.0.poll_ready(cx)).map_err(gone)?;
        self.0.start_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.close_channel();
        Poll::Ready(Ok(()))
    }
}
