//! An upload into a bucket. It is completed or aborted.

use std::{
    collections::HashSet,
    fs::File,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::spill::temp_dir,
    name::Key,
    net::{failure::Failure, runtime::Runtime},
    progress::Confirmed,
    store::{
        Sent, Upload,
        parts::{Part, Parts, SentPart},
        s3::{
            api::Api,
            config::{PARTS_MAX, S3Config},
            copy::CopySource,
            multipart::Multipart,
        },
    },
};

/// The objects that are being written through one store.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<String>>>);

impl Claims {
    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks an object as being written until it is dropped.
pub(super) struct Claim {
    claims: Claims,
    object: String,
}

impl Claim {
    /// Returns `None` if the object is being written already.
    pub(super) fn new(claims: &Claims, object: &str) -> Option<Self> {
        let (claims, object) = (claims.clone(), object.to_owned());
        let is_new = claims.lock().insert(object.clone());
        is_new.then_some(Claim { claims, object })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.object);
    }
}

/// A multipart upload that is aborted when it is dropped, unless it was completed.
pub(super) struct UploadGuard {
    pub(super) api: Api,
    pub(super) runtime: Arc<Runtime>,
    pub(super) multipart: Option<Multipart>,
    #[expect(dead_code, reason = "held until the upload is over")]
    pub(super) claim: Claim,
}

impl UploadGuard {
    /// Aborts the upload, even if nobody waits for it.
    fn abort(&mut self) -> BoxFuture<'static, Result<()>> {
        let (Some(multipart), api) = (self.multipart.take(), self.api.clone()) else {
            return futures::future::ready(Ok(())).boxed();
        };
        let place = multipart.object.clone();
        let aborted = self.runtime.finish(async move { api.abort(&multipart).await });
        async move { aborted.await?.map_err(|f| f.into_error("abort the upload of", place)) }
            .boxed()
    }
}

impl Drop for UploadGuard {
    fn drop(&mut self) {
        drop(self.abort());
    }
}

pub(super) struct S3Upload {
    /// Dropped first, so that no part arrives after the abort.
    parts: Parts,
    guard: UploadGuard,
    config: Arc<S3Config>,
    place: String,
    /// The object that parts are copied from, if there is one.
    copy_source: Arc<OnceLock<CopySource>>,
}

impl S3Upload {
    pub(super) fn new(
        guard: UploadGuard,
        config: Arc<S3Config>,
        place: String,
        part_size: u64,
    ) -> Self {
        let copy_source = Arc::<OnceLock<CopySource>>::default();
        let (api, runtime, source) =
            (guard.api.clone(), guard.runtime.clone(), copy_source.clone());
        let (multipart, at) = (guard.multipart.clone(), place.clone());
        let send = move |number: u32, part: Part| {
            let (api, multipart, source) = (api.clone(), multipart.clone(), source.clone());
            let sent = async move {
                match multipart {
                    Some(multipart) if u64::from(number) <= PARTS_MAX => {
                        send(&api, &multipart, number, part, source.get()).await
                    }
                    _ => Err(Failure::Final(
                        Error::new(ErrorKind::NoSpace, "upload to")
                            .caused_by("the archive is larger than 10,000 parts can hold"),
                    )),
                }
            };
            let at = at.clone();
            runtime.call(sent.map_err(|failure| failure.into_error("upload to", at))).boxed()
        };
        let parallel = config.transfer.parallel;
        let parts = Parts::new(part_size, parallel, temp_dir(), Box::new(send));
        S3Upload { parts, guard, config, place, copy_source }
    }
}

/// Copies a part from the previous archive, or sends it.
async fn send(
    api: &Api,
    multipart: &Multipart,
    number: u32,
    Part { content, copy_of }: Part,
    source: Option<&CopySource>,
) -> Result<SentPart, Failure> {
    let len = content.len();
    if let (Some(source), Some(at)) = (source, copy_of)
        && let Some(etag) = api.copy(multipart, number, source, at, &content).await
    {
        return Ok(SentPart { etag, confirmed: Confirmed::CopiedInStore(len) });
    }
    let etag = api.put(multipart, number, content).await?;
    Ok(SentPart { etag, confirmed: Confirmed::Uploaded(len) })
}

impl Upload for S3Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.parts.write(bytes, None).boxed()
    }

    fn copy_from(&mut self, _: Arc<File>, at: u64, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.parts.write(bytes, Some(at)).boxed()
    }

    fn copy_within<'a>(&'a mut self, key: &'a Key, size: u64) -> BoxFuture<'a, bool> {
        async move {
            let Ok(object) = self.config.object(Some(key)) else { return false };
            let api = self.guard.api.clone();
            let look = async move {
                let source = api.copy_source(&object, size).await;
                source.map_err(|failure| failure.into_error("look at", object))
            };
            // Without an answer, everything is sent.
            match self.guard.runtime.call(look).await {
                Ok(Some(source)) => self.copy_source.set(source).is_ok(),
                _ => false,
            }
        }
        .boxed()
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        self.parts.finish().boxed()
    }

    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        let S3Upload { mut parts, mut guard, place, .. } = *self;
        async move {
            if let Err(e) = parts.finish().await {
                drop(parts);
                let _ = guard.abort().await;
                return Err(e);
            }
            let (api, runtime) = (guard.api.clone(), guard.runtime.clone());
            let Some(multipart) = guard.multipart.take() else {
                return Err(Error::new(ErrorKind::Internal, "complete the upload").at(place));
            };
            let complete = async move {
                let completed = api.complete(&multipart, parts.etags(), parts.size()).await;
                if completed.is_err() {
                    let _ = api.abort(&multipart).await;
                }
                completed
            };
            // From here on the upload is completed or aborted, even if nobody waits.
            let completed = runtime.finish(complete).await?;
            completed.map_err(|failure| failure.into_error("complete the upload of", place))
        }
        .boxed()
    }

    fn abort<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        let S3Upload { parts, mut guard, .. } = *self;
        drop(parts);
        guard.abort()
    }

    fn on_sent(&mut self, sent: Sent) {
        self.parts.on_sent(sent);
    }
}
