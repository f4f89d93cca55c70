//! Makes one backup: from its turn to the word to the Panel.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use blocking::unblock;
use serde_json::json;
use smol::Timer;
use uuid::Uuid;
use wingback::{Backup, Cache, Error, ErrorKind, Previous, Report, Result};

use crate::{
    answer::{Heard, Outcome},
    archives,
    config::Trust,
    events::progress,
    job::{Active, Pace},
    moment::Moment,
    node::Node,
    outbox::{self, Subject},
    panel::PartUrls,
    queue::{Claim, Turn},
    record::{self, Delivery, Made, Part, Place, State},
};

/// Between two times of asking a Panel that does not know the backup yet.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Queues the job, and sees to all of it.
pub(crate) fn start(node: Arc<Node>, job: Active, dir: PathBuf, ignore: String) {
    let claim = Claim { job: job.uuid, server: Some(job.server), slot: true };
    let turn = node.queue.enter(claim);
    smol::spawn(async move {
        let started = Instant::now();
        let result = job.work(run(&node, &job, turn, dir, ignore)).await;
        node.metrics.backup_over(started.elapsed(), result.as_ref().ok());
        end(&node, job, result).await;
    })
    .detach();
}

async fn run(
    node: &Node,
    job: &Active,
    turn: impl Future<Output = Turn>,
    dir: PathBuf,
    ignore: String,
) -> Result<Made> {
    // The turn ends when nothing of the job is left.
    let _turn = job.turn(turn).await?;
    // A full disk may keep it waiting here.
    let running = node.backups.update(job.uuid, |backup| backup.state = State::Running);
    let record = job.turn(running).await?;
    let record = record.ok_or_else(|| Error::new(ErrorKind::Internal, "find the record"))?;
    let place = record.place;
    tracing::info!(backup = %job.uuid, server = %job.server, ?place, "a backup begins");
    node.events.send(job.server, "backup progress", progress(None));
    let tell = |pace: &Pace| {
        node.events.send(job.server, "backup progress", progress(Some(&json!(pace))));
    };

    let options = &node.config.wingback;
    let mut backup = Backup::new(dir)
        .exclude(ignore)
        .rules(options.rules)
        .ignore_file(options.ignore_mode)
        .ignore_file_name(&*options.ignore_file)
        .profile(options.profile)
        .level(node.config.level())
        .background(options.background)
        .write_limit(node.write_limit.clone())
        .trust_mtime(options.trust == Trust::Mtime)
        .state_dir(node.config.engine_directory())
        .count_first(true);
    if options.threads > 0 {
        backup = backup.threads(options.threads);
    }
    if place == Place::Local {
        if let Some(previous) = previous(node, job.server)? {
            backup = backup.previous(previous);
        }
    } else if options.cache_mib > 0 {
        let dir = node.config.state_directory().join("cache");
        backup = backup.cache(Cache::new(dir, options.cache_mib.saturating_mul(1 << 20)));
    }
    match archives::at(&node.config, &record)? {
        Some(at) => {
            let report = job.run(backup.start(at.store, at.key), tell).await?;
            Ok(made(&report, Vec::new()))
        }
        None => {
            let estimate = job.run(backup.clone().estimate(), |_| ()).await?;
            let urls = part_urls(node, job, estimate.archive_max).await?;
            let staging = node.config.backup_directory();
            let dir = staging.clone();
            unblock(move || wingback::make_dirs(&dir, 0o700))
                .await
                .map_err(|e| Error::io("create the directory", e).at(&staging))?;
            let urls = wingback::PartUrls::new(urls.parts, urls.part_size)?.staging(staging);
            let (upload, parts) = urls.upload();
            let report = job.run(backup.send_to(upload), tell).await?;
            let parts = parts.get().into_iter();
            let parts = parts.map(|part| Part { etag: part.etag, part_number: part.number });
            Ok(made(&report, parts.collect()))
        }
    }
}

/// The server's newest local archive, unless each is to be made from its files alone.
fn previous(node: &Node, server: Uuid) -> Result<Option<Previous>> {
    if !node.config.wingback.previous {
        return Ok(None);
    }
    let is_it = |backup: &record::Backup| {
        backup.server == server && backup.is_complete() && backup.place == Place::Local
    };
    let newest = node.backups.select(is_it).into_iter().max_by_key(|backup| backup.completed);
    let Some(newest) = newest else { return Ok(None) };
    let at = archives::at(&node.config, &newest)?;
    Ok(at.map(|at| Previous::Key(at.key)))
}

/// Asks the Panel, which may not have committed yet what it asked for. An asking that it may have
/// heard is not repeated: each begins an upload of its own.
async fn part_urls(node: &Node, job: &Active, at_most: u64) -> Result<PartUrls> {
    const OPERATION: &str = "ask the Panel for part URLs";
    let no_panel = || Error::new(ErrorKind::InvalidInput, OPERATION).caused_by("there is none");
    let panel = node.panel.as_ref().ok_or_else(no_panel)?;
    let asking = async {
        let until = Instant::now() + node.config.wingback.panel_missing_timeout;
        loop {
            let Outcome { heard, answer, pause } = match panel.part_urls(job.uuid, at_most).await {
                Ok(urls) => return Ok(urls),
                Err(outcome) => outcome,
            };
            let can_wait = matches!(heard, Heard::Missing | Heard::NotNow);
            let kind = match heard {
                Heard::Missing => ErrorKind::NotFound,
                Heard::Already => ErrorKind::AlreadyExists,
                _ => ErrorKind::Io,
            };
            let left = until.saturating_duration_since(Instant::now());
            if !can_wait || left.is_zero() {
                return Err(Error::new(kind, OPERATION).caused_by(answer));
            }
            tracing::warn!(backup = %job.uuid, answer, "the Panel gives no part URLs yet");
            Timer::after(ASK_AGAIN.max(pause.unwrap_or_default()).min(left)).await;
        }
    };
    job.turn(asking).await?
}

fn made(report: &Report, parts: Vec<Part>) -> Made {
    Made {
        size: report.size,
        sha1: report.sha1_hex(),
        copied: report.copied,
        files: report.files,
        skipped: report.skipped.total(),
        partial: report.is_partial(),
        warnings: report.warnings.iter().map(ToString::to_string).collect(),
        parts,
    }
}

/// Notes down how a backup ended, and tells whoever wants to know.
pub(crate) async fn end(node: &Arc<Node>, job: Active, result: Result<Made>) {
    let (uuid, server) = (job.uuid, job.server);
    job.ending.set();
    let (made, error) = match result {
        Ok(made) => (Some(made), None),
        Err(e) => (None, Some(e.to_string())),
    };
    match (&made, &error) {
        (Some(Made { size, sha1, .. }), _) => {
            tracing::info!(backup = %uuid, %server, size, sha1, "a backup is complete");
        }
        (_, why) => tracing::warn!(backup = %uuid, %server, why, "a backup has failed"),
    }
    let told = if node.panel.is_some() { Delivery::Pending } else { Delivery::None };
    let noted = made.clone();
    node.backups
        .update(uuid, move |backup| {
            backup.state = if noted.is_some() { State::Complete } else { State::Failed };
            backup.completed = Some(Moment::now());
            backup.made = noted;
            backup.error = error;
            backup.telling.state = told;
        })
        .await;
    // Whoever hears of it finds it over.
    drop(job);
    let made = made.as_ref().map(|made| (&*made.sha1, made.size));
    node.events.backup_over(server, uuid, made);
    outbox::tell(node, Subject::Backup(uuid));
}
