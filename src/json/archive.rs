//! Members of an archive, and the results of the operations that read it.

use serde::ser::SerializeMap;

use crate::{
    entry::{Member, MemberKind},
    format::info::Info,
    fs::replace::Recovered,
    json::fields::{Fields, Paths, Texts, WriteFields, codes, objects},
    ops::{
        archives::StoredArchive,
        extract::Extracted,
        list::Listing,
        member_stream::MemberStream,
        restore::Restored,
        unpacked::{NotExtracted, Unpacked},
        verify::Verified,
    },
    read::damage::{Damage, NoIndex, ReadMethod},
};

objects!(
    Member,
    Info,
    StoredArchive,
    Listing,
    MemberStream<'_>,
    Verified,
    Damage,
    Extracted,
    Restored,
    Unpacked,
    NotExtracted,
    ReadMethod
);
codes!(MemberKind, NoIndex, Recovered);

impl WriteFields for Member {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "member")?;
        self.write_fields(to)
    }
}

impl Member {
    /// Writes the fields of a member into another object.
    pub(super) fn write_fields<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.bytes("path", &self.path)?;
        to.field("kind", &self.kind)?;
        to.field("mode", &format!("{:04o}", self.mode))?;
        to.field("size", &self.size)?;
        to.field("mtime_ns", &self.mtime_ns)?;
        to.field("uid", &self.uid)?;
        to.field("gid", &self.gid)?;
        match &*self.target {
            [] => Ok(()),
            target => to.bytes("target", target),
        }
    }
}

/// The number of the members, without the members themselves.
impl WriteFields for Listing {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "listing")?;
        self.read_method().write(to)?;
        to.field("members", &self.len())?;
        to.field("unmatched", &Texts(self.unmatched()))
    }
}

/// The same fields, after the end of the stream. Before it, there is no `read_method`.
impl WriteFields for MemberStream<'_> {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "listing")?;
        if let Some(method) = self.read_method() {
            method.write(to)?;
        }
        to.field("members", &self.returned())?;
        to.field("unmatched", &Texts(self.unmatched()))
    }
}

impl WriteFields for Info {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "info")?;
        to.bytes("label", &self.label)?;
        match &self.source {
            Some(source) => to.bytes("source", source)?,
            None => to.field("source", &None::<&str>)?,
        }
        to.field("host", &self.host)?;
        to.field("made_ns", &self.made_ns())?;
        to.field("tool", &self.tool)?;
        to.field("encoder", self.encoder.code())?;
        to.field("encoder_level", &self.encoder.level())?;
        to.field("profile", self.profile.code())?;
        to.field("rules", self.rules.code())?;
        to.bytes("excludes", &self.excludes)?;
        to.field("files", &self.files)?;
        to.field("directories", &self.directories)?;
        to.field("symlinks", &self.symlinks)?;
        to.field("content", &self.content)?;
        to.field("skipped", &self.skipped)?;
        to.field("omits_unnamed", &self.omits_unnamed)?;
        to.field("tar_len", &self.tar_len)?;
        to.field("segments", &self.segments)?;
        to.field("size", &self.size)?;
        to.field("tags", &self.tags.iter().map(Tag).collect::<Vec<_>>())
    }
}

impl WriteFields for StoredArchive {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "archive")?;
        to.field("key", &self.key)?;
        to.field("size", &self.size)?;
        to.field("modified_ns", &self.modified_ns())?;
        to.field("made_ns", &self.made_ns())?;
        to.field("whole", &self.is_whole())?;
        to.field("locked", &self.is_locked)?;
        to.field("content_change", &self.content_change)?;
        to.field("info", &self.info)
    }
}

/// A key and its value.
struct Tag<'a>(&'a (String, String));

objects!(Tag<'_>);

impl WriteFields for Tag<'_> {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        let (key, value) = self.0;
        to.field("key", key)?;
        to.field("value", value)
    }
}

impl WriteFields for ReadMethod {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("read_method", self.code())?;
        match self {
            ReadMethod::Indexed => Ok(()),
            ReadMethod::Sequential(why) => to.field("no_index", why),
        }
    }
}

impl WriteFields for Verified {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "verified")?;
        self.read_method.write(to)?;
        to.field("whole", &self.is_whole())?;
        to.field("size", &self.size)?;
        to.field("sha1", &self.sha1)?;
        to.field("sha1_matches", &self.sha1_matches)?;
        to.field("segments", &self.segments)?;
        to.field("files", &self.files)?;
        to.list("damage", &self.damage)?;
        to.paths("whole_files", &self.whole_files)?;
        to.milliseconds("duration_ms", self.duration)
    }
}

impl WriteFields for Damage {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("code", self.code())?;
        to.field("problem", &self.problem)?;
        to.field("segment", &self.segment)?;
        to.field("start", &self.range.as_ref().map(|range| range.start))?;
        to.field("end", &self.range.as_ref().map(|range| range.end))?;
        to.field("members", &Paths(&self.members))?;
        to.field("truncates_rest", &self.truncates_rest)
    }
}

impl WriteFields for Extracted {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "extracted")?;
        self.read_method.write(to)?;
        self.unpacked.write(to)?;
        to.list("damage", &self.damage)?;
        to.field("unmatched", &Texts(&self.unmatched))?;
        to.field("warnings", &self.warnings)?;
        to.milliseconds("duration_ms", self.duration)
    }
}

impl WriteFields for Restored {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "restored")?;
        self.read_method.write(to)?;
        self.unpacked.write(to)?;
        to.paths("added", &self.added)?;
        to.paths("replaced", &self.replaced)?;
        to.paths("removed", &self.removed)?;
        to.field("unchanged", &self.unchanged)?;
        to.field("recovered", &self.recovered)?;
        to.field("warnings", &self.warnings)?;
        to.milliseconds("duration_ms", self.duration)
    }
}

impl WriteFields for Unpacked {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("files", &self.files)?;
        to.field("directories", &self.directories)?;
        to.field("symlinks", &self.symlinks)?;
        to.field("hard_links", &self.hard_links)?;
        to.field("content", &self.content)?;
        to.list("skipped", &self.skipped)?;
        to.field("refused", &self.refused)
    }
}

impl WriteFields for NotExtracted {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.bytes("path", &self.path)?;
        to.field("reason", self.reason.code())?;
        to.field("message", &self.reason.to_string())
    }
}
