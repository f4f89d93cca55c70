//! One bucket of a service: requests to it are signed, and go where the service says, within bounds.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use minio::s3::{
    MinioClient, MinioClientBuilder,
    creds::StaticProvider,
    error::ValidationErr,
    http::{BaseUrl, Url, match_aws_s3_endpoint},
    multimap_ext::{Multimap, MultimapExt},
    types::{BucketName, ObjectKey, Region},
};
use reqwest::{Method, Response, header::HeaderMap};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{
        failure::{Failure, Refusal},
        http::{Content, Http},
        url::{SecretUrl, astray},
        xml::Element,
    },
    store::s3::{Credentials, S3Store, names, sign},
};

/// How long a signature in a URL is good for: longer than any part should take.
const SIGNED_FOR: Duration = Duration::from_secs(3600);

/// Places that one attempt is sent to: the right region, and some redirects.
const PLACES_MAX: usize = 5;

/// What stands for the hash of a body that is not part of a signature, as in a signed URL.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// One bucket of a service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    http: Http,
    minio: MinioClient,
    base: BaseUrl,
    keys: Credentials,
    bucket: BucketName,
    region: Arc<Mutex<Lies>>,
}

/// Where the bucket lies.
#[derive(Debug)]
struct Lies {
    region: Region,
    /// Whether the service has said so. It may say it once: one that names a region after the other would
    /// be asked for ever.
    is_said: bool,
}

/// Where an attempt goes.
#[derive(Clone)]
struct Place {
    region: Region,
    /// Where the service redirects to.
    elsewhere: Option<SecretUrl>,
}

impl Service {
    pub(super) fn new(store: &S3Store, http: Http) -> Result<Self> {
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
        let region = Region::new(&store.region).map_err(|e| wrong(&store.region, e.to_string()))?;
        Ok(Service {
            http,
            minio: minio.build().map_err(|e| wrong(&endpoint, e.to_string()))?,
            base,
            keys: keys.clone(),
            bucket: names::bucket(&store.bucket)?,
            region: Arc::new(Mutex::new(Lies { region, is_said: false })),
        })
    }

    /// Sends a request once, with its signature in the URL.
    pub(super) async fn send(
        &self,
        method: Method,
        object: &str,
        query: &[(&str, &str)],
        headers: HeaderMap,
        content: Option<Bytes>,
    ) -> Result<Response, Failure> {
        let send_to = |place: Place| {
            let (method, mut headers, content) = (&method, headers.clone(), content.clone());
            async move {
                let url = match &place.elsewhere {
                    None => self.sign(method, object, query, &place.region).await?,
                    // A signature in headers holds for any URL.
                    Some(to) => {
                        let url = there(to, as_map(query));
                        headers.extend(self.headers(
                            &place,
                            method,
                            &url,
                            UNSIGNED,
                            Multimap::new(),
                        )?);
                        SecretUrl::parse(&url.to_string())?
                    }
                };
                let content = content.map(Content::Bytes);
                self.http.send_here(method.clone(), &url, headers, content).await
            }
        };
        self.directed(send_to).await
    }

    /// Sends a request with its signature in the headers, once, and gives the XML that comes.
    pub(super) async fn request(
        &self,
        method: Method,
        object: Option<&str>,
        query: Multimap,
        headers: Multimap,
    ) -> Result<Element, Failure> {
        let object = object.map(|object| ObjectKey::new(object).map_err(|e| invalid(object, e)));
        let object = object.transpose()?;
        let send_to = |place: Place| {
            let (method, object, query) = (&method, object.as_ref(), query.clone());
            let headers = headers.clone();
            async move {
                let url = match &place.elsewhere {
                    Some(to) => there(to, query),
                    None => self.url(method, &place.region, &query, object)?,
                };
                let headers = self.headers(&place, method, &url, sign::EMPTY, headers)?;
                let url = SecretUrl::parse(&url.to_string())?;
                let content = (*method == Method::POST).then(|| Content::Bytes(Bytes::new()));
                self.http.send_here(method.clone(), &url, headers, content).await
            }
        };
        let answer = self.directed(send_to).await?;
        let body = self.http.body(answer).await?;
        if let Some(refusal) = Refusal::of_xml(&body) {
            return Err(refusal.into());
        }
        Element::parse(&body).map_err(|e| Failure::Answer(format!("its XML is wrong: {e}")))
    }

    /// Sends an attempt to where the service says, each time signed anew.
    async fn directed<F>(&self, send_to: impl Fn(Place) -> F) -> Result<Response, Failure>
    where
        F: Future<Output = Result<Response, Failure>>,
    {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner).region.clone();
        let mut place = Place { region, elsewhere: None };
        for _ in 0..PLACES_MAX {
            match send_to(place.clone()).await {
                Err(Failure::Service(refusal)) => match self.next(&place, &refusal)? {
                    Some(next) => place = next,
                    None => return Err(Failure::Service(refusal)),
                },
                sent => return sent,
            }
        }
        Err(astray(&self.home(&place)?, "it leads from one place to the next").into())
    }

    /// Where to send what was refused at `place`, if the service says that.
    fn next(&self, place: &Place, refusal: &Refusal) -> Result<Option<Place>, Failure> {
        if let Some(region) = self.corrected(&place.region, refusal) {
            return Ok(Some(Place { region, ..place.clone() }));
        }
        let (Some(location), 301 | 307 | 308) = (&refusal.location, refusal.status) else {
            return Ok(None);
        };
        let home = self.home(place)?;
        let to = place.elsewhere.as_ref().unwrap_or(&home).join(&location.0)?;
        let service = SecretUrl::parse(&self.base.to_url_string())?;
        if !is_of(&to, &service) {
            let why = format!("it leads to {to}, which is no part of the service");
            return Err(astray(&service, &why).into());
        }
        Ok(Some(Place { elsewhere: Some(to), ..place.clone() }))
    }

    /// The region that the service names, where requests were signed for another.
    fn corrected(&self, used: &Region, refusal: &Refusal) -> Option<Region> {
        let named = &*refusal.region;
        let is_region = (1..=40).contains(&named.len())
            && named.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !(is_region && matches!(refusal.status, 301 | 307 | 400 | 403)) {
            return None;
        }
        let mut lies = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        if !lies.is_said && named != used.as_str() {
            *lies = Lies { region: Region::new(named).ok()?, is_said: true };
        }
        // Another request may have been told.
        (lies.region.as_str() != used.as_str()).then(|| lies.region.clone())
    }

    /// The bucket's own URL.
    fn home(&self, place: &Place) -> Result<SecretUrl, Failure> {
        let url = self.url(&Method::GET, &place.region, &Multimap::new(), None)?;
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
        place: &Place,
        method: &Method,
        url: &Url,
        hash: &str,
        headers: Multimap,
    ) -> Result<HeaderMap> {
        sign::headers(&self.keys, place.region.as_str(), method, url, hash, headers)
    }

    /// A URL for one attempt.
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
            .extra_query_params(Some(as_map(query)))
            .expiry_seconds(Some(SIGNED_FOR.as_secs() as u32))
            .build()
            .send()
            .await
            .map_err(|e| invalid("", e))?;
        Ok(SecretUrl::parse(&signed.url)?)
    }
}

fn as_map(query: &[(&str, &str)]) -> Multimap {
    let mut map = Multimap::new();
    query.iter().for_each(|&(key, value)| map.add(key, value));
    map
}

/// The URL of a redirect, with our own query: what stands there is a signature for another place.
fn there(to: &SecretUrl, query: Multimap) -> Url {
    let to = to.get();
    Url {
        https: to.scheme() == "https",
        host: to.host_str().unwrap_or_default().to_owned(),
        port: to.port().unwrap_or(0),
        path: to.path().to_owned(),
        query,
    }
}

/// Whether `to` is of the service at `home`, so that it may be given what is signed with
/// the keys: the same host, one beneath it, or another of Amazon's for S3. None without TLS where `home`
/// has it.
fn is_of(to: &SecretUrl, home: &SecretUrl) -> bool {
    let (to, home) = (to.get(), home.get());
    let (Some(host), Some(home_host)) = (to.host_str(), home.host_str()) else { return false };
    let is_beneath = home
        .domain()
        .is_some_and(|home| host.strip_suffix(home).is_some_and(|before| before.ends_with('.')));
    // Before the host of S3 there may stand the bucket.
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

    fn service(change: impl FnOnce(S3Store) -> S3Store) -> Service {
        let keys = Credentials::new("access", "secret").session_token("to/ken");
        let store = change(S3Store::new("bucket", keys));
        Service::new(&store, Http::new(&store.transfer).expect("usable")).expect("usable")
    }

    fn signed(change: impl FnOnce(S3Store) -> S3Store) -> String {
        let service = service(change);
        let region = service.region.lock().expect("whole").region.clone();
        let url = service.sign(&Method::GET, "a b/é.tar.gz", &[("x", "y z")], &region);
        block_on(url).expect("signed").get().to_string()
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

    #[test]
    fn what_is_signed_goes_to_the_service_and_to_nobody_else() {
        let of = |to: &str, home: &str| {
            let url = |text: &str| SecretUrl::parse(text).expect("a URL");
            is_of(&url(to), &url(home))
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
        let service = service(|s| s);
        let named = |region: &str, status: u16| Refusal {
            status,
            region: region.into(),
            ..Refusal::default()
        };
        let used = Region::new("us-east-1").expect("a region");
        let corrected =
            |refusal| service.corrected(&used, &refusal).map(|region| region.as_str().to_owned());
        for (region, status) in [("", 400), ("us-east-1", 400), ("evil.net/", 400), ("eu", 404)] {
            assert_eq!(corrected(named(region, status)), None, "{region}");
        }
        assert_eq!(corrected(named("eu-west-3", 400)).as_deref(), Some("eu-west-3"));
        // Who asked before that is told the same, whatever the service says now.
        assert_eq!(corrected(named("eu-west-4", 400)).as_deref(), Some("eu-west-3"));
        let now = Region::new("eu-west-3").expect("a region");
        assert!(service.corrected(&now, &named("eu-west-4", 301)).is_none());
    }
}
