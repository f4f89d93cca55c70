//! Keeps a local copy of an archive that goes elsewhere, as the previous archive of the next backup.

mod names;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use blocking::unblock;
use bytes::Bytes;
use futures::{FutureExt, TryStreamExt, future::BoxFuture};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::walk::OwnFiles,
    name::Key,
    ops::{lock::remove, previous::Previous, retention::is_in_future},
    read::has_footer,
    rt::pipe::Chunk,
    size::Size,
    store::{self, ReadRange, Sent, Store, Upload, local::LocalStore},
    warning::Warning,
};
use names::{SourceName, copy_of, record_of};

/// Longest record that is read, in bytes.
const RECORD_MAX: u64 = 4 << 10;

/// A directory with the last archive of each source, for backups to a remote destination. The next backup
/// copies unchanged data from there. See [`Backup::cache`](crate::Backup::cache).
///
/// If a copy cannot be kept, the backup does not fail. Its report has a [warning](Warning::CacheUnused).
#[derive(Clone, Debug)]
pub struct Cache {
    dir: PathBuf,
    max_bytes: u64,
}

impl Cache {
    /// Returns a cache in `dir`. After a backup it holds at most `max_bytes`: the oldest archives are removed
    /// first, and an archive larger than `max_bytes` is not kept. During a backup both the new archive and
    /// the previous one are there.
    pub fn new(dir: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Cache { dir: dir.into(), max_bytes }
    }

    fn store(&self) -> LocalStore {
        LocalStore::new(&self.dir).mkdir(true)
    }

    /// Returns the last complete archive of this source, and the key that it has in its store. `None` if there is none.
    pub(crate) async fn previous(&self, source: &Path) -> Result<Option<(Previous, Option<Key>)>> {
        let (store, name) = (self.store(), SourceName::of(source).await);
        let mut keys: Vec<_> = store.list().await?.into_iter().map(|object| object.key).collect();
        keys.retain(|key| name.is_of(key));
        let whole = store.clone();
        let newest_whole = move || {
            // The names of one source are in the order of their times.
            keys.into_iter().rev().find(|key| has_footer(&whole.path(key)))
        };
        let Some(copy) = unblock(newest_whole).await else { return Ok(None) };
        let stored = store.read(&record_of(&copy)?, ReadRange::Last(RECORD_MAX)).await;
        let stored = stored.ok().and_then(|name| Key::new(str::from_utf8(&name).ok()?).ok());
        Ok(Some((Previous::File(store.path(&copy)), stored)))
    }

    /// Returns an upload that also keeps a copy of the archive here. `stored` is the key of the archive in its store.
    pub(crate) async fn keep<'a>(
        &self,
        source: &Path,
        main: Box<dyn Upload + 'a>,
        stored: Option<&Key>,
    ) -> (Box<dyn Upload + 'a>, CacheFailure) {
        let failure = CacheFailure::default();
        let kept = match self.begin(source, stored.cloned()).await {
            Ok(copy) => Some(copy),
            Err(e) => {
                failure.set(&e);
                None
            }
        };
        (Box::new(CachedUpload { main, copy: kept, failure: failure.clone() }), failure)
    }

    async fn begin(&self, source: &Path, stored: Option<Key>) -> Result<CacheCopy> {
        let store = self.store();
        let (dir, of) = (self.dir.clone(), source.to_owned());
        let is_within = unblock(move || {
            let of = of.canonicalize().ok();
            dir.canonicalize().ok().zip(of).is_some_and(|(dir, of)| dir.starts_with(of))
        });
        if is_within.await {
            let error = Error::new(ErrorKind::InvalidInput, "use the cache").at(&self.dir);
            return Err(error.caused_by("it is inside the source of the backup"));
        }
        // Removes the unfinished copies of killed processes.
        store.sweep().try_collect::<Vec<_>>().await?;
        let name = SourceName::of(source).await;
        let key = name.now()?;
        let upload = store.create(&key, None).await?;
        Ok(CacheCopy { cache: self.clone(), name, key, stored, upload, len: 0 })
    }

    /// Removes copies that are superseded, incomplete or too large in sum. Other files stay.
    async fn remove_superseded(&self, name: SourceName) -> Result<()> {
        let (store, now) = (self.store(), SystemTime::now());
        let mut copies = store.list().await?;
        let mut records: Vec<_> = copies.iter().filter_map(|o| copy_of(&o.key)).collect();
        copies.retain(|copy| SourceName::of_key(&copy.key).is_some());
        copies.sort_unstable_by(|a, b| (b.modified, &b.key).cmp(&(a.modified, &a.key)));
        // A copy that is dated in the future is superseded by any other.
        copies.sort_by_key(|copy| copy.modified.is_some_and(|made| is_in_future(made, now)));
        let (mut is_superseded, mut bytes) = (false, 0u64);
        for copy in copies {
            let path = store.path(&copy.key);
            let is_whole = unblock(move || has_footer(&path)).await;
            let is_old =
                is_whole && name.is_of(&copy.key) && std::mem::replace(&mut is_superseded, true);
            if is_whole && !is_old {
                bytes = bytes.saturating_add(copy.size);
            }
            if !is_whole || is_old || bytes > self.max_bytes {
                // Another backup may have removed it.
                remove(&store, &copy.key).await?;
            } else {
                records.retain(|of| *of != copy.key);
            }
        }
        for of in records {
            remove(&store, &record_of(&of)?).await?;
        }
        Ok(())
    }
}

/// The reason why there is no copy. Empty as long as there is one.
#[derive(Clone, Default)]
pub(crate) struct CacheFailure(Arc<Mutex<Option<String>>>);

impl CacheFailure {
    fn set(&self, error: &Error) {
        let why = error.to_string();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    pub(crate) fn warning(&self) -> Option<Warning> {
        let why = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        why.map(Warning::CacheUnused)
    }
}

/// The copy that is being written.
struct CacheCopy {
    cache: Cache,
    name: SourceName,
    key: Key,
    /// Key of the archive in its store.
    stored: Option<Key>,
    upload: Box<dyn Upload>,
    len: u64,
}

impl CacheCopy {
    async fn write(&mut self, chunk: Chunk) -> Result<()> {
        self.len += chunk.bytes.len() as u64;
        if self.len > self.cache.max_bytes {
            let error = Error::new(ErrorKind::NoSpace, "keep the archive in the cache");
            let max = Size(self.cache.max_bytes);
            return Err(error.caused_by(format!("it is larger than {max}")));
        }
        store::write(&mut *self.upload, chunk).await
    }

    async fn complete(self) -> Result<()> {
        self.upload.complete().await?;
        if let Some(stored) = self.stored {
            let mut record = self.cache.store().create(&record_of(&self.key)?, None).await?;
            record.write(stored.as_str().to_owned().into()).await?;
            record.complete().await?;
        }
        self.cache.remove_superseded(self.name).await
    }
}

/// An upload to the destination and to the cache. A failure of the cache ends only the copy.
struct CachedUpload<'a> {
    main: Box<dyn Upload + 'a>,
    copy: Option<CacheCopy>,
    failure: CacheFailure,
}

impl CachedUpload<'_> {
    async fn write_both(&mut self, chunk: Chunk) -> Result<()> {
        store::write(&mut *self.main, chunk.clone()).await?;
        if let Some(copy) = &mut self.copy
            && let Err(e) = copy.write(chunk).await
        {
            self.failure.set(&e);
            // Removed at once, because the disk may be full.
            self.copy = None;
        }
        Ok(())
    }
}

impl Upload for CachedUpload<'_> {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.write_both(bytes.into()).boxed()
    }

    fn copy_from(&mut self, file: Arc<File>, at: u64, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.write_both(Chunk { bytes, copy_of: Some((file, at)) }).boxed()
    }

    fn copy_within<'a>(&'a mut self, key: &'a Key, size: u64) -> BoxFuture<'a, bool> {
        self.main.copy_within(key, size)
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        self.main.flush()
    }

    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move {
            self.main.complete().await?;
            if let Some(copy) = self.copy
                && let Err(e) = copy.complete().await
            {
                self.failure.set(&e);
            }
            Ok(())
        }
        .boxed()
    }

    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move {
            if let Some(copy) = self.copy {
                let _ = copy.upload.abort().await;
            }
            self.main.abort().await
        }
        .boxed()
    }

    fn on_sent(&mut self, sent: Sent) {
        self.main.on_sent(sent);
    }

    fn own_files(&self) -> Option<OwnFiles> {
        self.main.own_files()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures::executor::block_on;

    use super::*;
    use crate::ops::backup::Backup;

    #[test]
    fn an_archive_dated_in_the_future_is_superseded_by_the_next() {
        let tmp = tempfile::tempdir().expect("made");
        let (source, dir) = (tmp.path().join("source"), tmp.path().join("cache"));
        fs::create_dir(&source).expect("made");
        fs::write(source.join("level.dat"), "level").expect("written");
        let (cache, store) = (Cache::new(&dir, 1 << 30), LocalStore::new(&dir).mkdir(true));
        let name = block_on(SourceName::of(&source));
        let keys: Vec<_> = (0..2).map(|_| name.now().expect("a name")).collect();
        let later = SystemTime::now() + std::time::Duration::from_secs(100_000);
        for (key, left) in keys.iter().zip([vec![keys[0].clone()], vec![keys[1].clone()]]) {
            block_on(Backup::new(&source).start(store.clone(), key.clone())).expect("made");
            if *key == keys[0] {
                let file = fs::File::options().write(true).open(store.path(key)).expect("there");
                file.set_modified(later).expect("set");
            }
            block_on(cache.remove_superseded(name)).expect("tidied");
            let there = block_on(store.list()).expect("listed");
            assert_eq!(there.into_iter().map(|object| object.key).collect::<Vec<_>>(), left);
        }
    }

    #[test]
    fn the_last_archive_with_a_footer_is_found_by_its_name_without_reading_an_index() {
        let tmp = tempfile::tempdir().expect("made");
        let (source, dir) = (tmp.path().join("source"), tmp.path().join("cache"));
        fs::create_dir(&source).expect("made");
        fs::write(source.join("level.dat"), "level").expect("written");
        let store = LocalStore::new(&dir).mkdir(true);
        let name = block_on(SourceName::of(&source));
        let keys: Vec<_> = (0..4).map(|_| name.now().expect("a name")).collect();
        for key in &keys {
            block_on(Backup::new(&source).start(store.clone(), key.clone())).expect("made");
        }
        let change = |key: &Key, change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = fs::read(store.path(key)).expect("there");
            change(&mut bytes);
            fs::write(store.path(key), bytes).expect("written");
        };
        // A damaged index does not matter here: only its reader finds it.
        change(&keys[2], &|bytes| {
            let at = bytes.len() - crate::format::index::FOOTER_LEN - 20;
            bytes[at] ^= 1;
        });
        change(&keys[3], &|bytes| bytes.truncate(bytes.len() / 2));
        let previous = block_on(Cache::new(&dir, 1 << 30).previous(&source)).expect("looked");
        assert_eq!(previous, Some((Previous::File(store.path(&keys[2])), None)));
    }
}
