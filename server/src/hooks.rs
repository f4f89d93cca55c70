//! The hooks around a backup: the daemon as they see it.

use std::{
    ffi::OsString,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use smol::Timer;
use wingback_hooks::Host;

use crate::{job::Job, node::Node};

/// Time for the clean-up of a cancelled backup while the daemon stops.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// One backup of a node.
#[derive(Clone)]
pub(crate) struct BackupHost {
    node: Arc<Node>,
    job: Arc<Job>,
    /// The time at which the daemon that stops has cancelled the backup.
    cancelled_at: Arc<OnceLock<Instant>>,
}

impl BackupHost {
    pub(crate) fn new(node: Arc<Node>, job: Arc<Job>) -> Self {
        BackupHost { node, job, cancelled_at: Arc::default() }
    }
}

impl Host for BackupHost {
    /// A hook needs no access to the node.
    const HIDDEN: &'static [&'static str] = &["WINGS_TOKEN", "WINGS_TOKEN_ID"];

    fn env(&self) -> Vec<(&'static str, OsString)> {
        let text = |uuid: uuid::Uuid| uuid.to_string().into();
        vec![
            ("WINGBACK_HOOK_SERVER", text(self.job.server)),
            ("WINGBACK_HOOK_BACKUP", text(self.job.uuid)),
        ]
    }

    async fn cancelled(&self) {
        self.job.cancelled().await;
    }

    async fn hurried(&self) {
        self.node.stopping.cancelled().await;
        self.job.cancelled().await;
        Timer::at(*self.cancelled_at.get_or_init(Instant::now) + CLEAN_UP).await;
    }

    fn complain(&self, why: &str) {
        tracing::error!(backup = %self.job.uuid, server = %self.job.server, why, "a hook failed");
    }
}
