//! Uploads to part URLs that another program has signed, such as a panel. The engine has no keys, and the
//! other program completes the upload.

use std::{
    fmt,
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use blocking::unblock;
use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::spill::temp_dir,
    net::{
        Transfer,
        http::{Http, RequestBody},
        runtime::Runtime,
        url::SecretUrl,
    },
    progress::{Confirmed, Phase},
    rt::background::Background,
    size::Size,
    store::{
        Sent, Upload,
        parts::{Part, Parts, SendPart, SentPart, send_all},
    },
    task::{Task, unless_cancelled},
};

/// The presigned URLs for the parts of one archive, in order, as a panel returns them.
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

/// A part that has arrived. The program that completes the upload needs its number and ETag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadedPart {
    /// Number of the part. The first is 1.
    pub number: u32,
    /// ETag of the service, byte for byte, including its quotes if it has some.
    pub etag: String,
}

/// The parts of an upload. Complete after the backup has succeeded.
#[derive(Clone, Debug)]
pub struct UploadedParts(Arc<Mutex<Vec<UploadedPart>>>);

impl UploadedParts {
    /// Returns all parts in order. Empty until the backup has succeeded.
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
    /// Returns URLs for parts of `part_size` bytes each. The last part may be smaller, and the archive need
    /// not use all URLs.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if there is no URL, if one is not an http or https URL, or if
    /// the part size is 0.
    pub fn new(urls: impl IntoIterator<Item = impl AsRef<str>>, part_size: u64) -> Result<Self> {
        let urls: Arc<[_]> =
            urls.into_iter().map(|url| SecretUrl::parse(url.as_ref())).collect::<Result<_>>()?;
        if urls.is_empty() || part_size == 0 {
            let error = Error::new(ErrorKind::InvalidInput, "use the part URLs");
            return Err(
                error.caused_by("at least one URL and a part size of at least one byte are needed")
            );
        }
        let (staging, transfer) = (temp_dir(), Transfer::default());
        Ok(PartUrls { urls, part_size, staging, transfer })
    }

    /// Sets how many parts are sent at once, and how the upload handles failures of the network.
    #[must_use]
    pub fn transfer(mut self, transfer: Transfer) -> Self {
        self.transfer = transfer;
        self
    }

    /// Sets the directory for parts that have no room in memory ([`set_memory_limit`](crate::set_memory_limit)). The
    /// default is `$TMPDIR`, or `/var/tmp`. The files have no names and disappear with the process.
    #[must_use]
    pub fn staging(mut self, dir: impl Into<PathBuf>) -> Self {
        self.staging = dir.into();
        self
    }

    /// Returns an upload for [`Backup::send_to`](crate::Backup::send_to), and the list of the parts that it
    /// sends.
    ///
    /// The program that signed the URLs completes the upload, or aborts it if the backup fails.
    pub fn upload(self) -> (PartUpload, UploadedParts) {
        let parts = UploadedParts(Arc::default());
        let on_sent: Sent = Arc::new(|_| ());
        let upload = PartUpload { urls: self, sending: None, on_sent, parts: parts.clone() };
        (upload, parts)
    }

    /// Uploads an archive that is a file already. Several parts are sent at once, and each attempt reads its
    /// range from the file again. The file must not change during the upload.
    ///
    /// # Errors
    ///
    /// - [`NotFound`](ErrorKind::NotFound) or [`PermissionDenied`](ErrorKind::PermissionDenied) if the file
    ///   cannot be opened, or the service refuses.
    /// - [`NoSpace`](ErrorKind::NoSpace) if the file needs more parts than there are URLs.
    /// - [`UrlExpired`](ErrorKind::UrlExpired) if the signature of a URL has expired.
    /// - [`Cancelled`](ErrorKind::Cancelled), or [`Io`](ErrorKind::Io) if the network or the disk fails.
    ///
    /// # Cancel safety
    ///
    /// A cancelled or dropped upload stops at once. Parts that have arrived stay at the service until the
    /// program that signed the URLs aborts the upload.
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
            let sent: Sent = Arc::new(move |confirmed| counted.add_confirmed(confirmed));
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
                "it needs more than the {} part URLs for {} each",
                self.urls.len(),
                Size(self.part_size)
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
        // Fails before anything is sent.
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
                sent(Confirmed::Uploaded(part_len));
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

/// The upload of [`PartUrls::upload`]. It sends each part as soon as it is full.
pub struct PartUpload {
    urls: PartUrls,
    /// `None` until the first write.
    sending: Option<Parts>,
    on_sent: Sent,
    parts: UploadedParts,
}

/// Returns a function that sends each part to its URL.
fn sender(urls: PartUrls) -> Result<SendPart> {
    let (runtime, http) = urls.connect()?;
    Ok(Box::new(move |number, Part { content, .. }| match urls.url(number) {
        Ok(url) => {
            let confirmed = Confirmed::Uploaded(content.len());
            let put = put(http.clone(), url, content);
            runtime.call(put.map_ok(move |etag| SentPart { etag, confirmed })).boxed()
        }
        Err(e) => futures::future::ready(Err(e)).boxed(),
    }))
}

impl Upload for PartUpload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        async move {
            let sending = match &mut self.sending {
                Some(sending) => sending,
                None => {
                    let PartUrls { part_size, staging, transfer, .. } = &self.urls;
                    let send = sender(self.urls.clone())?;
                    let mut sending =
                        Parts::new(*part_size, transfer.parallel, staging.clone(), send);
                    sending.on_sent(self.on_sent.clone());
                    self.sending.insert(sending)
                }
            };
            sending.write(bytes, None).await
        }
        .boxed()
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        async move {
            if let Some(sending) = &mut self.sending {
                sending.finish().await?;
                self.parts.set(sending.etags());
            }
            Ok(())
        }
        .boxed()
    }

    fn complete<'a>(mut self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        async move { self.flush().await }.boxed()
    }

    fn on_sent(&mut self, sent: Sent) {
        self.on_sent = sent;
    }
}

impl fmt::Debug for PartUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartUpload").finish_non_exhaustive()
    }
}
