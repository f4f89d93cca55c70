//! Reads and writes the record while archives are verified.

use std::time::{Duration, Instant, SystemTime};

use blocking::unblock;

use crate::{
    error::Result,
    fs::state_file::StateFile,
    ops::{archives::StoredArchive, verify_all::record::Record},
};

/// The record is written at most once in this time, and at the end.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// The record and its file.
pub(super) struct Log {
    pub(super) record: Record,
    file: Option<(StateFile, String)>,
    saved: Instant,
}

impl Log {
    pub(super) async fn open(file: Option<(StateFile, String)>) -> Result<Self> {
        let (record, file) = unblock(move || match &file {
            Some((path, _)) => Record::read(path).map(|record| (record, file)),
            None => Ok((Record::default(), None)),
        })
        .await?;
        Ok(Log { record, file, saved: Instant::now() })
    }

    pub(super) async fn set(&mut self, archive: &StoredArchive, is_whole: bool) -> Result<()> {
        self.record.set(archive, SystemTime::now(), is_whole);
        if self.saved.elapsed() < SAVE_EVERY { Ok(()) } else { self.save().await }
    }

    pub(super) async fn save(&mut self) -> Result<()> {
        let Some((file, place)) = self.file.clone() else { return Ok(()) };
        let content = self.record.format(&place);
        unblock(move || file.replace(content.as_bytes())).await?;
        self.saved = Instant::now();
        Ok(())
    }
}
