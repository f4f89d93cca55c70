//! An archive to be read, and the bridge from its bytes to the threads of the engine.

mod file;
#[cfg(feature = "s3")]
mod link;
mod remote;

use std::{
    ffi::OsString,
    future::Future,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
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
    name::Key,
    progress::Tracker,
    read::{Chunks, Source, TAIL},
    rt::pipe::{self, ByteReceiver, ByteSender},
    source::remote::{Ranges, Remote, serve},
    store::{Opened, ReadRange, Store, local::LocalStore},
    task::unless_cancelled,
};

/// Bytes of one read from a stream.
const CHUNK: usize = 256 << 10;

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
pub struct Archive<'a>(Origin<'a>);

enum Origin<'a> {
    Store(Box<dyn Store + 'a>, Key),
    File(PathBuf),
    #[cfg(feature = "s3")]
    Link(SecretUrl, Transfer),
    Stream(Box<dyn AsyncRead + Send + Unpin + 'a>),
}

impl<'a> Archive<'a> {
    /// Returns the archive `key` of a store.
    pub fn in_store(store: impl Store + 'a, key: Key) -> Self {
        Archive(Origin::Store(Box::new(store), key))
    }

    /// Returns the archive in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Archive(Origin::File(path.into()))
    }

    /// Returns the archive behind an http or https URL, such as a presigned URL of an object in S3.
    ///
    /// If the service supports ranges, a list or one file costs a few requests. A whole archive is one
    /// request, which is continued after the connection breaks, because such URLs expire within minutes.
    /// Redirects are followed to https URLs and on the same host. No error shows the query of the URL.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the URL is neither http nor https.
    #[cfg(feature = "s3")]
    pub fn link(url: &str, transfer: Transfer) -> Result<Self> {
        Ok(Archive(Origin::Link(SecretUrl::parse(url)?, transfer)))
    }

    /// Returns an archive that comes as a stream from its start to its end, such as the body of a download. It
    /// is read in sequence.
    pub fn stream(reader: impl AsyncRead + Send + Unpin + 'a) -> Self {
        Archive(Origin::Stream(Box::new(reader)))
    }

    /// Returns the name of the archive in errors.
    pub(crate) fn location(&self) -> Option<OsString> {
        match &self.0 {
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
        match self.0 {
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
        let (source, serve) = unless_cancelled(tracker, self.open()).await.map_err(named)?;
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
        let (first, serve_first) = unless_cancelled(tracker, self.open())
            .await
            .map_err(|e| at_location(e, this.as_ref()))?;
        let (second, serve_second) = unless_cancelled(tracker, other.open())
            .await
            .map_err(|e| at_location(e, that.as_ref()))?;
        let receiver = pipe::spawn(move |_| work(first, second))?;
        let serve = futures::future::join(serve_first, serve_second).map(|_| ()).boxed();
        attend(receiver, serve, tracker, |_| futures::future::ready(Ok(()))).await
    }

    /// Opens the archive. Returns its bytes for the threads of the engine, and a future that serves their reads.
    pub(crate) async fn open(self) -> Result<(Source, BoxFuture<'a, ()>)> {
        let nothing = || futures::future::ready(()).boxed();
        Ok(match self.0 {
            Origin::File(path) => {
                let open = move || LocalFile::open(&path).map(Arc::new);
                let file = pipe::spawn(move |_| open())?.finish().await?;
                (Source::At(file), nothing())
            }
            Origin::Store(store, key) => match store.file(&key).await? {
                Some(file) => {
                    let open = move || LocalFile::new(file).map(Arc::new);
                    let file = pipe::spawn(move |_| open())?.finish().await?;
                    (Source::At(file), nothing())
                }
                None => {
                    let Opened { size, tail } = store.open(&key, TAIL).await?;
                    let (ranges, requests) = Ranges::new(size, tail);
                    let served = serve(InStore { store, key }, requests);
                    (Source::At(Arc::new(ranges)), served.boxed())
                }
            },
            #[cfg(feature = "s3")]
            Origin::Link(url, transfer) => match link::open(url, &transfer, TAIL).await? {
                link::Opened::Ranges(size, tail, link) => {
                    let (ranges, requests) = Ranges::new(size, tail);
                    (Source::At(Arc::new(ranges)), serve(link, requests).boxed())
                }
                link::Opened::Stream(stream) => {
                    let (chunks_in, chunks) = mpsc::channel(2);
                    (Source::Stream(Box::new(Stream(chunks))), pass_on(stream, chunks_in).boxed())
                }
            },
            Origin::Stream(reader) => {
                let (chunks_in, chunks) = mpsc::channel(2);
                (Source::Stream(Box::new(Stream(chunks))), serve_stream(reader, chunks_in).boxed())
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
async fn pass_on(mut stream: link::LinkStream, mut chunks: mpsc::Sender<Result<Bytes>>) {
    loop {
        let chunk = stream.next().await;
        let is_last = !matches!(chunk, Ok(Some(_)));
        if chunks.send(chunk.map(Option::unwrap_or_default)).await.is_err() || is_last {
            return;
        }
    }
}

async fn serve_stream(
    mut reader: Box<dyn AsyncRead + Send + Unpin + '_>,
    mut chunks: mpsc::Sender<Result<Bytes>>,
) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = reader.read(&mut chunk).await;
        let is_last = !matches!(read, Ok(1..));
        let chunk = read.map_err(|e| Error::io("read the archive", e)).map(|n| {
            chunk.truncate(n);
            chunk.into()
        });
        if chunks.send(chunk).await.is_err() || is_last {
            return;
        }
    }
}
