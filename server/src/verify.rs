//! Verifies the archive of one backup.

use std::sync::Arc;

use wingback::{ErrorKind, Result, Verified, Verify};

use crate::{
    archives::ArchiveLocation,
    job::{Active, spawn},
    node::Node,
    queue::{Claim, Turn},
    record::{Finding, VerifyResult},
    timestamp::Timestamp,
};

/// Queues the job, and runs it to its end.
pub(crate) fn start(node: Arc<Node>, job: Active, location: ArchiveLocation) {
    let claim = Claim { job: job.uuid, server: None, slot: true };
    let turn = node.queue.enter(claim);
    let work = async move {
        let result = job.work(run(&node, &job, turn, &location)).await;
        job.set_ending();
        match result {
            Ok(verified) => record(&node, &job, damage_of(&verified)).await,
            Err(e) if e.kind() == ErrorKind::Cancelled => {}
            Err(e) if e.kind() == ErrorKind::Corrupt => {
                record(&node, &job, vec![Finding::of_error(&e)]).await
            }
            // An archive that cannot be read may be undamaged: the last result stays.
            Err(e) => {
                tracing::warn!(backup = %job.uuid, server = %job.server, "cannot verify the backup: {e}");
                node.events.message(job.server, format!("The backup could not be verified: {e}"));
            }
        }
        let (server, event) = (job.server, format!("backup verified:{}", job.uuid));
        // The job ends before clients receive the event.
        drop(job);
        node.events.send(server, event, Vec::new());
    };
    spawn(work);
}

async fn run(
    node: &Node,
    job: &Active,
    turn: impl Future<Output = Turn>,
    location: &ArchiveLocation,
) -> Result<Verified> {
    let _turn = job.unless_cancelled(turn).await?;
    let mut verify = Verify::new().background(node.config.wingback.background);
    if node.config.wingback.threads > 0 {
        verify = verify.threads(node.config.wingback.threads);
    }
    let recorded = node.backups.get(job.uuid).and_then(|backup| backup.archive);
    if let Some(sha1) = recorded.and_then(|archive| archive.sha1()) {
        verify = verify.sha1(sha1);
    }
    job.run(verify.start(location.archive()), |_| ()).await
}

fn damage_of(verified: &Verified) -> Vec<Finding> {
    let damage = verified.damage.iter().map(|damage| Finding::new(damage.code(), damage));
    let mut damage: Vec<_> = damage.collect();
    if verified.sha1_matches == Some(false) {
        damage.push(Finding::new("sha1", "its SHA-1 differs from the recorded one"));
    }
    damage
}

async fn record(node: &Node, job: &Active, damage: Vec<Finding>) {
    tracing::info!(backup = %job.uuid, server = %job.server, damage = damage.len(), "backup verified");
    let result = VerifyResult { at: Timestamp::now(), damage };
    node.backups.update(job.uuid, |backup| backup.verified = Some(result)).await;
}
