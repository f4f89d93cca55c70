//! Locks of archives, and the removal of archives without one. A lock is an object beside the archive.

use bytes::Bytes;

use crate::{
    error::{Error, ErrorKind, Result},
    name::Key,
    source::Archive,
    store::Store,
    task::{Task, unless_cancelled},
};

/// Content of a lock, for people. Only the existence of the lock counts.
const CONTENT: &[u8] = b"This object keeps the archive beside it: see `wingback lock --help`.\n";

impl<'a> Archive<'a> {
    /// Locks the archive: a [`Retention`](crate::Retention) keeps it until it is unlocked. Resolves with false if
    /// it has a lock already.
    ///
    /// The lock is an object beside the archive with the name `{key}.lock`. [`Store::delete`] does not look at it.
    ///
    /// ```
    /// use wingback::{Archive, Backup, MemoryStore, NameTemplate};
    ///
    /// # let tmp = tempfile::tempdir().unwrap();
    /// # std::fs::write(tmp.path().join("level.dat"), "level").unwrap();
    /// # let (store, key) = (MemoryStore::new(), NameTemplate::default().key(uuid::Uuid::new_v4()));
    /// # Backup::new(tmp.path()).start(store.clone(), key.clone()).wait()?;
    /// let archive = || Archive::in_store(store.clone(), key.clone());
    /// assert!(archive().lock().wait()?);
    /// assert!(archive().is_locked().wait()?);
    /// assert!(archive().unlock().wait()?);
    /// # Ok::<(), wingback::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound) if there is no such archive.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the archive is behind a link or is a stream, or if its name
    ///   is too long for a lock.
    /// - Those of [`Store::create`].
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    ///
    /// # Cancel safety
    ///
    /// After a drop the archive has the lock or does not.
    pub fn lock(self) -> Task<'a, bool> {
        self.with_lock(|store, archive, lock| async move {
            must_exist(&*store, &archive).await?;
            let is_new = create(&*store, &lock).await?;
            // The archive may have been removed meanwhile.
            if let Err(e) = must_exist(&*store, &archive).await {
                remove(&*store, &lock).await?;
                return Err(e);
            }
            Ok(is_new)
        })
    }

    /// Removes the lock of the archive. Resolves with false if it has none.
    ///
    /// # Errors
    ///
    /// As for [`lock`](Archive::lock), with those of [`Store::delete`].
    ///
    /// # Cancel safety
    ///
    /// After a drop the archive has the lock or does not.
    pub fn unlock(self) -> Task<'a, bool> {
        self.with_lock(|store, archive, lock| async move {
            must_exist(&*store, &archive).await?;
            remove(&*store, &lock).await
        })
    }

    /// Returns whether the archive has a lock. The archive itself need not exist.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the archive is behind a link or is a stream.
    /// - Those of [`Store::head`].
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    ///
    /// # Cancel safety
    ///
    /// Nothing is written. Dropping the task ends it.
    pub fn is_locked(self) -> Task<'a, bool> {
        Task::new(|tracker| async move {
            let (store, archive) = self.into_store()?;
            unless_cancelled(&tracker, has_lock(&*store, &archive)).await
        })
    }

    /// Removes the archive from its store, unless it has a lock. Resolves with false if it has one.
    ///
    /// An archive that does not exist counts as removed. A lock that is made between the check and the removal
    /// comes too late.
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the archive is behind a link or is a stream.
    /// - Those of [`Store::head`] and [`Store::delete`], except [`NotFound`](ErrorKind::NotFound).
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    ///
    /// # Cancel safety
    ///
    /// After a drop the archive exists or does not.
    pub fn remove(self) -> Task<'a, bool> {
        Task::new(|tracker| async move {
            let (store, archive) = self.into_store()?;
            let remove = async {
                if has_lock(&*store, &archive).await? {
                    return Ok(false);
                }
                remove(&*store, &archive).await?;
                Ok(true)
            };
            unless_cancelled(&tracker, remove).await
        })
    }

    /// Runs `work` with the store, the key of the archive, and the key of its lock.
    fn with_lock<F>(
        self,
        work: impl FnOnce(Box<dyn Store + 'a>, Key, Key) -> F + Send + 'a,
    ) -> Task<'a, bool>
    where
        F: Future<Output = Result<bool>> + Send + 'a,
    {
        Task::new(|tracker| async move {
            let (store, archive) = self.into_store()?;
            let lock = lock_of(&archive)?;
            unless_cancelled(&tracker, work(store, archive, lock)).await
        })
    }
}

/// Returns the name of the lock of an archive.
///
/// Fails if the name is too long to have one.
pub(crate) fn lock_of(key: &Key) -> Result<Key> {
    Key::new(format!("{key}.lock"))
}

async fn has_lock(store: &dyn Store, archive: &Key) -> Result<bool> {
    // An archive with a name that is too long for a lock has none.
    let Ok(lock) = lock_of(archive) else { return Ok(false) };
    Ok(store.head(&lock).await?.is_some())
}

async fn must_exist(store: &dyn Store, archive: &Key) -> Result<()> {
    match store.head(archive).await? {
        Some(_) => Ok(()),
        None => {
            let error = Error::new(ErrorKind::NotFound, "find the archive");
            Err(error.at(store.location(archive)).caused_by("it does not exist"))
        }
    }
}

/// Returns false if the lock exists already.
async fn create(store: &dyn Store, lock: &Key) -> Result<bool> {
    let create = async {
        let mut upload = store.create(lock, Some(CONTENT.len() as u64)).await?;
        upload.write(Bytes::from_static(CONTENT)).await?;
        upload.complete().await
    };
    match create.await {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

/// Returns false if there is no such object.
pub(super) async fn remove(store: &dyn Store, key: &Key) -> Result<bool> {
    match store.delete(key).await {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
