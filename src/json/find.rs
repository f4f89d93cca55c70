//! The results of searches.

use serde::ser::SerializeMap;

use crate::{
    json::fields::{Fields, Texts, WriteFields, objects},
    ops::{
        archives::StoredArchive,
        find::{FileVersion, Found, Unsearched},
    },
};

objects!(FileVersion, Found, Unsearched, FoundIn<'_>);

/// The fields of the member, and the archives.
impl WriteFields for FileVersion {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "version")?;
        self.member.write_fields(to)?;
        let places: Vec<_> = self.archives.iter().map(|archive| FoundIn(archive)).collect();
        to.field("archives", &places)
    }
}

/// An archive that contains a version.
struct FoundIn<'a>(&'a StoredArchive);

impl WriteFields for FoundIn<'_> {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("key", self.0.key.as_str())?;
        to.bytes("label", self.0.label().unwrap_or_default())?;
        to.field("made_ns", &self.0.made_ns())
    }
}

/// The numbers, without the versions themselves.
impl WriteFields for Found {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "found")?;
        to.field("paths", &self.paths)?;
        to.field("versions", &self.versions.len())?;
        to.field("searched", &self.searched)?;
        to.list("unsearched", &self.unsearched)?;
        to.field("unmatched", &Texts(&self.unmatched))?;
        to.milliseconds("duration_ms", self.duration)
    }
}

impl WriteFields for Unsearched {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("key", self.key.as_str())?;
        to.field("kind", self.error.kind().code())?;
        to.field("message", &self.error.to_string())
    }
}
