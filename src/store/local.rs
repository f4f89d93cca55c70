//! Archives in a directory.
//!
//! An archive is written to a sibling of its final name (`.{name}.wingback-part`) that is locked
//! for as long as its writer lives, made durable, and renamed without replacing anything. A process
//! that is killed leaves the sibling, unlocked: the next backup of that name and
//! [`sweep`](Store::sweep) remove it.

use std::{
    ffi::OsStr,
    fs::{DirBuilder, File},
    io::Write,
    num::NonZeroU64,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt, FileExt},
        },
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use async_lock::RwLock;
use blocking::unblock;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, channel::oneshot, future::BoxFuture};
use rustix::{
    fs::{Advice, CWD, FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    name::{Key, NameTemplate},
    store::{Object, ReadRange, Store, Upload},
    sys::rename_new,
    walk::{OwnBackups, root::FileId},
};

const PART_SUFFIX: &str = ".wingback-part";

/// Bytes between two looks at the free space, and between two starts of write-back.
const STRIDE: u64 = 8 << 20;

/// Archives in a directory of the local file system.
///
/// The directory is made when it is first needed, for its owner only (0700); archives are readable
/// by their owner only (0600).
#[derive(Clone, Debug)]
pub struct LocalStore {
    dir: PathBuf,
    names: NameTemplate,
    reserve: u64,
    /// Held shared by those who begin an archive, be they awaited or not.
    beginning: Arc<RwLock<()>>,
}

impl LocalStore {
    /// Archives in `dir`, named `backup-{uuid}.tar.gz`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        LocalStore {
            dir: dir.into(),
            names: NameTemplate::default(),
            reserve: 0,
            beginning: Arc::default(),
        }
    }

    /// Names archives by another template, which also tells what in the directory is one.
    #[must_use]
    pub fn names(mut self, names: NameTemplate) -> Self {
        self.names = names;
        self
    }

    /// Keeps `bytes` of the file system free: a backup fails with
    /// [`NoSpace`](ErrorKind::NoSpace) when less is left, at its start or while it is written.
    #[must_use]
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// The key for the backup `uuid`.
    pub fn key(&self, uuid: &uuid::Uuid) -> Key {
        self.names.key(uuid)
    }

    /// The file that `key` names.
    pub fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(key)
    }

    /// The directory of an archive, and its key's part in front of that.
    fn parent(&self, key: &Key) -> PathBuf {
        let path = self.path(key);
        path.parent().map_or_else(|| self.dir.clone(), Path::to_owned)
    }
}

impl Store for LocalStore {
    fn create<'a>(
        &'a self,
        key: &'a Key,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
        let (dir, path, reserve) = (self.parent(key), self.path(key), self.reserve);
        async move {
            let beginning = self.beginning.read_arc().await;
            let (part_in, part) = oneshot::channel();
            unblock(move || {
                // Where nobody waits any more, the part is removed before the lock goes.
                let _ = part_in.send(Part::create(&dir, &path, reserve));
                drop(beginning);
            })
            .detach();
            let gone = |_| Error::new(ErrorKind::Internal, "create").caused_by("a thread panicked");
            let part = part.await.map_err(gone)??;
            Ok(Box::new(LocalUpload {
                part: Some(Arc::new(part)),
                writing: None,
                offset: 0,
                names: self.names.clone(),
            }) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        async move {
            match async_fs::symlink_metadata(self.path(key)).await {
                Ok(meta) if meta.is_file() => {
                    Ok(Some(Object { key: key.clone(), size: meta.len() }))
                }
                Ok(_) => Ok(None),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => Err(Error::io("look at", e).at(self.path(key))),
            }
        }
        .boxed()
    }

    fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
        let path = self.path(key);
        async move {
            unblock(move || {
                let fail = |e: std::io::Error| Error::io("read", e).at(&path);
                let file = File::open(&path).map_err(fail)?;
                let range = range.within(file.metadata().map_err(fail)?.len());
                let mut bytes = vec![0; (range.end - range.start) as usize];
                file.read_exact_at(&mut bytes, range.start).map_err(fail)?;
                Ok(bytes.into())
            })
            .await
        }
        .boxed()
    }

    fn file<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<File>>> {
        let path = self.path(key);
        unblock(move || match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(e) => Err(Error::io("open", e).at(&path)),
        })
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
        async move {
            let mut objects = Vec::new();
            let prefix = self.names.dir();
            for name in names_in(&self.dir.join(prefix)).await? {
                let key = Path::new(prefix).join(name);
                let Some(uuid) = key.to_str().and_then(|key| self.names.uuid(key)) else {
                    continue;
                };
                objects.extend(self.head(&self.names.key(&uuid)).await?);
            }
            objects.sort_unstable_by(|a, b| a.key.cmp(&b.key));
            Ok(objects)
        }
        .boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        async move {
            let path = self.path(key);
            async_fs::remove_file(&path).await.map_err(|e| Error::io("delete", e).at(path))
        }
        .boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        async move {
            let mut swept = Vec::new();
            let dir = self.dir.join(self.names.dir());
            for name in names_in(&dir).await? {
                let path = dir.join(&name);
                if is_part(name.as_bytes()) && is_file(&path).await {
                    swept.extend(unblock(move || sweep(&path)).await?);
                }
            }
            Ok(swept)
        }
        .boxed()
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        // A dropped upload is removed by its own drop, but for one that was not handed out yet.
        async move { drop(self.beginning.write().await) }.boxed()
    }

    fn location(&self, key: &Key) -> String {
        self.path(key).display().to_string()
    }
}

/// The names in a directory; none if it is not there.
async fn names_in(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let fail = |e| Error::io("list", e).at(dir);
    let mut entries = match async_fs::read_dir(dir).await {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(fail(e)),
    };
    let mut names = Vec::new();
    while let Some(entry) = entries.next().await {
        names.push(entry.map_err(fail)?.file_name());
    }
    Ok(names)
}

/// No store makes anything else, so nothing else of a part's name is a store's to remove.
async fn is_file(path: &Path) -> bool {
    async_fs::symlink_metadata(path).await.is_ok_and(|meta| meta.is_file())
}

fn is_part(name: &[u8]) -> bool {
    name.starts_with(b".") && name.ends_with(PART_SUFFIX.as_bytes())
}

/// Removes an unfinished archive unless its writer lives, and says where it was.
fn sweep(path: &Path) -> Result<Option<String>> {
    let fail = |e: Errno| Error::io("sweep", e).at(path);
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(fail(e)),
    };
    if !lock(&file).map_err(fail)? || !is_at(&file, path) {
        return Ok(None);
    }
    rustix::fs::unlink(path).map_err(fail)?;
    Ok(Some(path.display().to_string()))
}

/// Takes the lock that says that the writer lives; false if somebody else has it. It goes with the
/// descriptor, and so with the process.
fn lock(file: &OwnedFd) -> Result<bool, Errno> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Likewise, but waits until nobody else has it.
fn wait_for_lock(file: &OwnedFd) -> Result<(), Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(file, FlockOperation::LockExclusive))
}

/// Whether the open file is still the one at `path`.
fn is_at(file: &OwnedFd, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (rustix::fs::fstat(file), rustix::fs::lstat(path)) else {
        return false;
    };
    FileId::of(&open) == FileId::of(&named)
}

/// An archive in the making: all of it synchronous.
#[derive(Debug)]
struct Part {
    file: File,
    /// Of the directory, which is synced after the rename.
    dir: OwnedFd,
    dir_id: FileId,
    part: PathBuf,
    path: PathBuf,
    reserve: u64,
    /// Nothing is left to remove: it was renamed, or removed already.
    is_over: AtomicBool,
}

impl Part {
    fn create(dir: &Path, path: &Path, reserve: u64) -> Result<Self> {
        let exists = || Error::new(ErrorKind::AlreadyExists, "create").at(path);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| match e.kind() {
                // The kind is to say that a backup exists, which this is not about.
                std::io::ErrorKind::AlreadyExists => Errno::NOTDIR.into(),
                _ => e,
            })
            .map_err(|e| Error::io("create the directory", e).at(dir))?;
        if rustix::fs::lstat(path).is_ok() {
            return Err(exists().caused_by("a backup of that name is there already"));
        }
        let fail = |e: Errno| Error::io("open the directory", e).at(dir);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(dir, flags, Mode::empty()).map_err(fail)?;
        let dir_id = FileId::of(&rustix::fs::fstat(&directory).map_err(fail)?);
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(PART_SUFFIX);
        let part = dir.join(name);
        let fail = |e: Errno| Error::io("create", e).at(&part);
        let file = loop {
            // One that is there and not locked was left by a killed process.
            if rustix::fs::lstat(&part).is_ok() && sweep(&part)?.is_none() && part.exists() {
                return Err(exists().caused_by("a backup of that name is being made"));
            }
            let flags =
                OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::open(&part, flags, Mode::RUSR | Mode::WUSR) {
                // A sweep may take it for a dead one's before it is locked. It holds the lock for
                // moments and removes the file, so that another is made.
                Ok(file) => {
                    wait_for_lock(&file).map_err(fail)?;
                    if is_at(&file, &part) {
                        break file;
                    }
                }
                Err(Errno::EXIST) => {}
                Err(e) => return Err(fail(e)),
            }
        };
        let part = Part {
            file: file.into(),
            dir: directory,
            dir_id,
            part,
            path: path.to_owned(),
            reserve,
            is_over: AtomicBool::new(false),
        };
        part.check_space()?;
        Ok(part)
    }

    fn check_space(&self) -> Result<()> {
        let stat = rustix::fs::fstatvfs(&self.file)
            .map_err(|e| Error::io("look at the free space", e).at(&self.part))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < self.reserve {
            return Err(Error::new(ErrorKind::NoSpace, "write").at(&self.path).caused_by(format!(
                "{free} bytes are free, and {} are to stay free",
                self.reserve
            )));
        }
        Ok(())
    }

    /// Appends at `offset`.
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        (&self.file).write_all(bytes).map_err(|e| Error::io("write", e).at(&self.part))?;
        let (before, after) = (offset / STRIDE, (offset + bytes.len() as u64) / STRIDE);
        if after > before {
            self.check_space()?;
            // Starts to write dirty pages back and drops clean ones: the sync at the end finds
            // little left to do, and an archive does not flood the page cache. Once more for the
            // stride before, which by now is written back.
            let from = before.saturating_sub(1) * STRIDE;
            let len = NonZeroU64::new(after * STRIDE - from);
            let _ = rustix::fs::fadvise(&self.file, from, len, Advice::DontNeed);
        }
        Ok(())
    }

    /// Sync, rename without replacing, sync of the directory.
    fn complete(&self) -> Result<()> {
        self.file.sync_all().map_err(|e| Error::io("sync", e).at(&self.part))?;
        rename_new(CWD, &*self.part, CWD, &*self.path)
            .map_err(|e| Error::io("rename to", e).at(&self.path))?;
        self.is_over.store(true, SeqCst);
        rustix::fs::fsync(&self.dir).map_err(|e| {
            let _ = rustix::fs::unlink(&self.path);
            Error::io("sync the directory of", e).at(&self.path)
        })
    }

    /// Once only: by the second time the name may be another writer's.
    fn remove(&self) -> Result<()> {
        if self.is_over.swap(true, SeqCst) {
            return Ok(());
        }
        match rustix::fs::unlink(&self.part) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io("remove", e).at(&self.part)),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // A leftover is unlocked by then, so the next sweep finds it.
        let _ = self.remove();
    }
}

/// The part, until it is completed or given up.
struct LocalUpload {
    part: Option<Arc<Part>>,
    /// The write that is under way: while it runs, the next bytes are made.
    writing: Option<blocking::Task<Result<()>>>,
    offset: u64,
    names: NameTemplate,
}

impl LocalUpload {
    /// The part, once nothing is being written to it.
    async fn idle(&mut self) -> Result<Arc<Part>> {
        if let Some(writing) = &mut self.writing {
            let result = writing.await;
            self.writing = None;
            result?;
        }
        self.part.clone().ok_or_else(|| Error::new(ErrorKind::Internal, "write after the end"))
    }
}

impl Upload for LocalUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        async move {
            let (part, offset) = (self.idle().await?, self.offset);
            self.offset += bytes.len() as u64;
            self.writing = Some(unblock(move || part.write(offset, &bytes)));
            Ok(())
        }
        .boxed()
    }

    fn complete<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move {
            let part = self.idle().await?;
            unblock(move || part.complete()).await
        }
        .boxed()
    }

    fn abort<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move {
            // Whether the last write went well makes no difference now.
            let _ = self.idle().await;
            match self.part.take() {
                Some(part) => unblock(move || part.remove()).await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn own_backups(&self) -> Option<OwnBackups> {
        let names = self.names.clone();
        let is_own = move |name: &[u8]| {
            let key = Path::new(names.dir()).join(OsStr::from_bytes(name));
            is_part(name) || key.to_str().is_some_and(|key| names.uuid(key).is_some())
        };
        Some(OwnBackups { dir: self.part.as_ref()?.dir_id, is_own: Arc::new(is_own) })
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        // At once, and not when a write that is still under way ends.
        if let Some(part) = &self.part {
            let _ = part.remove();
        }
    }
}

impl std::fmt::Debug for LocalUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalUpload").field("part", &self.part).finish()
    }
}
