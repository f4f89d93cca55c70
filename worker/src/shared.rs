//! The resources that all jobs share.

use wingback::{Archive, Result};

use crate::{job::Job, limits::Limits, store::ArchiveSource, streams::Streams};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) streams: Streams,
    pub(crate) limits: Limits,
}

impl Shared {
    /// Opens an archive for a job, with the limits of these numbers.
    pub(crate) fn open(
        &self,
        archive: ArchiveSource,
        job: &Job,
        read: Option<u64>,
        write: Option<u64>,
    ) -> Result<Archive<'static>> {
        let archive = archive.open(job.id, &self.streams)?;
        Ok(archive.read_limit(self.limits.get(read)?).write_limit(self.limits.get(write)?))
    }
}
