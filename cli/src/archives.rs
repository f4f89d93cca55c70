//! Locations of archives: files, standard input, objects in S3, links.

use std::{os::unix::ffi::OsStrExt, path::Path};

use smol::Unblock;
use uuid::Uuid;
use wingback::{
    Archive, Credentials, Error, ErrorKind, Key, LocalStore, NameTemplate, S3Config, S3Store,
    Store, Transfer,
};

use crate::args;

/// Opens the archive that an argument names.
pub fn archive(path: &Path, remote: &args::Remote) -> Result<Archive<'static>, Error> {
    if path.as_os_str() == "-" {
        return Ok(Archive::stream(Unblock::with_capacity(1 << 20, std::io::stdin())));
    }
    if let Some((bucket, object)) = in_s3(path)? {
        let key = Key::new(object).map_err(|e| e.at(path))?;
        return Ok(Archive::in_store(S3Store::new(s3(bucket, remote)?)?, key));
    }
    let text = path.as_os_str().as_bytes();
    match path.to_str() {
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
            Archive::link(url, transfer(remote))
        }
        None if text.starts_with(b"http") => Err(not_utf8(path)),
        _ => Ok(Archive::file(path)),
    }
}

/// A store of archives: a directory, or `s3://bucket/prefix`.
pub enum Archives {
    Local(LocalStore),
    S3(Box<S3Store>),
}

impl Archives {
    /// Opens the store at `path`. `set` sets more options of a store in S3.
    pub fn at(
        path: &Path,
        names: &NameTemplate,
        remote: &args::Remote,
        set: impl FnOnce(&mut S3Config),
    ) -> Result<Self, Error> {
        let Some((bucket, prefix)) = in_s3(path)? else {
            return Ok(Archives::Local(LocalStore::new(path).names(names.clone())));
        };
        // As in a directory, names begin after a slash.
        let slash = if prefix.is_empty() || prefix.ends_with('/') { "" } else { "/" };
        let mut config = s3(bucket, remote)?;
        config.prefix = format!("{prefix}{slash}");
        config.names = names.clone();
        set(&mut config);
        Ok(Archives::S3(Box::new(S3Store::new(config)?)))
    }

    /// Opens the store at `path` to read archives. A missing directory is an error, because it is probably a
    /// typing error.
    pub fn existing(path: &Path, remote: &args::Remote) -> Result<Self, Error> {
        let archives = Archives::at(path, &NameTemplate::default(), remote, |_| {})?;
        if matches!(archives, Archives::Local(_)) && !path.is_dir() {
            let error = Error::new(ErrorKind::NotFound, "open the directory").at(path);
            return Err(error.caused_by("it does not exist, or is not a directory"));
        }
        Ok(archives)
    }

    pub fn key(&self, uuid: &Uuid) -> Key {
        match self {
            Archives::Local(store) => store.key(uuid),
            Archives::S3(store) => store.key(uuid),
        }
    }

    pub fn store(self) -> Box<dyn Store> {
        match self {
            Archives::Local(store) => Box::new(store),
            Archives::S3(store) => store,
        }
    }
}

/// Returns whether an argument names a place of archives: a directory, or `s3://bucket/prefix/`.
pub fn is_place(path: &Path) -> bool {
    match in_s3(path) {
        Ok(Some((_, object))) => object.is_empty() || object.ends_with('/'),
        _ => path.is_dir(),
    }
}

/// Splits `s3://bucket/object` into bucket and object.
fn in_s3(path: &Path) -> Result<Option<(&str, &str)>, Error> {
    if !path.as_os_str().as_bytes().starts_with(b"s3://") {
        return Ok(None);
    }
    let text = path.to_str().ok_or_else(|| not_utf8(path))?;
    let rest = text.strip_prefix("s3://").unwrap_or(text);
    Ok(Some(rest.split_once('/').unwrap_or((rest, ""))))
}

fn not_utf8(path: &Path) -> Error {
    Error::new(ErrorKind::InvalidInput, "use the URL").at(path).caused_by("it is not UTF-8")
}

fn s3(bucket: &str, remote: &args::Remote) -> Result<S3Config, Error> {
    let mut config = S3Config::new(bucket);
    if let Some(profile) = &remote.aws_profile {
        config.credentials = Some(Credentials::from_file(Credentials::file(), profile)?);
    }
    config.endpoint = remote.endpoint.clone();
    config.region = remote.region.clone();
    config.path_style = remote.path_style.then_some(true);
    config.transfer = transfer(remote);
    Ok(config)
}

fn transfer(remote: &args::Remote) -> Transfer {
    let transfer = Transfer::new().parallel(remote.parallel.into());
    remote.ca_file.iter().fold(transfer, |transfer, file| transfer.ca_file(file))
}
