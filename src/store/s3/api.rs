//! The requests to an S3 service for objects.
//!
//! The client of this crate sends them, and bounds time, size and retries. [`Service`] signs them, and decides where they
//! go.

use std::time::SystemTime;

use bytes::Bytes;
use chrono::DateTime;
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED},
};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{
        failure::{Failure, ServiceError},
        http::Http,
        range::{
            RangeResponse, RangeSpec, changed_if_precondition_failed, content_length, content_range,
        },
        xml::Element,
    },
    store::s3::{config::S3Config, credentials::Credentials, service::Service},
};

/// Most objects or unfinished uploads in a list, and most pages of it.
pub(super) const LISTED_MAX: usize = 1_000_000;
pub(super) const PAGES_MAX: usize = 2_000;

/// Metadata that identifies the upload that made an object. After a lost response it shows whether the object
/// is from this upload or from another writer.
pub(super) const UPLOAD_HEADER: &str = "x-amz-meta-wingback-upload";

/// One bucket of a service.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(super) http: Http,
    pub(super) service: Service,
}

/// An object in a list of the service.
pub(crate) struct Listed {
    pub(crate) object: String,
    pub(crate) size: u64,
    /// `None` if the list has no time, or none that can be read.
    pub(crate) modified: Option<SystemTime>,
}

/// The response to HEAD of an object.
pub(crate) struct Head {
    pub(crate) size: u64,
    /// `None` if the response has no time, or none that can be read.
    pub(crate) modified: Option<SystemTime>,
    /// Upload that made the object, if the service returns metadata.
    pub(super) upload: Option<String>,
    /// `None` if the response has none.
    pub(super) etag: Option<String>,
}

impl Api {
    pub(crate) fn new(config: &S3Config, credentials: Credentials) -> Result<Self> {
        let http = Http::new(&config.transfer)?;
        Ok(Api { service: Service::new(config, credentials, http.clone())?, http })
    }

    /// Looks at an object. `None` if the service says that there is no such object. A bucket that does not
    /// exist is a failure.
    pub(crate) async fn head(&self, object: &str) -> Result<Option<Head>, Failure> {
        self.http.retry(|| self.head_once(object)).await
    }

    async fn head_once(&self, object: &str) -> Result<Option<Head>, Failure> {
        let sent = self.service.send(Method::HEAD, Some(object), &[], HeaderMap::new(), None);
        match sent.await {
            Err(Failure::Service(service_error)) if service_error.has_only_status() => {
                self.head_by_get(object, *service_error).await
            }
            Err(failure) => Err(failure),
            Ok(response) => {
                let size = header(&response, CONTENT_LENGTH.as_str());
                Head::of(&response, size.and_then(|size| size.parse().ok())).map(Some)
            }
        }
    }

    /// The response to HEAD has no body with a reason for a refusal. The response to GET has one, or succeeds.
    /// This includes 404: some services send it also for an unknown access key.
    async fn head_by_get(
        &self,
        object: &str,
        service_error: ServiceError,
    ) -> Result<Option<Head>, Failure> {
        let first = RangeSpec::Bytes(0..1).headers(None);
        match self.service.send(Method::GET, Some(object), &[], first, None).await {
            Ok(response) if response.status() == StatusCode::PARTIAL_CONTENT => {
                let (_, size) = content_range(response.headers())?;
                Head::of(&response, Some(size)).map(Some)
            }
            Ok(response) => Head::of(&response, content_length(&response)).map(Some),
            Err(failure) if failure.code() == "NoSuchKey" => Ok(None),
            Err(failure) if failure.total_size() == Some(0) => {
                Ok(Some(Head { size: 0, modified: None, upload: None, etag: None }))
            }
            Err(Failure::Service(why)) if why.has_only_status() => Err(service_error.into()),
            Err(failure) => Err(failure),
        }
    }

    /// Reads a range, and returns the size of the whole object. An empty object has no ranges.
    pub(crate) async fn get(
        &self,
        object: &str,
        wanted: RangeSpec,
    ) -> Result<(Bytes, u64), Failure> {
        let ask = |wanted: RangeSpec, etag| async move {
            let headers = wanted.headers(etag);
            let sent = self.service.send(Method::GET, Some(object), &[], headers, None).await;
            sent.map_err(changed_if_precondition_failed)
        };
        let no_ranges =
            || Failure::Answer("the response has the whole object, not the requested range".into());
        let response = match self.http.get(wanted.clone(), ask).await? {
            RangeResponse::Part(part) => return Ok((part.bytes.freeze(), part.size)),
            RangeResponse::NoRanges(response) => response,
        };
        // An object has an ETag. A response without one is a page of another program, such as a proxy.
        let is_object = response.headers().contains_key(ETAG);
        let size = content_length(&response).filter(|_| is_object).ok_or_else(no_ranges)?;
        let range = wanted.within(size);
        if range == (0..size) {
            let body = self.http.body(response).await?;
            let is_all = body.len() as u64 == size;
            return if is_all { Ok((body, size)) } else { Err(Failure::ended_early()) };
        }
        if !matches!(wanted, RangeSpec::Last(_)) {
            return Err(no_ranges());
        }
        // The service may support ranges, but no suffixes.
        drop(response);
        match self.http.get(RangeSpec::Bytes(range), ask).await? {
            RangeResponse::Part(part) if part.size == size => Ok((part.bytes.freeze(), size)),
            _ => Err(no_ranges()),
        }
    }

    pub(crate) async fn delete(&self, object: &str) -> Result<(), Failure> {
        let delete =
            || self.service.send(Method::DELETE, Some(object), &[], HeaderMap::new(), None);
        self.http.retry(delete).await.map(drop)
    }

    /// Returns all objects with this prefix.
    pub(crate) async fn objects(&self, prefix: &str) -> Result<Vec<Listed>, Failure> {
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let list = || self.service.request(Method::GET, None, &query, HeaderMap::new());
            let page = self.http.retry(list).await?;
            objects.extend(page.children("Contents").filter_map(Listed::of));
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
}

impl Listed {
    fn of(entry: &Element) -> Option<Self> {
        let modified = entry.child("LastModified").map(DateTime::parse_from_rfc3339);
        Some(Listed {
            object: entry.child("Key")?.to_owned(),
            size: entry.child("Size")?.parse().ok()?,
            modified: modified.and_then(Result::ok).map(SystemTime::from),
        })
    }
}

impl Head {
    fn of(response: &Response, size: Option<u64>) -> Result<Self, Failure> {
        let size = size.ok_or_else(|| {
            Failure::Answer("the response does not say how large the object is".into())
        })?;
        // The form of dates in HTTP is one of those of mail.
        let modified = header(response, LAST_MODIFIED.as_str()).map(DateTime::parse_from_rfc2822);
        Ok(Head {
            size,
            modified: modified.and_then(Result::ok).map(SystemTime::from),
            upload: header(response, UPLOAD_HEADER).map(str::to_owned),
            etag: header(response, ETAG.as_str()).map(str::to_owned),
        })
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// Returns the failure of an endless list. A retry does not help.
pub(super) fn too_long() -> Failure {
    let error = Error::new(ErrorKind::InvalidInput, "list");
    let why = format!("the service lists over {LISTED_MAX} names, or over {PAGES_MAX} pages");
    Failure::Final(error.caused_by(why))
}
