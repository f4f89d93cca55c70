//! Progress, errors, objects of a store, and the results of a backup.

use std::os::unix::ffi::OsStrExt;

use serde::{Serialize, Serializer, ser::SerializeMap};

#[cfg(feature = "s3")]
use crate::store::presigned::UploadedPart;
use crate::{
    error::{Error, ErrorKind},
    fs::ignore::PatternMatch,
    json::fields::{Fields, WriteFields, codes, milliseconds, objects},
    name::Key,
    ops::{
        estimate::Estimate,
        preview::{Preview, PreviewEntry},
    },
    progress::{Phase, Progress},
    report::{Change, Changed, Report, SkipReason, Skipped},
    store::Object,
    warning::{PatternOrigin, PatternProblem, PatternWarning, Warning},
};

objects!(
    Progress,
    Report,
    Skipped,
    SkipReason,
    Changed,
    Warning,
    PatternWarning,
    PatternMatch,
    Estimate,
    Preview,
    PreviewEntry,
    Error,
    Object
);
codes!(Phase, Change, PatternOrigin, PatternProblem, ErrorKind);

impl WriteFields for Progress {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "progress")?;
        to.field("phase", &self.phase)?;
        to.field("files", &self.files)?;
        to.field("bytes", &self.bytes)?;
        to.field("written", &self.written)?;
        to.field("uploaded", &self.uploaded)?;
        to.field("copied_in_store", &self.copied_in_store)?;
        to.field("expected_files", &self.expected.map(|expected| expected.files))?;
        to.field("expected_bytes", &self.expected.map(|expected| expected.bytes))?;
        to.field("percent", &self.percent())?;
        to.field("rate", &self.rate)?;
        to.field("time_left_ms", &self.time_left.map(milliseconds))
    }
}

impl WriteFields for Report {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "report")?;
        if let Some(location) = &self.location {
            to.bytes("location", location.as_bytes())?;
        }
        to.field("size", &self.size)?;
        to.field("sha1", &self.sha1)?;
        to.field("files", &self.files)?;
        to.field("directories", &self.directories)?;
        to.field("symlinks", &self.symlinks)?;
        to.field("hard_links", &self.hard_links)?;
        to.field("content", &self.content)?;
        to.field("read", &self.read)?;
        to.field("copied", &self.copied)?;
        to.field("compressed", &self.compressed)?;
        to.field("uploaded", &self.uploaded)?;
        to.field("copied_in_store", &self.copied_in_store)?;
        to.field("segments", &self.segments)?;
        to.field("excluded", &self.excluded)?;
        to.list("skipped", &self.skipped)?;
        to.list("changed", &self.changed)?;
        to.field("warnings", &self.warnings)?;
        to.field("partial", &self.is_partial())?;
        to.milliseconds("duration_ms", self.duration)
    }
}

impl WriteFields for Skipped {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.bytes("path", &self.path)?;
        self.reason.write(to)
    }
}

impl WriteFields for SkipReason {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("reason", self.code())?;
        to.field("message", &self.to_string())?;
        to.field("loss", &self.is_data_loss())
    }
}

impl WriteFields for Changed {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.bytes("path", &self.path)?;
        to.field("change", &self.change)
    }
}

impl WriteFields for Warning {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("code", self.code())?;
        to.field("message", &self.to_string())?;
        match self.path() {
            Some(path) => to.bytes("path", path),
            None => Ok(()),
        }
    }
}

impl PatternOrigin {
    /// Writes the origin of a pattern into another object.
    fn write_fields<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("origin", self)?;
        match self {
            PatternOrigin::ExcludeFrom(name) => to.field("name", &**name),
            _ => Ok(()),
        }
    }
}

impl WriteFields for PatternMatch {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        self.origin.write_fields(to)?;
        to.field("line", &self.line)?;
        to.bytes("pattern", &self.pattern)?;
        to.field("negated", &self.is_negated)
    }
}

impl WriteFields for PatternWarning {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        self.origin.write_fields(to)?;
        to.field("line", &self.line)?;
        to.bytes("pattern", &self.pattern)?;
        to.field("problem", &self.problem)?;
        to.field("message", &self.to_string())
    }
}

impl WriteFields for Estimate {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "estimate")?;
        self.write_fields(to)
    }
}

impl Estimate {
    /// Writes the counts into another object.
    fn write_fields<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("files", &self.files)?;
        to.field("directories", &self.directories)?;
        to.field("symlinks", &self.symlinks)?;
        to.field("content", &self.content)?;
        to.field("archive_max", &self.archive_max)
    }
}

impl WriteFields for PreviewEntry {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "entry")?;
        to.bytes("path", &self.path)?;
        to.field("kind", &self.kind)?;
        to.field("size", &self.size)?;
        to.field("included", &self.is_included)?;
        to.field("skipped", &self.skipped)?;
        to.field("pattern", &self.pattern)
    }
}

impl WriteFields for Preview {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "preview")?;
        self.estimate.write_fields(to)?;
        to.field("excluded", &self.excluded)?;
        to.field("unselected", &self.unselected)?;
        to.list("skipped", &self.skipped)?;
        to.field("warnings", &self.warnings)?;
        to.field("partial", &self.is_partial())?;
        to.milliseconds("duration_ms", self.duration)
    }
}

impl WriteFields for Error {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("type", "error")?;
        to.field("kind", &self.kind())?;
        to.field("operation", self.operation())?;
        to.field("message", &self.to_string())?;
        if let Some(path) = self.path() {
            to.bytes("path", path.as_os_str().as_bytes())?;
        }
        to.field("retryable", &self.is_retryable())
    }
}

impl WriteFields for Object {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("key", &self.key)?;
        to.field("size", &self.size)?;
        to.field("modified_ns", &self.modified_ns())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "s3")]
objects!(UploadedPart);

#[cfg(feature = "s3")]
impl WriteFields for UploadedPart {
    fn write<M: SerializeMap>(&self, to: &mut Fields<M>) -> Result<(), M::Error> {
        to.field("number", &self.number)?;
        to.field("etag", &self.etag)
    }
}
