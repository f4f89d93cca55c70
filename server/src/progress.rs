//! The progress of a job, as clients see it.

use serde::Serialize;
use uuid::Uuid;
use wingback::Progress;

/// The progress of the job of one backup.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct ProgressView {
    pub(crate) uuid: Uuid,
    #[serde(flatten)]
    pub(crate) progress: Progress,
}
