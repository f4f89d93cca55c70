//! A store that fails at one call.

use std::{ffi::OsString, fs::File, sync::Arc};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, ready},
    stream::BoxStream,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::walk::OwnFiles,
    name::Key,
    store::{Object, Opened, ReadRange, Sent, Store, Upload},
};

/// The call at which a [`FaultyStore`] fails, each time with [`ErrorKind::Io`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// [`Store::create`] fails.
    Create,
    /// The [`Upload::write`] or [`Upload::copy_from`] that reaches this many bytes of an archive fails.
    WriteAt(u64),
    /// [`Upload::complete`] fails.
    Complete,
    /// The same call fails, and so does [`Upload::abort`].
    AbortAfterWriteAt(u64),
}

impl Fault {
    fn is_at_write(self, len: u64) -> bool {
        match self {
            Fault::WriteAt(at) | Fault::AbortAfterWriteAt(at) => len >= at,
            Fault::Create | Fault::Complete => false,
        }
    }
}

/// A store that fails at one call, and otherwise passes all calls on to another store.
///
/// ```
/// use wingback::{Backup, ErrorKind, Key, MemoryStore, testing::{Fault, FaultyStore}};
///
/// # let tmp = tempfile::tempdir().unwrap();
/// # let server = tmp.path();
/// # std::fs::write(server.join("level.dat"), "level").unwrap();
/// let (store, key) = (MemoryStore::new(), Key::new("monday.tar.gz")?);
/// let full = FaultyStore::new(store.clone(), Fault::WriteAt(100));
/// let error = Backup::new(server).start(full, key.clone()).wait().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Io);
/// assert!(store.get(&key).is_none());
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FaultyStore<S> {
    store: S,
    fault: Fault,
}

impl<S> FaultyStore<S> {
    /// Returns a store over `store` that fails at `fault`.
    pub fn new(store: S, fault: Fault) -> Self {
        FaultyStore { store, fault }
    }
}

fn fails<'a, T: Send + 'a>(operation: &'static str) -> BoxFuture<'a, Result<T>> {
    let error = Error::new(ErrorKind::Io, operation);
    ready(Err(error.caused_by("a fault that the test asked for"))).boxed()
}

impl<S: Store> Store for FaultyStore<S> {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        at_most: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        if self.fault == Fault::Create {
            return fails("create");
        }
        async move {
            let upload = self.store.create(key, at_most).await?;
            Ok(Box::new(FaultyUpload { upload, fault: self.fault, len: 0 }) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        self.store.head(key)
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        self.store.read(key, range)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        self.store.list()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.store.delete(key)
    }

    fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
        self.store.open(key, tail)
    }

    fn file<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<File>>> {
        self.store.file(key)
    }

    fn sweep(&self) -> BoxStream<'_, Result<OsString>> {
        self.store.sweep()
    }

    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
        self.store.wait_for_cleanup()
    }

    fn location(&self, key: &Key) -> std::ffi::OsString {
        self.store.location(key)
    }

    fn needs_bound(&self) -> bool {
        self.store.needs_bound()
    }
}

struct FaultyUpload {
    upload: Box<dyn Upload>,
    fault: Fault,
    /// Bytes that were written.
    len: u64,
}

impl Upload for FaultyUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.len += bytes.len() as u64;
        match self.fault.is_at_write(self.len) {
            true => fails("write"),
            false => self.upload.write(bytes),
        }
    }

    fn copy_from(&mut self, file: Arc<File>, at: u64, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.len += bytes.len() as u64;
        match self.fault.is_at_write(self.len) {
            true => fails("write"),
            false => self.upload.copy_from(file, at, bytes),
        }
    }

    fn copy_within<'a>(&'a mut self, key: &'a Key, size: u64) -> BoxFuture<'a, bool> {
        self.upload.copy_within(key, size)
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        self.upload.flush()
    }

    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        match self.fault {
            Fault::Complete => fails("complete"),
            _ => self.upload.complete(),
        }
    }

    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        match self.fault {
            Fault::AbortAfterWriteAt(_) => fails("abort"),
            _ => self.upload.abort(),
        }
    }

    fn on_sent(&mut self, sent: Sent) {
        self.upload.on_sent(sent);
    }

    fn own_files(&self) -> Option<OwnFiles> {
        self.upload.own_files()
    }
}
