//! One bucket of a service: signs requests, and follows the service to another region or host within bounds.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use minio::s3::{
    MinioClient, MinioClientBuilder,
    creds::StaticProvider,
    http::{BaseUrl, Url, match_aws_s3_endpoint},
    multimap_ext::{Multimap, MultimapExt},
    types::{BucketName, ObjectKey, Region},
};
use reqwest::{Method, Response, header::HeaderMap};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{
        failure::{Failure, ServiceError},
        http::{Http, RequestBody},
        url::{SecretUrl, bad_redirect},
        xml::Element,
    },
    store::s3::{config::S3Config, credentials::Credentials, sign},
};

/// Validity of a signature in a URL: longer than a part should take.
const SIGNED_FOR: Duration = Duration::from_secs(3600);

/// Most destinations of one attempt: the right region, and some redirects.
const DESTINATIONS_MAX: usize = 5;

/// Stands for the hash of a body that the signature does not include, as in a signed URL.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// One bucket of a service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    http: Http,
    minio: MinioClient,
    base: BaseUrl,
    keys: Credentials,
    bucket: BucketName,
    region: Arc<Mutex<BucketRegion>>,
}

/// The region of the bucket.
#[derive(Debug)]
struct BucketRegion {
    region: Region,
    /// Whether the service has corrected the region. It may do so once, because a service that names one region
    /// after another would cause endless requests.
    is_corrected: bool,
}

/// The destination of an attempt.
#[derive(Clone)]
struct Destination {
    region: Region,
    /// Target of a redirect of the service.
    redirect: Option<SecretUrl>,
}

impl Service {
    pub(super) fn new(config: &S3Config, keys: Credentials, http: Http) -> Result<Self> {
        let base = config.base_url()?;
        let provider = StaticProvider::new(&keys.access_key, &keys.secret_key, keys.token());
        // This client sends nothing.
        let minio = MinioClientBuilder::new(base.clone()).provider(Some(provider)).build();
        let region = BucketRegion { region: config.signing_region()?, is_corrected: false };
        Ok(Service {
            http,
            minio: minio.map_err(|e| {
                Error::new(ErrorKind::InvalidInput, "use the S3 service").caused_by(e.to_string())
            })?,
            base,
            keys,
            bucket: config.bucket_name()?,
            region: Arc::new(Mutex::new(region)),
        })
    }

    pub(super) fn bucket(&self) -> &str {
        self.bucket.as_ref()
    }

    /// Sends a request once, with the signature in the URL.
    pub(super) async fn send(
        &self,
        method: Method,
        object: &str,
        query: &[(&str, &str)],
        headers: HeaderMap,
        content: Option<RequestBody>,
    ) -> Result<Response, Failure> {
        let send_to = |destination: Destination| {
            let (method, mut headers, content) = (&method, headers.clone(), content.clone());
            async move {
                let url = match &destination.redirect {
                    None => self.sign(method, object, query, &destination.region).await?,
                    // A signature in headers is valid for any URL.
                    Some(to) => {
                        let url = redirect_url(to, multimap(query));
                        headers.extend(self.headers(
                            &destination,
                            method,
                            &url,
                            UNSIGNED,
                            Multimap::new(),
                        )?);
                        SecretUrl::parse(&url.to_string())?
                    }
                };
                self.http.send_here(method.clone(), &url, headers, content).await
            }
        };
        self.send_following(send_to).await
    }

    /// Sends a request once, with the signature in the headers, and returns the XML of the response.
    pub(super) async fn request(
        &self,
        method: Method,
        object: Option<&str>,
        query: Multimap,
        headers: Multimap,
    ) -> Result<Element, Failure> {
        let object = object.map(|object| ObjectKey::new(object).map_err(|e| invalid(object, e)));
        let object = object.transpose()?;
        let send_to = |destination: Destination| {
            let (method, object, query) = (&method, object.as_ref(), query.clone());
            let headers = headers.clone();
            async move {
                let url = match &destination.redirect {
                    Some(to) => redirect_url(to, query),
                    None => self.url(method, &destination.region, &query, object)?,
                };
                let headers = self.headers(&destination, method, &url, sign::EMPTY, headers)?;
                let url = SecretUrl::parse(&url.to_string())?;
                // Such a request has a length.
                let has_content = matches!(*method, Method::POST | Method::PUT);
                let content = has_content.then(|| RequestBody::Bytes(Bytes::new()));
                self.http.send_here(method.clone(), &url, headers, content).await
            }
        };
        let response = self.send_following(send_to).await?;
        let body = self.http.body(response).await?;
        if let Some(service_error) = ServiceError::from_xml(&body) {
            return Err(service_error.into());
        }
        Element::parse(&body)
            .map_err(|e| Failure::Answer(format!("the XML of the response is malformed: {e}")))
    }

    /// Sends an attempt to the destination that the service names, with a new signature for each.
    async fn send_following<F>(
        &self,
        send_to: impl Fn(Destination) -> F,
    ) -> Result<Response, Failure>
    where
        F: Future<Output = Result<Response, Failure>>,
    {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner).region.clone();
        let mut destination = Destination { region, redirect: None };
        for _ in 0..DESTINATIONS_MAX {
            match send_to(destination.clone()).await {
                Err(Failure::Service(service_error)) => {
                    match self.next(&destination, &service_error)? {
                        Some(next) => destination = next,
                        None => return Err(Failure::Service(service_error)),
                    }
                }
                sent => return sent,
            }
        }
        Err(bad_redirect(&self.home(&destination)?, "there are too many redirects").into())
    }

    /// Returns the next destination, if the service names one.
    fn next(
        &self,
        destination: &Destination,
        service_error: &ServiceError,
    ) -> Result<Option<Destination>, Failure> {
        if let Some(region) = self.corrected(&destination.region, service_error) {
            return Ok(Some(Destination { region, ..destination.clone() }));
        }
        let (Some(location), 301 | 307 | 308) = (&service_error.location, service_error.status)
        else {
            return Ok(None);
        };
        let home = self.home(destination)?;
        let to = destination.redirect.as_ref().unwrap_or(&home).join(&location.0)?;
        let service = SecretUrl::parse(&self.base.to_url_string())?;
        if !belongs_to(&to, &service) {
            let why = format!("it redirects to {to}, which does not belong to the service");
            return Err(bad_redirect(&service, &why).into());
        }
        Ok(Some(Destination { redirect: Some(to), ..destination.clone() }))
    }

    /// Returns the region that the service names, if the request was signed for another.
    fn corrected(&self, used: &Region, service_error: &ServiceError) -> Option<Region> {
        let named = &*service_error.region;
        let is_region = (1..=40).contains(&named.len())
            && named.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !(is_region && matches!(service_error.status, 301 | 307 | 400 | 403)) {
            return None;
        }
        let mut current = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        if !current.is_corrected && named != used.as_str() {
            *current = BucketRegion { region: Region::new(named).ok()?, is_corrected: true };
        }
        // Another request may have corrected the region already.
        (current.region.as_str() != used.as_str()).then(|| current.region.clone())
    }

    /// Returns the URL of the bucket.
    fn home(&self, destination: &Destination) -> Result<SecretUrl, Failure> {
        let url = self.url(&Method::GET, &destination.region, &Multimap::new(), None)?;
        Ok(SecretUrl::parse(&url.to_string())?)
    }

    fn url(
        &self,
        method: &Method,
        region: &Region,
        query: &Multimap,
        object: Option<&ObjectKey>,
    ) -> Result<Url, Failure> {
        let url = self.base.build_url(method, region, query, Some(&self.bucket), object);
        url.map_err(|e| invalid("", e))
    }

    fn headers(
        &self,
        destination: &Destination,
        method: &Method,
        url: &Url,
        hash: &str,
        headers: Multimap,
    ) -> Result<HeaderMap> {
        sign::headers(&self.keys, destination.region.as_str(), method, url, hash, headers)
    }

    /// Returns a signed URL for one attempt.
    async fn sign(
        &self,
        method: &Method,
        object: &str,
        query: &[(&str, &str)],
        region: &Region,
    ) -> Result<SecretUrl, Failure> {
        let object = ObjectKey::new(object).map_err(|e| invalid(object, e))?;
        let signed = self
            .minio
            .get_presigned_object_url(&self.bucket, object, method.clone())
            .map_err(|e| invalid("", e))?
            .region(Some(region.clone()))
            .extra_query_params(Some(multimap(query)))
            .expiry_seconds(Some(SIGNED_FOR.as_secs() as u32))
            .build()
            .send()
            .await
            .map_err(|e| invalid("", e))?;
        Ok(SecretUrl::parse(&signed.url)?)
    }
}

fn multimap(query: &[(&str, &str)]) -> Multimap {
    let mut map = Multimap::new();
    query.iter().for_each(|&(key, value)| map.add(key, value));
    map
}

/// Returns the URL of a redirect with the query of the request. The query in the redirect is a signature for
/// another destination.
fn redirect_url(to: &SecretUrl, query: Multimap) -> Url {
    let to = to.get();
    Url {
        https: to.scheme() == "https",
        host: to.host_str().unwrap_or_default().to_owned(),
        port: to.port().unwrap_or(0),
        path: to.path().to_owned(),
        query,
    }
}

/// Returns whether `to` belongs to the service at `home`, so that it may receive requests signed with the keys.
/// That is the same host, a subdomain, or another S3 host of Amazon. If `home` has TLS, `to` must have it.
fn belongs_to(to: &SecretUrl, home: &SecretUrl) -> bool {
    let (to, home) = (to.get(), home.get());
    let (Some(host), Some(home_host)) = (to.host_str(), home.host_str()) else { return false };
    let is_beneath = home
        .domain()
        .is_some_and(|home| host.strip_suffix(home).is_some_and(|before| before.ends_with('.')));
    // The bucket may come before the host of S3.
    let is_amazon = |host: &str| {
        let starts = host.match_indices('.').map(|(dot, _)| dot + 1);
        std::iter::once(0).chain(starts).any(|start| match_aws_s3_endpoint(&host[start..]))
    };
    let is_same = host == home_host || is_beneath || is_amazon(host) && is_amazon(home_host);
    is_same && (to.scheme() == "https" || home.scheme() == "http")
}

fn invalid(what: &str, why: impl std::fmt::Display) -> Failure {
    let error = Error::new(ErrorKind::InvalidInput, "use the name").at(what);
    Failure::Final(error.caused_by(why.to_string()))
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    fn service(change: impl FnOnce(&mut S3Config)) -> Service {
        let keys = Credentials::new("access", "secret").session_token("to/ken");
        let mut config = S3Config::new("bucket");
        change(&mut config);
        let http = Http::new(&config.transfer).expect("usable");
        Service::new(&config, keys, http).expect("usable")
    }

    fn signed(change: impl FnOnce(&mut S3Config)) -> String {
        let service = service(change);
        let region = service.region.lock().expect("whole").region.clone();
        let url = service.sign(&Method::GET, "a b/é.tar.gz", &[("x", "y z")], &region);
        block_on(url).expect("signed").get().to_string()
    }

    #[test]
    fn the_bucket_is_in_the_host_or_in_the_path() {
        let endpoint = |url: &str| Some(url.to_owned());
        let nearby = |o: &mut S3Config| o.endpoint = endpoint("http://127.0.0.1:9000");
        for (url, start) in [
            (signed(|_| ()), "https://bucket.s3.us-east-1.amazonaws.com/a%20b/%C3%A9.tar.gz?"),
            (
                signed(|o| o.path_style = Some(true)),
                "https://s3.us-east-1.amazonaws.com/bucket/a%20b/",
            ),
            (
                signed(|o| o.region = Some("eu-west-3".into())),
                "https://bucket.s3.eu-west-3.amazonaws.com/a",
            ),
            (signed(nearby), "http://127.0.0.1:9000/bucket/a%20b/%C3%A9.tar.gz?"),
            (
                signed(|o| {
                    (o.endpoint, o.path_style) = (endpoint("https://s3.example.com"), Some(false));
                }),
                "https://bucket.s3.example.com/a%20b/",
            ),
        ] {
            assert!(url.starts_with(start), "{url}");
            assert!(url.contains("X-Amz-Security-Token=to%2Fken"), "{url}");
        }
    }

    #[test]
    fn signed_requests_go_only_to_hosts_of_the_service() {
        let of = |to: &str, home: &str| {
            let url = |text: &str| SecretUrl::parse(text).expect("a URL");
            belongs_to(&url(to), &url(home))
        };
        let amazon = "https://s3.us-east-1.amazonaws.com/";
        for (to, home) in [
            ("https://s3.example.com/b/k", "https://s3.example.com/"),
            ("https://s3.example.com:9000/b/k", "https://s3.example.com/"),
            ("https://eu.s3.example.com/b/k", "https://s3.example.com/"),
            ("https://s3.example.com/b/k", "http://s3.example.com/"),
            ("http://127.0.0.1:2/b/k", "http://127.0.0.1:1/"),
            ("https://bucket.s3.eu-west-3.amazonaws.com/k", amazon),
            ("https://bucket.s3-us-west-2.amazonaws.com/k", amazon),
            ("https://s3.dualstack.eu-west-3.amazonaws.com/bucket/k", amazon),
        ] {
            assert!(of(to, home), "{to} {home}");
        }
        for (to, home) in [
            ("http://s3.example.com/b/k", "https://s3.example.com/"),
            ("https://evil-s3.example.com/b/k", "https://s3.example.com/"),
            ("https://s3.example.com.evil.net/b/k", "https://s3.example.com/"),
            ("https://example.com/b/k", "https://s3.example.com/"),
            ("http://127.0.0.2/b/k", "http://127.0.0.1/"),
            ("http://1.127.0.0.1.evil.net/b/k", "http://127.0.0.1/"),
            ("http://bucket.s3.eu-west-3.amazonaws.com/k", amazon),
            ("https://ec2-1-2-3-4.compute-1.amazonaws.com/k", amazon),
            ("https://bucket.s3.eu-west-3.amazonaws.com.evil.net/k", amazon),
            ("https://bucket.s3.eu-west-3.amazonaws.com/k", "https://s3.example.com/"),
        ] {
            assert!(!of(to, home), "{to} {home}");
        }
    }

    #[test]
    fn a_region_is_corrected_once() {
        let service = service(|_| ());
        let named = |region: &str, status: u16| ServiceError {
            status,
            region: region.into(),
            ..ServiceError::default()
        };
        let used = Region::new("us-east-1").expect("a region");
        let corrected = |service_error| {
            service.corrected(&used, &service_error).map(|region| region.as_str().to_owned())
        };
        for (region, status) in [("", 400), ("us-east-1", 400), ("evil.net/", 400), ("eu", 404)] {
            assert_eq!(corrected(named(region, status)), None, "{region}");
        }
        assert_eq!(corrected(named("eu-west-3", 400)).as_deref(), Some("eu-west-3"));
        // A request that was sent before the correction gets the same region.
        assert_eq!(corrected(named("eu-west-4", 400)).as_deref(), Some("eu-west-3"));
        let now = Region::new("eu-west-3").expect("a region");
        assert!(service.corrected(&now, &named("eu-west-4", 301)).is_none());
    }
}
