//! Places for archives: the traits [`Store`] and [`Upload`], and the stores of the crate.

pub(crate) mod local;
pub(crate) mod memory;
#[cfg(feature = "s3")]
pub(crate) mod part_buffer;
#[cfg(feature = "s3")]
pub(crate) mod parts;
#[cfg(feature = "s3")]
pub(crate) mod presigned;
#[cfg(feature = "s3")]
pub(crate) mod s3;

use std::{
    ffi::OsString,
    fs::File,
    ops::Range,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream::{self, BoxStream},
};

use crate::{
    entry::nearest_ns,
    error::{Error, ErrorKind, Result},
    fs::walk::OwnFiles,
    name::Key,
    progress::Confirmed,
    rt::pipe::Chunk,
};

/// A place for archives.
///
/// A store shows only complete archives: an upload has no name until [`Upload::complete`], and two uploads
/// of one key cannot both complete.
///
/// [`LocalStore`](crate::LocalStore) and `S3Store` implement it. The [front page](crate) has an example of an
/// implementation outside of this crate. With the feature `testing`, `testing::store_conformance` checks that
/// an implementation fulfills this contract.
///
/// An implementation needs [`create`](Store::create), [`head`](Store::head), [`read`](Store::read),
/// [`list`](Store::list) and [`delete`](Store::delete). Each other method has a default, and its
/// documentation says for which stores the default is right. A store that wraps another one passes these
/// methods on as well.
///
/// # Errors
///
/// Every method fails with [`PermissionDenied`](ErrorKind::PermissionDenied) if access is refused, with
/// [`Io`](ErrorKind::Io) if the disk, the network or the service fails, and with
/// [`InvalidInput`](ErrorKind::InvalidInput) if an option of the store is not usable. The methods name the
/// others.
///
/// # Cancel safety
///
/// Dropping a future of a store leaves nothing that others can see. What is left is removed by the time
/// [`wait_for_cleanup`](Store::wait_for_cleanup) resolves.
pub trait Store: Send + Sync {
    /// Begins an archive. `at_most` is an upper bound of its size in bytes, if it is known.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if the store has an archive of that name, or if the store
    /// knows of another upload of that name. [`NoSpace`](ErrorKind::NoSpace) if the store is full.
    fn create<'a>(
        &'a self,
        key: &'a Key,
        at_most: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>>;

    /// Returns the archive at `key`. `None` if there is none.
    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>>;

    /// Reads a part of an archive. A range that exceeds the archive ends at its end.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such archive.
    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>>;

    /// Returns all objects, in the order of their keys: archives, and files beside them such as locks.
    /// [`Archives`](crate::Archives) lists the archives.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>>;

    /// Removes an archive.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such archive.
    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>>;

    /// Returns the size of an archive and its last `tail` bytes, or all bytes of a smaller archive. Every
    /// reader begins with this call.
    ///
    /// The default calls [`head`](Store::head) and [`read`](Store::read). A store that can answer with one
    /// request should do so.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such archive.
    fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
        async move {
            let Some(object) = self.head(key).await? else {
                return Err(Error::new(ErrorKind::NotFound, "open").at(self.location(key)));
            };
            let tail = self.read(key, ReadRange::Last(tail)).await?;
            Ok(Opened::new(object.size, tail))
        }
        .boxed()
    }

    /// Returns the archive as an open file, if the store keeps it as one. The engine then reads it directly,
    /// and a rename or removal does not affect the reader. Only such an archive can be the
    /// [previous](crate::Previous) one of a backup.
    ///
    /// The default returns `None`.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) if there is no such archive.
    fn file<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<File>>> {
        let _ = key;
        ready(Ok(None)).boxed()
    }

    /// Removes the unfinished uploads of killed processes, and returns the path or URL of each as soon as it is
    /// removed. It never removes an upload of a process that still runs.
    ///
    /// Nothing is removed before the stream is polled. The next sweep removes what a dropped stream leaves.
    ///
    /// The default removes nothing. It is for a store in which a killed process leaves nothing behind.
    fn sweep(&self) -> BoxStream<'_, Result<OsString>> {
        stream::empty().boxed()
    }

    /// Resolves after everything that dropped uploads left behind is removed.
    ///
    /// The default resolves at once. It is for a store in which the drop of an upload, or of the future of
    /// [`create`](Store::create), removes everything itself.
    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    /// Returns the path or URL of an archive for reports and errors. The archive need not exist.
    ///
    /// The default returns the key.
    fn location(&self, key: &Key) -> OsString {
        key.as_str().into()
    }

    /// Returns whether [`create`](Store::create) needs `at_most`. A backup then walks the source first.
    ///
    /// The default returns false. S3 is an example of a store that needs it: the number of parts is limited.
    fn needs_bound(&self) -> bool {
        false
    }
}

/// An archive that is being written.
///
/// The caller calls `write` and `copy_from` any number of times, then `flush` if it wants, and then either
/// `complete` or `abort`. After a failed or dropped `write`, `copy_from` or `flush` it may call only `abort`.
///
/// # Cancel safety
///
/// Dropping an upload aborts it: no archive of that name appears. The written bytes are removed at once, or
/// by the time [`Store::wait_for_cleanup`] resolves.
pub trait Upload: Send {
    /// Appends bytes, and resolves when the upload can accept more.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](ErrorKind::NoSpace) if the destination is full, or [`Io`](ErrorKind::Io).
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>>;

    /// Appends bytes that `file` has at offset `at`, and resolves when the upload can accept more. An upload into a
    /// file may let the file system share these blocks, instead of writing the bytes. A service may copy them from the
    /// object that [`copy_within`](Upload::copy_within) names. A backup calls it only for what it copies from the
    /// previous archive, with [`align`](crate::Backup::align) or after `copy_within`.
    ///
    /// The default writes the bytes. An upload that wraps another one passes the call on.
    ///
    /// # Errors
    ///
    /// As for [`write`](Upload::write). If the blocks cannot be shared, the bytes are written.
    fn copy_from(&mut self, file: Arc<File>, at: u64, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        let _ = (file, at);
        self.write(bytes)
    }

    /// Names an archive of the same store that the upload may copy from. The caller has `size` bytes of it as a file,
    /// and passes pieces of this file, and of no other one, to [`copy_from`](Upload::copy_from). The archive may be
    /// missing, or have other bytes: the upload itself has to make sure that copied bytes are the given ones.
    ///
    /// Returns whether it can copy from there. A backup calls it once, before the first byte.
    ///
    /// The default returns false. An upload that wraps another one passes the call on.
    fn copy_within<'a>(&'a mut self, key: &'a Key, size: u64) -> BoxFuture<'a, bool> {
        let _ = (key, size);
        ready(false).boxed()
    }

    /// Resolves after all written bytes have arrived at the destination. The caller may still call `abort`.
    ///
    /// The default resolves at once. Then [`complete`](Upload::complete) sends the rest.
    ///
    /// # Errors
    ///
    /// As for [`write`](Upload::write).
    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        ready(Ok(())).boxed()
    }

    /// Makes the archive durable, then visible.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](ErrorKind::AlreadyExists) if another upload of that name was faster, otherwise as for
    /// [`write`](Upload::write). After an error no archive of this upload is visible.
    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a;

    /// Aborts the upload, and resolves after everything that was written is removed.
    ///
    /// The default drops the upload. It is for an upload whose drop removes everything itself.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) if something could not be removed. A later [`Store::sweep`] removes it.
    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        drop(self);
        ready(Ok(())).boxed()
    }

    /// Sets a function that the upload calls each time a service has confirmed some bytes.
    ///
    /// The default ignores it. It is for a destination without a service.
    fn on_sent(&mut self, sent: Sent) {
        drop(sent);
    }

    /// Returns the files of the store that a backup leaves out if the store is inside its source. A backup
    /// calls it once, before the first [`write`](Upload::write).
    ///
    /// The default returns `None`. It is for a store that is not a directory.
    fn own_files(&self) -> Option<OwnFiles> {
        None
    }
}

/// Appends the bytes of a chunk to an upload.
pub(crate) fn write<'a>(upload: &'a mut dyn Upload, chunk: Chunk) -> BoxFuture<'a, Result<()>> {
    match chunk.copy_of {
        Some((file, at)) => upload.copy_from(file, at, chunk.bytes),
        None => upload.write(chunk.bytes),
    }
}

/// A function that receives the bytes that a service has confirmed.
pub type Sent = Arc<dyn Fn(Confirmed) + Send + Sync>;

/// The size of an archive and its last bytes, as [`Store::open`] returns them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Size of the archive in bytes.
    pub size: u64,
    /// The last bytes.
    pub tail: Bytes,
}

impl Opened {
    /// Returns the answer for an archive of `size` bytes that ends with `tail`.
    pub fn new(size: u64, tail: Bytes) -> Self {
        Opened { size, tail }
    }
}

/// An object in a store: an archive, or a file beside it such as a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Object {
    /// Name.
    pub key: Key,
    /// Size in bytes.
    pub size: u64,
    /// Time at which the archive became complete, or was changed by another program. The clock is the store's.
    /// A service may round it to seconds.
    ///
    /// `None` if the store does not know it without reading the archive. The stores of this crate know it,
    /// unless a service leaves it out of its response.
    pub modified: Option<SystemTime>,
}

impl Object {
    /// Returns the archive `key` of `size` bytes.
    pub fn new(key: Key, size: u64, modified: Option<SystemTime>) -> Self {
        Object { key, size, modified }
    }

    /// Returns [`modified`](Object::modified) in nanoseconds since 1970. A time before 1677 or after 2262 is
    /// replaced with the nearest that fits.
    pub fn modified_ns(&self) -> Option<i64> {
        let ns = match self.modified?.duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_nanos().cast_signed(),
            Err(before) => -before.duration().as_nanos().cast_signed(),
        };
        Some(nearest_ns(ns))
    }
}

/// The part of an archive to read. The enum is complete: a store serves each of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadRange {
    /// These bytes.
    Bytes(Range<u64>),
    /// This many last bytes. A reader that does not know the size yet starts with them.
    Last(u64),
}

impl ReadRange {
    /// Returns the range of bytes in an archive of `size`. Empty if its end is before its start.
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

/// A smart pointer to a store is a store.
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

            fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
                (**self).head(key)
            }

            fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
                (**self).read(key, range)
            }

            fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
                (**self).list()
            }

            fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
                (**self).delete(key)
            }

            fn open<'a>(&'a self, key: &'a Key, tail: u64) -> BoxFuture<'a, Result<Opened>> {
                (**self).open(key, tail)
            }

            fn file<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<File>>> {
                (**self).file(key)
            }

            fn sweep(&self) -> BoxStream<'_, Result<OsString>> {
                (**self).sweep()
            }

            fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
                (**self).wait_for_cleanup()
            }

            fn location(&self, key: &Key) -> OsString {
                (**self).location(key)
            }

            fn needs_bound(&self) -> bool {
                (**self).needs_bound()
            }
        }
    };
}

point_to_store!(Arc);
point_to_store!(Box);

impl<U: Upload + ?Sized> Upload for Box<U> {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        (**self).write(bytes)
    }

    fn copy_from(&mut self, file: Arc<File>, at: u64, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        (**self).copy_from(file, at, bytes)
    }

    fn copy_within<'a>(&'a mut self, key: &'a Key, size: u64) -> BoxFuture<'a, bool> {
        (**self).copy_within(key, size)
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        (**self).flush()
    }

    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        (*self).complete()
    }

    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        (*self).abort()
    }

    fn on_sent(&mut self, sent: Sent) {
        (**self).on_sent(sent);
    }

    fn own_files(&self) -> Option<OwnFiles> {
        (**self).own_files()
    }
}
