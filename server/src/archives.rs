//! Where archives lie: in the backup directory, or in a bucket of the daemon's own.

use std::sync::Arc;

use uuid::Uuid;
use wingback::{Archive, ErrorKind, Key, LocalStore, NameTemplate, Result, Store};

use crate::{
    config::Config,
    record::{Adapter, Place},
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

/// The archive of a backup; `None` where the daemon cannot reach it.
pub(crate) fn at(config: &Config, place: Place, server: Uuid, backup: Uuid) -> Result<Option<At>> {
    match (place, &config.s3) {
        (Place::Local, _) => Ok(Some(local(config, config.archive_name().of(server), backup))),
        (Place::Bucket, Some(s3)) => {
            let store = s3.store(server)?;
            let key = store.key(&backup);
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

fn local(config: &Config, names: NameTemplate, backup: Uuid) -> At {
    let store = LocalStore::new(config.backup_directory()).names(names).reserve(config.reserve());
    At { key: store.key(&backup), store: Arc::new(store) }
}

fn wings_own_name() -> NameTemplate {
    "{uuid}.tar.gz".parse().expect("it is a template")
}
