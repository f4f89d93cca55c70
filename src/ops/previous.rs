//! Finds the previous archive of a backup.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use crate::{
    error::Result,
    format::info::Info,
    name::Key,
    ops::retention::is_in_future,
    read::{Look, Source},
    rt::pipe,
    source::{LocalFile, SequentialFile},
    store::{Object, Store},
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
    /// The newest usable archive of that store that has the label, source and host of the new one. Archives
    /// that are dated in the future are tried last.
    Latest,
}

impl Previous {
    /// Returns the key at which another store may have the same archive.
    pub(crate) fn key(&self) -> Option<Key> {
        match self {
            Previous::File(path) => Key::new(path.file_name()?.to_str()?).ok(),
            Previous::Key(key) => Some(key.clone()),
            Previous::Latest => None,
        }
    }

    /// Opens the archive. An unusable archive is only a warning: the backup then reads everything.
    /// `encoder_id` is the encoder of the new archive, as in its footer, and `info` its identity.
    pub(crate) async fn open(
        &self,
        store: Option<&dyn Store>,
        info: &Info,
        encoder_id: (u8, u8),
        any: bool,
    ) -> Result<PreviousArchive, Warning> {
        let unused = |why: String| Warning::PreviousUnused(why);
        let open_file = |file| async move {
            let open =
                move || PreviousArchive::open(Arc::new(SequentialFile::new(file)), encoder_id, any);
            on_thread(open).await.and_then(|opened| opened.map_err(unused))
        };
        match (self, store) {
            (Previous::File(path), _) => {
                let path = path.clone();
                open_file(on_thread(move || LocalFile::open(&path)).await?).await
            }
            (_, None) => Err(unused("the destination is not a store".into())),
            (Previous::Key(key), Some(store)) => match store.file(key).await {
                Ok(Some(file)) => open_file(on_thread(|| LocalFile::new(file)).await?).await,
                Ok(None) => {
                    Err(unused("the destination has none of its archives as a file".into()))
                }
                Err(e) => Err(unused(e.to_string())),
            },
            (Previous::Latest, Some(store)) => {
                let mut series = Series { info, others: 0, why: None };
                let objects = newest_first(store, SystemTime::now()).await;
                for object in objects.map_err(|e| unused(e.to_string()))? {
                    let Ok(Some(file)) = store.file(&object.key).await else { continue };
                    let look = on_thread(|| LocalFile::new(file).and_then(look_at)).await;
                    let Some(file) = series.take(look.unwrap_or(None)) else { continue };
                    match open_file(file).await {
                        Err(Warning::PreviousUnused(why)) => series.why = Some(why),
                        opened => return opened,
                    }
                }
                Err(unused(series.why()))
            }
        }
    }
}

/// Runs `work` on a thread of its own, because the file system may be slow.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T, Warning> {
    let worked = async { pipe::spawn(move |_| work())?.finish().await };
    worked.await.map_err(|e| Warning::PreviousUnused(e.to_string()))
}

/// Returns the file and what it says about itself, if it is an archive with an index.
fn look_at(file: LocalFile) -> Result<Option<(LocalFile, Info)>> {
    let file = Arc::new(file);
    let looked = Source::At(file.clone()).look()?;
    let Look::Whole(index) = looked else { return Ok(None) };
    let info = index.info();
    // The index holds the file as well.
    drop(index);
    Ok(Arc::into_inner(file).map(|file| (file, info)))
}

/// The search for the latest archive of one source.
struct Series<'a> {
    /// The identity of the new archive.
    info: &'a Info,
    /// Number of archives of other sources.
    others: u64,
    /// Why the last archive of this source is not usable.
    why: Option<String>,
}

impl Series<'_> {
    /// Returns the file if the archive is of this source.
    fn take(&mut self, look: Option<(LocalFile, Info)>) -> Option<LocalFile> {
        let (file, info) = look?;
        let identity = |info: &Info| (info.label.clone(), info.source.clone(), info.host.clone());
        let is_of_source = identity(&info) == identity(self.info) && !info.label.is_empty();
        self.others += u64::from(!is_of_source);
        is_of_source.then_some(file)
    }

    /// Returns why there is no archive to use.
    fn why(self) -> String {
        let Info { label, source, host, .. } = self.info;
        match self.why {
            Some(why) => why,
            None if label.is_empty() => {
                "a reproducible backup needs a label to find one".to_owned()
            }
            None if self.others == 0 => "this store has none".to_owned(),
            None => format!(
                "this store has none with the label {:?}, from {} on {}, but {} of other sources",
                String::from_utf8_lossy(label),
                String::from_utf8_lossy(source.as_deref().unwrap_or(b"an unnamed source")),
                host.as_deref().unwrap_or("an unnamed host"),
                self.others,
            ),
        }
    }
}

/// Returns the objects of the store, newest first. Those that are dated in the future come last, because a wrong
/// clock has dated them.
async fn newest_first(store: &dyn Store, now: SystemTime) -> Result<Vec<Object>> {
    let mut objects = store.list().await?;
    objects.sort_unstable_by(|a, b| (b.modified, &b.key).cmp(&(a.modified, &a.key)));
    objects.sort_by_key(|object| object.modified.is_some_and(|made| is_in_future(made, now)));
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        path::Path,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use bytes::Bytes;
    use futures::{executor::block_on, future::BoxFuture};

    use super::*;
    use crate::{
        compression::{Encoder, Level},
        format::deflate::encoder_id,
        ops::backup::Backup,
        source::Archive,
        store::{ReadRange, Upload, local::LocalStore},
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

    /// Makes an archive of `source`, and returns its identity.
    fn make(source: &Path, store: &LocalStore, n: u128) -> Info {
        let key = store.key(uuid::Uuid::from_u128(n));
        block_on(Backup::new(source).start(store.clone(), key.clone())).expect("made");
        let info = block_on(Archive::in_store(store.clone(), key).info());
        info.expect("read").expect("an index")
    }

    fn latest(store: &dyn Store, info: &Info) -> Result<PreviousArchive, Warning> {
        let id = encoder_id(Encoder::default(), Level::default());
        block_on(Previous::Latest.open(Some(store), info, id, false))
    }

    #[test]
    fn of_many_archives_only_the_latest_is_opened() {
        let tmp = tempfile::tempdir().expect("made");
        let source = tmp.path().join("source");
        std::fs::create_dir(&source).expect("made");
        let store =
            Counting(LocalStore::new(tmp.path().join("to")).mkdir(true), AtomicUsize::new(0));
        let mut info = Info::default();
        for i in 0..20 {
            std::fs::write(source.join("level.dat"), format!("level {i}")).expect("written");
            info = make(&source, &store.0, 100 - i);
        }
        assert!(latest(&store, &info).is_ok());
        assert_eq!(store.1.load(SeqCst), 1);
    }

    #[test]
    fn of_two_servers_in_one_store_the_latest_of_the_right_one_is_used() {
        let tmp = tempfile::tempdir().expect("made");
        let store = LocalStore::new(tmp.path().join("to")).mkdir(true);
        // Both have the label `world`, which is the name of the directory.
        let sources = ["a/world", "b/world"].map(|name| tmp.path().join(name));
        let infos: Vec<_> = (0..)
            .zip(&sources)
            .map(|(n, source)| {
                std::fs::create_dir_all(source).expect("made");
                std::fs::write(source.join("level.dat"), "l".repeat(n + 1)).expect("written");
                make(source, &store, n as u128)
            })
            .collect();
        for info in &infos {
            assert_eq!(latest(&store, info).expect("found").contents().bytes, info.content);
        }
        let third = Info { source: Some(b"/c/world".to_vec()), ..infos[0].clone() };
        let why = latest(&store, &third).err().expect("none").to_string();
        assert!(why.contains("\"world\", from /c/world"), "{why}");
        assert!(why.contains("but 2 of other sources"), "{why}");
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
        let keys: Vec<_> = (0..4).map(|i| store.key(uuid::Uuid::from_u128(i))).collect();
        for (key, made) in keys.iter().zip(made) {
            block_on(Backup::new(&source).start(store.clone(), key.clone())).expect("made");
            let file = File::options().write(true).open(store.path(key)).expect("there");
            file.set_modified(made).expect("set");
        }
        let order = block_on(newest_first(&store, now)).expect("listed");
        let order: Vec<_> = order.into_iter().map(|object| object.key).collect();
        assert_eq!(order, [0, 2, 3, 1].map(|i| keys[i].clone()));
    }
}
