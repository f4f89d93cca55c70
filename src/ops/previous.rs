//! Finds the previous archive of a backup.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use crate::{
    error::Result,
    name::Key,
    ops::retention::is_in_future,
    rt::pipe,
    source::{LocalFile, SequentialFile},
    store::Store,
    warning::Warning,
    write::previous::PreviousArchive,
};

/// The archive from which a backup copies unchanged data. See [`Backup::previous`](crate::Backup::previous).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Previous {
    /// This file.
    File(PathBuf),
    /// This archive of the store that the backup goes to. The store must be a local one.
    Key(Key),
    /// The newest usable archive of that store. Archives that are dated in the future are tried last.
    Latest,
}

impl Previous {
    /// Opens the archive. An unusable archive is only a warning: the backup then reads everything.
    /// `encoder_id` is the encoder of the new archive, as in its footer.
    pub(crate) async fn open(
        &self,
        store: Option<&dyn Store>,
        encoder_id: (u8, u8),
        any: bool,
    ) -> Result<PreviousArchive, Warning> {
        let unused = |why: String| Warning::PreviousUnused(why);
        let (store, keys) = match (self, store) {
            (Previous::File(path), _) => {
                let path = path.clone();
                let open = move |_: pipe::ByteSender| LocalFile::open(&path);
                let file = async { pipe::spawn(open)?.finish().await };
                let file = file.await.map_err(|e| unused(e.to_string()))?;
                return open_file(file, encoder_id, any).await;
            }
            (Previous::Key(key), Some(store)) => (store, Ok(vec![key.clone()])),
            (Previous::Latest, Some(store)) => {
                (store, newest_first(store, SystemTime::now()).await)
            }
            (_, None) => return Err(unused("the destination is not a store".into())),
        };
        let mut why = "this store has none".to_owned();
        for key in keys.map_err(|e| unused(e.to_string()))? {
            let file = match store.file(&key).await {
                Ok(Some(file)) => LocalFile::new(file),
                Ok(None) => continue,
                Err(e) => Err(e),
            };
            match file {
                Err(e) => why = e.to_string(),
                Ok(file) => match open_file(file, encoder_id, any).await {
                    Ok(previous) => return Ok(previous),
                    Err(Warning::PreviousUnused(reason)) => why = reason,
                    Err(other) => return Err(other),
                },
            }
        }
        Err(unused(why))
    }
}

/// Reads the index of `file`, on a thread.
async fn open_file(
    file: LocalFile,
    encoder_id: (u8, u8),
    any: bool,
) -> Result<PreviousArchive, Warning> {
    let open = move |_: pipe::ByteSender| {
        PreviousArchive::open(Arc::new(SequentialFile::new(file)), encoder_id, any)
    };
    let opened = async { pipe::spawn(open)?.finish().await };
    match opened.await {
        Ok(Ok(previous)) => Ok(previous),
        Ok(Err(why)) => Err(Warning::PreviousUnused(why)),
        Err(e) => Err(Warning::PreviousUnused(e.to_string())),
    }
}

/// Returns the keys of the store, newest first. Archives that are dated in the future come last, because a
/// wrong clock has dated them.
async fn newest_first(store: &dyn Store, now: SystemTime) -> Result<Vec<Key>> {
    let mut objects = store.list().await?;
    objects.sort_unstable_by(|a, b| (b.modified, &b.key).cmp(&(a.modified, &a.key)));
    objects.sort_by_key(|object| object.modified.is_some_and(|made| is_in_future(made, now)));
    Ok(objects.into_iter().map(|object| object.key).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use bytes::Bytes;
    use futures::{executor::block_on, future::BoxFuture};

    use super::*;
    use crate::{
        compression::{Encoder, Level},
        format::deflate::encoder_id,
        ops::backup::Backup,
        store::{Object, ReadRange, Upload, local::LocalStore},
    };

    /// Counts the archives that are opened.
    struct Counting(LocalStore, AtomicUsize);

    impl Store for Counting {
        fn create<'a>(
            &'a self,
            key: &'a Key,
            at_most: Option<u64>,
        ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
            self.0.create(key, at_most)
        }

        fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
            self.0.head(key)
        }

        fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
            self.1.fetch_add(1, SeqCst);
            self.0.read(key, range)
        }

        fn file<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<File>>> {
            self.1.fetch_add(1, SeqCst);
            self.0.file(key)
        }

        fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
            self.0.list()
        }

        fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
            self.0.delete(key)
        }
    }

    #[test]
    fn of_many_archives_only_the_latest_is_opened() {
        let tmp = tempfile::tempdir().expect("made");
        let source = tmp.path().join("source");
        std::fs::create_dir(&source).expect("made");
        let store =
            Counting(LocalStore::new(tmp.path().join("to")).mkdir(true), AtomicUsize::new(0));
        for i in 0..20 {
            std::fs::write(source.join("level.dat"), format!("level {i}")).expect("written");
            let key = store.0.key(&uuid::Uuid::from_u128(100 - i));
            block_on(Backup::new(&source).start(store.0.clone(), key)).expect("made");
        }
        let id = encoder_id(Encoder::default(), Level::default());
        let latest = block_on(Previous::Latest.open(Some(&store), id, false));
        assert!(latest.is_ok());
        assert_eq!(store.1.load(SeqCst), 1);
    }

    #[test]
    fn an_archive_dated_in_the_future_is_tried_last() {
        let tmp = tempfile::tempdir().expect("made");
        let source = tmp.path().join("source");
        std::fs::create_dir(&source).expect("made");
        std::fs::write(source.join("level.dat"), "level").expect("written");
        let store = LocalStore::new(tmp.path().join("to")).mkdir(true);
        let now = SystemTime::now();
        let hour = std::time::Duration::from_secs(3600);
        let made = [now - hour, now + hour, now - 2 * hour, now + 2 * hour];
        let keys: Vec<_> = (0..4).map(|i| store.key(&uuid::Uuid::from_u128(i))).collect();
        for (key, made) in keys.iter().zip(made) {
            block_on(Backup::new(&source).start(store.clone(), key.clone())).expect("made");
            let file = File::options().write(true).open(store.path(key)).expect("there");
            file.set_modified(made).expect("set");
        }
        let order = block_on(newest_first(&store, now)).expect("listed");
        assert_eq!(order, [0, 2, 3, 1].map(|i| keys[i].clone()));
    }
}
