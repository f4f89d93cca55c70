//! An archive to be read, and the bridge from its bytes to the threads of the engine.

mod file;
#[cfg(feature = "s3")]
mod link;
mod pace;
mod remote;

use std::{
    ffi::OsString,
    future::Future,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{
    AsyncRead, AsyncReadExt, FutureExt, SinkExt, StreamExt, channel::mpsc, executor::block_on,
    future::BoxFuture,
};

pub(crate) use file::{LocalFile, SequentialFile};

#[cfg(feature = "s3")]
use crate::net::{Transfer, url::SecretUrl};
use crate::{
    error::{Error, ErrorKind, Result},
    limiter::Limiter,
    name::Key,
    progress::Tracker,
    read::{Chunks, Source, TAIL},
    rt::pipe::{self, ByteReceiver, ByteSender},
    source::{
        pace::{Pace, Paced, PacedFile},
        remote::{Ranges, Remote, serve},
    },
    store::{Opened, ReadRange, Store, local::LocalStore},
    task::unless_cancelled,
    throttle::Throttle,
};

/// Bytes of one read from a stream.
const CHUNK: usize = 256 << 10;

/// Time in which the limit grants one read from a stream.
const CHUNK_TIME: Duration = Duration::from_millis(100);

/// Parallel range reads of a store.
const RANGES: usize = 4;

/// An archive to read: a `.tar.gz` of this crate or of any other program.
///
/// Creating one reads nothing. An operation such as [`Verify`](crate::Verify) opens it.
///
/// ```no_run
/// use wingback::{Archive, Verify};
///
/// let archive = Archive::file("backup.tar.gz");
/// let verified = futures::executor::block_on(Verify::new().start(archive))?;
/// assert!(verified.is_whole());
/// # Ok::<(), wingback::Error>(())
/// ```
pub struct Archive<'a> {
    origin: Origin<'a>,
    read_limit: Limiter,
    write_limit: Limiter,
}

enum Origin<'a> {
    Store(Box<dyn Store + 'a>, Key),
    File(PathBuf),
    #[cfg(feature = "s3")]
    Link(SecretUrl, Transfer),
    Stream(Box<dyn AsyncRead + Send + Unpin + 'a>),
}

impl<'a> Archive<'a> {
    fn new(origin: Origin<'a>) -> Self {
        Archive { origin, read_limit: Limiter::default(), write_limit: Limiter::default() }
    }

    /// Returns the archive `key` of a store.
    pub fn in_store(store: impl Store + 'a, key: Key) -> Self {
        Archive::new(Origin::Store(Box::new(store), key))
    }

    /// Returns the archive in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Archive::new(Origin::File(path.into()))
    }

    /// Returns the archive behind an http or https URL, such as a presigned URL of an object in S3.
    ///
    /// If the service supports ranges, a list or one file costs a few requests. A whole archive is one
    /// request, which is continued after the connection breaks, because such URLs expire within minutes.
    /// Redirects are followed to https URLs and on the same host. No error shows the query of the URL.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the URL is neither http nor https, or if its host is an
    /// address that [`Transfer::public_only`] does not allow.
    #[cfg(feature = "s3")]
    pub fn link(url: &str, transfer: Transfer) -> Result<Self> {
        let url = SecretUrl::parse(url)?;
        transfer.check_url(&url)?;
        Ok(Archive::new(Origin::Link(url, transfer)))
    }

    /// Returns an archive that comes as a stream from its start to its end, such as the body of a download. It
    /// is read in sequence.
    pub fn stream(reader: impl AsyncRead + Send + Unpin + 'a) -> Self {
        Archive::new(Origin::Stream(Box::new(reader)))
    }

    /// Limits how fast the archive is read, from wherever it is.
    ///
    /// All bytes count that are read from the file, the store, the link or the stream, also those that an
    /// operation reads a second time. A read waits until all of its bytes are granted: up to 1 MiB of a file, and
    /// up to 4 MiB from a store or a link.
    ///
    /// ```no_run
    /// use wingback::{Archive, Limiter, Restore};
    ///
    /// let archive = Archive::file("backup.tar.gz").read_limit(Limiter::new(50_000_000));
    /// Restore::new("/srv/minecraft").start(archive).wait()?;
    /// # Ok::<(), wingback::Error>(())
    /// ```
    #[must_use]
    pub fn read_limit(mut self, limit: Limiter) -> Self {
        self.read_limit = limit;
        self
    }

    /// Limits how fast an operation writes what it takes out of the archive: the files of an
    /// [`Extract`](crate::Extract) or a [`Restore`](crate::Restore), and the output of
    /// [`copy_file`](Archive::copy_file).
    ///
    /// Only written bytes count. A file that is equal already is not written, and neither is a hole.
    #[must_use]
    pub fn write_limit(mut self, limit: Limiter) -> Self {
        self.write_limit = limit;
        self
    }

    /// Returns the limit for the bytes that a task reads outside of the archive.
    pub(crate) fn reads(&self, tracker: &Arc<Tracker>) -> Throttle {
        Throttle::new(self.read_limit.clone(), tracker)
    }

    /// Returns the limit for the bytes that a task writes.
    pub(crate) fn writes(&self, tracker: &Arc<Tracker>) -> Throttle {
        Throttle::new(self.write_limit.clone(), tracker)
    }

    /// Returns the name of the archive in errors.
    pub(crate) fn location(&self) -> Option<OsString> {
        match &self.origin {
            Origin::Store(store, key) => Some(store.location(key)),
            Origin::File(path) => Some(path.into()),
            #[cfg(feature = "s3")]
            Origin::Link(url, _) => Some(url.to_string().into()),
            Origin::Stream(_) => None,
        }
    }

    /// Returns the store of the archive, and its key there. The store of a file is its directory.
    pub(crate) fn into_store(self) -> Result<(Box<dyn Store + 'a>, Key)> {
        let refuse = |why: &'static str| {
            Error::new(ErrorKind::InvalidInput, "find the store of the archive").caused_by(why)
        };
        match self.origin {
            Origin::Store(store, key) => Ok((store, key)),
            Origin::File(path) => {
                let name = path.file_name().ok_or_else(|| refuse("it has no name").at(&path))?;
                let name = name.to_str().ok_or_else(|| refuse("it is not UTF-8").at(&path))?;
                let key = Key::new(name).map_err(|e| e.at(&path))?;
                let dir = path.parent().filter(|dir| *dir != Path::new(""));
                Ok((Box::new(LocalStore::new(dir.unwrap_or(Path::new(".")))), key))
            }
            #[cfg(feature = "s3")]
            Origin::Link(..) => Err(refuse("it is behind a link")),
            Origin::Stream(_) => Err(refuse("it is a stream")),
        }
    }

    /// Runs `work` with the bytes of the archive on a thread of its own. Passes the bytes that the thread sends
    /// to `take`, in this future.
    pub(crate) async fn read<T, F>(
        self,
        tracker: &Arc<Tracker>,
        work: impl FnOnce(Source, ByteSender) -> Result<T> + Send + 'static,
        take: impl FnMut(Bytes) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<()>>,
    {
        let location = self.location();
        let named = |e| at_location(e, location.as_ref());
        let (source, serve) = unless_cancelled(tracker, self.open(tracker)).await.map_err(named)?;
        let receiver = pipe::spawn(move |sender| work(source, sender))?;
        attend(receiver, serve, tracker, take).await.map_err(named)
    }

    /// Runs `work` with the bytes of this archive and of `other` on a thread of its own. The errors of `work` have
    /// no [`location`](Archive::location).
    pub(crate) async fn read_both<T: Send + 'static>(
        self,
        other: Archive<'a>,
        tracker: &Arc<Tracker>,
        work: impl FnOnce(Source, Source) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (this, that) = (self.location(), other.location());
        let (first, serve_first) = unless_cancelled(tracker, self.open(tracker))
            .await
            .map_err(|e| at_location(e, this.as_ref()))?;
        let (second, serve_second) = unless_cancelled(tracker, other.open(tracker))
            .await
            .map_err(|e| at_location(e, that.as_ref()))?;
        let receiver = pipe::spawn(move |_| work(first, second))?;
        let serve = futures::future::join(serve_first, serve_second).map(|_| ()).boxed();
        attend(receiver, serve, tracker, |_| futures::future::ready(Ok(()))).await
    }

    /// Opens the archive. Returns its bytes for the threads of the engine, and a future that serves their reads.
    pub(crate) async fn open(self, tracker: &Arc<Tracker>) -> Result<(Source, BoxFuture<'a, ()>)> {
        let nothing = || futures::future::ready(()).boxed();
        let pace = Arc::new(Pace::new(self.read_limit, tracker));
        Ok(match self.origin {
            Origin::File(path) => {
                let file = pipe::spawn(move |_| LocalFile::open(&path))?.finish().await?;
                (Source::At(Arc::new(PacedFile { file, pace })), nothing())
            }
            Origin::Store(store, key) => match store.file(&key).await? {
                Some(file) => {
                    let file = pipe::spawn(move |_| LocalFile::new(file))?.finish().await?;
                    (Source::At(Arc::new(PacedFile { file, pace })), nothing())
                }
                None => {
                    let Opened { size, tail } = store.open(&key, TAIL).await?;
                    pace.wait(size - tail.len() as u64..size).await?;
                    let (ranges, requests) = Ranges::new(size, tail);
                    let paced = Paced { remote: InStore { store, key }, pace };
                    (Source::At(Arc::new(ranges)), serve(paced, requests).boxed())
                }
            },
            #[cfg(feature = "s3")]
            Origin::Link(url, transfer) => match link::open(url, &transfer, TAIL).await? {
                link::Opened::Ranges(size, tail, link) => {
                    pace.wait(size - tail.len() as u64..size).await?;
                    let (ranges, requests) = Ranges::new(size, tail);
                    let paced = Paced { remote: link, pace };
                    (Source::At(Arc::new(ranges)), serve(paced, requests).boxed())
                }
                link::Opened::Stream(stream) => {
                    let (chunks_in, chunks) = mpsc::channel(2);
                    let passed_on = pass_on(stream, pace, chunks_in);
                    (Source::Stream(Box::new(Stream(chunks))), passed_on.boxed())
                }
            },
            Origin::Stream(reader) => {
                let (chunks_in, chunks) = mpsc::channel(2);
                let served = serve_stream(reader, pace, chunks_in);
                (Source::Stream(Box::new(Stream(chunks))), served.boxed())
            }
        })
    }
}

/// Adds the name of an archive to an error that has no path.
pub(crate) fn at_location(error: Error, location: Option<&OsString>) -> Error {
    match location {
        Some(location) if error.path().is_none() => error.at(location),
        _ => error,
    }
}

/// Serves a thread that reads an archive, and passes the bytes that it sends to `take`. Returns its result.
async fn attend<T, F: Future<Output = Result<()>>>(
    mut receiver: ByteReceiver<T>,
    serve: BoxFuture<'_, ()>,
    tracker: &Arc<Tracker>,
    mut take: impl FnMut(Bytes) -> F,
) -> Result<T> {
    let taken = unless_cancelled(tracker, async {
        let take_all = async {
            while let Some(chunk) = receiver.next().await {
                take(chunk.bytes).await?;
            }
            Ok(())
        };
        // The thread has finished with the archive after it has closed its end.
        match futures::future::select(std::pin::pin!(take_all), serve).await {
            futures::future::Either::Left((taken, _)) => taken,
            futures::future::Either::Right(((), take_all)) => take_all.await,
        }
    })
    .await;
    if taken.is_err() {
        tracker.cancel();
    }
    // The side that stopped first has the reason.
    let worked = receiver.finish().await;
    taken.and(worked)
}

impl std::fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Archive").field(&self.location()).finish()
    }
}

/// An archive in a store. The future of the task reads it.
struct InStore<'a> {
    store: Box<dyn Store + 'a>,
    key: Key,
}

impl Remote for InStore<'_> {
    fn read(&self, range: Range<u64>, _: u64) -> BoxFuture<'_, Result<Bytes>> {
        self.store.read(&self.key, ReadRange::Bytes(range))
    }

    fn parallel(&self) -> usize {
        RANGES
    }
}

/// A stream, for the threads of the engine.
struct Stream(mpsc::Receiver<Result<Bytes>>);

impl Chunks for Stream {
    fn next(&mut self) -> Result<Option<Bytes>> {
        // If it ends without its empty chunk, the task was dropped or cancelled.
        block_on(self.0.next()).unwrap_or_else(|| Err(Error::cancelled())).map(Some)
    }
}

/// Sends the chunks of a link to the threads. An empty chunk marks the end.
#[cfg(feature = "s3")]
async fn pass_on(
    mut stream: link::LinkStream,
    pace: Arc<Pace>,
    mut chunks: mpsc::Sender<Result<Bytes>>,
) {
    loop {
        let chunk = match stream.next().await {
            Ok(Some(chunk)) => pace.wait(0..chunk.len() as u64).await.map(|()| Some(chunk)),
            last => last,
        };
        let is_last = !matches!(chunk, Ok(Some(_)));
        if chunks.send(chunk.map(Option::unwrap_or_default)).await.is_err() || is_last {
            return;
        }
    }
}

async fn serve_stream(
    mut reader: Box<dyn AsyncRead + Send + Unpin + '_>,
    pace: Arc<Pace>,
    mut chunks: mpsc::Sender<Result<Bytes>>,
) {
    // Bytes that may be read now.
    let mut granted = 0;
    loop {
        let chunk = read_chunk(&mut *reader, &pace, &mut granted).await;
        let is_last = chunk.as_ref().map_or(true, Bytes::is_empty);
        if chunks.send(chunk).await.is_err() || is_last {
            return;
        }
    }
}

/// Reads the next bytes of a stream. None are left at its end.
async fn read_chunk(
    reader: &mut (dyn AsyncRead + Send + Unpin + '_),
    pace: &Pace,
    granted: &mut usize,
) -> Result<Bytes> {
    if *granted == 0 {
        let wanted = pace.bytes_in(CHUNK_TIME).min(CHUNK as u64);
        pace.wait(0..wanted).await?;
        *granted = wanted as usize;
    }
    let mut chunk = vec![0; *granted];
    let read = reader.read(&mut chunk).await.map_err(|e| Error::io("read the archive", e))?;
    *granted -= read;
    chunk.truncate(read);
    Ok(chunk.into())
}
