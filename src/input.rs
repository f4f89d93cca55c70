//! An archive to be read, wherever it is: the bridge from its bytes to the engine's threads.

use std::{
    fs::File,
    future::Future,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures::{
    AsyncRead, AsyncReadExt, FutureExt, SinkExt, StreamExt,
    channel::{mpsc, oneshot},
    executor::block_on,
    future::BoxFuture,
};

use crate::{
    archive::read::{Chunks, ReadAt, Source},
    error::{Error, ErrorKind, Result},
    name::Key,
    pipe::{self, Outlet},
    progress::Tracker,
    store::{ReadRange, Store},
    task::unless_cancelled,
};

/// Bytes that are read from a stream at once.
const CHUNK: usize = 256 << 10;

/// Range reads of a store that are under way at once.
const RANGES: usize = 8;

/// An archive to be read: a `.tar.gz` of ours or of any other program.
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
    Stream(Box<dyn AsyncRead + Send + Unpin + 'a>),
}

impl<'a> Archive<'a> {
    /// The archive `key` of a store.
    pub fn in_store(store: impl Store + 'a, key: Key) -> Self {
        Archive(Origin::Store(Box::new(store), key))
    }

    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Archive(Origin::File(path.into()))
    }

    /// Bytes that come from the start of an archive to its end, such as the body of a download.
    /// They are read in sequence, whatever the archive.
    pub fn stream(reader: impl AsyncRead + Send + Unpin + 'a) -> Self {
        Archive(Origin::Stream(Box::new(reader)))
    }

    /// What errors call it.
    fn location(&self) -> Option<String> {
        match &self.0 {
            Origin::Store(store, key) => Some(store.location(key)),
            Origin::File(path) => Some(path.display().to_string()),
            Origin::Stream(_) => None,
        }
    }

    /// Runs `work` on a thread of its own with the archive's bytes, and hands the bytes that it
    /// sends to `take`, here.
    pub(crate) async fn read<T, F>(
        self,
        tracker: &Arc<Tracker>,
        work: impl FnOnce(Source, Outlet) -> Result<T> + Send + 'static,
        mut take: impl FnMut(Bytes) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<()>>,
    {
        let location = self.location();
        let named = |e: Error| match &location {
            Some(location) if e.path().is_none() => e.at(location),
            _ => e,
        };
        let (source, serve) = unless_cancelled(tracker, self.open()).await.map_err(named)?;
        let mut inlet = pipe::spawn(move |outlet| work(source, outlet))?;
        let taken = unless_cancelled(tracker, async {
            let take_all = async {
                while let Some(bytes) = inlet.next().await {
                    take(bytes).await?;
                }
                Ok(())
            };
            // The thread is done with the archive once its own end is closed.
            match futures::future::select(std::pin::pin!(take_all), serve).await {
                futures::future::Either::Left((taken, _)) => taken,
                futures::future::Either::Right(((), take_all)) => take_all.await,
            }
        })
        .await;
        if taken.is_err() {
            tracker.cancel();
        }
        // Whoever stopped the other says why.
        let worked = inlet.finish().await;
        taken.and(worked).map_err(named)
    }

    /// The bytes, as the engine's threads read them, and a future that serves those reads.
    async fn open(self) -> Result<(Source, BoxFuture<'a, ()>)> {
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
                    let object = store.head(&key).await?.ok_or_else(|| {
                        Error::new(ErrorKind::NotFound, "open the archive").at(&key)
                    })?;
                    let (requests, served) = mpsc::unbounded();
                    let ranges = Ranges { len: object.size, requests };
                    (Source::At(Arc::new(ranges)), serve_ranges(store, key, served).boxed())
                }
            },
            Origin::Stream(reader) => {
                let (chunks_in, chunks) = mpsc::channel(2);
                (Source::Stream(Box::new(Stream(chunks))), serve_stream(reader, chunks_in).boxed())
            }
        })
    }
}

impl std::fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Archive").field(&self.location()).finish()
    }
}

/// A file, read by the threads that want its bytes. It stays the same one, whatever happens to its
/// name.
struct LocalFile {
    file: File,
    len: u64,
}

impl LocalFile {
    fn open(path: &Path) -> Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let fail = |e: rustix::io::Errno| Error::io("open the archive", e).at(path);
        // A FIFO must not block here; a pipe is read as a stream.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(fail)?;
        LocalFile::new(file.into()).map_err(|e| e.at(path))
    }

    fn new(file: File) -> Result<Self> {
        let fail = |e| Error::io("open the archive", e);
        let meta = file.metadata().map_err(fail)?;
        if !meta.is_file() {
            let error = Error::new(ErrorKind::InvalidInput, "open the archive");
            return Err(error.caused_by("it is not a regular file"));
        }
        Ok(LocalFile { file, len: meta.len() })
    }
}

impl ReadAt for LocalFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(into, at).map_err(|e| Error::io("read the archive", e))
    }
}

/// An archive in a store, read by the task's future on behalf of the threads.
struct Ranges {
    len: u64,
    requests: mpsc::UnboundedSender<Request>,
}

struct Request {
    range: std::ops::Range<u64>,
    answer: oneshot::Sender<Result<Bytes>>,
}

impl ReadAt for Ranges {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let range = at..at + into.len() as u64;
        // Where nobody serves any more, the task was dropped or cancelled.
        self.requests.unbounded_send(Request { range, answer }).map_err(|_| Error::cancelled())?;
        let bytes = block_on(answered).map_err(|_| Error::cancelled())??;
        if bytes.len() != into.len() {
            return Err(Error::new(ErrorKind::Corrupt, "read the archive")
                .caused_by("it became shorter while it was read"));
        }
        into.copy_from_slice(&bytes);
        Ok(())
    }
}

async fn serve_ranges(
    store: Box<dyn Store + '_>,
    key: Key,
    requests: mpsc::UnboundedReceiver<Request>,
) {
    let (store, key) = (&*store, &key);
    requests
        .for_each_concurrent(RANGES, |request| async move {
            let bytes = store.read(key, ReadRange::Bytes(request.range)).await;
            // A thread that has ended does not wait for it.
            let _ = request.answer.send(bytes);
        })
        .await;
}

/// A stream, as the threads see it.
struct Stream(mpsc::Receiver<Result<Bytes>>);

impl Chunks for Stream {
    fn next(&mut self) -> Result<Option<Bytes>> {
        // That it ends without its empty chunk means that the task was dropped or cancelled.
        block_on(self.0.next()).unwrap_or_else(|| Err(Error::cancelled())).map(Some)
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
