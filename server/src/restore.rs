//! Restores one backup into a server's directory.

use std::{
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use uuid::Uuid;
use wingback::{Archive, Error, Owner, Restore, Result, Transfer, UnpackOptions};

use crate::{
    archives::At,
    config::User,
    job::{Active, Pace},
    moment::Moment,
    node::Node,
    outbox::{self, Subject},
    queue::Claim,
    record::{Adapter, Delivery, Restored},
    refusal::Refusal,
};

/// Between two lines for people.
const SAY_AGAIN: Duration = Duration::from_secs(5);

/// A restore that somebody asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) adapter: Adapter,
    /// Whether everything that is there is to go.
    pub(crate) truncate: bool,
    pub(crate) download_url: Option<String>,
}

/// What is restored, and how.
pub(crate) struct Source {
    archive: Archive<'static>,
    sha1: Option<[u8; 20]>,
    truncate: bool,
}

/// Finds the archive, before anything is promised.
pub(crate) async fn source(
    node: &Node,
    server: Uuid,
    uuid: Uuid,
    wanted: &Wanted,
) -> Result<Source, Refusal> {
    let archive = match (wanted.adapter, &wanted.download_url) {
        (Adapter::S3, Some(url)) => {
            let link = Some(url).filter(|url| url.bytes().all(is_of_uri));
            let link = link.and_then(|url| Archive::link(url, Transfer::new()).ok());
            link.ok_or_else(|| Refusal::invalid("the download_url is no http or https URL"))?
        }
        (Adapter::S3, None) if node.config.s3.is_none() => {
            return Err(Refusal::invalid("an s3 backup needs its download_url"));
        }
        _ => At::archive(&node.archive(server, uuid).await?),
    };
    let made = node.backups.get(uuid).filter(|b| b.server == server).and_then(|b| b.made);
    let sha1 = made.and_then(|made| made.sha1());
    Ok(Source { archive, sha1, truncate: wanted.truncate })
}

/// What may stand in a URI without being escaped, and the escape (RFC 3986).
fn is_of_uri(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

/// Queues the job, and sees to all of it. `id` is that of its record.
pub(crate) fn start(node: Arc<Node>, job: Active, id: Uuid, dir: PathBuf, source: Source) {
    // It needs no slot: whoever restores waits for it.
    let claim = Claim { job: job.uuid, server: Some(job.server), slot: false };
    let turn = node.queue.enter(claim);
    smol::spawn(async move {
        match job.turn(turn).await {
            Ok(turn) => {
                let result = job.work(run(&node, &job, id, dir, source)).await;
                // With its turn, so that the server has one restore at a time whose end is not on record.
                end(&node, id, job, result).await;
                drop(turn);
            }
            Err(e) => end(&node, id, job, Err(e)).await,
        }
    })
    .detach();
}

async fn run(node: &Arc<Node>, job: &Active, id: Uuid, dir: PathBuf, source: Source) -> Result<()> {
    let (uuid, server) = (job.uuid, job.server);
    job.turn(node.restores.update(id, |record| record.begun = true)).await?;
    tracing::info!(backup = %uuid, %server, "a restore begins");
    let begins = "The server must stay stopped until this is done.";
    node.events.say(server, format!("Restoring the backup {uuid}. {begins}"));
    let options = UnpackOptions::new()
        .background(node.config.wingback.background)
        .owner(owner(node.config.user(), dir.clone()).await?)
        .reserve(node.config.reserve());
    let options = match node.config.wingback.threads {
        0 => options,
        threads => options.threads(threads),
    };
    let recording = node.clone();
    let mut restore = Restore::new(dir)
        .merge(!source.truncate)
        .state_dir(node.config.engine_directory())
        .options(options)
        // Whatever happens from here on, it is done.
        .on_committed(move || {
            smol::block_on(recording.restores.update(id, |record| record.successful = Some(true)));
        });
    if let Some(sha1) = source.sha1 {
        restore = restore.sha1(sha1);
    }
    let mut said = Instant::now();
    let tell = |pace: &Pace| {
        if said.elapsed() >= SAY_AGAIN {
            said = Instant::now();
            let percent = pace.percent.map(|percent| format!(" ({percent:.0} %)"));
            let text = format!("Restoring: {} bytes{}", pace.bytes, percent.unwrap_or_default());
            node.events.say(server, text);
        }
    };
    let restored = job.run(restore.start(source.archive), tell).await?;
    for warning in &restored.warnings {
        node.events.say(server, format!("Restored, but: {warning}"));
    }
    for skipped in &restored.unpacked.skipped {
        let path = String::from_utf8_lossy(&skipped.path);
        node.events.say(server, format!("Not restored: {path}: {}", skipped.reason));
    }
    if let more @ 1.. = restored.unpacked.skipped.more() {
        node.events.say(server, format!("Not restored: {more} more"));
    }
    Ok(())
}

/// Notes down how a restore ended, and tells whoever wants to know.
pub(crate) async fn end(node: &Arc<Node>, id: Uuid, job: Active, result: Result<()>) {
    let (backup, server) = (job.uuid, job.server);
    job.ending.set();
    let error = result.err().map(|e| e.to_string());
    let successful = error.is_none();
    if node.backups.get(backup).is_some_and(|record| record.server == server) {
        let restored = Restored { at: Moment::now(), error: error.clone() };
        node.backups.update(backup, |record| record.restored = Some(restored)).await;
    }
    let told = node.panel.is_some();
    if told {
        node.restores
            .update(id, move |record| {
                record.successful = Some(successful);
                record.telling.state = Delivery::Pending;
            })
            .await;
    } else {
        node.restores.remove(id).await;
    }
    node.metrics.restore_over(successful);
    // Whoever hears of it finds it over.
    drop(job);
    match error {
        None => {
            tracing::info!(%backup, %server, "a restore is complete");
            node.events.say(server, "The backup is restored.");
            node.events.send(server, "backup restore completed", Vec::new());
        }
        Some(why) => {
            tracing::warn!(%backup, %server, why, "a restore has failed");
            node.events.say(server, format!("The restore has failed: {why}"));
        }
    }
    if told {
        outbox::tell(node, Subject::Restore(id));
    }
}

/// Who is to own the files: as configured, else as the server's directory. Only root can give files
/// away; whoever else runs the daemon owns what it writes.
async fn owner(user: User, dir: PathBuf) -> Result<Owner> {
    if !rustix::process::geteuid().is_root() {
        return Ok(Owner::Keep);
    }
    let there = smol::fs::metadata(&dir).await.map_err(|e| Error::io("look at", e).at(&dir))?;
    let (uid, gid) = (user.uid.unwrap_or(there.uid()), user.gid.unwrap_or(there.gid()));
    Ok(Owner::Fixed(uid, gid))
}
