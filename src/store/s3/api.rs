//! The requests to an S3 service that a store needs.
//!
//! `minio` signs URLs, and [`sign`](super::sign) the few requests that a signature in the URL is not
//! enough for. All go through our own client, which can be told how long to wait, how much to take and
//! when to try again.

use std::{sync::Weak, time::Duration};

use bytes::Bytes;
use minio::s3::{
    MinioClient, MinioClientBuilder,
    creds::StaticProvider,
    error::ValidationErr,
    http::BaseUrl,
    multimap_ext::{Multimap, MultimapExt},
    types::{BucketName, ObjectKey, Region},
};
use reqwest::{
    Method, Response,
    header::{CONTENT_LENGTH, HeaderMap, HeaderValue, IF_NONE_MATCH},
};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{
        failure::{Failure, Refusal},
        http::{Content, Http},
        range::{Got, Wanted},
        url::SecretUrl,
        xml::Element,
    },
    store::s3::{Credentials, S3Store, names, sign},
};

/// How long a signature in a URL is good for: longer than any part should take.
const SIGNED_FOR: Duration = Duration::from_secs(3600);

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
    minio: MinioClient,
    base: BaseUrl,
    keys: Credentials,
    bucket: BucketName,
    region: Region,
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
        let wrong = |what: &str, why: String| {
            let error = Error::new(ErrorKind::InvalidInput, "use the S3 service");
            error.at(what).caused_by(why)
        };
        let endpoint = match &store.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://s3.{}.amazonaws.com", store.region),
        };
        let mut base: BaseUrl =
            endpoint.parse().map_err(|e: ValidationErr| wrong(&endpoint, e.to_string()))?;
        if let Some(path_style) = store.path_style {
            base.virtual_style = !path_style;
        }
        let keys = &store.credentials;
        let provider = StaticProvider::new(&keys.access_key, &keys.secret_key, keys.token());
        // It sends nothing.
        let minio = MinioClientBuilder::new(base.clone()).provider(Some(provider));
        Ok(Api {
            http: Http::new(&store.transfer)?,
            minio: minio.build().map_err(|e| wrong(&endpoint, e.to_string()))?,
            base,
            keys: keys.clone(),
            bucket: names::bucket(&store.bucket)?,
            region: Region::new(&store.region).map_err(|e| wrong(&store.region, e.to_string()))?,
        })
    }

    /// A URL for one attempt.
    async fn sign(
        &self,
        method: Method,
        object: &str,
        query: &[(&str, &str)],
    ) -> Result<SecretUrl, Failure> {
        let mut params = Multimap::new();
        query.iter().for_each(|&(key, value)| params.add(key, value));
        let object = ObjectKey::new(object).map_err(|e| invalid(object, e))?;
        let signed = self
            .minio
            .get_presigned_object_url(&self.bucket, object, method)
            .map_err(|e| invalid("", e))?
            .region(Some(self.region.clone()))
            .extra_query_params(Some(params))
            .expiry_seconds(Some(SIGNED_FOR.as_secs() as u32))
            .build()
            .send()
            .await
            .map_err(|e| invalid("", e))?;
        Ok(SecretUrl::parse(&signed.url)?)
    }

    async fn send(
        &self,
        method: Method,
        object: &str,
        query: &[(&str, &str)],
        headers: HeaderMap,
        content: Option<Bytes>,
    ) -> Result<Response, Failure> {
        let url = self.sign(method.clone(), object, query).await?;
        let content = content.map(Content::Bytes);
        self.http.send(method, &url, headers, content).await
    }

    pub(crate) async fn head(&self, object: &str) -> Result<Option<Head>, Failure> {
        self.http.retry(|| self.head_once(object)).await
    }

    async fn head_once(&self, object: &str) -> Result<Option<Head>, Failure> {
        let answer = match self.send(Method::HEAD, object, &[], HeaderMap::new(), None).await {
            Err(failure) if failure.is_status(404) => return Ok(None),
            answer => answer?,
        };
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let size = header(CONTENT_LENGTH.as_str()).and_then(|size| size.parse().ok());
        Ok(Some(Head {
            size: size.ok_or_else(|| Failure::Answer("it does not say how large it is".into()))?,
            upload: header(UPLOAD_HEADER).map(str::to_owned),
        }))
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
            let request = self.request(Method::POST, Some(object), query.clone(), all.clone());
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
                let url = self.sign(Method::PUT, &upload.object, &query).await?;
                self.http.put(&url, Content::Bytes(bytes.clone())).await
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
        let answer =
            self.send(Method::POST, &upload.object, &query, headers, Some(body.clone())).await?;
        match Refusal::of_xml(&self.http.body(answer).await?) {
            Some(refusal) => Err(Failure::Service(refusal)),
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
            match self.send(Method::DELETE, object, &query, HeaderMap::new(), None).await {
                Err(failure) if failure.is_status(404) => Ok(()),
                answer => answer.map(drop),
            }
        };
        // Whoever cancels waits for it, so it is not tried for long; a sweep finds what is left.
        self.http.hurried(ABORT_FOR).retry(abort).await
    }

    /// Reads a range, and says how large the whole is. An empty object has no ranges.
    pub(crate) async fn get(&self, object: &str, wanted: Wanted) -> Result<(Bytes, u64), Failure> {
        match self.http.get(wanted, || self.sign(Method::GET, object, &[])).await {
            Ok(Got::Part(part)) => Ok((part.bytes.freeze(), part.size)),
            Ok(Got::NoRanges(_)) => {
                Err(Failure::Answer("it sent all where a part was asked".into()))
            }
            Err(failure) if failure.is_status(416) => Ok((Bytes::new(), 0)),
            Err(failure) => Err(failure),
        }
    }

    pub(crate) async fn delete(&self, object: &str) -> Result<(), Failure> {
        let delete = || self.send(Method::DELETE, object, &[], HeaderMap::new(), None);
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
            let list = || self.request(Method::GET, None, query.clone(), Multimap::new());
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
            let page = self.request(Method::GET, None, query, Multimap::new()).await?;
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

    /// Sends a request with its signature in the headers, once, and gives the XML that comes.
    async fn request(
        &self,
        method: Method,
        object: Option<&str>,
        query: Multimap,
        headers: Multimap,
    ) -> Result<Element, Failure> {
        let object = object.map(|object| ObjectKey::new(object).map_err(|e| invalid(object, e)));
        let (bucket, object) = (Some(&self.bucket), object.transpose()?);
        let url = self.base.build_url(&method, &self.region, &query, bucket, object.as_ref());
        let url = url.map_err(|e| invalid("", e))?;
        let headers = sign::headers(&self.keys, self.region.as_str(), &method, &url, headers)?;
        let url = SecretUrl::parse(&url.to_string())?;
        let answer = self.http.send_signed(method, &url, headers).await?;
        let body = self.http.body(answer).await?;
        if let Some(refusal) = Refusal::of_xml(&body) {
            return Err(Failure::Service(refusal));
        }
        Element::parse(&body).map_err(|e| Failure::Answer(format!("its XML is wrong: {e}")))
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

/// A list that does not end: no retry makes it shorter.
fn too_long() -> Failure {
    let error = Error::new(ErrorKind::InvalidInput, "list");
    let why = format!("the service lists over {LISTED_MAX} names, or over {PAGES_MAX} pages");
    Failure::Final(error.caused_by(why))
}

fn invalid(what: &str, why: impl std::fmt::Display) -> Failure {
    let error = Error::new(ErrorKind::InvalidInput, "use the name").at(what);
    Failure::Final(error.caused_by(why.to_string()))
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::store::s3::Credentials;

    fn signed(change: impl FnOnce(S3Store) -> S3Store) -> String {
        let keys = Credentials::new("access", "secret").session_token("to/ken");
        let api = Api::new(&change(S3Store::new("bucket", keys))).expect("usable");
        let url = block_on(api.sign(Method::GET, "a b/é.tar.gz", &[("x", "y z")]));
        url.expect("signed").get().to_string()
    }

    #[test]
    fn the_bucket_stands_where_the_service_wants_it() {
        let nearby = |store: S3Store| store.endpoint("http://127.0.0.1:9000");
        for (url, start) in [
            (signed(|s| s), "https://bucket.s3.us-east-1.amazonaws.com/a%20b/%C3%A9.tar.gz?"),
            (signed(|s| s.path_style(true)), "https://s3.us-east-1.amazonaws.com/bucket/a%20b/"),
            (signed(|s| s.region("eu-west-3")), "https://bucket.s3.eu-west-3.amazonaws.com/a"),
            (signed(nearby), "http://127.0.0.1:9000/bucket/a%20b/%C3%A9.tar.gz?"),
            (
                signed(|s| s.endpoint("https://s3.example.com").path_style(false)),
                "https://bucket.s3.example.com/a%20b/",
            ),
        ] {
            assert!(url.starts_with(start), "{url}");
            assert!(url.contains("X-Amz-Security-Token=to%2Fken"), "{url}");
        }
    }
}
