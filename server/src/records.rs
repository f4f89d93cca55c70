//! Records on disk, one JSON file each. Files are replaced atomically and durably. A copy of all records
//! is kept in memory.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_lock::Mutex as AsyncMutex;
use blocking::unblock;
use serde::{Serialize, de::DeserializeOwned};
use smol::Timer;
use uuid::Uuid;

/// Pause before a failed write is repeated.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// The records of one kind.
#[derive(Debug)]
pub(crate) struct Records<T> {
    inner: Arc<Inner<T>>,
    /// Held during a write, so that the states of a record reach the disk in their order.
    writing: Arc<AsyncMutex<()>>,
}

#[derive(Debug)]
struct Inner<T> {
    dir: PathBuf,
    all: Mutex<BTreeMap<Uuid, T>>,
}

/// A type that [`Records`] can store.
pub(crate) trait Recorded: Clone + DeserializeOwned + Serialize + Send + 'static {
    fn id(&self) -> Uuid;
}

impl<T: Recorded> Records<T> {
    /// Reads the records in `dir`, and creates the directory if necessary. A file that cannot be read is
    /// logged and kept.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        wingback::durable::make_dirs(&dir, 0o700)?;
        let mut all = BTreeMap::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("json") => {}
                Some("new") => {
                    fs::remove_file(&path)?;
                    continue;
                }
                _ => continue,
            }
            match read::<T>(&path) {
                Ok(record) => drop(all.insert(record.id(), record)),
                Err(e) => tracing::error!(path = %path.display(), "cannot read a record: {e}"),
            }
        }
        let inner = Arc::new(Inner { dir, all: Mutex::new(all) });
        Ok(Records { inner, writing: Arc::default() })
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<T> {
        self.inner.lock().get(&id).cloned()
    }

    /// Returns the records for which `wanted` is true.
    pub(crate) fn select(&self, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        self.inner.lock().values().filter(|record| wanted(record)).cloned().collect()
    }

    /// Adds a record. An existing record with the same ID is replaced only if `may_replace` is true for it;
    /// otherwise the result is false.
    pub(crate) async fn add(&self, record: T, may_replace: fn(&T) -> bool) -> io::Result<bool> {
        let guard = self.writing.lock_arc().await;
        if self.get(record.id()).is_some_and(|old| !may_replace(&old)) {
            return Ok(false);
        }
        let inner = self.inner.clone();
        self.write(guard, move || {
            inner.store(&record)?;
            inner.lock().insert(record.id(), record);
            Ok(())
        })
        .await?;
        Ok(true)
    }

    /// Changes a record in memory immediately, and resolves when the change is on disk, however long the
    /// disk is full. The next daemon does not know a change that is not on disk, so no one may learn of
    /// it earlier. `None` if the record does not exist.
    pub(crate) async fn update(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut T) + Send + 'static,
    ) -> Option<T> {
        let mut guard = self.writing.lock_arc().await;
        let mut record = self.get(id)?;
        change(&mut record);
        self.inner.lock().insert(id, record.clone());
        loop {
            let inner = self.inner.clone();
            let written = self.write(guard, move || {
                let now = inner.lock().get(&id).cloned();
                now.map_or(Ok(()), |now| inner.store(&now))
            });
            match written.await {
                Ok(()) => return Some(record),
                Err(e) => tracing::error!(%id, "cannot write a record, trying again: {e}"),
            }
            Timer::after(RETRY_PAUSE).await;
            guard = self.writing.lock_arc().await;
        }
    }

    pub(crate) async fn remove(&self, id: Uuid) {
        let guard = self.writing.lock_arc().await;
        let inner = self.inner.clone();
        let removed = self.write(guard, move || {
            inner.lock().remove(&id);
            fs::remove_file(inner.path(id))?;
            inner.sync()
        });
        if let Err(e) = removed.await {
            tracing::error!(%id, "cannot remove a record: {e}");
        }
    }

    /// Finishes the write even if the caller stops waiting.
    async fn write<G: Send + 'static>(
        &self,
        guard: G,
        write: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (done, wait) = futures::channel::oneshot::channel();
        unblock(move || {
            let _ = done.send(write());
            drop(guard);
        })
        .detach();
        wait.await.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
    }
}

impl<T: Recorded> Inner<T> {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Uuid, T>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, id: Uuid) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn store(&self, record: &T) -> io::Result<()> {
        let path = self.path(record.id());
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        wingback::durable::sync(&file)?;
        fs::rename(new, path)?;
        self.sync()
    }

    fn sync(&self) -> io::Result<()> {
        wingback::durable::sync(File::open(&self.dir)?)
    }
}

fn read<T: Recorded>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    struct Note(Uuid, u32);

    impl Recorded for Note {
        fn id(&self) -> Uuid {
            self.0
        }
    }

    #[test]
    fn a_record_is_on_disk_before_the_next_one() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("notes");
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let records = Records::open(dir.clone()).unwrap();
        smol::block_on(async {
            assert!(records.add(Note(a, 1), |_| false).await.unwrap());
            assert!(records.add(Note(b, 1), |_| false).await.unwrap());
            assert!(!records.add(Note(a, 9), |_| false).await.unwrap());
            records.update(a, |note| note.1 = 2).await.unwrap();
            assert!(records.update(Uuid::from_u128(3), |_| ()).await.is_none());
            records.remove(b).await;
        });
        fs::write(dir.join("x.json"), "{").unwrap();
        fs::write(dir.join("x.new"), "{").unwrap();
        let again = Records::<Note>::open(dir.clone()).unwrap();
        assert_eq!(again.select(|_| true), [Note(a, 2)]);
        assert!(!dir.join("x.new").exists() && dir.join("x.json").exists());
    }

    #[test]
    fn an_update_waits_for_the_disk() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("notes");
        let records = Records::open(dir.clone()).unwrap();
        let id = Uuid::from_u128(1);
        smol::block_on(async {
            records.add(Note(id, 0), |_| false).await.unwrap();
            fs::rename(&dir, tmp.path().join("away")).unwrap();
            let mut update = std::pin::pin!(records.update(id, |note| note.1 = 1));
            let late = std::pin::pin!(Timer::after(Duration::from_millis(500)));
            let first = futures::future::select(&mut update, late).await;
            assert!(matches!(first, futures::future::Either::Right(_)), "it cannot be written");
            assert_eq!(records.get(id), Some(Note(id, 1)));
            fs::rename(tmp.path().join("away"), &dir).unwrap();
            assert_eq!(update.await, Some(Note(id, 1)));
        });
        assert_eq!(Records::<Note>::open(dir).unwrap().get(id), Some(Note(id, 1)));
    }

    #[test]
    fn an_update_whose_caller_stops_waiting_is_written_completely() {
        let tmp = tempfile::tempdir().unwrap();
        let records = Records::open(tmp.path().to_owned()).unwrap();
        let id = Uuid::from_u128(1);
        smol::block_on(async {
            records.add(Note(id, 0), |_| false).await.unwrap();
            for n in 1..50 {
                let update = std::pin::pin!(records.update(id, move |note| note.1 = n));
                let _ = futures::future::select(update, std::future::ready(())).await;
            }
            let last = records.update(id, |note| note.1 += 100).await.unwrap();
            assert_eq!(Some(last), records.get(id));
        });
        let again = Records::<Note>::open(tmp.path().to_owned()).unwrap();
        assert_eq!(again.get(id), records.get(id));
    }
}
