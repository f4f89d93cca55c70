//! Looks at every byte of a backup's archive.

use std::sync::Arc;

use wingback::{ErrorKind, Result, Verified, Verify};

use crate::{
    archives::At,
    job::Active,
    moment::Moment,
    node::Node,
    queue::{Claim, Turn},
    record::Checked,
};

/// Queues the job, and sees to all of it.
pub(crate) fn start(node: Arc<Node>, job: Active, at: At) {
    let claim = Claim { job: job.uuid, server: None, slot: true };
    let turn = node.queue.enter(claim);
    smol::spawn(async move {
        let result = job.work(run(&node, &job, turn, &at)).await;
        job.ending.set();
        match result {
            Ok(verified) => note(&node, &job, damage_of(&verified)).await,
            Err(e) if e.kind() == ErrorKind::Cancelled => {}
            Err(e) if e.kind() == ErrorKind::Corrupt => {
                note(&node, &job, vec![e.to_string()]).await
            }
            // What could not be read may be whole: the last result stays.
            Err(e) => {
                tracing::warn!(backup = %job.uuid, server = %job.server, "cannot be verified: {e}");
                node.events.say(job.server, format!("The backup could not be verified: {e}"));
            }
        }
        let (server, event) = (job.server, format!("backup verified:{}", job.uuid));
        // Whoever hears it finds the job over.
        drop(job);
        node.events.send(server, event, Vec::new());
    })
    .detach();
}

async fn run(
    node: &Node,
    job: &Active,
    turn: impl Future<Output = Turn>,
    at: &At,
) -> Result<Verified> {
    let _turn = job.turn(turn).await?;
    let mut verify = Verify::new().background(node.config.wingback.background);
    if node.config.wingback.threads > 0 {
        verify = verify.threads(node.config.wingback.threads);
    }
    let made = node.backups.get(job.uuid).and_then(|backup| backup.made);
    if let Some(sha1) = made.and_then(|made| made.sha1()) {
        verify = verify.sha1(sha1);
    }
    job.run(verify.start(at.archive()), |_| ()).await
}

fn damage_of(verified: &Verified) -> Vec<String> {
    let mut damage: Vec<_> = verified.damage.iter().map(ToString::to_string).collect();
    if verified.sha1_matches == Some(false) {
        damage.push("its SHA-1 is not the one that it had".into());
    }
    damage
}

async fn note(node: &Node, job: &Active, damage: Vec<String>) {
    tracing::info!(backup = %job.uuid, server = %job.server, damage = damage.len(), "verified");
    let checked = Checked { at: Moment::now(), damage };
    node.backups.update(job.uuid, |backup| backup.verified = Some(checked)).await;
}
