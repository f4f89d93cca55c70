//! The plan of a retention.

use serde::ser::SerializeMap;

use crate::{
    json::fields::{Fields, WriteFields, objects},
    ops::retention::{ArchiveGroup, PlannedArchive, Verdict},
};

objects!(ArchiveGroup, PlannedArchive);

/// The number of the archives, without the archives themselves.
impl WriteFields for ArchiveGroup {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "group")?;
        to.field("group_by", self.group_by.code())?;
        to.bytes("label", self.label.as_deref().unwrap_or_default())?;
        to.field("host", &self.host)?;
        to.field("unidentified", &self.is_unidentified)?;
        to.field("archives", &self.archives.len())
    }
}

/// The fields of the archive, and the verdict.
impl WriteFields for PlannedArchive {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        self.archive.write(to)?;
        to.field("verdict", self.verdict.code())?;
        let reason = match self.verdict {
            Verdict::Keep(reason) => Some(reason.code()),
            _ => None,
        };
        to.field("reason", &reason)?;
        to.field("suspicious", &self.is_suspicious)
    }
}
