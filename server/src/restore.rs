//! Restores one backup into a server's directory.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::{Either, select};
use uuid::Uuid;
use wingback::{
    Archive, Error, ErrorKind, Owner, Restore, Restored, Result, Transfer, UnpackOptions,
};

use crate::{
    archives::At,
    config::User,
    job::{Active, Pace},
    moment::Moment,
    node::Node,
    outbox::{self, Subject},
    queue::{Claim, Turn},
    record::{Adapter, Restored as Ended, Told},
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
            let link = Archive::link(url, Transfer::new());
            link.map_err(|_| Refusal::invalid("the download_url is no http or https URL"))?
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

/// Queues the job, and sees to all of it. `id` is that of its record.
pub(crate) fn start(node: Arc<Node>, job: Active, id: Uuid, dir: PathBuf, source: Source) {
    // It needs no slot: whoever restores waits for it.
    let claim = Claim { job: job.uuid, server: Some(job.server), slot: false };
    let turn = node.queue.enter(claim);
    smol::spawn(async move {
        let result = run(&node, &job, turn, &dir, source).await;
        end(&node, id, job.uuid, job.server, result.map(drop)).await;
    })
    .detach();
}

async fn run(
    node: &Node,
    job: &Active,
    turn: impl Future<Output = Turn>,
    dir: &Path,
    source: Source,
) -> Result<Restored> {
    let _turn = match select(pin!(turn), pin!(job.cancelled.wait())).await {
        Either::Left((turn, _)) => turn,
        Either::Right(_) => return Err(Error::new(ErrorKind::Cancelled, "wait for its turn")),
    };
    tracing::info!(backup = %job.uuid, server = %job.server, "a restore begins");
    node.events.say(
        job.server,
        format!(
            "Restoring the backup {}. The server must stay stopped until this is done.",
            job.uuid
        ),
    );
    let mut options = UnpackOptions::new()
        .background(node.config.wingback.background)
        .owner(owner(node.config.user(), dir))
        .reserve(node.config.reserve());
    if node.config.wingback.threads > 0 {
        options = options.threads(node.config.wingback.threads);
    }
    let mut restore = Restore::new(dir).merge(!source.truncate).options(options);
    if let Some(sha1) = source.sha1 {
        restore = restore.sha1(sha1);
    }
    let mut said = Instant::now();
    let tell = |pace: &Pace| {
        if said.elapsed() >= SAY_AGAIN {
            said = Instant::now();
            let percent = pace.percent.map(|percent| format!(" ({percent:.0} %)"));
            let text = format!("Restoring: {} bytes{}", pace.bytes, percent.unwrap_or_default());
            node.events.say(job.server, text);
        }
    };
    let restored = job.run(restore.start(source.archive), tell).await?;
    for warning in &restored.warnings {
        node.events.say(job.server, format!("Restored, but: {warning}"));
    }
    Ok(restored)
}

/// Notes down how a restore ended, and tells whoever wants to know.
pub(crate) async fn end(
    node: &Arc<Node>,
    id: Uuid,
    backup: Uuid,
    server: Uuid,
    result: Result<()>,
) {
    let successful = result.is_ok();
    let restored =
        Ended { at: Moment::now(), error: result.as_ref().err().map(ToString::to_string) };
    let is_recorded = node.backups.get(backup).is_some_and(|record| record.server == server);
    if is_recorded {
        node.backups.update(backup, |record| record.restored = Some(restored)).await;
    }
    match result {
        Ok(()) => {
            tracing::info!(%backup, %server, "a restore is complete");
            node.events.say(server, "The backup is restored.");
            node.events.send(server, "backup restore completed", Vec::new());
        }
        Err(e) => {
            tracing::warn!(%backup, %server, "a restore has failed: {e}");
            node.events.say(server, format!("The restore has failed: {e}"));
        }
    }
    node.metrics.restore_over(successful);
    if node.panel.is_none() {
        node.restores.remove(id).await;
        return;
    }
    node.restores
        .update(id, move |restore| {
            restore.successful = Some(successful);
            restore.telling.state = Told::Pending;
        })
        .await;
    outbox::tell(node, Subject::Restore(id));
}

/// Who is to own the files: as configured, else as the server's directory. Only root can give files
/// away; whoever else runs the daemon owns what it writes.
fn owner(user: User, dir: &Path) -> Owner {
    if !rustix::process::geteuid().is_root() {
        return Owner::Keep;
    }
    let there = std::fs::metadata(dir).map(|meta| (meta.uid(), meta.gid())).unwrap_or_default();
    Owner::Fixed(user.uid.unwrap_or(there.0), user.gid.unwrap_or(there.1))
}
