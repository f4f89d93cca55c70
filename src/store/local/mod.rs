//! Archives in a directory.
//!
//! An archive is written to a sibling of its final name (`.{name}.wingback-part`). The writer holds a lock on
//! it, makes it durable, and renames it without replacing anything. A killed process leaves the sibling
//! without a lock: the next backup of that name and [`sweep`](Store::sweep) remove it.

mod part;
mod walk;
mod writer;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use blocking::unblock;
use bytes::Bytes;
use futures::{
    FutureExt, StreamExt, TryFutureExt, TryStreamExt,
    channel::oneshot,
    future::BoxFuture,
    stream::{self, BoxStream},
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::walk::OwnFiles,
    name::Key,
    read::has_footer,
    rt::background::{self, PendingWork},
    store::{
        Object, ReadRange, Store, Upload,
        local::part::{Part, is_part, sweep},
    },
    template::{NameFields, NameTemplate},
};

/// Archives in a directory of the local file system.
///
/// The directory must exist, unless [`mkdir`](LocalStore::mkdir) is set. Folders in a key are made with mode 0700.
/// Archives have mode 0600, so only their owner can read them.
///
/// While an archive is written it is a hidden file next to its final name. If the process is killed, the next
/// backup of that name or [`sweep`](Store::sweep) removes that file.
#[derive(Clone, Debug)]
pub struct LocalStore {
    dir: PathBuf,
    names: NameTemplate,
    reserve: u64,
    mkdir: bool,
    /// Calls of `create` that are running, also those that nobody waits for.
    beginning: PendingWork,
    /// Dropped uploads that are being removed.
    removing: PendingWork,
}

impl LocalStore {
    /// Returns the store in `dir`. It names archives `backup-{uuid}.tar.gz`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        LocalStore {
            dir: dir.into(),
            names: NameTemplate::default(),
            reserve: 0,
            mkdir: false,
            beginning: PendingWork::default(),
            removing: PendingWork::default(),
        }
    }

    /// Sets the template for the names of new archives.
    #[must_use]
    pub fn names(mut self, names: NameTemplate) -> Self {
        self.names = names;
        self
    }

    /// Keeps `bytes` of the file system free. A backup fails with [`NoSpace`](ErrorKind::NoSpace) if less is
    /// free at its start or while it is written.
    #[must_use]
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// Makes the directory with mode 0700 if it does not exist. The default is false: a backup then fails with
    /// [`NotFound`](ErrorKind::NotFound), because a misspelled path or a disk that is not mounted would fill
    /// another file system.
    #[must_use]
    pub fn mkdir(mut self, mkdir: bool) -> Self {
        self.mkdir = mkdir;
        self
    }

    /// Returns the key of a new backup: of [`NameFields`], or of a UUID.
    pub fn key(&self, fields: impl Into<NameFields>) -> Key {
        self.names.key(fields)
    }

    /// Returns the path of the file for `key`. The file need not exist.
    pub fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(key)
    }

    /// Returns the files of this store in the directory of the archive `key`, which a backup into the store leaves
    /// out. A [preview](crate::Backup::preview) needs them. `None` if there is no such directory.
    ///
    /// This looks at the directory, so it may block.
    pub fn own_files(&self, key: &Key) -> Option<OwnFiles> {
        let dir = self.parent(key);
        let meta = std::fs::metadata(or_current(&dir)).ok()?;
        Some(own_files(dir, &meta))
    }

    /// Returns the directory of the file for `key`.
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
        let must_exist = (!self.mkdir).then(|| self.dir.clone());
        async move {
            // An upload of this name that was dropped a moment ago may still be there.
            self.removing.wait_until_idle().await;
            let (beginning, removing) = (self.beginning.begin(), self.removing.clone());
            let (upload_in, upload) = oneshot::channel();
            unblock(move || {
                let root = must_exist.map_or(Ok(()), |root| check_dir(&root));
                let part = root.and_then(|()| Part::create(&dir, &path, reserve));
                let upload = part.map(|part| LocalUpload {
                    part: Some(Arc::new(part)),
                    writing: None,
                    dir,
                    removing,
                });
                // If nobody waits any more, the upload is dropped, here or with the channel.
                let _ = upload_in.send(upload);
                drop(beginning);
            })
            .detach();
            let gone = |_| Error::new(ErrorKind::Internal, "create").caused_by("a thread panicked");
            Ok(Box::new(upload.await.map_err(gone)??) as Box<dyn Upload>)
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
        async move {
            let (path, key) = (self.path(key), key.clone());
            unblock(move || look_at(&path, key)).await
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
        let dir = self.dir.clone();
        unblock(move || walk::objects(&dir)).boxed()
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        async move {
            let path = self.path(key);
            async_fs::remove_file(&path).await.map_err(|e| Error::io("delete", e).at(path))
        }
        .boxed()
    }

    fn sweep(&self) -> BoxStream<'_, Result<OsString>> {
        let dir = self.dir.clone();
        let find_parts = move || -> Result<_> {
            let mut parts = Vec::new();
            walk::files(&dir, &mut |name, entry| {
                if is_part(entry.file_name().as_bytes()) {
                    parts.push(dir.join(name));
                }
                Ok(())
            })?;
            Ok(stream::iter(parts.into_iter().map(Ok)))
        };
        let parts = unblock(find_parts).try_flatten_stream();
        parts.try_filter_map(|path| unblock(move || sweep(&path))).boxed()
    }

    fn wait_for_cleanup(&self) -> BoxFuture<'_, ()> {
        async move {
            self.beginning.wait_until_idle().await;
            self.removing.wait_until_idle().await;
        }
        .boxed()
    }

    fn location(&self, key: &Key) -> OsString {
        self.path(key).into()
    }
}

/// Fails unless the store's directory exists.
fn check_dir(dir: &Path) -> Result<()> {
    const OPERATION: &str = "use the directory for archives";
    let dir = or_current(dir);
    match std::fs::metadata(dir) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let why = "it does not exist; mount its disk, or make it (--mkdir)";
            Err(Error::new(ErrorKind::NotFound, OPERATION).at(dir).caused_by(why))
        }
        Err(e) => Err(Error::io(OPERATION, e).at(dir)),
    }
}

/// Returns the directory at a path. An empty path is that of the current directory.
fn or_current(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

/// Returns the files of a store in `dir`.
fn own_files(dir: PathBuf, meta: &std::fs::Metadata) -> OwnFiles {
    OwnFiles::new(meta, move |name: &[u8]| {
        let archive = name.strip_suffix(b".lock").unwrap_or(name);
        is_part(name) || has_footer(&dir.join(OsStr::from_bytes(archive)))
    })
}

/// Returns the archive at `path`, if there is one.
fn look_at(path: &Path, key: Key) -> Result<Option<Object>> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_file() => Ok(Some(Object::new(key, meta.len(), meta.modified().ok()))),
        Ok(_) => Ok(None),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("look at", e).at(path)),
    }
}

/// An upload into a [`Part`] file.
struct LocalUpload {
    part: Option<Arc<Part>>,
    /// The running write. The engine makes the next bytes while it runs.
    writing: Option<blocking::Task<Result<()>>>,
    dir: PathBuf,
    removing: PendingWork,
}

impl LocalUpload {
    /// Waits for the running write, and returns the part.
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
            let part = self.idle().await?;
            self.writing = Some(unblock(move || part.write(&bytes, None)));
            Ok(())
        }
        .boxed()
    }

    fn copy_from(&mut self, file: Arc<File>, at: u64, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        async move {
            let part = self.idle().await?;
            self.writing = Some(unblock(move || part.write(&bytes, Some((&file, at)))));
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
            // The last owner closes the file, which may block. So the thread must be the last owner.
            self.part = None;
            unblock(move || part.complete()).await
        }
        .boxed()
    }

    fn abort<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move {
            // The result of the last write does not matter any more.
            let _ = self.idle().await;
            match self.part.take() {
                Some(part) => unblock(move || part.remove()).await,
                None => Ok(()),
            }
        }
        .boxed()
    }

    fn own_files(&self) -> Option<OwnFiles> {
        Some(own_files(self.dir.clone(), &self.part.as_ref()?.dir_meta))
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            let removing = self.removing.begin();
            background::run(move || {
                // Removes the file at once, and does not wait for a running write.
                let _ = part.remove();
                drop(part);
                drop(removing);
            });
        }
    }
}

impl std::fmt::Debug for LocalUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalUpload").field("part", &self.part).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        sync::mpsc,
        time::{Duration, Instant},
    };

    use futures::executor::block_on;

    use super::*;

    #[test]
    fn dropping_an_upload_does_not_wait_for_the_file_system() {
        let tmp = tempfile::tempdir().expect("made");
        let store = LocalStore::new(tmp.path());
        let key = Key::new("a.tar.gz").expect("a name");
        let mut upload = block_on(store.create(&key, None)).expect("begun");
        block_on(upload.write(Bytes::from_static(b"some"))).expect("written");
        let (go_on, until) = mpsc::channel();
        part::slow::next_unlink(tmp.path().to_owned(), until);
        let begun = Instant::now();
        drop(upload);
        assert!(begun.elapsed() < Duration::from_secs(5), "it waited: {:?}", begun.elapsed());
        assert!(store.wait_for_cleanup().now_or_never().is_none(), "it is still being removed");
        assert_eq!(fs::read_dir(tmp.path()).expect("there").count(), 1);
        go_on.send(()).expect("it waits");
        block_on(store.wait_for_cleanup());
        assert_eq!(fs::read_dir(tmp.path()).expect("there").count(), 0);
    }

    #[test]
    fn the_name_of_a_dropped_upload_is_free_again() {
        let tmp = tempfile::tempdir().expect("made");
        let store = LocalStore::new(tmp.path());
        let key = Key::new("a.tar.gz").expect("a name");
        for _ in 0..50 {
            drop(block_on(store.create(&key, None)).expect("free"));
        }
    }
}
