//! Multipart uploads: begun, completed, aborted, and found again when a process has left them.

use std::{sync::Weak, time::Duration};

use bytes::Bytes;
use minio::s3::multimap_ext::{Multimap, MultimapExt};
use reqwest::{
    Method,
    header::{HeaderMap, HeaderValue, IF_NONE_MATCH},
};

use crate::{
    error::{Error, ErrorKind},
    net::{
        failure::{Failure, ServiceError},
        http::etag,
        xml::Element,
    },
    store::s3::api::{Api, Head, LISTED_MAX, PAGES_MAX, UPLOAD_HEADER, too_long},
};

/// How long an upload is tried to be aborted.
const ABORT_FOR: Duration = Duration::from_secs(20);

/// How long a part may still be on its way once nobody sends it any more: a server that has all of
/// it takes it, and some begin an aborted upload anew for it.
const LATE_PART: Duration = Duration::from_millis(200);

const UUID_HEADER: &str = "x-amz-meta-wingback-uuid";

/// The media type that stock Wings' restore asks for.
const CONTENT_TYPE: &str = "application/x-gzip";

/// A multipart upload that is under way.
#[derive(Clone, Debug)]
pub(crate) struct Multipart {
    pub(crate) object: String,
    id: String,
    /// Ours, and nobody else's.
    nonce: String,
}

/// An unfinished upload, as the service lists it.
pub(crate) struct Unfinished {
    pub(crate) object: String,
    pub(crate) id: String,
    /// Seconds since the epoch, by the service's clock.
    pub(crate) begun: i64,
}

impl Api {
    /// Begins a multipart upload. `headers` are those of the object. It is not tried again once
    /// `wanted` is gone.
    pub(crate) async fn create(
        &self,
        object: &str,
        uuid: Option<uuid::Uuid>,
        headers: &[(&'static str, String)],
        wanted: Weak<()>,
    ) -> Result<Multipart, Failure> {
        let nonce = uuid::Uuid::new_v4().to_string();
        let mut all = Multimap::new();
        all.add("Content-Type", CONTENT_TYPE);
        all.add(UPLOAD_HEADER, &nonce);
        uuid.iter().for_each(|uuid| all.add(UUID_HEADER, uuid.to_string()));
        headers.iter().for_each(|(name, value)| all.add(*name, value));
        let mut query = Multimap::new();
        query.add("uploads", "");
        let begun = chrono::Utc::now();
        let mut retries = self.http.retries();
        // Whether there may be one whose ID was lost with the response.
        let mut is_orphaned = false;
        let id = loop {
            let request =
                self.service.request(Method::POST, Some(object), query.clone(), all.clone());
            let id = request.await.and_then(|created| {
                let id = created.child("UploadId").map(str::to_owned);
                id.ok_or_else(|| Failure::Answer("it began no upload".into()))
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
        // One that was given up for its silence may have been begun only now.
        if is_orphaned {
            self.abort_orphans_of(object, begun, &id).await;
        }
        Ok(Multipart { object: object.to_owned(), id, nonce })
    }

    /// Aborts what was begun for `object` since, of which no response came, but not `ours`. The clocks
    /// may differ by a minute; a second writer of the same name fails sooner or later anyhow.
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

    /// The same, tried again. Who may not list leaves them to a sweep.
    async fn abort_orphans_of(
        &self,
        object: &str,
        since: chrono::DateTime<chrono::Utc>,
        ours: &str,
    ) {
        let http = self.http.with_retry_time(ABORT_FOR);
        let _ = http.retry(|| self.abort_those_of(object, since, ours)).await;
    }

    /// Sends one part, and gives its ETag.
    pub(crate) async fn put(
        &self,
        upload: &Multipart,
        number: u32,
        bytes: Bytes,
    ) -> Result<String, Failure> {
        let number = number.to_string();
        let query = [("partNumber", &*number), ("uploadId", &upload.id)];
        self.http
            .retry(|| async {
                let content = Some(bytes.clone());
                let sent = self.service.send(
                    Method::PUT,
                    &upload.object,
                    &query,
                    HeaderMap::new(),
                    content,
                );
                etag(&sent.await?)
            })
            .await
    }

    /// Makes the object of its parts. It is believed only when the service says that an object of
    /// this size is there: the response to the request itself may be an error in disguise, or lost.
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
            let said = self.ask_to_complete(upload, &body, condition.clone()).await;
            let head = match self.head(&upload.object).await {
                // Who may not look has only the service's word.
                Err(failure) if failure.is_status(403) && said.is_ok() => return Ok(()),
                Err(failure) if failure.is_status(403) => None,
                head => head?,
            };
            let failure = match (head, said) {
                (Some(head), _) if head.is_of(upload) && head.size == size => return Ok(()),
                (Some(head), said) if head.is_of(upload) || said.is_ok() => {
                    if head.is_of(upload) {
                        self.delete(&upload.object).await?;
                    } else if head.upload.is_none() && head.size == size {
                        // It gives no metadata back.
                        return Ok(());
                    }
                    let error = Error::new(ErrorKind::Corrupt, "upload").caused_by(format!(
                        "an object of {} bytes is there, and {size} were sent",
                        head.size
                    ));
                    Failure::Final(error)
                }
                (_, Err(failure)) => failure,
                (_, Ok(())) => Failure::Answer("the object is not there".into()),
            };
            // A service that knows no condition.
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
            .send(Method::POST, &upload.object, &query, headers, Some(body.clone()))
            .await?;
        match ServiceError::from_xml(&self.http.body(response).await?) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// Gives an upload up with all of its parts, also with one that was on its way and comes in
    /// behind the first request.
    pub(crate) async fn abort(&self, upload: &Multipart) -> Result<(), Failure> {
        self.abort_id(&upload.object, &upload.id).await?;
        tokio::time::sleep(LATE_PART).await;
        self.abort_id(&upload.object, &upload.id).await
    }

    /// Of an upload with no part on its way.
    pub(crate) async fn abort_id(&self, object: &str, id: &str) -> Result<(), Failure> {
        let query = [("uploadId", id)];
        let abort = || async {
            let sent = self.service.send(Method::DELETE, object, &query, HeaderMap::new(), None);
            match sent.await {
                Err(failure) if failure.is_status(404) => Ok(()),
                response => response.map(drop),
            }
        };
        // Whoever cancels waits for it, so it is not tried for long; a sweep finds what is left.
        self.http.with_retry_time(ABORT_FOR).retry(abort).await
    }

    /// All unfinished uploads of objects whose names begin so.
    pub(crate) async fn unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>, Failure> {
        self.http.retry(|| self.unfinished_once(prefix)).await
    }

    async fn unfinished_once(&self, prefix: &str) -> Result<Vec<Unfinished>, Failure> {
        let mut found = Vec::new();
        let mut markers = None;
        for _ in 0..PAGES_MAX {
            let mut query = Multimap::new();
            query.add("uploads", "");
            if !prefix.is_empty() {
                query.add("prefix", prefix);
            }
            if let Some((key, id)) = &markers {
                query.add("key-marker", key);
                query.add("upload-id-marker", id);
            }
            let page = self.service.request(Method::GET, None, query, Multimap::new()).await?;
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
    /// Whether this upload made it, as far as the service tells.
    fn is_of(&self, upload: &Multipart) -> bool {
        self.upload.as_ref() == Some(&upload.nonce)
    }
}
