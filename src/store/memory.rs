//! A store in memory with faults on demand, for tests.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};

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
    objects: BTreeMap<Key, Bytes>,
    /// Keys of the uploads that have begun and have not ended.
    unfinished: Vec<Key>,
    fault: Option<Fault>,
}

/// The call at which a [`MemoryStore`] fails. It fails again and again until another fault is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// [`Store::create`] fails.
    Create,
    /// The [`Upload::write`] that reaches this many bytes of an archive fails.
    WriteAt(u64),
    /// [`Upload::complete`] fails.
    Complete,
    /// The [`Upload::write`] that reaches this many bytes fails, and so does [`Upload::abort`].
    AbortAfterWriteAt(u64),
}

impl MemoryStore {
    /// Returns an empty store.
    pub fn new() -> Self {
        MemoryStore::default()
    }

    /// Sets the call that fails. `None` for none.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// Returns the archive at `key`.
    pub fn get(&self, key: &Key) -> Option<Bytes> {
        self.lock().objects.get(key).cloned()
    }

    /// Stores these bytes at `key` without any check.
    pub fn put(&self, key: Key, bytes: impl Into<Bytes>) {
        self.lock().objects.insert(key, bytes.into());
    }

    /// Returns the number of uploads that have begun and have not ended.
    pub fn unfinished(&self) -> usize {
        self.lock().unfinished.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, is_hit: impl Fn(Fault) -> bool, operation: &'static str) -> Result<()> {
        match self.fault {
            Some(fault) if is_hit(fault) => {
                Err(Error::new(ErrorKind::Io, operation)
                    .caused_by("a fault that the test asked for"))
            }
            _ => Ok(()),
        }
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
            state.check(|f| f == Fault::Create, "create")?;
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
        async move {
            let object = |bytes: Bytes| Object {
                key: key.clone(),
                size: bytes.len() as u64,
                modified: None,
            };
            Ok(self.get(key).map(object))
        }
        .boxed()
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
        async move {
            let object = |(key, bytes): (&Key, &Bytes)| Object {
                key: key.clone(),
                size: bytes.len() as u64,
                modified: None,
            };
            Ok(self.lock().objects.iter().map(object).collect())
        }
        .boxed()
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

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        // The memory ends with its process, so every unfinished upload belongs to a running one.
        futures::future::ready(Ok(Vec::new())).boxed()
    }

    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
        futures::future::ready(()).boxed()
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
        async move {
            self.bytes.extend_from_slice(&bytes);
            let len = self.bytes.len() as u64;
            let is_hit = |fault| match fault {
                Fault::WriteAt(at) | Fault::AbortAfterWriteAt(at) => len >= at,
                _ => false,
            };
            self.store.lock().check(is_hit, "write")
        }
        .boxed()
    }

    fn complete<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move {
            let mut state = self.store.lock();
            state.check(|f| f == Fault::Complete, "complete")?;
            if state.objects.contains_key(&self.key) {
                return Err(Error::new(ErrorKind::AlreadyExists, "complete").at(&self.key));
            }
            let key = self.key.clone();
            let bytes = std::mem::take(&mut self.bytes);
            state.objects.insert(key, bytes.into());
            Ok(())
        }
        .boxed()
    }

    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move {
            let is_hit = |fault| matches!(fault, Fault::AbortAfterWriteAt(_));
            self.store.lock().check(is_hit, "abort")
        }
        .boxed()
    }
}

impl Drop for MemoryUpload {
    fn drop(&mut self) {
        self.store.lock().unfinished.retain(|key| *key != self.key);
    }
}
