//! Where requests read archives from, and where they write them to.

use std::ffi::OsString;
#[cfg(feature = "s3")]
use std::path::PathBuf;

use serde::Deserialize;
use uuid::Uuid;
use wingback::{Archive, Error, ErrorKind, Key, LocalStore, NameTemplate, Result, Store};
#[cfg(feature = "s3")]
use wingback::{Credentials, S3Store, Transfer};

use crate::{streams::Streams, values::Bytes};

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
    Link(String, TransferSpec),
    Stream(u64),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum StoreSpec {
    Local(LocalSpec),
    #[cfg(feature = "s3")]
    S3(Box<S3Spec>),
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
    names: Option<String>,
    #[serde(default)]
    reserve: u64,
}

#[cfg(feature = "s3")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3Spec {
    bucket: String,
    /// Without credentials, they are found in the same way as by the tools of AWS.
    credentials: Option<Keys>,
    endpoint: Option<String>,
    region: Option<String>,
    path_style: Option<bool>,
    prefix: Option<String>,
    names: Option<String>,
    part_size: Option<u64>,
    storage_class: Option<String>,
    #[serde(default)]
    transfer: TransferSpec,
}

#[cfg(feature = "s3")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    access: String,
    secret: String,
    token: Option<String>,
}

#[cfg(feature = "s3")]
impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[cfg(feature = "s3")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TransferSpec {
    parallel: Option<usize>,
    ca_file: Option<Bytes>,
}

#[cfg(feature = "s3")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartUrls {
    urls: Vec<String>,
    part_size: u64,
    staging: Option<Bytes>,
    #[serde(default)]
    transfer: TransferSpec,
}

// The signatures in the URLs are secret.
#[cfg(feature = "s3")]
impl std::fmt::Debug for PartUrls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartUrls").field("part_size", &self.part_size).finish_non_exhaustive()
    }
}

/// An open store.
pub(crate) enum OpenStore {
    Local(LocalStore),
    #[cfg(feature = "s3")]
    S3(Box<S3Store>),
}

impl StoreSpec {
    pub(crate) fn open(self) -> Result<OpenStore> {
        match self {
            StoreSpec::Local(local) => {
                let mut store = LocalStore::new(local.dir.into_path::<OsString>());
                if let Some(names) = local.names {
                    store = store.names(template(&names)?);
                }
                Ok(OpenStore::Local(store.reserve(local.reserve)))
            }
            #[cfg(feature = "s3")]
            StoreSpec::S3(s3) => Ok(OpenStore::S3(Box::new(s3.open()?))),
        }
    }
}

impl OpenStore {
    pub(crate) fn key(&self, name: &ArchiveName) -> Result<Key> {
        match name {
            ArchiveName::Key(key) => Key::new(key),
            ArchiveName::Uuid(text) => {
                let uuid = uuid(text)?;
                Ok(match self {
                    OpenStore::Local(store) => store.key(&uuid),
                    #[cfg(feature = "s3")]
                    OpenStore::S3(store) => store.key(&uuid),
                })
            }
        }
    }

    pub(crate) fn into_store(self) -> Box<dyn Store> {
        match self {
            OpenStore::Local(store) => Box::new(store),
            #[cfg(feature = "s3")]
            OpenStore::S3(store) => store,
        }
    }
}

/// Opens the store, and returns it with the key of the archive.
pub(crate) fn open_named(spec: StoreSpec, name: &ArchiveName) -> Result<(Box<dyn Store>, Key)> {
    let store = spec.open()?;
    let key = store.key(name)?;
    Ok((store.into_store(), key))
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
            ArchiveSource::Link(url, transfer) => Archive::link(&url, transfer.into()),
            ArchiveSource::Stream(stream) => Ok(Archive::stream(streams.take(job, stream)?)),
        }
    }
}

#[cfg(feature = "s3")]
impl S3Spec {
    fn open(self) -> Result<S3Store> {
        let credentials = match self.credentials {
            None => Credentials::find()?,
            Some(Keys { access, secret, token }) => {
                let credentials = Credentials::new(access, secret);
                match token {
                    Some(token) => credentials.session_token(token),
                    None => credentials,
                }
            }
        };
        let mut store = S3Store::new(self.bucket, credentials).transfer(self.transfer.into());
        if let Some(in_path) = self.path_style {
            store = store.path_style(in_path);
        }
        if let Some(endpoint) = self.endpoint {
            store = store.endpoint(endpoint);
        }
        if let Some(region) = self.region {
            store = store.region(region);
        }
        if let Some(prefix) = self.prefix {
            store = store.prefix(prefix);
        }
        if let Some(names) = self.names {
            store = store.names(template(&names)?);
        }
        if let Some(bytes) = self.part_size {
            store = store.part_size(bytes);
        }
        if let Some(class) = self.storage_class {
            store = store.storage_class(class);
        }
        store.check()?;
        Ok(store)
    }
}

#[cfg(feature = "s3")]
impl PartUrls {
    pub(crate) fn open(self) -> Result<wingback::PartUrls> {
        let urls =
            wingback::PartUrls::new(self.urls, self.part_size)?.transfer(self.transfer.into());
        Ok(match self.staging {
            Some(dir) => urls.staging(dir.into_path::<PathBuf>()),
            None => urls,
        })
    }
}

#[cfg(feature = "s3")]
impl From<TransferSpec> for Transfer {
    fn from(spec: TransferSpec) -> Self {
        let mut transfer = Transfer::new();
        if let Some(parallel) = spec.parallel {
            transfer = transfer.parallel(parallel);
        }
        match spec.ca_file {
            Some(file) => transfer.ca_file(file.into_path::<PathBuf>()),
            None => transfer,
        }
    }
}

fn template(names: &str) -> Result<NameTemplate> {
    names.parse()
}

fn uuid(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|e| {
        let error = Error::new(ErrorKind::InvalidInput, "use the UUID");
        error.caused_by(format!("{text:?} is not a UUID: {e}"))
    })
}
