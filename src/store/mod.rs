//! Where archives live: [`Store`] and [`Upload`], and the stores that come with the crate.

pub(crate) mod local;
pub(crate) mod memory;
#[cfg(feature = "s3")]
pub(crate) mod parts;
#[cfg(feature = "s3")]
pub(crate) mod presigned;
#[cfg(feature = "s3")]
pub(crate) mod s3;

use std::{fs::File, ops::Range, sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::walk::OwnBackups,
    name::Key,
};

/// A place for archives.
///
/// Only whole archives are ever seen in it: what is being written has no name until
/// [`Upload::complete`], and two uploads of one key cannot both complete.
pub trait Store: Send + Sync {
    /// Begins an archive that will have `at_most` bytes, where that is known. Fails with
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if there is one of that name, or (where
    /// the store can tell) if one is being written.
    fn create<'a>(
        &'a self,
        key: &'a Key,
        at_most: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>>;

    /// Whether [`create`](Store::create) has a use for that bound, which costs a walk over the
    /// source.
    fn wants_bound(&self) -> bool {
        false
    }

    /// What there is at `key`, or `None`.
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>>;

    /// Reads a part of an archive. A range that reaches beyond its end is cut off there.
    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>>;

    /// What reading begins with: how large an archive is, and its last `tail` bytes, or all of a
    /// smaller one. It is one request where that can be.
    fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
        async move {
            let Some(object) = self.head(key).await? else {
                return Err(Error::new(ErrorKind::NotFound, "open").at(self.location(key)));
            };
            let tail = self.read(key, ReadRange::Last(tail)).await?;
            Ok(Opened { size: object.size, tail })
        }
        .boxed()
    }

    /// The archive as an open file, where it is one: reading it needs no range reads, and it stays
    /// the same one whatever happens to its name.
    fn file<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<File>>> {
        let _ = key;
        futures::future::ready(Ok(None)).boxed()
    }

    /// All archives, in the order of their keys.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>>;

    /// Removes an archive; [`NotFound`](crate::ErrorKind::NotFound) if there is none.
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>>;

    /// Removes what killed processes left unfinished, never what is being written, and says what.
    fn sweep(&self) -> BoxFuture<'_, Result<Vec<String>>>;

    /// Waits until what dropped uploads left behind is removed.
    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()>;

    /// Where the archive is or would be, for people: a path, a URL.
    fn location(&self, key: &Key) -> String;
}

/// An archive that is being written.
///
/// Dropping it gives it up: nothing of that name will be there, and what was written is removed,
/// at once or by the time [`Store::wait_for_cleanup`] resolves. After a failed or dropped `write` nothing
/// but `abort` may be called.
pub trait Upload: Send {
    /// Appends bytes, and resolves once it can take more.
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>>;

    /// Resolves once all that was written has arrived where it is to lie. Unlike `complete`, it
    /// can still be followed by `abort`.
    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        futures::future::ready(Ok(())).boxed()
    }

    /// Makes the archive durable, then visible. If it fails, nothing is visible.
    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a;

    /// Gives it up, and resolves once nothing is left of it.
    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a;

    /// Calls `sent` with the bytes of what has arrived at a service, whenever some have.
    fn on_sent(&mut self, sent: Sent) {
        drop(sent);
    }

    /// What this backup must leave out of its source, should the store lie within it.
    #[doc(hidden)]
    fn own_backups(&self) -> Option<OwnBackups> {
        None
    }
}

/// Is told of bytes that have arrived.
pub type Sent = Arc<dyn Fn(u64) + Send + Sync>;

/// An archive that is going to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its bytes.
    pub size: u64,
    /// The last of them.
    pub tail: Bytes,
}

/// An archive in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub key: Key,
    /// Its bytes.
    pub size: u64,
    /// When it was written, where the store knows that without opening it: a local one does.
    pub modified: Option<SystemTime>,
}

/// Which part of an archive to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadRange {
    /// These bytes.
    Bytes(Range<u64>),
    /// The last so many bytes: where one starts who knows no length yet.
    Last(u64),
}

impl ReadRange {
    /// The bytes that it means in an archive of `size`; none where its end lies before its start.
    pub fn within(&self, size: u64) -> Range<u64> {
        match self {
            ReadRange::Bytes(range) => {
                let start = range.start.min(size);
                start..range.end.clamp(start, size)
            }
            ReadRange::Last(n) => size.saturating_sub(*n)..size,
        }
    }
}

/// Whoever points to a store is one.
macro_rules! point_to_store {
    ($pointer:ident) => {
        impl<S: Store + ?Sized> Store for $pointer<S> {
            fn create<'a>(
                &'a self,
                key: &'a Key,
                at_most: Option<u64>,
            ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
                (**self).create(key, at_most)
            }

            fn wants_bound(&self) -> bool {
                (**self).wants_bound()
            }

            fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
                (**self).head(key)
            }

            fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
                (**self).read(key, range)
            }

            fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
                (**self).open(key, tail)
            }

            fn file<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<File>>> {
                (**self).file(key)
            }

            fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
                (**self).list()
            }

            fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
                (**self).delete(key)
            }

            fn sweep(&self) -> BoxFuture<'_, Result<Vec<String>>> {
                (**self).sweep()
            }

            fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
                (**self).wait_for_cleanup()
            }

            fn location(&self, key: &Key) -> String {
                (**self).location(key)
            }
        }
    };
}

point_to_store!(Arc);
point_to_store!(Box);
