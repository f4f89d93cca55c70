//! Where archives lie: in the backup directory, or in a bucket of the daemon's own.

use std::sync::Arc;

use uuid::Uuid;
use wingback::{Archive, ErrorKind, Key, LocalStore, NameTemplate, Result, Store};

use crate::{
    config::Config,
    record::{Adapter, Backup, Place},
};

/// An archive, there or to be.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) key: Key,
}

impl At {
    pub(crate) fn archive(&self) -> Archive<'static> {
        Archive::in_store(self.store.clone(), self.key.clone())
    }

    /// Removes it, if it is there.
    pub(crate) async fn remove(&self) -> Result<()> {
        match self.store.delete(&self.key).await {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

/// Where a backup by `adapter` goes.
pub(crate) fn place(config: &Config, adapter: Adapter) -> Option<Place> {
    match adapter {
        Adapter::Wings => Some(Place::Local),
        Adapter::S3 if config.s3.is_some() => Some(Place::Bucket),
        Adapter::S3 if !config.remote.is_empty() => Some(Place::Panel),
        Adapter::S3 => None,
    }
}

/// The name that a new archive gets; `None` where it is not in the backup directory.
pub(crate) fn key(config: &Config, place: Place, server: Uuid, backup: Uuid) -> Option<String> {
    let key = || config.archive_name().of(server).key(&backup).to_string();
    (place == Place::Local).then(key)
}

/// The archive of a backup; `None` where the daemon cannot reach it. A local archive keeps the name
/// that it was made with, whatever the configuration says by now.
pub(crate) fn at(config: &Config, backup: &Backup) -> Result<Option<At>> {
    match (backup.place, &config.s3) {
        (Place::Local, _) => {
            let names = backup.key.as_deref().and_then(|key| names_of(key, backup.uuid));
            let names = names.unwrap_or_else(|| config.archive_name().of(backup.server));
            Ok(Some(local(config, names, backup.uuid)))
        }
        (Place::Bucket, Some(s3)) => {
            let store = s3.store(backup.server)?;
            let key = store.key(&backup.uuid);
            Ok(Some(At { store: Arc::new(store), key }))
        }
        (Place::Bucket | Place::Panel, _) => Ok(None),
    }
}

/// The local archive of a backup that there is no record of, such as one that Wings made: under the
/// configured name or Wings' own.
pub(crate) async fn unrecorded(config: &Config, server: Uuid, backup: Uuid) -> Result<Option<At>> {
    for names in [config.archive_name().of(server), wings_own_name()] {
        let at = local(config, names, backup);
        if at.store.head(&at.key).await?.is_some() {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The template that gives this backup this key.
fn names_of(key: &str, backup: Uuid) -> Option<NameTemplate> {
    let (before, after) = key.rsplit_once(&backup.to_string())?;
    format!("{before}{{uuid}}{after}").parse().ok()
}

fn local(config: &Config, names: NameTemplate, backup: Uuid) -> At {
    let store = LocalStore::new(config.backup_directory()).names(names).reserve(config.reserve());
    At { key: store.key(&backup), store: Arc::new(store) }
}

fn wings_own_name() -> NameTemplate {
    "{uuid}.tar.gz".parse().expect("it is a template")
}
