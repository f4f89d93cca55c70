//! A node: its servers, what is being done with their backups, and what is known of them.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_lock::Semaphore;
use blocking::unblock;
use hyper::StatusCode;
use rustix::fs::{Access, access, statvfs};
use uuid::Uuid;
use wingback::{ErrorKind, Limiter};

use crate::{
    archives::{self, At},
    backup,
    client::within,
    config::Config,
    events::Events,
    job::{Jobs, Kind, Latch},
    metrics::Metrics,
    moment::Moment,
    outbox,
    panel::Panel,
    queue::Queue,
    record::{self, Adapter, Delivery, Place, State, Telling},
    records::Records,
    refusal::Refusal,
    restore,
    token::Tokens,
    verify,
};

/// What is looked at before a request is answered takes no longer.
const PREFLIGHT: Duration = Duration::from_secs(2);

/// Messages to the Panel that are under way at once.
const TELLERS: usize = 4;

/// How long the Panel is told things when the daemon stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) tokens: Tokens,
    pub(crate) panel: Option<Panel>,
    pub(crate) backups: Records<record::Backup>,
    pub(crate) restores: Records<record::Restore>,
    pub(crate) jobs: Jobs,
    pub(crate) queue: Queue,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    pub(crate) write_limit: Limiter,
    pub(crate) telling: Semaphore,
    /// Room for WebSockets.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) stopping: Latch,
}

/// A backup that somebody asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) adapter: Adapter,
    pub(crate) uuid: Uuid,
    pub(crate) ignore: String,
}

impl Node {
    pub(crate) fn new(config: Config) -> Result<Self, String> {
        let state = config.state_directory();
        let open = |e: io::Error| format!("{}: {e}", state.display());
        Ok(Node {
            tokens: Tokens::new(config.token.clone()),
            panel: Panel::of(&config)?,
            backups: Records::open(state.join("backups")).map_err(open)?,
            restores: Records::open(state.join("restores")).map_err(open)?,
            jobs: Jobs::default(),
            queue: Queue::new(config.wingback.slots),
            events: Events::default(),
            metrics: Metrics::default(),
            write_limit: Limiter::new(config.write_limit()),
            telling: Semaphore::new(TELLERS),
            sockets: Arc::new(Semaphore::new(config.wingback.max_connections)),
            stopping: Latch::new(),
            config,
        })
    }

    /// Takes over what can change while jobs run: tokens and limits.
    pub(crate) fn reload(&self, config: &Config) {
        self.tokens.replace(config.token.clone());
        if let Some(panel) = &self.panel {
            panel.reload(config);
        }
        self.write_limit.set_rate(config.write_limit());
        self.queue.set_slots(config.wingback.slots);
    }

    /// The directory of a server, if there is such a server.
    pub(crate) async fn server(&self, server: Uuid) -> Result<PathBuf, Refusal> {
        let dir = self.config.data().join(server.to_string());
        let looked = dir.clone();
        let is_there = in_time(move || Ok(looked.is_dir())).await.map_err(Refusal::failed)?;
        is_there.then_some(dir).ok_or_else(|| Refusal::missing("there is no such server"))
    }

    /// The UUIDs of all servers, in their order.
    pub(crate) async fn servers(&self) -> io::Result<Vec<Uuid>> {
        let data = self.config.data();
        in_time(move || {
            let mut servers = Vec::new();
            for entry in std::fs::read_dir(data)? {
                let entry = entry?;
                let name = entry.file_name();
                let uuid = name.to_str().and_then(uuid_of);
                servers.extend(uuid.filter(|_| entry.path().is_dir()));
            }
            servers.sort_unstable();
            Ok(servers)
        })
        .await
    }

    /// Queues a backup, after all that can be known of it without walking the tree.
    pub(crate) async fn back_up(
        self: &Arc<Self>,
        server: Uuid,
        wanted: Wanted,
    ) -> Result<(), Refusal> {
        self.check_open()?;
        let dir = self.server(server).await?;
        let Wanted { adapter, uuid, ignore } = wanted;
        let place = archives::place(&self.config, adapter).ok_or_else(|| {
            Refusal::invalid("the adapter s3 needs an S3 service or a Panel in the configuration")
        })?;
        self.check_destination(place, server, uuid).await?;
        let exists = || Refusal::conflict("there is a backup with this UUID");
        let Some(job) = self.jobs.begin(uuid, server, Kind::Backup) else { return Err(exists()) };
        let record = record::Backup {
            uuid,
            server,
            place,
            state: State::Queued,
            created: Moment::now(),
            completed: None,
            made: None,
            error: None,
            verified: None,
            restored: None,
            deleted: false,
            telling: Telling::default(),
        };
        let may_replace = |there: &record::Backup| {
            there.state == State::Failed && there.telling.state != Delivery::Pending
        };
        if !self.backups.add(record, may_replace).await.map_err(Refusal::failed)? {
            return Err(exists());
        }
        backup::start(self.clone(), job, dir, ignore);
        Ok(())
    }

    /// Refuses what comes while the daemon stops, or when too much waits already.
    fn check_open(&self) -> Result<(), Refusal> {
        if self.stopping.is_set() {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping"));
        }
        if self.queue.lengths().1 >= self.config.wingback.max_queued {
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the queue is full"));
        }
        Ok(())
    }

    async fn check_destination(
        &self,
        place: Place,
        server: Uuid,
        uuid: Uuid,
    ) -> Result<(), Refusal> {
        if place != Place::Local {
            return Ok(());
        }
        let look = async {
            archives::unrecorded(&self.config, server, uuid).await.map_err(io::Error::other)
        };
        if within(PREFLIGHT, look).await.map_err(Refusal::failed)?.is_some() {
            return Err(Refusal::conflict("there is a backup with this UUID"));
        }
        let (dir, reserve) = (self.config.backup_directory(), self.config.reserve());
        let shown = dir.display().to_string();
        let checked = in_time(move || {
            std::fs::create_dir_all(&dir)?;
            access(&dir, Access::WRITE_OK | Access::EXEC_OK)?;
            let room = statvfs(&dir)?;
            Ok(room.f_bavail.saturating_mul(room.f_frsize) > reserve)
        });
        match checked.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::failed(format!("{shown}: there is not enough room"))),
            Err(e) => Err(Refusal::failed(format!("{shown}: {e}"))),
        }
    }

    /// The record of a server's backup.
    pub(crate) fn backup(&self, server: Uuid, uuid: Uuid) -> Result<record::Backup, Refusal> {
        let backup = self.backups.get(uuid).filter(|b| b.server == server && !b.deleted);
        backup.ok_or_else(|| Refusal::missing("there is no such backup"))
    }

    /// A complete archive that the daemon can read, recorded or not.
    pub(crate) async fn archive(&self, server: Uuid, uuid: Uuid) -> Result<At, Refusal> {
        let missing = || Refusal::missing("there is no such backup");
        let Some(backup) = self.backups.get(uuid) else {
            let at = archives::unrecorded(&self.config, server, uuid).await;
            return at.map_err(Refusal::failed)?.ok_or_else(missing);
        };
        if backup.server != server || !backup.is_complete() {
            return Err(missing());
        }
        let at = archives::at(&self.config, backup.place, server, uuid).map_err(Refusal::failed)?;
        at.ok_or_else(|| Refusal::conflict("the archive lies where only the Panel can reach it"))
    }

    /// Cancels a backup that waits or is made, or a check, and resolves once nothing is left of it.
    pub(crate) async fn cancel(&self, server: Uuid, uuid: Uuid) -> Result<(), Refusal> {
        match self.jobs.get(uuid) {
            Some(job) if job.server == server => {
                job.cancel();
                job.over().await;
                Ok(())
            }
            _ => {
                self.backup(server, uuid)?;
                Err(Refusal::conflict("nothing is being done with this backup"))
            }
        }
    }

    /// Removes a backup. One that waits or is made is cancelled.
    pub(crate) async fn delete(&self, server: Uuid, uuid: Uuid) -> Result<(), Refusal> {
        if let Some(job) = self.jobs.get(uuid).filter(|job| job.server == server) {
            if job.kind == Kind::Restore {
                return Err(Refusal::conflict("the backup is being restored"));
            }
            job.cancel();
            job.over().await;
        }
        let Some(backup) = self.backups.get(uuid) else {
            let at = self.archive(server, uuid).await?;
            return at.remove().await.map_err(Refusal::failed);
        };
        if backup.server != server || backup.deleted {
            return Err(Refusal::missing("there is no such backup"));
        }
        if backup.state == State::Complete {
            let at = archives::at(&self.config, backup.place, server, uuid);
            if let Some(at) = at.map_err(Refusal::failed)? {
                at.remove().await.map_err(Refusal::failed)?;
            }
        }
        // What the Panel has not been told yet is still to be told.
        match self.backups.update(uuid, |backup| backup.deleted = true).await {
            Some(backup) if backup.telling.state == Delivery::Pending => {}
            _ => self.backups.remove(uuid).await,
        }
        Ok(())
    }

    pub(crate) async fn restore(
        self: &Arc<Self>,
        server: Uuid,
        uuid: Uuid,
        wanted: restore::Wanted,
    ) -> Result<(), Refusal> {
        self.check_open()?;
        let dir = self.server(server).await?;
        let source = restore::source(self, server, uuid, &wanted).await?;
        // A check gives way.
        if let Some(job) = self.jobs.get(uuid).filter(|job| job.kind == Kind::Verify) {
            job.cancel();
            job.over().await;
        }
        let Some(job) = self.jobs.begin(uuid, server, Kind::Restore) else {
            return Err(Refusal::conflict("something is being done with this backup"));
        };
        let record = record::Restore {
            id: Uuid::new_v4(),
            backup: uuid,
            server,
            created: Moment::now(),
            successful: None,
            telling: Telling::default(),
        };
        let id = record.id;
        self.restores.add(record, |_| false).await.map_err(Refusal::failed)?;
        restore::start(self.clone(), job, id, dir, source);
        Ok(())
    }

    pub(crate) async fn verify(self: &Arc<Self>, server: Uuid, uuid: Uuid) -> Result<(), Refusal> {
        self.check_open()?;
        self.backup(server, uuid)?;
        let at = self.archive(server, uuid).await?;
        let Some(job) = self.jobs.begin(uuid, server, Kind::Verify) else {
            return Err(Refusal::conflict("something is being done with this backup"));
        };
        verify::start(self.clone(), job, at);
        Ok(())
    }

    /// Takes nothing new, and ends what runs: what waits at once, the rest within the time that the
    /// configuration gives it.
    pub(crate) async fn stop(&self) {
        self.stopping.set();
        let deadline = Instant::now() + self.config.wingback.stop_timeout;
        let running: Vec<_> = self.jobs.all();
        for job in running.iter().filter(|job| !job.has_begun()) {
            job.cancel();
        }
        let all_over = async {
            for job in &running {
                job.over().await;
            }
        };
        let late = async {
            smol::Timer::at(deadline).await;
            tracing::warn!("cancelling what is still running");
            for job in &running {
                job.cancel();
            }
            smol::Timer::after(Duration::from_secs(10)).await;
        };
        smol::future::or(all_over, late).await;
        // What cannot be said now is said by the next daemon.
        let told = async {
            while outbox::pending(self) > 0 {
                smol::Timer::after(Duration::from_millis(50)).await;
            }
        };
        let enough = async {
            smol::Timer::after(LAST_WORDS).await;
        };
        smol::future::or(told, enough).await;
    }
}

/// A UUID in its usual form; other spellings could name one thing twice.
pub(crate) fn uuid_of(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    text.eq_ignore_ascii_case(&uuid.to_string()).then_some(uuid)
}

/// Whether an error of the engine's is about an archive that is not there.
pub(crate) fn refusal_of(error: &wingback::Error) -> Refusal {
    match error.kind() {
        ErrorKind::NotFound => Refusal::missing("there is no such file"),
        ErrorKind::InvalidInput => Refusal::invalid(error.to_string()),
        _ => Refusal::failed(error),
    }
}

/// Runs what may hang, as a dead mount does, and waits no longer than a client should.
async fn in_time<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    within(PREFLIGHT, unblock(work)).await
}
