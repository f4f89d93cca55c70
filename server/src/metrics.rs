//! Metrics in the OpenMetrics text format of Prometheus. No metric names a server.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry, Unit},
};

use crate::{
    answer::Verdict,
    record::{ArchiveInfo, Finding},
};

pub(crate) struct Metrics {
    registry: Registry,
    backups: Family<Outcome, Counter>,
    backup_warnings: Family<Warning, Counter>,
    backup_duration: Histogram,
    archive_bytes: Counter<u64, AtomicU64>,
    restores: Family<Outcome, Counter>,
    notifications: Family<Outcome, Counter>,
    responses: Family<Status, Counter>,
    running: Gauge,
    queued: Gauge,
    notifications_pending: Gauge,
    websocket_clients: Gauge,
}

/// The current values of the gauges.
pub(crate) struct Gauges {
    pub(crate) running: usize,
    pub(crate) queued: usize,
    pub(crate) notifications_pending: usize,
    pub(crate) websocket_clients: usize,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Warning {
    code: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Status {
    status: u16,
}

impl Metrics {
    pub(crate) fn backup_finished(&self, took: Duration, archive: Option<&ArchiveInfo>) {
        self.backups.get_or_create(&outcome(archive.is_some())).inc();
        self.backup_duration.observe(took.as_secs_f64());
        self.archive_bytes.inc_by(archive.map_or(0, |archive| archive.size));
        for Finding { code, .. } in archive.iter().flat_map(|archive| &archive.warnings) {
            self.backup_warnings.get_or_create(&Warning { code: code.clone() }).inc();
        }
    }

    pub(crate) fn restore_finished(&self, successful: bool) {
        self.restores.get_or_create(&outcome(successful)).inc();
    }

    pub(crate) fn notification_sent(&self, verdict: Verdict) {
        self.notifications.get_or_create(&outcome(verdict == Verdict::Accepted)).inc();
    }

    pub(crate) fn response_sent(&self, status: u16) {
        self.responses.get_or_create(&Status { status }).inc();
    }

    /// Returns all metrics as text, with the current values of the gauges.
    pub(crate) fn text(&self, gauges: &Gauges) -> String {
        self.running.set(gauges.running as i64);
        self.queued.set(gauges.queued as i64);
        self.notifications_pending.set(gauges.notifications_pending as i64);
        self.websocket_clients.set(gauges.websocket_clients as i64);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        text
    }
}

fn outcome(is_success: bool) -> Outcome {
    Outcome { outcome: if is_success { "success" } else { "failure" } }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("wingback");
        let all = &mut registry;
        let buckets = [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4.0 * 3600.0];
        let backup_duration = Histogram::new(buckets);
        let help = "Time from the request for a backup to its end";
        all.register_with_unit("backup_duration", help, Unit::Seconds, backup_duration.clone());
        let archive_bytes = Counter::default();
        let help = "Size of all complete archives";
        all.register_with_unit("archive", help, Unit::Bytes, archive_bytes.clone());
        // The encoder adds `_total` to the names of counters.
        Metrics {
            backups: added(all, "backups", "Finished backups"),
            backup_warnings: added(all, "backup_warnings", "Warnings of complete backups by code"),
            restores: added(all, "restores", "Finished restores"),
            notifications: added(all, "panel_notifications", "Attempts to notify the Panel"),
            responses: added(all, "http_responses", "HTTP responses by status"),
            running: added(all, "jobs_running", "Jobs that use a slot"),
            queued: added(all, "jobs_queued", "Jobs that wait"),
            notifications_pending: added(
                all,
                "panel_notifications_pending",
                "Notifications that the Panel has not accepted yet",
            ),
            websocket_clients: added(all, "websocket_clients", "Connected WebSocket clients"),
            backup_duration,
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
