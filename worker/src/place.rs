//! Where archives are and go to, as requests say it.

#[cfg(feature = "s3")]
use std::path::PathBuf;
use std::{ffi::OsString, os::unix::ffi::OsStringExt};

use serde::Deserialize;
use uuid::Uuid;
use wingback::{Archive, Error, ErrorKind, Key, LocalStore, NameTemplate, Result, Store};
#[cfg(feature = "s3")]
use wingback::{Credentials, S3Store, Transfer};

use crate::{request::Bytes, streams::Streams};

/// What [`wingback::Backup`] writes to.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Destination {
    Store(Place, Name),
    #[cfg(feature = "s3")]
    PartUrls(PartUrls),
    Stream(u64),
}

/// What an archive is read from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Input {
    File(Bytes),
    Store(Place, Name),
    #[cfg(feature = "s3")]
    Link(String, Travel),
    Stream(u64),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Place {
    Local(Local),
    #[cfg(feature = "s3")]
    S3(Box<S3>),
}

/// An archive's name: a UUID, for the store's template, or the name itself.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Name {
    Uuid(String),
    Key(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Local {
    dir: Bytes,
    names: Option<String>,
    #[serde(default)]
    reserve: u64,
}

#[cfg(feature = "s3")]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct S3 {
    bucket: String,
    /// Access key, secret key, and a session token where there is one; found as AWS's own tools do
    /// where they are left out.
    credentials: Option<Keys>,
    endpoint: Option<String>,
    region: Option<String>,
    path_style: Option<bool>,
    prefix: Option<String>,
    names: Option<String>,
    part_size: Option<u64>,
    storage_class: Option<String>,
    #[serde(default)]
    travel: Travel,
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
pub(crate) struct Travel {
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
    travel: Travel,
}

// What signs them is a secret.
#[cfg(feature = "s3")]
impl std::fmt::Debug for PartUrls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartUrls").field("part_size", &self.part_size).finish_non_exhaustive()
    }
}

impl Bytes {
    pub(crate) fn into_path<P: From<OsString>>(self) -> P {
        OsString::from_vec(self.0).into()
    }
}

/// A store that is one of several.
pub(crate) enum Opened {
    Local(LocalStore),
    #[cfg(feature = "s3")]
    S3(Box<S3Store>),
}

impl Place {
    pub(crate) fn open(self) -> Result<Opened> {
        match self {
            Place::Local(local) => {
                let mut store = LocalStore::new(local.dir.into_path::<OsString>());
                if let Some(names) = local.names {
                    store = store.names(template(&names)?);
                }
                Ok(Opened::Local(store.reserve(local.reserve)))
            }
            #[cfg(feature = "s3")]
            Place::S3(s3) => Ok(Opened::S3(Box::new(s3.open()?))),
        }
    }
}

impl Opened {
    pub(crate) fn key(&self, name: &Name) -> Result<Key> {
        match name {
            Name::Key(key) => Key::new(key),
            Name::Uuid(text) => {
                let uuid = uuid(text)?;
                Ok(match self {
                    Opened::Local(store) => store.key(&uuid),
                    #[cfg(feature = "s3")]
                    Opened::S3(store) => store.key(&uuid),
                })
            }
        }
    }

    pub(crate) fn into_store(self) -> Box<dyn Store> {
        match self {
            Opened::Local(store) => Box::new(store),
            #[cfg(feature = "s3")]
            Opened::S3(store) => store,
        }
    }
}

/// The store, and the archive's name in it.
pub(crate) fn named(place: Place, name: &Name) -> Result<(Box<dyn Store>, Key)> {
    let opened = place.open()?;
    let key = opened.key(name)?;
    Ok((opened.into_store(), key))
}

impl Input {
    pub(crate) fn open(self, job: u64, streams: &Streams) -> Result<Archive<'static>> {
        match self {
            Input::File(path) => Ok(Archive::file(path.into_path::<OsString>())),
            Input::Store(place, name) => {
                let (store, key) = named(place, &name)?;
                Ok(Archive::in_store(store, key))
            }
            #[cfg(feature = "s3")]
            Input::Link(url, travel) => Archive::link(&url, travel.into()),
            Input::Stream(stream) => Ok(Archive::stream(streams.take(job, stream)?)),
        }
    }
}

#[cfg(feature = "s3")]
impl S3 {
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
        let mut store = S3Store::new(self.bucket, credentials).transfer(self.travel.into());
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
        let urls = wingback::PartUrls::new(self.urls, self.part_size)?.transfer(self.travel.into());
        Ok(match self.staging {
            Some(dir) => urls.staging(dir.into_path::<PathBuf>()),
            None => urls,
        })
    }
}

#[cfg(feature = "s3")]
impl From<Travel> for Transfer {
    fn from(travel: Travel) -> Self {
        let mut transfer = Transfer::new();
        if let Some(parallel) = travel.parallel {
            transfer = transfer.parallel(parallel);
        }
        match travel.ca_file {
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
        error.caused_by(format!("{text:?} is none: {e}"))
    })
}
