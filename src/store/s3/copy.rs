//! Makes parts of an upload from ranges of the previous archive, which is an object of the same bucket. The bytes of
//! such a part are not sent.
//!
//! The caller has all bytes of a part. A copy counts only if its ETag is their MD5 hash, so another object at the name
//! of the previous archive does no harm. It makes no difference that MD5 is broken: both archives are ours.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use reqwest::{Method, header::HeaderMap};

use crate::{
    net::{failure::Failure, http::RequestBody},
    store::s3::{api::Api, endpoint::encoded_object, multipart::Multipart, sign::add_header},
};

/// Number of failed copies after which the rest of the archive is sent.
const FAILURES_MAX: u32 = 3;

/// The object with the previous archive.
#[derive(Clone, Debug)]
pub(super) struct CopySource {
    object: String,
    etag: String,
    failures: Arc<AtomicU32>,
}

impl Api {
    /// Returns the object as a source of copies, if it has this size.
    pub(super) async fn copy_source(
        &self,
        object: &str,
        size: u64,
    ) -> Result<Option<CopySource>, Failure> {
        let head = self.head(object).await?.filter(|head| head.size == size);
        let etag = head.and_then(|head| head.etag);
        let source =
            |etag| CopySource { object: object.to_owned(), etag, failures: Arc::default() };
        Ok(etag.map(source))
    }

    /// Makes a part with these bytes from those at offset `at` of `source`, and returns its ETag. `None` if the service
    /// does not copy them: then the caller sends the part.
    pub(super) async fn copy(
        &self,
        upload: &Multipart,
        number: u32,
        source: &CopySource,
        at: u64,
        content: &RequestBody,
    ) -> Option<String> {
        if source.failures.load(Relaxed) >= FAILURES_MAX {
            return None;
        }
        let copied = self.copy_once(upload, number, source, at, content).await.ok();
        if copied.is_none() {
            source.failures.fetch_add(1, Relaxed);
        }
        copied
    }

    async fn copy_once(
        &self,
        upload: &Multipart,
        number: u32,
        source: &CopySource,
        at: u64,
        content: &RequestBody,
    ) -> Result<String, Failure> {
        let CopySource { object, etag, .. } = source;
        let number = number.to_string();
        let query = [("partNumber", &*number), ("uploadId", upload.id())];
        let (bucket, last) = (self.service.bucket(), at + content.len() - 1);
        let mut headers = HeaderMap::new();
        let from = format!("/{bucket}/{}", encoded_object(object));
        add_header(&mut headers, "x-amz-copy-source", &from)?;
        add_header(&mut headers, "x-amz-copy-source-if-match", etag)?;
        add_header(&mut headers, "x-amz-copy-source-range", &format!("bytes={at}-{last}"))?;
        let answer =
            self.service.request(Method::PUT, Some(&upload.object), &query, headers).await?;
        let no_etag = || Failure::Answer("the response has no ETag".into());
        let etag = answer.child("ETag").ok_or_else(no_etag)?.to_owned();
        let content = content.clone();
        let md5 = tokio::task::spawn_blocking(move || md5_of(&content)).await;
        match md5.is_ok_and(|md5| md5.is_ok_and(|md5| etag.trim_matches('"') == md5)) {
            true => Ok(etag),
            false => Err(Failure::Answer("the copied bytes are others".into())),
        }
    }
}

/// Returns the MD5 hash in hexadecimal.
fn md5_of(content: &RequestBody) -> std::io::Result<String> {
    let mut md5 = md5::Context::new();
    content.read(|bytes| md5.consume(bytes))?;
    Ok(format!("{:x}", md5.finalize()))
}
