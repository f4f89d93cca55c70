//! An archive that is open for reads of single members, directories and ranges.

mod content;
mod members;

use std::{
    ffi::OsString,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use bytes::Bytes;
use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, Either, Shared, select},
};

use crate::{
    entry::Member,
    error::{Error, ErrorKind, Result},
    format::{info::Info, tar::plain},
    ops::{
        copy_file::check,
        reader::{
            content::{Content, Segments},
            members::Members,
        },
    },
    progress::{Phase, Tracker},
    read::{Index, Source, corrupt},
    rt::threads,
    source::{Archive, at_location},
    task::{Task, unless_cancelled},
};

/// An archive with an index that stays open: for single members, the children of a directory, and ranges of a file.
///
/// [`List`](crate::List) and [`Entries`](crate::Entries) read an archive once and in order. A reader answers any number
/// of requests in any order, as a file system does.
///
/// ```
/// use wingback::{Archive, ArchiveReader};
/// # use wingback::{Backup, LocalStore};
///
/// # let tmp = tempfile::tempdir().unwrap();
/// # let server = tmp.path().join("server");
/// # std::fs::create_dir_all(server.join("world")).unwrap();
/// # std::fs::write(server.join("world/level.dat"), "a level").unwrap();
/// # let store = LocalStore::new(tmp.path().join("backups")).mkdir(true);
/// # let key = store.key(uuid::Uuid::new_v4());
/// # let path = store.path(&key);
/// # Backup::new(&server).start(store, key).wait()?;
/// let reader = ArchiveReader::open(Archive::file(&path)).wait()?;
/// for child in reader.children("world", None).wait()? {
///     println!("{:>10} {}", child.size, String::from_utf8_lossy(&child.path));
/// }
/// let file = reader.file("world/level.dat").wait()?;
/// assert_eq!(file.read_at(2, 100).wait()?, "level");
/// # Ok::<(), wingback::Error>(())
/// ```
///
/// The index is trusted, as by a list. The content of a file is compared with the checksums of its segments, so
/// damage is an error of the read. [`Verify`](crate::Verify) compares the index with the archive.
///
/// # Threads and memory
///
/// A thread of the engine answers the requests of all clones, one after the other. It ends after the last clone and the
/// last [`ArchiveFile`] were dropped. It keeps 16 MiB of decoded segments and a few pages of the index, however large
/// the archive is.
///
/// # Cancel safety
///
/// Nothing is written. A request whose task is dropped has no effect on the others.
#[derive(Clone)]
pub struct ArchiveReader<'a> {
    connection: Arc<Connection<'a>>,
    info: Arc<Info>,
}

/// A file of an [`ArchiveReader`], open for reads.
#[derive(Clone)]
pub struct ArchiveFile<'a> {
    connection: Arc<Connection<'a>>,
    member: Member,
    content: Arc<Mutex<Content>>,
}

impl<'a> ArchiveReader<'a> {
    /// Opens an archive by its index. It reads the last 64 KiB of the archive.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound) if the archive does not exist.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if the archive is not a regular file, or has no index to use:
    ///   another program made it, its end is missing or damaged, or it is a stream.
    /// - [`PermissionDenied`](ErrorKind::PermissionDenied), [`UrlExpired`](ErrorKind::UrlExpired) or
    ///   [`Io`](ErrorKind::Io) if it cannot be read.
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    pub fn open(archive: Archive<'a>) -> Task<'a, Self> {
        Task::new(|tracker| async move {
            let location = archive.location();
            // The reads go on after this task.
            let reads = Arc::new(Tracker::default());
            let opened = unless_cancelled(&tracker, archive.open(&reads)).await;
            let (source, serve) = opened.map_err(|e| at_location(e, location.as_ref()))?;
            let (jobs, queue) = mpsc::channel();
            let serve = serve.shared();
            let connection = Arc::new(Connection { jobs, serve, location, reads });
            let (ready, is_ready) = oneshot::channel();
            threads::spawn("wingback", move || work(source, ready, &queue))?;
            let info = connection.wait(&tracker, is_ready).await?;
            Ok(ArchiveReader { connection, info: Arc::new(info) })
        })
    }

    /// Returns what the archive says about itself. [`excludes`](Info::excludes) is empty, because the patterns are not
    /// read.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Returns the member at `path`, or `None` if the archive has nothing there. A `/` at the start is ignored, and an
    /// empty path is the root.
    ///
    /// A directory that is only a part of other paths, as the root always is, has the mode 0555, the owner 0 and the
    /// mtime 0.
    ///
    /// # Errors
    ///
    /// - [`Corrupt`](ErrorKind::Corrupt) if the index is damaged there.
    /// - [`NotFound`](ErrorKind::NotFound) if a remote archive was removed.
    /// - [`UrlExpired`](ErrorKind::UrlExpired) or [`Io`](ErrorKind::Io) if the archive cannot be read.
    /// - [`Cancelled`](ErrorKind::Cancelled) after [`Handle::cancel`](crate::Handle::cancel).
    pub fn member(&self, path: impl Into<Vec<u8>>) -> Task<'a, Option<Member>> {
        let path = relative(path);
        self.connection.ask(move |opened| opened.members.member(&path))
    }

    /// Returns children of the directory `dir` in the order of paths: at most 512, and only those after the child
    /// `after`. No children means that there are no more.
    ///
    /// Names that no file system can have are left out: `.`, `..`, empty ones, and those with NUL or more than 255
    /// bytes. If `dir` does not exist or is not a directory, it has no children.
    ///
    /// # Errors
    ///
    /// Those of [`member`](ArchiveReader::member).
    pub fn children(
        &self,
        dir: impl Into<Vec<u8>>,
        after: Option<&Member>,
    ) -> Task<'a, Vec<Member>> {
        let (dir, after) = (relative(dir), after.cloned());
        self.connection.ask(move |opened| opened.members.children(&dir, after.as_ref()))
    }

    /// Opens the file at `path`. A `/` at the start is ignored.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound) also if the archive has nothing at `path`.
    /// - [`InvalidInput`](ErrorKind::InvalidInput) if it is not a file.
    /// - All others of [`member`](ArchiveReader::member).
    pub fn file(&self, path: impl Into<Vec<u8>>) -> Task<'a, ArchiveFile<'a>> {
        let path = relative(path);
        let connection = self.connection.clone();
        let open = connection.clone().ask(move |opened| opened.file(&path));
        Task::new(|tracker| async move {
            let (member, content) = unless_cancelled(&tracker, open).await?;
            Ok(ArchiveFile { connection, member, content: Arc::new(Mutex::new(content)) })
        })
    }
}

impl<'a> ArchiveFile<'a> {
    /// Returns the member.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Reads `len` bytes of the content from `offset` on. At the end of the file there are fewer, or none.
    ///
    /// # Errors
    ///
    /// - [`Corrupt`](ErrorKind::Corrupt) if the archive is damaged there.
    /// - All others of [`member`](ArchiveReader::member).
    pub fn read_at(&self, offset: u64, len: usize) -> Task<'a, Bytes> {
        let content = self.content.clone();
        self.connection.ask(move |opened| {
            let mut content = content.lock().unwrap_or_else(PoisonError::into_inner);
            opened.segments.read(&mut content, offset, len).map(Bytes::from)
        })
    }
}

fn relative(path: impl Into<Vec<u8>>) -> Vec<u8> {
    plain(&[b"./", &path.into()[..]].concat())
}

/// What the thread has of the archive.
struct Opened {
    index: Arc<Index>,
    members: Members,
    segments: Segments,
}

/// A request, which the thread runs.
type Job = Box<dyn FnOnce(&mut Opened) + Send>;

/// Answers requests until the last connection was dropped.
fn work(source: Source, ready: oneshot::Sender<Result<Info>>, jobs: &mpsc::Receiver<Job>) {
    let mut opened = match Opened::new(&source) {
        Ok(opened) => opened,
        Err(e) => {
            // A caller that has dropped its task does not need the error.
            let _ = ready.send(Err(e));
            return;
        }
    };
    drop(source);
    let _ = ready.send(Ok(opened.index.info()));
    for job in jobs {
        job(&mut opened);
    }
}

impl Opened {
    fn new(source: &Source) -> Result<Self> {
        let (Ok(index), Source::At(at)) = (source.index()?, source) else {
            let error = Error::new(ErrorKind::InvalidInput, "open the archive");
            return Err(error.caused_by("it has no index to use"));
        };
        let (members, segments) = (Members::new(index.clone()), Segments::new(at.clone()));
        Ok(Opened { index, members, segments })
    }

    fn file(&mut self, path: &[u8]) -> Result<(Member, Content)> {
        let member = check(path, self.members.member(path)?)?;
        let entry = self.members.entry(path)?;
        let (page, at) = entry.ok_or_else(|| corrupt("it changed while it was read"))?;
        Ok((member, Content::new(self.index.clone(), &page.segments, &page.entries[at])))
    }
}

/// The way to the thread. If the archive is remote, the tasks of the requests also serve the reads of the thread.
struct Connection<'a> {
    jobs: mpsc::Sender<Job>,
    serve: Shared<BoxFuture<'a, ()>>,
    location: Option<OsString>,
    /// Of the reads of all requests. They wait for the limit of the archive until this is cancelled.
    reads: Arc<Tracker>,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.reads.cancel();
    }
}

impl<'a> Connection<'a> {
    /// Runs `work` on the thread.
    fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Opened) -> Result<T> + Send + 'static,
    ) -> Task<'a, T> {
        let connection = self.clone();
        Task::new(|tracker| async move {
            let (answer, answered) = oneshot::channel();
            let job: Job = Box::new(move |opened| {
                let _ = answer.send(work(opened));
            });
            // If the thread is gone, there is no answer either.
            let _ = connection.jobs.send(job);
            connection.wait(&tracker, answered).await
        })
    }

    async fn wait<T>(
        &self,
        tracker: &Tracker,
        answered: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        tracker.enter(Phase::Reading);
        let answered = answered.map(|answer| {
            answer.unwrap_or_else(|_| {
                let error = Error::new(ErrorKind::Internal, "read the archive");
                Err(error.caused_by("a thread of the engine panicked"))
            })
        });
        let served = until(answered, self.serve.clone());
        let result = unless_cancelled(tracker, served).await;
        result.map_err(|e| at_location(e, self.location.as_ref()))
    }
}

/// Polls both futures until the first one is done.
async fn until<T>(
    answered: impl Future<Output = T> + Unpin,
    serve: impl Future<Output = ()> + Unpin,
) -> T {
    match select(answered, serve).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), answered)) => answered.await,
    }
}

impl fmt::Debug for ArchiveReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArchiveReader").field(&self.connection.location).finish()
    }
}

impl fmt::Debug for ArchiveFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArchiveFile").field(&self.member).finish()
    }
}
