//! An upload into a bucket. It is completed or aborted.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures::{FutureExt, TryFutureExt, future::BoxFuture};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{failure::Failure, runtime::Runtime},
    store::{
        Sent, Upload,
        parts::Parts,
        s3::{api::Api, config::PARTS_MAX, multipart::Multipart},
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
    place: String,
}

impl S3Upload {
    pub(super) fn new(guard: UploadGuard, place: String, part_size: u64, parallel: usize) -> Self {
        let (api, runtime) = (guard.api.clone(), guard.runtime.clone());
        let (multipart, at) = (guard.multipart.clone(), place.clone());
        let send = move |number: u32, bytes: Bytes| {
            let (api, multipart, at) = (api.clone(), multipart.clone(), at.clone());
            let put = async move {
                match multipart {
                    Some(multipart) if u64::from(number) <= PARTS_MAX => {
                        api.put(&multipart, number, bytes).await
                    }
                    _ => Err(Failure::Final(
                        Error::new(ErrorKind::NoSpace, "upload to")
                            .caused_by("the archive is larger than 10,000 parts can hold"),
                    )),
                }
            };
            runtime.call(put.map_err(|failure| failure.into_error("upload to", at))).boxed()
        };
        S3Upload { parts: Parts::new(part_size as usize, parallel, Box::new(send)), guard, place }
    }
}

impl Upload for S3Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.parts.write(bytes).boxed()
    }

    fn flush(&mut self) -> BoxFuture<'_, Result<()>> {
        self.parts.finish().boxed()
    }

    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<()>>
    where
        Self: 'a,
    {
        let S3Upload { mut parts, mut guard, place } = *self;
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
