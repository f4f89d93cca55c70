//! A store in memory.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};

use crate::{
    error::{Error, ErrorKind, Result},
    name::Key,
    store::{Object, ReadRange, Store, Upload},
};

/// Archives in memory, for tests of programs that use this crate. Clones share the archives.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<Key, Stored>,
    /// Keys of the uploads that have begun and have not ended.
    unfinished: Vec<Key>,
}

#[derive(Debug)]
struct Stored {
    bytes: Bytes,
    at: SystemTime,
}

impl Stored {
    fn now(bytes: Bytes) -> Self {
        Stored { bytes, at: SystemTime::now() }
    }

    fn object(&self, key: &Key) -> Object {
        Object::new(key.clone(), self.bytes.len() as u64, Some(self.at))
    }
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Returns the archive at `key`.
    pub fn get(&self, key: &Key) -> Option<Bytes> {
        self.lock().objects.get(key).map(|stored| stored.bytes.clone())
    }

    /// Stores these bytes at `key` without any check.
    pub fn put(&self, key: Key, bytes: impl Into<Bytes>) {
        self.lock().objects.insert(key, Stored::now(bytes.into()));
    }

    /// Returns the number of uploads that have begun and have not ended.
    pub fn unfinished(&self) -> usize {
        self.lock().unfinished.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        async move {
            let mut state = self.lock();
            if state.objects.contains_key(key) || state.unfinished.contains(key) {
                return Err(Error::new(ErrorKind::AlreadyExists, "create").at(key));
            }
            state.unfinished.push(key.clone());
            Ok(Box::new(MemoryUpload { store: self.clone(), key: key.clone(), bytes: Vec::new() })
                as Box<dyn Upload>)
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        let object = self.lock().objects.get(key).map(|stored| stored.object(key));
        ready(Ok(object)).boxed()
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        async move {
            let bytes =
                self.get(key).ok_or_else(|| Error::new(ErrorKind::NotFound, "read").at(key))?;
            let range = range.within(bytes.len() as u64);
            Ok(bytes.slice(range.start as usize..range.end as usize))
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        let objects = self.lock().objects.iter().map(|(key, stored)| stored.object(key)).collect();
        ready(Ok(objects)).boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        async move {
            match self.lock().objects.remove(key) {
                Some(_) => Ok(()),
                None => Err(Error::new(ErrorKind::NotFound, "delete").at(key)),
            }
        }
        .boxed()
    }

    fn location(&self, key: &Key) -> OsString {
        format!("memory:{key}").into()
    }
}

struct MemoryUpload {
    store: MemoryStore,
    key: Key,
    bytes: Vec<u8>,
}

impl Upload for MemoryUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.bytes.extend_from_slice(&bytes);
        ready(Ok(())).boxed()
    }

    fn complete<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move {
            let mut state = self.store.lock();
            if state.objects.contains_key(&self.key) {
                return Err(Error::new(ErrorKind::AlreadyExists, "complete").at(&self.key));
            }
            let key = self.key.clone();
            let bytes = std::mem::take(&mut self.bytes);
            state.objects.insert(key, Stored::now(bytes.into()));
            Ok(())
        }
        .boxed()
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.store.lock().unfinished.retain(|key| *key != self.key);
    }
}
