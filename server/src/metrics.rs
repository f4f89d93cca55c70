//! What the daemon counts, in the Prometheus text format. Nothing in it names a server.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry, Unit},
};

use crate::{answer::Heard, record::Made};

pub(crate) struct Metrics {
    registry: Registry,
    backups: Family<Outcome, Counter>,
    seconds: Histogram,
    archive_bytes: Counter<u64, AtomicU64>,
    restores: Family<Outcome, Counter>,
    tellings: Family<Outcome, Counter>,
    requests: Family<Status, Counter>,
    running: Gauge,
    queued: Gauge,
    untold: Gauge,
    listeners: Gauge,
}

/// What there is at a moment.
pub(crate) struct Now {
    pub(crate) running: usize,
    pub(crate) queued: usize,
    pub(crate) untold: usize,
    pub(crate) listeners: usize,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Status {
    status: u16,
}

impl Metrics {
    pub(crate) fn backup_over(&self, took: Duration, made: Option<&Made>) {
        self.backups.get_or_create(&outcome(made.is_some())).inc();
        self.seconds.observe(took.as_secs_f64());
        self.archive_bytes.inc_by(made.map_or(0, |made| made.size));
    }

    pub(crate) fn restore_over(&self, successful: bool) {
        self.restores.get_or_create(&outcome(successful)).inc();
    }

    pub(crate) fn told(&self, heard: Heard) {
        self.tellings.get_or_create(&outcome(heard == Heard::Yes)).inc();
    }

    pub(crate) fn answered(&self, status: u16) {
        self.requests.get_or_create(&Status { status }).inc();
    }

    /// All of it as text, with what there is now.
    pub(crate) fn text(&self, now: &Now) -> String {
        self.running.set(now.running as i64);
        self.queued.set(now.queued as i64);
        self.untold.set(now.untold as i64);
        self.listeners.set(now.listeners as i64);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("text takes whatever is written");
        text
    }
}

fn outcome(is_good: bool) -> Outcome {
    Outcome { outcome: if is_good { "success" } else { "failure" } }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("wingback");
        let all = &mut registry;
        let buckets = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4.0 * 3600.0];
        let seconds = Histogram::new(buckets);
        all.register_with_unit("backup", "From request to end", Unit::Seconds, seconds.clone());
        let archive_bytes = Counter::default();
        let help = "Archives that were made";
        all.register_with_unit("archive", help, Unit::Bytes, archive_bytes.clone());
        Metrics {
            backups: added(all, "backups", "Backups that ended"),
            restores: added(all, "restores", "Restores that ended"),
            tellings: added(all, "panel_messages", "Attempts to tell the Panel"),
            requests: added(all, "http_responses", "Answers by status"),
            running: added(all, "jobs_running", "Jobs in a slot"),
            queued: added(all, "jobs_queued", "Jobs that wait"),
            untold: added(all, "panel_messages_pending", "What the Panel has not taken yet"),
            listeners: added(all, "listeners", "WebSocket clients"),
            seconds,
            archive_bytes,
            registry,
        }
    }
}

fn added<M: Clone + Default + Metric>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
