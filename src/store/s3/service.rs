//! One bucket of a service: signs requests, and follows the service to another region or host within bounds.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use chrono::Utc;
use reqwest::{Method, Response, Url, header::HeaderMap};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{
        failure::{Failure, ServiceError},
        http::{Http, RequestBody},
        url::{SecretUrl, bad_redirect},
        xml::Element,
    },
    store::s3::{
        config::S3Config,
        credentials::Credentials,
        endpoint::{Endpoint, canonical_query, is_amazon_s3},
        sign::sign,
    },
};

/// Most destinations of one attempt: the right region, and some redirects.
const DESTINATIONS_MAX: usize = 5;

/// One bucket of a service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    http: Http,
    endpoint: Endpoint,
    keys: Credentials,
    bucket: String,
    region: Arc<Mutex<BucketRegion>>,
}

/// The region of the bucket.
#[derive(Debug)]
struct BucketRegion {
    region: String,
    /// Whether the service has corrected the region. It may do so once, because a service that names one region
    /// after another would cause endless requests.
    is_corrected: bool,
}

/// The destination of an attempt.
#[derive(Clone)]
struct Destination {
    region: String,
    /// Target of a redirect of the service.
    redirect: Option<SecretUrl>,
}

impl Service {
    pub(super) fn new(config: &S3Config, keys: Credentials, http: Http) -> Result<Self> {
        let endpoint = config.checked_endpoint()?;
        let region = BucketRegion { region: config.signing_region()?, is_corrected: false };
        let region = Arc::new(Mutex::new(region));
        Ok(Service { http, endpoint, keys, bucket: config.bucket.clone(), region })
    }

    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Sends a request once, for an object or for the bucket.
    pub(super) async fn send(
        &self,
        method: Method,
        object: Option<&str>,
        query: &[(&str, &str)],
        headers: HeaderMap,
        content: Option<RequestBody>,
    ) -> Result<Response, Failure> {
        let send_to = |destination: Destination| {
            let (method, mut headers, content) = (method.clone(), headers.clone(), content.clone());
            async move {
                let url = match &destination.redirect {
                    None => self.url(&destination.region, object, query)?,
                    Some(to) => redirect_url(to, query),
                };
                let has_body = content.as_ref().is_some_and(|content| content.len() > 0);
                let Destination { region, .. } = &destination;
                sign(&mut headers, &self.keys, region, &method, &url, has_body, Utc::now())?;
                self.http.send_here(method, &SecretUrl::from(url), headers, content).await
            }
        };
        self.send_following(send_to).await
    }

    /// Sends a request without a body once, and returns the XML of the response.
    pub(super) async fn request(
        &self,
        method: Method,
        object: Option<&str>,
        query: &[(&str, &str)],
        headers: HeaderMap,
    ) -> Result<Element, Failure> {
        // Such a request has a length.
        let has_length = matches!(method, Method::POST | Method::PUT);
        let content = has_length.then(|| RequestBody::Bytes(Bytes::new()));
        let response = self.send(method, object, query, headers, content).await?;
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
        let service = SecretUrl::from(self.endpoint.url().clone());
        if !belongs_to(&to, &service) {
            let why = format!("it redirects to {to}, which does not belong to the service");
            return Err(bad_redirect(&service, &why).into());
        }
        Ok(Some(Destination { redirect: Some(to), ..destination.clone() }))
    }

    /// Returns the region that the service names, if the request was signed for another.
    fn corrected(&self, used: &str, service_error: &ServiceError) -> Option<String> {
        let named = &*service_error.region;
        let is_region = (1..=40).contains(&named.len())
            && named.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !(is_region && matches!(service_error.status, 301 | 307 | 400 | 403)) {
            return None;
        }
        let mut current = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        if !current.is_corrected && named != used {
            *current = BucketRegion { region: named.to_owned(), is_corrected: true };
        }
        // Another request may have corrected the region already.
        (current.region != used).then(|| current.region.clone())
    }

    /// Returns the URL of the bucket.
    fn home(&self, destination: &Destination) -> Result<SecretUrl> {
        self.url(&destination.region, None, &[]).map(SecretUrl::from)
    }

    fn url(&self, region: &str, object: Option<&str>, query: &[(&str, &str)]) -> Result<Url> {
        self.endpoint
            .url_of(region, &self.bucket, object, query)
            .map_err(|why| Error::new(ErrorKind::InvalidInput, "use the S3 service").caused_by(why))
    }
}

/// Returns the URL of a redirect with the query of the request. The query in the redirect is a signature for
/// another destination.
fn redirect_url(to: &SecretUrl, query: &[(&str, &str)]) -> Url {
    let mut url = to.get();
    url.set_query(canonical_query(query).as_deref());
    url
}

/// Returns whether `to` belongs to the service at `home`, so that it may receive requests signed with the keys.
/// That is the same host, a subdomain, or another S3 host of Amazon. If `home` has TLS, `to` must have it.
fn belongs_to(to: &SecretUrl, home: &SecretUrl) -> bool {
    let (to, home) = (to.get(), home.get());
    let (Some(host), Some(home_host)) = (to.host_str(), home.host_str()) else { return false };
    let is_beneath = home
        .domain()
        .is_some_and(|home| host.strip_suffix(home).is_some_and(|before| before.ends_with('.')));
    let is_same = host == home_host || is_beneath || is_amazon_s3(host) && is_amazon_s3(home_host);
    is_same && (to.scheme() == "https" || home.scheme() == "http")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(change: impl FnOnce(&mut S3Config)) -> Service {
        let keys = Credentials::new("access", "secret").session_token("to/ken");
        let mut config = S3Config::new("bucket");
        change(&mut config);
        let http = Http::new(&config.transfer).expect("usable");
        Service::new(&config, keys, http).expect("usable")
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
            ("https://s3-evil-12.us-east-1.elb.amazonaws.com/k", amazon),
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
        let corrected = |service_error| service.corrected("us-east-1", &service_error);
        for (region, status) in [("", 400), ("us-east-1", 400), ("evil.net/", 400), ("eu", 404)] {
            assert_eq!(corrected(named(region, status)), None, "{region}");
        }
        assert_eq!(corrected(named("eu-west-3", 400)).as_deref(), Some("eu-west-3"));
        // A request that was sent before the correction gets the same region.
        assert_eq!(corrected(named("eu-west-4", 400)).as_deref(), Some("eu-west-3"));
        assert!(service.corrected("eu-west-3", &named("eu-west-4", 301)).is_none());
    }
}
