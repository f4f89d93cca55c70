//! Where requests read archives from, and where they write them to.

#[cfg(feature = "s3")]
use std::path::PathBuf;
use std::{ffi::OsString, os::unix::ffi::OsStrExt};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;
use wingback::{
    Archive, Error, ErrorKind, Key, LocalStore, NameFields, NameTemplate, NamedBytes, Result, Store,
};
#[cfg(feature = "s3")]
use wingback::{S3Config, S3Store, Transfer};

use crate::{lines::written, streams::Streams, values::Bytes};

/// The destination of a backup.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Destination {
    Store(StoreSpec, ArchiveName),
    #[cfg(feature = "s3")]
    PartUrls(PartUrls),
    Stream(u64),
}

/// The archive that a job reads.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ArchiveSource {
    File(Bytes),
    Store(StoreSpec, ArchiveName),
    #[cfg(feature = "s3")]
    Link(String, Transfer),
    Stream(u64),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum StoreSpec {
    Local(LocalSpec),
    #[cfg(feature = "s3")]
    S3(Box<S3Config>),
}

/// The name of an archive: a UUID for the store's template, or the complete name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum ArchiveName {
    Uuid(String),
    Key(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalSpec {
    dir: Bytes,
    #[serde(default)]
    names: NameTemplate,
    #[serde(default)]
    reserve: u64,
    #[serde(default)]
    mkdir: bool,
}

#[cfg(feature = "s3")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartUrls {
    urls: Vec<String>,
    part_size: u64,
    staging: Option<Bytes>,
    #[serde(default)]
    transfer: Transfer,
}

// The signatures in the URLs are secret.
#[cfg(feature = "s3")]
impl std::fmt::Debug for PartUrls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartUrls").field("part_size", &self.part_size).finish_non_exhaustive()
    }
}

impl StoreSpec {
    fn names(&self) -> &NameTemplate {
        match self {
            StoreSpec::Local(local) => &local.names,
            #[cfg(feature = "s3")]
            StoreSpec::S3(config) => &config.names,
        }
    }

    pub(crate) fn open(self) -> Result<Box<dyn Store>> {
        match self {
            StoreSpec::Local(local) => {
                let store = LocalStore::new(local.dir.into_path::<OsString>());
                let store = store.names(local.names).reserve(local.reserve).mkdir(local.mkdir);
                Ok(Box::new(store))
            }
            #[cfg(feature = "s3")]
            StoreSpec::S3(config) => Ok(Box::new(S3Store::new(*config)?)),
        }
    }
}

/// Opens the store, and returns it with the key of an archive that is there.
pub(crate) fn open_named(spec: StoreSpec, name: &ArchiveName) -> Result<(Box<dyn Store>, Key)> {
    if matches!(name, ArchiveName::Uuid(_)) && !spec.names().has_only_uuid() {
        let error = Error::new(ErrorKind::InvalidInput, "find the archive by its UUID");
        return Err(error.caused_by("its name has more than the UUID: name the archive by its key"));
    }
    open_new(spec, name, NameFields::new)
}

/// Opens the store, and returns it with the key of a new archive.
pub(crate) fn open_new(
    spec: StoreSpec,
    name: &ArchiveName,
    fields: impl FnOnce(Uuid) -> NameFields,
) -> Result<(Box<dyn Store>, Key)> {
    let key = match name {
        ArchiveName::Key(key) => Key::new(key)?,
        ArchiveName::Uuid(text) => spec.names().key(fields(uuid(text)?)),
    };
    Ok((spec.open()?, key))
}

/// Describes what a store has under `key`, with its location.
pub(crate) fn stored(store: &dyn Store, key: &Key, what: &impl Serialize) -> Result<Value> {
    #[derive(Serialize)]
    struct Stored<'a, T> {
        #[serde(flatten)]
        what: &'a T,
        #[serde(flatten)]
        location: NamedBytes<'a>,
    }
    let location = store.location(key);
    let location = NamedBytes::new("location", location.as_bytes());
    written(&Stored { what, location })
}

impl ArchiveSource {
    pub(crate) fn open(self, job: u64, streams: &Streams) -> Result<Archive<'static>> {
        match self {
            ArchiveSource::File(path) => Ok(Archive::file(path.into_path::<OsString>())),
            ArchiveSource::Store(spec, name) => {
                let (store, key) = open_named(spec, &name)?;
                Ok(Archive::in_store(store, key))
            }
            #[cfg(feature = "s3")]
            ArchiveSource::Link(url, transfer) => Archive::link(&url, transfer),
            ArchiveSource::Stream(stream) => Ok(Archive::stream(streams.take(job, stream)?)),
        }
    }
}

#[cfg(feature = "s3")]
impl PartUrls {
    pub(crate) fn open(self) -> Result<wingback::PartUrls> {
        let urls = wingback::PartUrls::new(self.urls, self.part_size)?.transfer(self.transfer);
        Ok(match self.staging {
            Some(dir) => urls.staging(dir.into_path::<PathBuf>()),
            None => urls,
        })
    }
}

fn uuid(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|e| {
        let error = Error::new(ErrorKind::InvalidInput, "use the UUID");
        error.caused_by(format!("{text:?} is not a UUID: {e}"))
    })
}

#[cfg(all(test, feature = "s3"))]
mod tests {
    use super::*;

    #[test]
    fn a_store_in_s3_has_the_keys_that_are_documented_and_no_others() {
        let parse = serde_json::from_str::<StoreSpec>;
        let all = r#"{"s3": {"bucket": "b-1", "endpoint": "http://h:1", "region": "r", "path_style": true,
            "credentials": {"access_key": "a", "secret_key": "hidden", "session_token": "hidden"},
            "prefix": "p/", "names": "{uuid}.tgz", "part_size": 5242880, "storage_class": "COLD",
            "encryption": "aws:kms", "kms_key_id": "k", "dead_after_s": 7, "transfer":
            {"parallel": 2, "retry_for_ms": 1500, "stall_after_ms": 20, "ca_file": "/ca",
            "public_only": ["10.0.0.0/8"]}}}"#;
        let spec = parse(all).expect("all keys");
        let shown = format!("{spec:?}");
        assert!(shown.contains("dead_after: 7s") && shown.contains("retry_for: 1.5s"), "{shown}");
        assert!(shown.contains("stall_after: 20ms"), "{shown}");
        assert!(!shown.contains("hidden"), "{shown}");
        assert!(spec.open().is_ok());
        for wrong in [
            r#"{"s3": {"bucket": "b-1", "key": "hidden"}}"#,
            r#"{"s3": {"bucket": "b-1", "names": "x"}}"#,
            r#"{"s3": {"bucket": "b-1", "credentials": {"access_key": "a"}}}"#,
            r#"{"s3": {"bucket": "b-1", "credentials": {"access": "a", "secret_key": "b"}}}"#,
            r#"{"s3": {"bucket": "b-1", "transfer": {"parallel": 1, "retry_for": 1}}}"#,
        ] {
            let error = parse(wrong).expect_err(wrong).to_string();
            assert!(!error.contains("hidden"), "{error}");
        }
    }
}
