//! Archives that arrive in pieces, with any time and any restart of the process between two pieces.

use std::{fmt, path::Path, sync::Arc};

use blocking::unblock;
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};

use crate::{
    checksum::Sha1,
    error::{Error, ErrorKind, Result},
    name::Key,
    store::local::{
        LocalStore, check_dir,
        part::{Part, received_path},
    },
};

/// An archive of a [`LocalStore`] that arrives in pieces: see [`LocalStore::receive`].
///
/// It holds a lock on the file of its bytes. A drop keeps the bytes, and ends the lock.
pub struct PartialArchive {
    part: Arc<Part>,
    size: u64,
}

impl LocalStore {
    /// Opens an archive of `size` bytes that arrives in pieces, such as from another machine, or begins it.
    ///
    /// Until it is [complete](PartialArchive::complete), its bytes are in a hidden file next to its final name. They
    /// are kept after a drop and after the end of the process, so the next call continues there.
    /// [`sweep`](crate::Store::sweep) removes them one day after the last write. If there are more than `size` bytes,
    /// they belong to another archive, and the call removes them.
    ///
    /// ```
    /// use wingback::{ErrorKind, Key, LocalStore, Sha1, bytes::Bytes};
    ///
    /// # futures::executor::block_on(async {
    /// # let tmp = tempfile::tempdir().unwrap();
    /// let store = LocalStore::new(tmp.path());
    /// let key: Key = "monday.tar.gz".parse()?;
    /// let mut archive = store.receive(&key, 7).await?;
    /// archive.write(Bytes::from_static(b"back")).await?;
    /// drop(archive);
    /// assert_eq!(store.received(&key).await?, 4);
    ///
    /// let mut archive = store.receive(&key, 7).await?;
    /// archive.write(Bytes::from_static(b"ups")).await?;
    /// archive.complete("829e977414c12fca3968fd9aec2ccb178e287230".parse()?).await?;
    /// assert_eq!(store.receive(&key, 7).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), wingback::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// - [`AlreadyExists`](ErrorKind::AlreadyExists) if the store has an archive of that name.
    /// - [`Busy`](ErrorKind::Busy) if there is another [`PartialArchive`] of that name, in any process.
    /// - [`NoSpace`](ErrorKind::NoSpace) if the missing bytes and the [reserve](LocalStore::reserve) have no space.
    /// - [`NotFound`](ErrorKind::NotFound) if the directory does not exist, unless [`mkdir`](LocalStore::mkdir) is set.
    /// - Those of the file system.
    ///
    /// # Cancel safety
    ///
    /// A dropped future changes nothing, or has begun an archive without bytes.
    pub fn receive<'a>(&'a self, key: &'a Key, size: u64) -> BoxFuture<'a, Result<PartialArchive>> {
        let (dir, path, reserve) = (self.parent(key), self.path(key), self.reserve);
        let must_exist = (!self.mkdir).then(|| self.dir.clone());
        unblock(move || {
            must_exist.map_or(Ok(()), |root| check_dir(&root))?;
            let part = Arc::new(Part::receive(&dir, &path, reserve, size)?);
            Ok(PartialArchive { part, size })
        })
        .boxed()
    }

    /// Returns how many bytes of an archive that arrives in pieces are there: 0 if none, or if it is complete.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn received<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<u64>> {
        let path = received_path(&self.path(key));
        unblock(move || len_of(&path)).boxed()
    }
}

fn len_of(path: &Path) -> Result<u64> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(meta.len()),
        Ok(_) => Ok(0),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(Error::io("look at", e).at(path)),
    }
}

impl PartialArchive {
    /// Returns how many bytes have arrived. The next [`write`](PartialArchive::write) begins there.
    pub fn received(&self) -> u64 {
        self.part.len()
    }

    /// Appends bytes, and resolves when they are in the file. They need not survive a power cut yet;
    /// [`complete`](PartialArchive::complete) notices if they did not.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the archive would have more bytes than its size.
    /// - [`NoSpace`](ErrorKind::NoSpace) if the disk is full.
    /// - Those of the file system.
    ///
    /// # Cancel safety
    ///
    /// After an error or a dropped future a part of the bytes may be in the file. Then drop this value, and call
    /// [`LocalStore::receive`] again.
    pub fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        let (part, size) = (self.part.clone(), self.size);
        unblock(move || {
            if bytes.len() as u64 > size - part.len() {
                let error = Error::new(ErrorKind::InvalidInput, "receive");
                return Err(error.caused_by(format!("it has more than its {size} bytes")));
            }
            part.write(&bytes, None)
        })
        .boxed()
    }

    /// Checks the SHA-1, makes the archive durable, and gives it its name. It never replaces another archive.
    ///
    /// This reads all bytes of the archive, because some may have arrived in an earlier process.
    ///
    /// # Errors
    ///
    /// - [`Mismatch`](ErrorKind::Mismatch) if the bytes have another SHA-1. They are removed.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if bytes are missing. They can still arrive.
    /// - [`AlreadyExists`](ErrorKind::AlreadyExists) if an archive got this name meanwhile.
    /// - Those of the file system.
    ///
    /// # Cancel safety
    ///
    /// After a drop the archive becomes complete nevertheless, or its bytes are kept.
    pub fn complete(self, sha1: Sha1) -> BoxFuture<'static, Result<()>> {
        let PartialArchive { part, size } = self;
        unblock(move || {
            let len = part.len();
            if len < size {
                let error = Error::new(ErrorKind::InvalidInput, "complete");
                return Err(error.caused_by(format!("it has {len} of its {size} bytes")));
            }
            let found = part.sha1()?;
            if found != sha1 {
                part.remove()?;
                let error = Error::new(ErrorKind::Mismatch, "compare the SHA-1");
                return Err(error.caused_by(format!("it is {found} instead of {sha1}")));
            }
            part.complete()
        })
        .boxed()
    }
}

impl fmt::Debug for PartialArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (received, size) = (self.received(), self.size);
        f.debug_struct("PartialArchive").field("received", &received).field("size", &size).finish()
    }
}
