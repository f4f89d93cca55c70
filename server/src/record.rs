//! The records of backups and restores. They are the journal (jobs that ran when the process ended),
//! the outbox (notifications that the Panel has not accepted) and the catalog in one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use wingback::Sha1;

use crate::{records::Recorded, timestamp::Timestamp};

/// A backup that the daemon has accepted.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Backup {
    pub(crate) uuid: Uuid,
    pub(crate) server: Uuid,
    pub(crate) destination: Destination,
    /// Name of a local archive.
    #[serde(default)]
    pub(crate) key: Option<String>,
    pub(crate) state: State,
    pub(crate) created: Timestamp,
    pub(crate) completed: Option<Timestamp>,
    pub(crate) archive: Option<ArchiveInfo>,
    pub(crate) error: Option<Finding>,
    pub(crate) verified: Option<VerifyResult>,
    pub(crate) restored: Option<RestoreResult>,
    /// The archive is deleted. The record stays until the Panel accepts its notification.
    pub(crate) deleted: bool,
    pub(crate) notification: Notification,
}

/// A restore. The record of its backup, if there is one, is separate.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Restore {
    pub(crate) id: Uuid,
    pub(crate) backup: Uuid,
    pub(crate) server: Uuid,
    pub(crate) created: Timestamp,
    /// The restore has begun: an interrupted exchange belongs to it.
    #[serde(default)]
    pub(crate) begun: bool,
    /// Result of a restore that has ended.
    pub(crate) successful: Option<bool>,
    pub(crate) notification: Notification,
}

/// The word of the Panel and of Wings for a kind of destination.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Adapter {
    Wings,
    S3,
}

/// Where an archive goes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Destination {
    /// The backup directory.
    Local,
    /// A bucket that the daemon has credentials for.
    Bucket,
    /// The part URLs that the Panel gives.
    Panel,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Queued,
    Running,
    Complete,
    Failed,
}

/// A complete archive.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct ArchiveInfo {
    pub(crate) size: u64,
    pub(crate) sha1: String,
    /// Bytes that were copied from the previous archive.
    #[serde(default)]
    pub(crate) copied: u64,
    pub(crate) files: u64,
    pub(crate) skipped: u64,
    pub(crate) partial: bool,
    pub(crate) warnings: Vec<Finding>,
    /// Parts that the Panel needs to complete the upload.
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    pub(crate) etag: String,
    pub(crate) part_number: u32,
}

/// An error, a warning or damage.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// A word for programs.
    pub(crate) code: String,
    pub(crate) message: String,
}

/// Result of the last verification.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct VerifyResult {
    pub(crate) at: Timestamp,
    pub(crate) damage: Vec<Finding>,
}

/// Result of the last restore.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct RestoreResult {
    pub(crate) at: Timestamp,
    pub(crate) error: Option<Finding>,
}

/// State of the notification of the Panel.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Notification {
    pub(crate) state: Delivery,
    /// The answer to an attempt is not known.
    pub(crate) unanswered: bool,
    /// Since this time the Panel says that it does not know the backup.
    pub(crate) missing_since: Option<Timestamp>,
    /// The answer to the last attempt in one line, or the reason why there was none.
    #[serde(default)]
    pub(crate) answer: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Delivery {
    /// There is no Panel, or no result yet.
    #[default]
    None,
    Pending,
    Delivered,
    /// The Panel rejected the notification.
    Refused,
    /// The Panel deleted the backup. The daemon keeps the archive.
    Orphan,
}

impl Backup {
    pub(crate) fn adapter(&self) -> Adapter {
        match self.destination {
            Destination::Local => Adapter::Wings,
            Destination::Bucket | Destination::Panel => Adapter::S3,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Queued | State::Running)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::Complete && !self.deleted
    }
}

impl Finding {
    pub(crate) fn new(code: &str, message: impl ToString) -> Self {
        Finding { code: code.to_owned(), message: message.to_string() }
    }

    pub(crate) fn of_error(error: &wingback::Error) -> Self {
        Finding::new(error.kind().code(), error)
    }
}

impl ArchiveInfo {
    /// Parses the SHA-1.
    pub(crate) fn sha1(&self) -> Option<Sha1> {
        self.sha1.parse().ok()
    }
}

impl Adapter {
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "wings" => Some(Adapter::Wings),
            "s3" => Some(Adapter::S3),
            _ => None,
        }
    }
}

impl Recorded for Backup {
    fn id(&self) -> Uuid {
        self.uuid
    }
}

impl Recorded for Restore {
    fn id(&self) -> Uuid {
        self.id
    }
}
