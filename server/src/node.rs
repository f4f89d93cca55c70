//! A node: its servers, what is being done with their backups, and what is known of them. Everything
//! else works on it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_lock::Semaphore;
use blocking::unblock;
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use uuid::Uuid;
use wingback::Limiter;

use crate::{
    archives::{self, At},
    client::within,
    config::Config,
    events::Events,
    job::{Jobs, Latch},
    metrics::Metrics,
    panel::Panel,
    queue::Queue,
    record,
    records::Records,
    refusal::Refusal,
    token::Tokens,
};

/// What is looked at before a request is answered takes no longer.
pub(crate) const PREFLIGHT: Duration = Duration::from_secs(2);

/// Messages to the Panel that are under way at once.
const TELLERS: usize = 4;

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
    /// Held for as long as the process lives: the records are one daemon's.
    _lock: File,
}

impl Node {
    pub(crate) fn new(config: Config) -> Result<Self, String> {
        let state = config.state_directory();
        let open = |e: io::Error| format!("{}: {e}", state.display());
        let lock = lock(&state).map_err(open)?;
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
            _lock: lock,
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

    /// The record of a server's backup.
    pub(crate) fn backup(&self, server: Uuid, uuid: Uuid) -> Result<record::Backup, Refusal> {
        let backup = self.backups.get(uuid).filter(|b| b.server == server && !b.deleted);
        backup.ok_or_else(|| Refusal::missing("there is no such backup"))
    }

    /// A complete archive that the daemon can read, recorded or not.
    pub(crate) async fn archive(&self, server: Uuid, uuid: Uuid) -> Result<At, Refusal> {
        let missing = || Refusal::missing("there is no such backup");
        let Some(backup) = self.backups.get(uuid) else {
            let look = async {
                let at = archives::unrecorded(&self.config, server, uuid).await;
                at.map_err(io::Error::other)
            };
            let at = within(PREFLIGHT, look).await;
            return at.map_err(Refusal::failed)?.ok_or_else(missing);
        };
        if backup.server != server || !backup.is_complete() {
            return Err(missing());
        }
        let at = archives::at(&self.config, &backup).map_err(Refusal::failed)?;
        at.ok_or_else(|| Refusal::conflict("the archive lies where only the Panel can reach it"))
    }
}

/// The lock of a state directory, which is made if it is not there.
fn lock(state: &Path) -> io::Result<File> {
    wingback::make_dirs(state, 0o700)?;
    let file = File::create(state.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(io::Error::other("another daemon uses this directory")),
        locked => Ok(locked.map(|()| file)?),
    }
}

/// A UUID in its usual form; other spellings could name one thing twice.
pub(crate) fn uuid_of(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    text.eq_ignore_ascii_case(&uuid.to_string()).then_some(uuid)
}

/// Runs what may hang, as a dead mount does, and waits no longer than a client should.
pub(crate) async fn in_time<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    within(PREFLIGHT, unblock(work)).await
}
