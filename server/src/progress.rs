//! The progress of a job, as clients see it.

use std::time::Instant;

use serde::Serialize;
use uuid::Uuid;
use wingback::Progress;

/// The progress and the speed of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ProgressView {
    pub(crate) uuid: Uuid,
    pub(crate) phase: &'static str,
    pub(crate) percent: Option<f64>,
    /// Bytes of content.
    pub(crate) bytes: u64,
    pub(crate) expected_bytes: Option<u64>,
    /// Bytes of the archive.
    pub(crate) written: u64,
    /// Bytes of content per second.
    pub(crate) rate: u64,
}

/// Computes the current rate from snapshots. Older snapshots count less.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Option<(Instant, u64)>,
    rate: f64,
}

impl Meter {
    pub(crate) fn read(&mut self, uuid: Uuid, progress: &Progress) -> ProgressView {
        let now = Instant::now();
        if let Some((then, bytes)) = self.last {
            let seconds = now.duration_since(then).as_secs_f64().max(1e-3);
            let latest = progress.bytes.saturating_sub(bytes) as f64 / seconds;
            let weight = if self.rate == 0.0 { 1.0 } else { 1.0 - (-seconds / 2.0).exp() };
            self.rate += (latest - self.rate) * weight;
        }
        self.last = Some((now, progress.bytes));
        let expected = progress.expected.map(|expected| expected.bytes);
        // A tree that grows during the backup does not exceed 100 percent.
        let percent = expected.map(|expected| match expected {
            0 => 100.0,
            _ => (progress.bytes as f64 / expected as f64 * 1000.0).floor().min(1000.0) / 10.0,
        });
        ProgressView {
            uuid,
            phase: progress.phase.code(),
            percent,
            bytes: progress.bytes,
            expected_bytes: expected,
            written: progress.written,
            rate: self.rate as u64,
        }
    }
}
