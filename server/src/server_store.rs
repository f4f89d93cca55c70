//! The archives of one server, wherever they are, as a store that can only be read.

use std::{collections::BTreeMap, ffi::OsString, fs::File};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt, TryStreamExt,
    future::{BoxFuture, ready},
    stream,
};
use uuid::Uuid;
use wingback::{Error, ErrorKind, Key, Object, Opened, ReadRange, Result, Store, Upload};

use crate::{
    archives::{self, ArchiveLocation},
    node::Node,
};

/// Archives that are looked for at the same time.
const TOGETHER: usize = 8;

/// The archives of a server's complete backups. The name of each is the UUID of its backup.
pub(crate) struct ServerStore(BTreeMap<Key, ArchiveLocation>);

impl ServerStore {
    /// Returns the archives that the daemon can reach. Those without a record are not among them.
    pub(crate) fn new(node: &Node, server: Uuid) -> Result<Self> {
        let mut archives = BTreeMap::new();
        for backup in node.backups.select(|b| b.server == server && b.is_complete()) {
            if let Some(location) = archives::location(&node.config, &backup)? {
                archives.insert(Key::new(backup.uuid.to_string())?, location);
            }
        }
        Ok(ServerStore(archives))
    }

    fn get(&self, key: &Key) -> Result<&ArchiveLocation> {
        self.0
            .get(key)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "find the backup").at(key.as_str()))
    }
}

fn read_only<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T>> {
    ready(Err(Error::new(ErrorKind::PermissionDenied, "change the archives"))).boxed()
}

impl Store for ServerStore {
    fn create<'a>(
        &'a self,
        _key: &'a Key,
        _at_most: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        read_only()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        async move {
            let Some(at) = self.0.get(key) else { return Ok(None) };
            let object = at.store.head(&at.key).await?;
            Ok(object.map(|object| Object::new(key.clone(), object.size, object.modified)))
        }
        .boxed()
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        async move {
            let at = self.get(key)?;
            at.store.read(&at.key, range).await
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        let objects = stream::iter(self.0.keys()).map(|key| self.head(key)).buffered(TOGETHER);
        objects.try_filter_map(|object| ready(Ok(object))).try_collect().boxed()
    }

    fn delete<'a>(&'a self, _key: &'a Key) -> BoxFuture<'a, Result<()>> {
        read_only()
    }

    fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
        async move {
            let at = self.get(key)?;
            at.store.open(&at.key, tail).await
        }
        .boxed()
    }

    fn file<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<File>>> {
        async move {
            let at = self.get(key)?;
            at.store.file(&at.key).await
        }
        .boxed()
    }

    fn location(&self, key: &Key) -> OsString {
        self.0.get(key).map_or_else(|| key.as_str().into(), |at| at.store.location(&at.key))
    }
}
