//! Verifies all backups of a server, one after another.

use std::{cmp::Reverse, sync::Arc};

use uuid::Uuid;

use crate::{
    api_error::ApiError,
    commands,
    job::{Active, Kind, spawn},
    node::Node,
    record,
};

/// Begins to verify the complete backups of a server, those of the oldest verifications first. Returns their number.
///
/// Only one of them is queued at a time, so that the backups of other servers do not wait for all.
pub(crate) async fn start(node: &Arc<Node>, server: Uuid) -> Result<usize, ApiError> {
    commands::check_open(node)?;
    node.server(server).await?;
    let busy = || ApiError::conflict("the backups of this server are being verified");
    let pass = node.passes.begin(server, server, Kind::Verify).ok_or_else(busy)?;
    let is_complete = |b: &record::Backup| b.server == server && b.is_complete();
    let mut backups = node.backups.select(is_complete);
    let last = |b: &record::Backup| b.verified.as_ref().map(|verified| verified.at);
    backups.sort_by_key(|backup| (last(backup), Reverse(backup.created)));
    let backups: Vec<_> = backups.into_iter().map(|backup| backup.uuid).collect();
    let count = backups.len();
    let node = node.clone();
    spawn(async move { run(&node, &pass, backups).await });
    Ok(count)
}

async fn run(node: &Arc<Node>, pass: &Active, backups: Vec<Uuid>) {
    for backup in backups {
        let job = match commands::verify(node, pass.server, backup).await {
            Ok(job) => job,
            Err(e) => {
                // It was deleted, has another job, or only the Panel can reach it.
                tracing::info!(%backup, server = %pass.server, why = e.text, "not verified");
                continue;
            }
        };
        if pass.unless_cancelled(job.finished()).await.is_err() {
            job.cancel();
            job.finished().await;
            return;
        }
    }
}

/// Ends the verification of a server's backups, and resolves after it has ended.
pub(crate) async fn cancel(node: &Node, server: Uuid) -> Result<(), ApiError> {
    node.server(server).await?;
    let none = || ApiError::conflict("the backups of this server are not being verified");
    let pass = node.passes.get(server).ok_or_else(none)?;
    pass.cancel();
    pass.finished().await;
    Ok(())
}
