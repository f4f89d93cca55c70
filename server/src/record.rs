//! What the daemon knows of each backup and restore. A record is the journal (what was running when
//! the process ended), the outbox (what the Panel has not been told) and the catalogue in one.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{moment::Moment, records::Recorded};

/// A backup, from its acceptance on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Backup {
    pub(crate) uuid: Uuid,
    pub(crate) server: Uuid,
    pub(crate) place: Place,
    /// The name of a local archive. Records of older daemons lack it.
    #[serde(default)]
    pub(crate) key: Option<String>,
    pub(crate) state: State,
    pub(crate) created: Moment,
    pub(crate) completed: Option<Moment>,
    pub(crate) made: Option<Made>,
    pub(crate) error: Option<String>,
    pub(crate) verified: Option<Checked>,
    pub(crate) restored: Option<Restored>,
    /// It is deleted here; the record stays until the Panel is told.
    pub(crate) deleted: bool,
    pub(crate) telling: Telling,
}

/// A restore. The archive's own record, where there is one, is another.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Restore {
    pub(crate) id: Uuid,
    pub(crate) backup: Uuid,
    pub(crate) server: Uuid,
    pub(crate) created: Moment,
    /// It had its turn: an exchange that was interrupted is its own.
    #[serde(default)]
    pub(crate) begun: bool,
    /// Whether it went well, once it is over.
    pub(crate) successful: Option<bool>,
    pub(crate) telling: Telling,
}

/// The Panel's and Wings' word for a kind of place.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Adapter {
    Wings,
    S3,
}

/// Where an archive is.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// In the backup directory.
    Local,
    /// In a bucket that the daemon has credentials for.
    Bucket,
    /// Where the Panel's part URLs lead.
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
pub(crate) struct Made {
    pub(crate) size: u64,
    pub(crate) sha1: String,
    /// Bytes of it that the backup before gave.
    #[serde(default)]
    pub(crate) copied: u64,
    pub(crate) files: u64,
    pub(crate) skipped: u64,
    pub(crate) partial: bool,
    pub(crate) warnings: Vec<String>,
    /// What whoever completes the upload needs to name.
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    pub(crate) etag: String,
    pub(crate) part_number: u32,
}

/// What a look at every byte has found.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Checked {
    pub(crate) at: Moment,
    pub(crate) damage: Vec<String>,
}

/// How the last restore ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Restored {
    pub(crate) at: Moment,
    pub(crate) error: Option<String>,
}

/// How far the Panel knows.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Telling {
    pub(crate) state: Delivery,
    /// An attempt has begun whose answer is not known.
    pub(crate) unanswered: bool,
    /// Since when the Panel says that it has no such backup.
    pub(crate) missing_since: Option<Moment>,
    /// The answer to the last attempt in short, or why there was none.
    #[serde(default)]
    pub(crate) answer: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Delivery {
    /// There is nobody to be told, or nothing yet.
    #[default]
    None,
    Pending,
    Told,
    /// The Panel does not take the message, and will not.
    Refused,
    /// It was deleted there; the archive is kept here.
    Orphan,
}

impl Backup {
    pub(crate) fn adapter(&self) -> Adapter {
        match self.place {
            Place::Local => Adapter::Wings,
            Place::Bucket | Place::Panel => Adapter::S3,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Queued | State::Running)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::Complete && !self.deleted
    }
}

impl Made {
    /// The SHA-1 itself.
    pub(crate) fn sha1(&self) -> Option<[u8; 20]> {
        let text = Some(&self.sha1).filter(|text| text.len() == 40 && text.is_ascii())?;
        let mut sha1 = [0; 20];
        for (i, byte) in sha1.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(sha1)
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
