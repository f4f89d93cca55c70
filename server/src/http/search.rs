//! Differences between backups, and the versions of files in them.

use futures::TryStreamExt;
use hyper::{Request, body::Incoming};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;
use wingback::{Diff, ErrorKind, FileVersion, Find};

use crate::{
    api_error::ApiError,
    http::{
        body::Query,
        contents::{File, api_error_of},
        reply::{self, Reply},
    },
    node::{Node, uuid_of},
    server_store::ServerStore,
    timestamp::rfc3339,
};

/// Files that may match, because all of them are in memory at once.
const FOUND_MAX: u64 = 200_000;

/// Returns a page of the differences between a backup and another one, or the files of the server now.
pub(crate) async fn diff(
    node: &Node,
    server: Uuid,
    backup: Uuid,
    request: &Request<Incoming>,
) -> Result<Reply, ApiError> {
    let query = Query::of(request);
    let page = query.page()?;
    let mut diff = Diff::new();
    if let Some(path) = query.bytes("path").filter(|path| !path.is_empty()) {
        diff = diff.select(path);
    }
    let archive = node.archive(server, backup).await?.archive();
    let mut differences = match query.text("with")? {
        Some(other) => {
            let missing = || ApiError::missing("there is no such backup");
            let other = node.archive(server, uuid_of(&other).ok_or_else(missing)?).await?;
            diff.start(archive, other.archive())
        }
        None => diff.with_dir(archive, node.server(server).await?),
    };
    let mut shown = Vec::new();
    let mut total = 0;
    while let Some(difference) = differences.try_next().await.map_err(|e| api_error_of(&e))? {
        if page.range().contains(&total) {
            shown.push(difference);
        }
        total += 1;
    }
    let compared = differences.compared().ok_or_else(|| ApiError::failed("no result"))?;
    Ok(reply::json(&json!({
        "differences": shown,
        "compared": compared,
        "page": page.number,
        "per_page": page.len,
        "total": total,
    })))
}

/// Returns a page of the versions of files in all backups of a server.
pub(crate) async fn find(
    node: &Node,
    server: Uuid,
    request: &Request<Incoming>,
) -> Result<Reply, ApiError> {
    let query = Query::of(request);
    let page = query.page()?;
    let path = query.bytes("path").filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| ApiError::invalid("the path is missing"))?;
    node.server(server).await?;
    let store = ServerStore::new(node, server).map_err(ApiError::failed)?;
    let find = Find::new().select(path).max_members(FOUND_MAX);
    let found = find.start(store).await.map_err(|e| match e.kind() {
        ErrorKind::NoSpace => ApiError::invalid(e.to_string()),
        _ => api_error_of(&e),
    })?;
    let total = found.versions.len();
    let versions = found.versions.into_iter().skip(page.range().start).take(page.len);
    let unsearched = found.unsearched.iter().map(|unsearched| {
        let error = &unsearched.error;
        json!({
            "uuid": unsearched.key,
            "error": error.to_string(),
            "error_kind": error.kind(),
        })
    });
    Ok(reply::json(&json!({
        "versions": versions.map(Version::from).collect::<Vec<_>>(),
        "paths": found.paths,
        "searched": found.searched,
        "unsearched": unsearched.collect::<Vec<_>>(),
        "page": page.number,
        "per_page": page.len,
        "total": total,
    })))
}

/// A version of a file as clients see it.
#[derive(Serialize)]
struct Version {
    #[serde(flatten)]
    file: File,
    backups: Vec<FoundIn>,
}

/// A backup that contains a version.
#[derive(Serialize)]
struct FoundIn {
    uuid: String,
    made_at: Option<String>,
}

impl From<FileVersion> for Version {
    fn from(version: FileVersion) -> Self {
        let backups = version.archives.iter().map(|archive| FoundIn {
            uuid: archive.key.to_string(),
            made_at: archive.made_ns().map(|ns| rfc3339(ns.into())),
        });
        Version { backups: backups.collect(), file: File::from(version.member) }
    }
}
