//! Lists the archives in a store, with what each says about itself.

use std::{collections::HashMap, sync::Arc, time::SystemTime};

use futures::{StreamExt, TryStreamExt, future::ready, stream};

use crate::{
    error::{ErrorKind, Result},
    format::info::{Info, ns_of},
    limiter::Limiter,
    name::Key,
    ops::lock::lock_of,
    progress::{Phase, Tracker},
    read::{Look, Source},
    source::Archive,
    store::{Object, Store},
    task::Task,
};

/// Objects that are looked at together.
const TOGETHER: usize = 16;

/// Lists the archives in a store: its options, and the method that starts it.
///
/// An archive is recognized by its bytes, whatever its name is. Other objects are left out. A `.tar.gz` without
/// an index to use is listed as [not whole](StoredArchive::is_whole).
///
/// ```
/// use wingback::{Archives, Backup, MemoryStore, NameTemplate};
///
/// # let tmp = tempfile::tempdir().unwrap();
/// # let server = tmp.path().join("lobby");
/// # std::fs::create_dir(&server).unwrap();
/// # std::fs::write(server.join("level.dat"), "level").unwrap();
/// let store = MemoryStore::new();
/// let key = NameTemplate::default().key(uuid::Uuid::new_v4());
/// Backup::new(&server).start(store.clone(), key.clone()).wait()?;
///
/// let archives = Archives::new().label("lobby").start(store).wait()?;
/// assert_eq!((archives.len(), &archives[0].key), (1, &key));
/// assert!(archives[0].is_whole() && !archives[0].is_locked);
/// # Ok::<(), wingback::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archives {
    label: Option<Vec<u8>>,
    since: Option<SystemTime>,
}

impl Archives {
    /// Returns a list of all archives.
    pub fn new() -> Self {
        Archives::default()
    }

    /// Lists only archives with this [label](Info::label).
    #[must_use]
    pub fn label(mut self, label: impl Into<Vec<u8>>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Lists only archives that were [made](StoredArchive::made) at this time or later, and those of an unknown
    /// time.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// Lists the archives in `store`, newest first. Those of an unknown time come last.
    ///
    /// It reads the last 64 KiB of each archive, and the first and last bytes of each other object. An object
    /// that the caller may not read is left out.
    ///
    /// # Errors
    ///
    /// - Those of [`Store::list`].
    /// - [`Io`](ErrorKind::Io) if an object cannot be read, or [`PermissionDenied`](ErrorKind::PermissionDenied)
    ///   if none can be.
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    ///
    /// # Cancel safety
    ///
    /// Nothing is written. Dropping the task ends it.
    pub fn start<'a>(self, store: impl Store + 'a) -> Task<'a, Vec<StoredArchive>> {
        let store: Arc<dyn Store + 'a> = Arc::new(store);
        Task::new(|tracker| async move {
            tracker.enter(Phase::Reading);
            let archives =
                list(&store, &Limiter::default(), &tracker, || tracker.add_file()).await?;
            Ok(archives.into_iter().filter(|archive| self.contains(archive)).collect())
        })
    }

    fn contains(&self, archive: &StoredArchive) -> bool {
        let has_label = |label: &Vec<u8>| archive.label() == Some(label);
        let is_since = |since| archive.made().is_none_or(|made| made >= since);
        self.label.as_ref().is_none_or(has_label) && self.since.is_none_or(is_since)
    }
}

/// An archive in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredArchive {
    /// Name.
    pub key: Key,
    /// Size in bytes.
    pub size: u64,
    /// Time at which the archive became complete in the store: see [`Object::modified`].
    pub modified: Option<SystemTime>,
    /// What the archive says about itself. [`excludes`](Info::excludes) is empty, because the list does not read
    /// the patterns.
    ///
    /// `None` if it has no index to use: its end is missing or damaged, or another program made it.
    pub info: Option<Info>,
    /// Whether it has a lock: see [`Archive::lock`].
    pub is_locked: bool,
    /// Bytes of content more or fewer than in the archive before it with the same label and host. `None` if
    /// there is none, or if the archive has no label.
    pub content_change: Option<i64>,
}

impl StoredArchive {
    /// Returns the archive at `object`, without a lock.
    pub fn new(object: Object, info: Option<Info>) -> Self {
        let Object { key, size, modified } = object;
        StoredArchive { key, size, modified, info, is_locked: false, content_change: None }
    }

    /// Returns whether the archive has its full length and an index. Only [`Verify`](crate::Verify) finds other
    /// damage.
    pub fn is_whole(&self) -> bool {
        self.info.is_some()
    }

    /// Returns the time at which the backup began, or if the archive does not have it,
    /// [`modified`](StoredArchive::modified).
    pub fn made(&self) -> Option<SystemTime> {
        self.info.as_ref().and_then(|info| info.made).or(self.modified)
    }

    /// Returns [`made`](StoredArchive::made) in nanoseconds since 1970. A time before 1677 or after 2262 is
    /// replaced with the nearest that fits.
    pub fn made_ns(&self) -> Option<i64> {
        self.made().map(ns_of)
    }

    /// Returns [`modified`](StoredArchive::modified) in nanoseconds since 1970, in the same range.
    pub fn modified_ns(&self) -> Option<i64> {
        self.modified.map(ns_of)
    }

    /// Returns the label. `None` if the archive has none, or says nothing about itself.
    pub fn label(&self) -> Option<&[u8]> {
        self.info.as_ref().map(|info| &*info.label).filter(|label| !label.is_empty())
    }

    /// Returns the name of the host that made the archive, if the archive has it.
    pub fn host(&self) -> Option<&str> {
        self.info.as_ref()?.host.as_deref()
    }

    fn content(&self) -> Option<u64> {
        self.info.as_ref().map(|info| info.content)
    }
}

/// Returns all archives, newest first. Calls `each` after each object that it has looked at.
pub(super) async fn list<'a>(
    store: &Arc<dyn Store + 'a>,
    read_limit: &Limiter,
    tracker: &Arc<Tracker>,
    each: impl Fn() + Send + Sync,
) -> Result<Vec<StoredArchive>> {
    let objects = crate::task::unless_cancelled(tracker, store.list()).await?;
    let locked: Vec<_> = objects.iter().map(|object| is_locked(object, &objects)).collect();
    let each = &each;
    let looks = objects.into_iter().zip(locked).map(|(object, is_locked)| async move {
        let archive = Archive::in_store(store.clone(), object.key.clone());
        let archive = archive.read_limit(read_limit.clone());
        let looked = archive.read(tracker, |source, _| look_at(&source), |_| ready(Ok(()))).await;
        each();
        match looked {
            Ok(Some(info)) => {
                let archive = StoredArchive { is_locked, ..StoredArchive::new(object, info) };
                Ok(Seen::Archive(Box::new(archive)))
            }
            Ok(None) => Ok(Seen::Other),
            // It was deleted after the store was listed.
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Seen::Other),
            Err(e) if e.kind() == ErrorKind::PermissionDenied => Ok(Seen::Denied(e)),
            Err(e) => Err(e),
        }
    });
    let seen: Vec<_> = stream::iter(looks).buffer_unordered(TOGETHER).try_collect().await?;
    let (mut archives, mut denied, mut others) = (Vec::new(), None, 0);
    for seen in seen {
        match seen {
            Seen::Archive(archive) => archives.push(*archive),
            Seen::Denied(e) => denied = Some(e),
            Seen::Other => others += 1,
        }
    }
    if let (Some(e), true, 0) = (denied, archives.is_empty(), others) {
        return Err(e);
    }
    archives.sort_unstable_by(|a, b| (b.made(), &b.key).cmp(&(a.made(), &a.key)));
    add_content_changes(&mut archives);
    Ok(archives)
}

enum Seen {
    Archive(Box<StoredArchive>),
    Denied(crate::error::Error),
    Other,
}

/// Returns what the archive says about itself. The outer `None` means that it is not an archive.
fn look_at(source: &Source) -> Result<Option<Option<Info>>> {
    Ok(match source.look()? {
        Look::Whole(index) => Some(Some(index.info())),
        Look::NoIndex => Some(None),
        Look::Other => None,
    })
}

/// Returns whether the lock of `object` is one of `objects`, which are in the order of their keys.
fn is_locked(object: &Object, objects: &[Object]) -> bool {
    let lock = lock_of(&object.key);
    lock.is_ok_and(|lock| objects.binary_search_by(|other| other.key.cmp(&lock)).is_ok())
}

/// Compares each archive with the one before it of the same label and host. The newest comes first.
fn add_content_changes(archives: &mut [StoredArchive]) {
    let mut before = HashMap::new();
    for archive in archives.iter_mut().rev() {
        if let (Some(label), Some(now)) = (archive.label(), archive.content()) {
            let series = (label.to_vec(), archive.host().map(str::to_owned));
            let before = before.insert(series, now);
            archive.content_change = before.map(|before| now.wrapping_sub(before).cast_signed());
        }
    }
}
