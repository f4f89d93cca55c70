//! The results of a check of all archives.

use serde::ser::SerializeMap;

use crate::{
    json::fields::{Fields, WriteFields, objects},
    ops::verify_all::{ArchiveCheck, VerifiedAll},
};

objects!(ArchiveCheck, VerifiedAll);

/// The fields of the result or of the error, and the name, label and time of the archive.
impl WriteFields for ArchiveCheck {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        match &self.result {
            Ok(verified) => verified.write(to)?,
            Err(e) => {
                to.field("type", "unverified")?;
                to.field("kind", e.kind().code())?;
                to.field("message", &e.to_string())?;
            }
        }
        to.field("key", self.archive.key.as_str())?;
        to.bytes("label", self.archive.label().unwrap_or_default())?;
        to.field("made_ns", &self.archive.made_ns())
    }
}

impl WriteFields for VerifiedAll {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "verified-all")?;
        to.field("whole", &self.is_whole())?;
        to.field("archives", &self.archives)?;
        to.field("verified", &self.verified)?;
        to.field("bytes", &self.bytes)?;
        to.field("earlier", &self.earlier)?;
        to.field("resumed_ns", &self.resumed_ns())?;
        to.list("damaged", &self.damaged)?;
        to.field("failed", &self.failed)?;
        to.field("never", &self.never)?;
        to.field("oldest_ns", &self.oldest_ns())?;
        to.milliseconds("duration_ms", self.duration)
    }
}
