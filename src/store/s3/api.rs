//! The requests to an S3 service that a store needs.
//!
//! `minio` signs URLs, and [`sign`](super::sign) the few requests that a signature in the URL is not
//! enough for. All go through our own client, which can be told how long to wait, how much to take and
//! when to try again, and to where [`Service`] says.

use std::{sync::Weak, time::Duration};

use bytes::Bytes;
use minio::s3::multimap_ext::{Multimap, MultimapExt};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH},
};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{
        failure::{Failure, Refusal},
        http::{Http, etag_of},
        range::{Got, Wanted, content_range, unless_another, whole_of},
        xml::Element,
    },
    store::s3::{S3Store, service::Service},
};

/// How long an upload is tried to be aborted.
const ABORT_FOR: Duration = Duration::from_secs(20);

/// How long a part may still be on its way once nobody sends it any more: a server that has all of
/// it takes it, and some begin an aborted upload anew for it.
const LATE_PART: Duration = Duration::from_millis(200);

/// Objects, or unfinished uploads, that a list may have, and the pages it may come in.
const LISTED_MAX: usize = 1_000_000;
const PAGES_MAX: usize = 2_000;

/// Names the upload that made an object, so that an answer that was lost can be told from another
/// writer's success.
const UPLOAD_HEADER: &str = "x-amz-meta-wingback-upload";
const UUID_HEADER: &str = "x-amz-meta-wingback-uuid";

/// The media type that stock Wings' restore asks for.
const CONTENT_TYPE: &str = "application/x-gzip";

/// One bucket of a service.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: Http,
    service: Service,
}

/// What HEAD says of an object.
pub(crate) struct Head {
    pub(crate) size: u64,
    /// Which upload made it, where the service gives metadata back.
    upload: Option<String>,
}

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
    pub(crate) fn new(store: &S3Store) -> Result<Self> {
        let http = Http::new(&store.transfer)?;
        Ok(Api { service: Service::new(store, http.clone())?, http })
    }

    pub(crate) async fn head(&self, object: &str) -> Result<Option<Head>, Failure> {
        self.http.retry(|| self.head_once(object)).await
    }

    async fn head_once(&self, object: &str) -> Result<Option<Head>, Failure> {
        let sent = self.service.send(Method::HEAD, object, &[], HeaderMap::new(), None);
        match sent.await {
            Err(failure) if failure.is_status(404) => Ok(None),
            Err(Failure::Service(refusal)) if refusal.is_mute() => {
                self.head_by_get(object, *refusal).await
            }
            Err(failure) => Err(failure),
            Ok(answer) => {
                let size = header(&answer, CONTENT_LENGTH.as_str());
                Head::of(&answer, size.and_then(|size| size.parse().ok())).map(Some)
            }
        }
    }

    /// An answer to HEAD has no body that says why it is refused. One to GET has, or it is not refused.
    async fn head_by_get(&self, object: &str, refusal: Refusal) -> Result<Option<Head>, Failure> {
        let first = Wanted::Bytes(0..1).headers(None);
        match self.service.send(Method::GET, object, &[], first, None).await {
            Ok(answer) if answer.status() == StatusCode::PARTIAL_CONTENT => {
                let (_, size) = content_range(answer.headers())?;
                Head::of(&answer, Some(size)).map(Some)
            }
            Ok(answer) => Head::of(&answer, whole_of(&answer)).map(Some),
            Err(failure) if failure.is_status(404) => Ok(None),
            Err(failure) if failure.whole() == Some(0) => Ok(Some(Head { size: 0, upload: None })),
            Err(Failure::Service(why)) if why.is_mute() => Err(refusal.into()),
            Err(failure) => Err(failure),
        }
    }

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
        let mut patience = self.http.patience();
        // Whether there may be one whose ID was lost with the answer.
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
            patience.wait(failure).await?;
        };
        // One that was given up for its silence may have been begun only now.
        if is_orphaned {
            self.abort_orphans_of(object, begun, &id).await;
        }
        Ok(Multipart { object: object.to_owned(), id, nonce })
    }

    /// Aborts what was begun for `object` since, of which no answer came, but not `ours`. The clocks
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
        let http = self.http.hurried(ABORT_FOR);
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
                etag_of(&sent.await?)
            })
            .await
    }

    /// Makes the object of its parts. It is believed only when the service says that an object of
    /// this size is there: the answer to the request itself may be an error in disguise, or lost.
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
        let mut patience = self.http.patience();
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
                patience.wait(failure).await?;
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
        let answer = self
            .service
            .send(Method::POST, &upload.object, &query, headers, Some(body.clone()))
            .await?;
        match Refusal::of_xml(&self.http.body(answer).await?) {
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
                answer => answer.map(drop),
            }
        };
        // Whoever cancels waits for it, so it is not tried for long; a sweep finds what is left.
        self.http.hurried(ABORT_FOR).retry(abort).await
    }

    /// Reads a range, and says how large the whole is. An empty object has no ranges.
    pub(crate) async fn get(&self, object: &str, wanted: Wanted) -> Result<(Bytes, u64), Failure> {
        let ask = |wanted: Wanted, etag| async move {
            let headers = wanted.headers(etag);
            let sent = self.service.send(Method::GET, object, &[], headers, None).await;
            sent.map_err(unless_another)
        };
        let no_ranges = || Failure::Answer("it sent all where a part was asked".into());
        let answer = match self.http.get(wanted.clone(), ask).await? {
            Got::Part(part) => return Ok((part.bytes.freeze(), part.size)),
            Got::NoRanges(answer) => answer,
        };
        // An object has an ETag. What has none is a page of somebody else, such as a proxy.
        let is_object = answer.headers().contains_key(ETAG);
        let size = whole_of(&answer).filter(|_| is_object).ok_or_else(no_ranges)?;
        let range = wanted.within(size);
        if range == (0..size) {
            let body = self.http.body(answer).await?;
            let is_all = body.len() as u64 == size;
            return if is_all { Ok((body, size)) } else { Err(Failure::ended_early()) };
        }
        if !matches!(wanted, Wanted::Last(_)) {
            return Err(no_ranges());
        }
        // It may know ranges, but no suffixes.
        drop(answer);
        match self.http.get(Wanted::Bytes(range), ask).await? {
            Got::Part(part) if part.size == size => Ok((part.bytes.freeze(), size)),
            _ => Err(no_ranges()),
        }
    }

    pub(crate) async fn delete(&self, object: &str) -> Result<(), Failure> {
        let delete = || self.service.send(Method::DELETE, object, &[], HeaderMap::new(), None);
        self.http.retry(delete).await.map(drop)
    }

    /// All objects whose names begin so, with their sizes.
    pub(crate) async fn objects(&self, prefix: &str) -> Result<Vec<(String, u64)>, Failure> {
        let mut objects = Vec::new();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            let mut query = Multimap::new();
            query.add("list-type", "2");
            query.add("prefix", prefix);
            token.iter().for_each(|token: &String| query.add("continuation-token", token));
            let list = || self.service.request(Method::GET, None, query.clone(), Multimap::new());
            let page = self.http.retry(list).await?;
            for entry in page.children("Contents") {
                let size = entry.child("Size").and_then(|size| size.parse().ok());
                objects.extend(entry.child("Key").map(str::to_owned).zip(size));
            }
            token = page.child("NextContinuationToken").map(str::to_owned);
            if page.child("IsTruncated") != Some("true") || token.is_none() {
                return Ok(objects);
            }
            if objects.len() > LISTED_MAX {
                break;
            }
        }
        Err(too_long())
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
    fn of(answer: &Response, size: Option<u64>) -> Result<Self, Failure> {
        let size = size.ok_or_else(|| Failure::Answer("it does not say how large it is".into()))?;
        Ok(Head { size, upload: header(answer, UPLOAD_HEADER).map(str::to_owned) })
    }

    /// Whether this upload made it, as far as the service tells.
    fn is_of(&self, upload: &Multipart) -> bool {
        self.upload.as_ref() == Some(&upload.nonce)
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

/// A list that does not end: no retry makes it shorter.
fn too_long() -> Failure {
    let error = Error::new(ErrorKind::InvalidInput, "list");
    let why = format!("the service lists over {LISTED_MAX} names, or over {PAGES_MAX} pages");
    Failure::Final(error.caused_by(why))
}
