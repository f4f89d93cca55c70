//! Part URLs that somebody else signed, such as a panel: a multipart upload of which we know
//! neither the keys nor the end.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use blocking::unblock;
use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{
        Transfer,
        http::{Http, RequestBody},
        runtime::Runtime,
        url::SecretUrl,
    },
    progress::Phase,
    rt::background::Background,
    store::{
        Sent, Upload,
        parts::{Parts, SendPart, send_all},
    },
    task::{Task, unless_cancelled},
};

/// The largest part that is held in memory; larger ones wait on a disk.
const IN_MEMORY_MAX: u64 = 256 << 20;

/// The URLs for the parts of one archive, in their order, as a panel hands them out.
///
/// ```no_run
/// use wingback::{Backup, PartUrls};
/// # fn ask_the_panel(archive_max: u64) -> (Vec<String>, u64) { unimplemented!() }
/// # fn tell_the_panel(parts: &[wingback::UploadedPart]) {}
/// # futures::executor::block_on(async {
/// let backup = Backup::new("/srv/minecraft");
/// let estimate = backup.clone().estimate().await?;
/// let (urls, part_size) = ask_the_panel(estimate.archive_max);
/// let (upload, parts) = PartUrls::new(urls, part_size)?.upload();
/// backup.send_to(upload).await?;
/// tell_the_panel(&parts.get());
/// # Ok::<(), wingback::Error>(()) });
/// ```
#[derive(Clone, Debug)]
pub struct PartUrls {
    urls: Arc<[SecretUrl]>,
    part_size: u64,
    staging: PathBuf,
    transfer: Transfer,
}

/// A part that has arrived, as whoever completes the upload needs to name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedPart {
    /// Its place, from 1.
    pub number: u32,
    /// What the service answered with, byte for byte; with quotes where it has some.
    pub etag: String,
}

/// The parts of an upload, once its backup is done.
#[derive(Clone, Debug, Default)]
pub struct UploadedParts(Arc<Mutex<Vec<UploadedPart>>>);

impl UploadedParts {
    /// All parts in their order; none before the backup has ended well.
    pub fn get(&self) -> Vec<UploadedPart> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, etags: &[String]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = numbered(etags);
    }
}

fn numbered(etags: &[String]) -> Vec<UploadedPart> {
    (1..).zip(etags).map(|(number, etag)| UploadedPart { number, etag: etag.clone() }).collect()
}

impl PartUrls {
    /// URLs for parts of `part_size` bytes each; the last may be smaller, and not all of them need
    /// be used.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) where one is no http or https URL, where there is
    /// none, or for a part size of 0.
    pub fn new(urls: impl IntoIterator<Item = impl AsRef<str>>, part_size: u64) -> Result<Self> {
        let urls: Arc<[_]> =
            urls.into_iter().map(|url| SecretUrl::parse(url.as_ref())).collect::<Result<_>>()?;
        if urls.is_empty() || part_size == 0 {
            let error = Error::new(ErrorKind::InvalidInput, "use the part URLs");
            return Err(error.caused_by("there must be one at least, for a byte at least"));
        }
        let (staging, transfer) = (std::env::temp_dir(), Transfer::default());
        Ok(PartUrls { urls, part_size, staging, transfer })
    }

    /// How many parts travel at once, and how failures of the network are met. Parts are held in
    /// memory while they do.
    #[must_use]
    pub fn transfer(mut self, transfer: Transfer) -> Self {
        self.transfer = transfer;
        self
    }

    /// Where an archive waits whose parts are over 256 MiB: the system's directory for temporary
    /// files unless told otherwise. The file has no name and goes with the process.
    #[must_use]
    pub fn staging(mut self, dir: impl Into<PathBuf>) -> Self {
        self.staging = dir.into();
        self
    }

    /// An upload for [`Backup::send_to`](crate::Backup::send_to), and the parts that it will have
    /// sent. Nothing is staged on a disk unless parts are over 256 MiB. Whoever handed the URLs out
    /// completes the upload, or aborts it where the backup fails.
    pub fn upload(self) -> (impl Upload, UploadedParts) {
        let parts = UploadedParts::default();
        let on_sent: Sent = Arc::new(|_| ());
        let upload = if self.part_size > IN_MEMORY_MAX {
            PanelUpload::Staged(Staged {
                urls: self,
                file: None,
                len: 0,
                on_sent,
                parts: parts.clone(),
            })
        } else {
            PanelUpload::Streamed(Streamed {
                urls: self,
                sending: None,
                on_sent,
                parts: parts.clone(),
            })
        };
        (upload, parts)
    }

    /// Uploads an archive that lies on a disk already, its parts side by side, each attempt
    /// reading its own range anew. The file must stay as it is meanwhile.
    ///
    /// Cancelled or dropped, it stops at once; what has arrived stays with the service until the
    /// upload is aborted there.
    pub fn upload_file(self, file: impl Into<PathBuf>) -> Task<'static, Vec<UploadedPart>> {
        let path = file.into();
        Task::new(|tracker| async move {
            tracker.enter(Phase::Reading);
            let open = {
                let path = path.clone();
                move || {
                    let fail = |e| Error::io("open the archive", e).at(&path);
                    let file = File::open(&path).map_err(fail)?;
                    let len = file.metadata().map_err(fail)?.len();
                    Ok((Arc::new(Background::new(file)), len))
                }
            };
            let (file, len) = unless_cancelled(&tracker, unblock(open)).await?;
            let counted = tracker.clone();
            let sent: Sent = Arc::new(move |bytes| counted.add_uploaded(bytes));
            let etags = unless_cancelled(&tracker, self.send_file(file, len, sent)).await?;
            Ok(numbered(&etags))
        })
    }

    fn connect(&self) -> Result<(Arc<Runtime>, Http)> {
        Ok((Arc::new(Runtime::start()?), Http::new(&self.transfer)?))
    }

    fn url(&self, number: u32) -> Result<SecretUrl> {
        self.urls.get(number as usize - 1).cloned().ok_or_else(|| {
            Error::new(ErrorKind::NoSpace, "upload the archive").caused_by(format!(
                "it needs more than the {} part URLs of {} bytes that there are",
                self.urls.len(),
                self.part_size
            ))
        })
    }

    async fn send_file(
        &self,
        file: Arc<Background<File>>,
        len: u64,
        sent: Sent,
    ) -> Result<Vec<String>> {
        let count = u32::try_from(len.div_ceil(self.part_size).max(1))
            .map_err(|e| Error::new(ErrorKind::NoSpace, "upload the archive").caused_by(e))?;
        // Before anything is sent.
        self.url(count)?;
        let (runtime, http) = self.connect()?;
        let (runtime, http, sent) = (&runtime, &http, &sent);
        send_all(count, self.transfer.parallel, |number| {
            let file = file.clone();
            async move {
                let start = u64::from(number - 1) * self.part_size;
                let range = start..len.min(start + self.part_size);
                let part_len = range.end - range.start;
                let content = RequestBody::File(file, range);
                let etag = runtime.call(put(http.clone(), self.url(number)?, content)).await?;
                sent(part_len);
                Ok(etag)
            }
        })
        .await
    }
}

async fn put(http: Http, url: SecretUrl, content: RequestBody) -> Result<String> {
    let sent = http.retry(|| http.put(&url, content.clone())).await;
    sent.map_err(|failure| failure.into_error("upload to", &url))
}

enum PanelUpload {
    Streamed(Streamed),
    Staged(Staged),
}

/// An archive whose parts leave as they fill up.
struct Streamed {
    urls: PartUrls,
    /// Once there is something to send.
    sending: Option<Parts>,
    on_sent: Sent,
    parts: UploadedParts,
}

impl Streamed {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let sending = match &mut self.sending {
            Some(sending) => sending,
            None => {
                let (part_size, parallel) = (self.urls.part_size, self.urls.transfer.parallel);
                let mut sending =
                    Parts::new(part_size as usize, parallel, sender(self.urls.clone())?);
                sending.on_sent(self.on_sent.clone());
                self.sending.insert(sending)
            }
        };
        sending.write(bytes).await
    }

    async fn flush(&mut self) -> Result<()> {
        if let Some(sending) = &mut self.sending {
            sending.finish().await?;
            self.parts.set(sending.etags());
        }
        Ok(())
    }
}

/// An archive that waits on a disk for its parts to be whole.
struct Staged {
    urls: PartUrls,
    file: Option<Arc<Background<File>>>,
    len: u64,
    on_sent: Sent,
    parts: UploadedParts,
}

impl Staged {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => {
                let dir = self.urls.staging.clone();
                let file = unblock(move || unnamed_file(&dir)).await?;
                self.file.insert(Arc::new(Background::new(file))).clone()
            }
        };
        let (at, dir) = (self.len, self.urls.staging.clone());
        self.len += bytes.len() as u64;
        unblock(move || file.write_all_at(&bytes, at))
            .map_err(|e| Error::io("write to a file in", e).at(dir))
            .await
    }

    async fn flush(&mut self) -> Result<()> {
        // Sent already, if it is gone.
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let etags = self.urls.send_file(file, self.len, self.on_sent.clone()).await?;
        self.parts.set(&etags);
        Ok(())
    }
}

/// A file without a name, so that nothing is left of it whatever happens.
fn unnamed_file(dir: &Path) -> Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR);
    file.map(File::from).map_err(|e| Error::io("make a file without a name in", e).at(dir))
}

/// Sends parts to the URLs, each from its own bytes.
fn sender(urls: PartUrls) -> Result<SendPart> {
    let (runtime, http) = urls.connect()?;
    Ok(Box::new(move |number, bytes| match urls.url(number) {
        Ok(url) => runtime.call(put(http.clone(), url, RequestBody::Bytes(bytes))).boxed(),
        Err(e) => futures::future::ready(Err(e)).boxed(),
    }))
}

impl Upload for PanelUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        match self {
            PanelUpload::Streamed(streamed) => streamed.write(bytes).boxed(),
            PanelUpload::Staged(staged) => staged.write(bytes).boxed(),
        }
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        match self {
            PanelUpload::Streamed(streamed) => streamed.flush().boxed(),
            PanelUpload::Staged(staged) => staged.flush().boxed(),
        }
    }

    fn complete<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move { self.flush().await }.boxed()
    }

    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        drop(self);
        futures::future::ready(Ok(())).boxed()
    }

    fn on_sent(&mut self, sent: Sent) {
        match self {
            PanelUpload::Streamed(streamed) => streamed.on_sent = sent,
            PanelUpload::Staged(staged) => staged.on_sent = sent,
        }
    }
}
