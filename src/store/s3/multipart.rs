//! Multipart uploads: begin, send, complete, abort, and list unfinished ones.

use std::{sync::Weak, time::Duration};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, IF_NONE_MATCH},
};

use crate::{
    error::{Error, ErrorKind},
    net::{
        failure::{Failure, ServiceError},
        http::{RequestBody, etag},
        xml::Element,
    },
    size::Size,
    store::s3::{
        api::{Api, Head, LISTED_MAX, PAGES_MAX, UPLOAD_HEADER, too_long},
        sign::add_header,
    },
};

/// Longest time of retries of an abort.
const ABORT_FOR: Duration = Duration::from_secs(20);

/// Longest time for which a part may arrive after its request was dropped. A server that has received all of
/// the part stores it, and some servers then begin an aborted upload again.
const LATE_PART: Duration = Duration::from_millis(200);

/// Error codes that mean that an upload does not exist.
const GONE: [&str; 3] = ["NoSuchBucket", "NoSuchKey", "NoSuchUpload"];

/// The media type that the restore of unmodified Wings asks for.
const ARCHIVE_TYPE: HeaderValue = HeaderValue::from_static("application/x-gzip");

/// A multipart upload that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Multipart {
    pub(crate) object: String,
    id: String,
    /// A random mark of this upload.
    nonce: String,
}

/// An unfinished upload in a list of the service.
pub(crate) struct Unfinished {
    pub(crate) object: String,
    pub(crate) id: String,
    /// Start in seconds since the epoch, by the clock of the service.
    pub(crate) begun: i64,
}

impl Multipart {
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl Api {
    /// Begins a multipart upload. `headers` are those of the object. It is not retried after `wanted` is dropped.
    pub(crate) async fn create(
        &self,
        object: &str,
        headers: &[(&'static str, String)],
        wanted: Weak<()>,
    ) -> Result<Multipart, Failure> {
        let nonce = uuid::Uuid::new_v4().to_string();
        let mut all: HeaderMap = [(CONTENT_TYPE, ARCHIVE_TYPE)].into_iter().collect();
        add_header(&mut all, UPLOAD_HEADER, &nonce)?;
        for (name, value) in headers {
            add_header(&mut all, name, value)?;
        }
        let query = [("uploads", "")];
        let begun = chrono::Utc::now();
        let mut retries = self.http.retries();
        // Whether there may be an upload whose ID was lost with the response.
        let mut is_orphaned = false;
        let id = loop {
            let request = self.service.request(Method::POST, Some(object), &query, all.clone());
            let id = request.await.and_then(|created| {
                let id = created.child("UploadId").map(str::to_owned);
                id.ok_or_else(|| Failure::Answer("the response has no upload ID".into()))
            });
            let failure = match id {
                Ok(id) => break id,
                Err(failure) => failure,
            };
            is_orphaned |= failure.is_retryable();
            let is_clean = !is_orphaned || self.abort_those_of(object, begun, "").await.is_ok();
            if wanted.strong_count() == 0 {
                if !is_clean {
                    self.abort_orphans_of(object, begun, "").await;
                }
                return Err(failure);
            }
            retries.wait(failure).await?;
        };
        // An upload whose request was given up as silent may have begun only now.
        if is_orphaned {
            self.abort_orphans_of(object, begun, &id).await;
        }
        Ok(Multipart { object: object.to_owned(), id, nonce })
    }

    /// Aborts the uploads of `object` that began at `since` or later, except `ours`. Their IDs were lost with a
    /// response. The clocks may differ by a minute. If another process uploads the same name at the same time,
    /// its upload is aborted too; one of two writers of a name fails in any case.
    async fn abort_those_of(
        &self,
        object: &str,
        since: chrono::DateTime<chrono::Utc>,
        ours: &str,
    ) -> Result<(), Failure> {
        for left in self.unfinished_once(object).await? {
            let is_new = left.begun >= since.timestamp() - 60;
            if left.object == object && is_new && left.id != ours {
                self.abort_id(object, &left.id).await?;
            }
        }
        Ok(())
    }

    /// Does the same with retries. If the user may not list uploads, a sweep has to find them.
    async fn abort_orphans_of(
        &self,
        object: &str,
        since: chrono::DateTime<chrono::Utc>,
        ours: &str,
    ) {
        let http = self.http.with_retry_time(ABORT_FOR);
        let _ = http.retry(|| self.abort_those_of(object, since, ours)).await;
    }

    /// Sends one part, and returns its ETag.
    pub(crate) async fn put(
        &self,
        upload: &Multipart,
        number: u32,
        content: RequestBody,
    ) -> Result<String, Failure> {
        let number = number.to_string();
        let query = [("partNumber", &*number), ("uploadId", &upload.id)];
        self.http
            .retry(|| async {
                let content = Some(content.clone());
                let sent = self.service.send(
                    Method::PUT,
                    Some(&upload.object),
                    &query,
                    HeaderMap::new(),
                    content,
                );
                etag(&sent.await?)
            })
            .await
    }

    /// Completes the upload. It succeeds only after the service reports an object of this size. The response to
    /// the request itself does not count, because it may be lost, or have status 200 and an error in its body.
    pub(crate) async fn complete(
        &self,
        upload: &Multipart,
        etags: &[String],
        size: u64,
    ) -> Result<(), Failure> {
        let parts: String = (1..)
            .zip(etags)
            .map(|(n, etag)| {
                let etag = etag.replace('&', "&amp;").replace('<', "&lt;");
                format!("<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let body: Bytes =
            format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into();
        let mut condition = Some(HeaderValue::from_static("*"));
        let mut retries = self.http.retries();
        loop {
            let completed = self.ask_to_complete(upload, &body, condition.clone()).await;
            let head = match self.head(&upload.object).await {
                // A user who may not read objects has only the response.
                Err(failure) if failure.is_status(403) && completed.is_ok() => return Ok(()),
                Err(failure) if failure.is_status(403) => None,
                head => head?,
            };
            let failure = match (head, completed) {
                (Some(head), _) if head.is_of(upload) && head.size == size => return Ok(()),
                (Some(head), completed) if head.is_of(upload) || completed.is_ok() => {
                    if head.is_of(upload) {
                        self.delete(&upload.object).await?;
                    } else if head.upload.is_none() && head.size == size {
                        // The service does not return metadata.
                        return Ok(());
                    }
                    let error = Error::new(ErrorKind::Corrupt, "upload").caused_by(format!(
                        "the object has {}, but {} were sent",
                        Size(head.size),
                        Size(size)
                    ));
                    Failure::Final(error)
                }
                (_, Err(failure)) => failure,
                (_, Ok(())) => Failure::Answer("the object does not exist".into()),
            };
            // The service does not support the condition.
            if !(failure.is_status(501) && condition.take().is_some()) {
                retries.wait(failure).await?;
            }
        }
    }

    async fn ask_to_complete(
        &self,
        upload: &Multipart,
        body: &Bytes,
        condition: Option<HeaderValue>,
    ) -> Result<(), Failure> {
        let headers = condition.map(|condition| (IF_NONE_MATCH, condition)).into_iter().collect();
        let query = [("uploadId", &*upload.id)];
        let response = self
            .service
            .send(
                Method::POST,
                Some(&upload.object),
                &query,
                headers,
                Some(RequestBody::Bytes(body.clone())),
            )
            .await?;
        match ServiceError::from_xml(&self.http.body(response).await?) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Aborts an upload with all of its parts. A second request removes a part that arrived after the first.
    pub(crate) async fn abort(&self, upload: &Multipart) -> Result<(), Failure> {
        self.abort_id(&upload.object, &upload.id).await?;
        tokio::time::sleep(LATE_PART).await;
        self.abort_id(&upload.object, &upload.id).await
    }

    /// Aborts an upload that has no parts in transit. An upload that does not exist counts as aborted.
    pub(crate) async fn abort_id(&self, object: &str, id: &str) -> Result<(), Failure> {
        let query = [("uploadId", id)];
        let abort = || async {
            let sent =
                self.service.send(Method::DELETE, Some(object), &query, HeaderMap::new(), None);
            match sent.await {
                Err(failure) if GONE.contains(&failure.code()) => Ok(()),
                response => response.map(drop),
            }
        };
        // A caller that cancels waits for this, so retries are short. A sweep finds the rest.
        self.http.with_retry_time(ABORT_FOR).retry(abort).await
    }

    /// Returns all unfinished uploads of objects with this prefix.
    pub(crate) async fn unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>, Failure> {
        self.http.retry(|| self.unfinished_once(prefix)).await
    }

    async fn unfinished_once(&self, prefix: &str) -> Result<Vec<Unfinished>, Failure> {
        let mut found = Vec::new();
        let mut markers: Option<(String, String)> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("uploads", "")];
            if !prefix.is_empty() {
                query.push(("prefix", prefix));
            }
            if let Some((key, id)) = &markers {
                query.extend([("key-marker", &**key), ("upload-id-marker", &**id)]);
            }
            let page = self.service.request(Method::GET, None, &query, HeaderMap::new()).await?;
            found.extend(page.children("Upload").filter_map(Unfinished::of));
            let marker = |name| page.child(name).map(str::to_owned);
            markers = marker("NextKeyMarker").zip(marker("NextUploadIdMarker"));
            if page.child("IsTruncated") != Some("true") || markers.is_none() {
                return Ok(found);
            }
            if found.len() > LISTED_MAX {
                break;
            }
        }
        Err(too_long())
    }
}

impl Unfinished {
    fn of(entry: &Element) -> Option<Self> {
        let begun = chrono::DateTime::parse_from_rfc3339(entry.child("Initiated")?).ok()?;
        let (object, id) = (entry.child("Key")?.to_owned(), entry.child("UploadId")?.to_owned());
        Some(Unfinished { object, id, begun: begun.timestamp() })
    }
}

impl Head {
    /// Returns whether this upload made the object, if the service returns metadata.
    fn is_of(&self, upload: &Multipart) -> bool {
        self.upload.as_ref() == Some(&upload.nonce)
    }
}
