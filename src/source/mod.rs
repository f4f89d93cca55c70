//! An archive to be read, wherever it is: the bridge from its bytes to the engine's threads.

#[cfg(feature = "s3")]
mod link;
pub(crate) mod remote;

use std::{
    fs::File,
    future::Future,
    ops::Range,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures::{
    AsyncRead, AsyncReadExt, FutureExt, SinkExt, StreamExt, channel::mpsc, executor::block_on,
    future::BoxFuture,
};

#[cfg(feature = "s3")]
use crate::net::{Transfer, url::SecretUrl};
use crate::{
    error::{Error, ErrorKind, Result},
    format::index::{FOOTER_LEN, Footer},
    fs::page_cache::{SPAN, STRIDE, UncachedRanges},
    name::Key,
    progress::Tracker,
    read::{Chunks, ReadAt, Source, TAIL},
    rt::pipe::{self, ByteSender},
    source::remote::{Ranges, Remote, serve},
    store::{Opened, ReadRange, Store},
    task::unless_cancelled,
};

/// Bytes that are read from a stream at once.
const CHUNK: usize = 256 << 10;

/// Range reads of a store that are under way at once.
const RANGES: usize = 4;

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
    #[cfg(feature = "s3")]
    Link(SecretUrl, Transfer),
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

    /// What an http or https link leads to, such as one that somebody signed for an object in S3.
    ///
    /// Where its service gives ranges, a list or one file costs a read or two. A whole archive is
    /// one request, taken up again where the connection breaks, since such links are good for
    /// minutes only. A redirect is followed to https or on the same host. The query of the link is
    /// in no error.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is no such link.
    #[cfg(feature = "s3")]
    pub fn link(url: &str, transfer: Transfer) -> Result<Self> {
        Ok(Archive(Origin::Link(SecretUrl::parse(url)?, transfer)))
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
            #[cfg(feature = "s3")]
            Origin::Link(url, _) => Some(url.to_string()),
            Origin::Stream(_) => None,
        }
    }

    /// Runs `work` on a thread of its own with the archive's bytes, and hands the bytes that it
    /// sends to `take`, here.
    pub(crate) async fn read<T, F>(
        self,
        tracker: &Arc<Tracker>,
        work: impl FnOnce(Source, ByteSender) -> Result<T> + Send + 'static,
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
        let mut receiver = pipe::spawn(move |sender| work(source, sender))?;
        let taken = unless_cancelled(tracker, async {
            let take_all = async {
                while let Some(bytes) = receiver.next().await {
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
        let worked = receiver.finish().await;
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

impl std::fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Archive").field(&self.location()).finish()
    }
}

/// A file, read by the threads that want its bytes. It stays the same one, whatever happens to its
/// name.
pub(crate) struct LocalFile {
    file: File,
    len: u64,
}

impl LocalFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        use rustix::fs::{Mode, OFlags};
        let fail = |e: rustix::io::Errno| Error::io("open the archive", e).at(path);
        // A FIFO must not block here; a pipe is read as a stream.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(fail)?;
        LocalFile::new(file.into()).map_err(|e| e.at(path))
    }

    pub(crate) fn new(file: File) -> Result<Self> {
        let fail = |e| Error::io("open the archive", e);
        let meta = file.metadata().map_err(fail)?;
        if !meta.is_file() {
            let error = Error::new(ErrorKind::InvalidInput, "open the archive");
            return Err(error.caused_by("it is not a regular file"));
        }
        Ok(LocalFile { file, len: meta.len() })
    }

    /// Whether it ends as an archive of its length does. It reads nothing else.
    pub(crate) fn has_footer(&self) -> bool {
        let mut last = [0; FOOTER_LEN];
        let at = self.len.checked_sub(FOOTER_LEN as u64);
        let read = at.map(|at| self.read_at(at, &mut last));
        matches!(read, Some(Ok(()))) && Footer::decode(&last, self.len).is_some()
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

/// A file that is read about once, and in order: what only that brought into the page cache leaves it.
pub(crate) struct Passing {
    file: LocalFile,
    cold: UncachedRanges,
    /// The first span that is not passed yet.
    passed: AtomicU64,
}

/// Bytes behind the foremost place where others may still read.
const BEHIND: u64 = 8 << 20;

impl Passing {
    pub(crate) fn new(file: LocalFile) -> Self {
        Passing { cold: UncachedRanges::of(&file.file, file.len), file, passed: AtomicU64::new(0) }
    }
}

impl ReadAt for Passing {
    fn len(&self) -> u64 {
        self.file.len
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        self.file.read_at(at, into)
    }

    fn dont_need_before(&self, at: u64) {
        let stride = at.saturating_sub(BEHIND) / (STRIDE * SPAN) * STRIDE;
        let passed = self.passed.fetch_max(stride, Relaxed);
        if stride > passed {
            self.cold.evict(&self.file.file, passed..stride);
        }
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let passed = self.passed.load(Relaxed);
        self.cold.evict(&self.file.file, passed..self.file.len.div_ceil(SPAN));
    }
}

/// An archive in a store, which is read by the task's future.
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

/// A stream, as the threads see it.
struct Stream(mpsc::Receiver<Result<Bytes>>);

impl Chunks for Stream {
    fn next(&mut self) -> Result<Option<Bytes>> {
        // That it ends without its empty chunk means that the task was dropped or cancelled.
        block_on(self.0.next()).unwrap_or_else(|| Err(Error::cancelled())).map(Some)
    }
}

/// The end is an empty chunk, as with any stream.
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
