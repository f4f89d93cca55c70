//! A node: its servers, its jobs and the records of its backups. All other modules work on it.

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
    api_error::ApiError,
    archives::{self, ArchiveLocation},
    cancel::CancelToken,
    config::Config,
    deadline::within,
    events::Events,
    job::Jobs,
    metrics::Metrics,
    panel::Panel,
    queue::Queue,
    record,
    records::Records,
    token::Tokens,
};

/// Time limit for checks before the response to a request.
pub(crate) const PREFLIGHT: Duration = Duration::from_secs(2);

/// Notifications that are sent to the Panel at the same time.
const NOTIFICATIONS_MAX: usize = 4;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Config,
    pub(crate) tokens: Tokens,
    pub(crate) panel: Option<Panel>,
    pub(crate) backups: Records<record::Backup>,
    pub(crate) restores: Records<record::Restore>,
    pub(crate) jobs: Jobs,
    /// Verifications of all backups of a server, by the UUID of the server.
    pub(crate) passes: Jobs,
    pub(crate) queue: Queue,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    /// Limit of all backups and restores together.
    pub(crate) write_limit: Limiter,
    pub(crate) notifications: Semaphore,
    /// Permits for WebSockets.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) stopping: CancelToken,
    /// Lock of the state directory. Only one daemon may use the records.
    _lock: File,
}

impl Node {
    pub(crate) fn new(config: Config) -> Result<Self, String> {
        let state = config.state_directory();
        let open = |e: io::Error| format!("{}: {e}", state.display());
        let lock = lock(&state).map_err(open)?;
        wingback::set_memory_limit(config.memory_limit());
        Ok(Node {
            tokens: Tokens::new(config.token.clone(), config.tokens()),
            panel: Panel::of(&config)?,
            backups: Records::open(state.join("backups")).map_err(open)?,
            restores: Records::open(state.join("restores")).map_err(open)?,
            jobs: Jobs::default(),
            passes: Jobs::default(),
            queue: Queue::new(config.wingback.slots),
            events: Events::default(),
            metrics: Metrics::default(),
            write_limit: Limiter::new(config.write_limit()),
            notifications: Semaphore::new(NOTIFICATIONS_MAX),
            sockets: Arc::new(Semaphore::new(config.wingback.max_connections)),
            stopping: CancelToken::new(),
            _lock: lock,
            config,
        })
    }

    /// Applies the settings that can change while jobs run: tokens and limits.
    pub(crate) fn reload(&self, config: &Config) {
        self.tokens.replace(config.token.clone());
        if let Some(panel) = &self.panel {
            panel.reload(config);
        }
        self.write_limit.set_rate(config.write_limit());
        wingback::set_memory_limit(config.memory_limit());
        self.queue.set_slots(config.wingback.slots);
    }

    /// Returns the directory of a server, or a 404 error.
    pub(crate) async fn server(&self, server: Uuid) -> Result<PathBuf, ApiError> {
        let dir = self.config.data().join(server.to_string());
        let looked = dir.clone();
        let is_there = in_time(move || Ok(looked.is_dir())).await.map_err(ApiError::failed)?;
        is_there.then_some(dir).ok_or_else(|| ApiError::missing("there is no such server"))
    }

    /// Returns the UUIDs of all servers, sorted.
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

    /// Returns the record of a server's backup, or a 404 error.
    pub(crate) fn backup(&self, server: Uuid, uuid: Uuid) -> Result<record::Backup, ApiError> {
        let backup = self.backups.get(uuid).filter(|b| b.server == server && !b.deleted);
        backup.ok_or_else(|| ApiError::missing("there is no such backup"))
    }

    /// Returns the location of a complete archive that the daemon can read, with or without a record.
    pub(crate) async fn archive(
        &self,
        server: Uuid,
        uuid: Uuid,
    ) -> Result<ArchiveLocation, ApiError> {
        let missing = || ApiError::missing("there is no such backup");
        let Some(backup) = self.backups.get(uuid) else {
            let look = async {
                let found = archives::find_unrecorded(&self.config, server, uuid).await;
                found.map_err(io::Error::other)
            };
            let found = within(PREFLIGHT, look).await;
            return found.map_err(ApiError::failed)?.ok_or_else(missing);
        };
        if backup.server != server || !backup.is_complete() {
            return Err(missing());
        }
        let location = archives::location(&self.config, &backup).map_err(ApiError::failed)?;
        location.ok_or_else(|| ApiError::conflict("only the Panel can reach this archive"))
    }
}

/// Locks a state directory, and creates it if necessary.
fn lock(state: &Path) -> io::Result<File> {
    wingback::durable::make_dirs(state, 0o700)?;
    let file = File::create(state.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(io::Error::other("another daemon uses this directory")),
        locked => Ok(locked.map(|()| file)?),
    }
}

/// Parses a UUID in its usual form. Other spellings could give one backup two names.
pub(crate) fn uuid_of(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    text.eq_ignore_ascii_case(&uuid.to_string()).then_some(uuid)
}

/// Runs blocking work that may hang, such as on a dead mount, and waits for at most [`PREFLIGHT`].
pub(crate) async fn in_time<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    within(PREFLIGHT, unblock(work)).await
}
