//! Where archives are: in the backup directory, or in a bucket that the daemon has credentials for.

use std::sync::Arc;

use clap::ValueEnum;
use uuid::Uuid;
use wingback::{Archive, ErrorKind, Key, LocalStore, NameTemplate, Result, Store};

use crate::{
    config::{Compatibility, Config},
    record::{Adapter, Backup, Destination},
};

/// The store and the key of an archive, whether it exists or not.
#[derive(Clone)]
pub(crate) struct ArchiveLocation {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) key: Key,
}

impl ArchiveLocation {
    pub(crate) fn archive(&self) -> Archive<'static> {
        Archive::in_store(self.store.clone(), self.key.clone())
    }

    /// Removes the archive, if it exists.
    pub(crate) async fn remove(&self) -> Result<()> {
        match self.store.delete(&self.key).await {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// Returns where a backup with `adapter` goes; `None` if the configuration does not support it.
pub(crate) fn destination(config: &Config, adapter: Adapter) -> Option<Destination> {
    match adapter {
        Adapter::Wings => Some(Destination::Local),
        Adapter::S3 if config.s3.is_some() => Some(Destination::Bucket),
        Adapter::S3 if !config.remote.is_empty() => Some(Destination::Panel),
        Adapter::S3 => None,
    }
}

/// Returns the name of a new local archive; `None` for other destinations.
pub(crate) fn key(
    config: &Config,
    destination: Destination,
    server: Uuid,
    backup: Uuid,
) -> Option<String> {
    let key = || config.archive_name().of(server).key(backup).to_string();
    (destination == Destination::Local).then(key)
}

/// Returns the location of a backup's archive; `None` if the daemon cannot reach it. A local archive
/// keeps its first name, even if the configured name has changed.
pub(crate) fn location(config: &Config, backup: &Backup) -> Result<Option<ArchiveLocation>> {
    match (backup.destination, &config.s3) {
        (Destination::Local, _) => {
            let names = backup.key.as_deref().and_then(|key| names_of(key, backup.uuid));
            let names = names.unwrap_or_else(|| config.archive_name().of(backup.server));
            Ok(Some(local(config, names, backup.uuid)))
        }
        (Destination::Bucket, Some(s3)) => {
            let store = s3.store(backup.server)?;
            let key = store.key(backup.uuid);
            Ok(Some(ArchiveLocation { store: Arc::new(store), key }))
        }
        (Destination::Bucket | Destination::Panel, _) => Ok(None),
    }
}

/// Finds the local archive of a backup without a record, such as one that Wings made. It looks for the
/// configured name, and for the names that follow from each [`Compatibility`].
pub(crate) async fn find_unrecorded(
    config: &Config,
    server: Uuid,
    backup: Uuid,
) -> Result<Option<ArchiveLocation>> {
    let configured = config.archive_name();
    let known = Compatibility::value_variants().iter().map(|known| known.archive_name());
    let others = known.filter(|name| *name != configured);
    for name in std::iter::once(configured.clone()).chain(others) {
        let location = local(config, name.of(server), backup);
        if location.store.head(&location.key).await?.is_some() {
            return Ok(Some(location));
        }
    }
    Ok(None)
}

/// Returns the template that gives `backup` the name `key`.
fn names_of(key: &str, backup: Uuid) -> Option<NameTemplate> {
    let (before, after) = key.rsplit_once(&backup.to_string())?;
    format!("{before}{{uuid}}{after}").parse().ok()
}

fn local(config: &Config, names: NameTemplate, backup: Uuid) -> ArchiveLocation {
    let store = LocalStore::new(config.backup_directory()).names(names).reserve(config.reserve());
    ArchiveLocation { key: store.key(backup), store: Arc::new(store) }
}
