//! Locations of archives: files, standard input, objects in S3, links.

use std::path::Path;

use smol::Unblock;
use wingback::{
    Archive, Credentials, Error, ErrorKind, Key, LocalStore, NameFields, NameTemplate, S3Config,
    S3Store, Store, Transfer,
};

use crate::{args, url::scheme};

/// Opens the archive that an argument names.
pub fn archive(path: &Path, remote: &args::Remote) -> Result<Archive<'static>, Error> {
    if path.as_os_str() == "-" {
        return Ok(Archive::stream(Unblock::with_capacity(1 << 20, std::io::stdin())));
    }
    if is_place(path) {
        let what = if scheme(path).is_some() { "prefix" } else { "directory" };
        let why = format!(
            "it is a {what}, not an archive; `wingback archives` lists the archives of one"
        );
        return Err(Error::new(ErrorKind::InvalidInput, "open the archive")
            .at(path)
            .caused_by(why));
    }
    if let Some((bucket, object)) = in_s3(path)? {
        let key = Key::new(object).map_err(|e| e.at(path))?;
        return Ok(Archive::in_store(S3Store::new(s3(bucket, remote)?)?, key));
    }
    match scheme(path) {
        None => Ok(Archive::file(path)),
        Some("http" | "https") => {
            Archive::link(path.to_str().ok_or_else(|| not_utf8(path))?, transfer(remote))
        }
        Some(scheme) => {
            let known = "an archive is a file, -, s3://bucket/name, or an http(s) link";
            Err(unknown(path, scheme, known))
        }
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
            if let Some(scheme) = scheme(path) {
                return Err(unknown(path, scheme, "use a directory or s3://bucket/prefix"));
            }
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

    pub fn key(&self, fields: NameFields) -> Key {
        match self {
            Archives::Local(store) => store.key(fields),
            Archives::S3(store) => store.key(fields),
        }
    }

    pub fn store(self) -> Box<dyn Store> {
        match self {
            Archives::Local(store) => Box::new(store),
            Archives::S3(store) => store,
        }
    }
}

/// Fails unless `path` names a directory that exists, or is a URL. A missing one is probably a typing error.
pub fn require(path: &Path) -> Result<(), Error> {
    if scheme(path).is_some() {
        return Ok(());
    }
    let opened = std::fs::read_dir(path);
    opened.map(drop).map_err(|e| Error::io("open the directory", e).at(path))
}

/// Opens the store at `path` to read its archives. A directory must exist.
pub fn existing(path: &Path, remote: &args::Remote) -> Result<Box<dyn Store>, Error> {
    require(path)?;
    Ok(Archives::at(path, &NameTemplate::default(), remote, |_| {})?.store())
}

/// Returns whether an argument names a place of archives: a directory, or `s3://bucket/prefix/`.
pub fn is_place(path: &Path) -> bool {
    match in_s3(path) {
        Ok(Some((_, object))) => object.is_empty() || object.ends_with('/'),
        _ => path.is_dir(),
    }
}

fn unknown(path: &Path, scheme: &str, known: &str) -> Error {
    let why = format!("the scheme {scheme:?} is not known; {known}");
    Error::new(ErrorKind::InvalidInput, "use the URL").at(path).caused_by(why)
}

/// Splits `s3://bucket/object` into bucket and object.
fn in_s3(path: &Path) -> Result<Option<(&str, &str)>, Error> {
    if scheme(path) != Some("s3") {
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
