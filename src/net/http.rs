//! Requests with retries.

use std::{
    fs::File,
    future::Future,
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use reqwest::{
    Body, Client, Method, Response,
    header::{CONTENT_LENGTH, ETAG, HeaderMap},
    redirect,
};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{
        Transfer,
        failure::{Failure, ServiceError},
        public::PublicOnly,
        url::{SecretUrl, bad_redirect},
    },
    rt::background::Background,
};

/// Bytes of a body that a connection gets at once. Each piece counts as activity.
const PIECE: usize = 64 << 10;

/// Largest response that is not content, such as a page of a list.
const ANSWER_MAX: usize = 8 << 20;

/// Largest response that reports an error.
const ERROR_MAX: usize = 64 << 10;

/// Longest time of retries for a service that has never responded.
const FIRST_RESPONSE_WITHIN: Duration = Duration::from_secs(10);

/// Lowest assumed rate, in bytes a second, at which a connection drains the buffers of the kernel.
const SLOWEST: u64 = 1 << 20;

/// Most redirects that one request follows.
pub(crate) const REDIRECTS_MAX: usize = 5;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A client for requests that may be sent several times. Its methods run on a
/// [`Runtime`](super::runtime::Runtime).
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// Follows no redirects. This module decides which host gets a request, and sends its body again.
    client: Client,
    public_only: Option<PublicOnly>,
    retry_for: Duration,
    stall_after: Duration,
    has_responded: Arc<AtomicBool>,
}

/// The body of a request.
#[derive(Clone)]
pub(crate) enum RequestBody {
    Bytes(Bytes),
    /// A range of a file. Each attempt reads it again.
    File(Arc<Background<File>>, Range<u64>),
}

impl Http {
    pub(crate) fn new(options: &Transfer) -> Result<Self> {
        options.check()?;
        let fail = |e: reqwest::Error| {
            Error::new(ErrorKind::InvalidInput, "set up HTTP").caused_by(e.without_url())
        };
        let certificates = options.ca_file.as_deref().map_or(Ok(Vec::new()), certificates)?;
        let client = Client::builder()
            .user_agent(concat!("wingback/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(options.stall_after)
            .tcp_nodelay(true);
        let client =
            certificates.into_iter().fold(client, reqwest::ClientBuilder::add_root_certificate);
        let public_only = options.policy()?;
        let client = match public_only.clone() {
            Some(policy) => client.no_proxy().dns_resolver(Arc::new(policy)),
            None => client,
        };
        Ok(Http {
            public_only,
            client: client.build().map_err(fail)?,
            retry_for: options.retry_for,
            stall_after: options.stall_after,
            has_responded: Arc::default(),
        })
    }

    /// Calls `attempt` until it succeeds or a retry does not help.
    pub(crate) async fn retry<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut retries = self.retries();
        loop {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) => retries.wait(failure).await?,
            }
        }
    }

    /// Returns the same client with less time for retries.
    pub(crate) fn with_retry_time(&self, retry_for: Duration) -> Http {
        Http { retry_for: self.retry_for.min(retry_for), ..self.clone() }
    }

    /// Returns the state of a series of retries, for callers that change the request between attempts.
    pub(crate) fn retries(&self) -> Retries<'_> {
        Retries { http: self, start: Instant::now(), longest: FIRST_PAUSE }
    }

    /// Sends a request once, and follows redirects. The body is sent again after each redirect. A response
    /// without success is a failure.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &SecretUrl,
        headers: HeaderMap,
        content: Option<RequestBody>,
    ) -> Result<Response, Failure> {
        let mut to = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let sent = self.send_here(method.clone(), &to, headers.clone(), content.clone()).await;
            let Err(Failure::Service(service_error)) = &sent else {
                return sent;
            };
            match &service_error.location {
                Some(location)
                    if method == Method::GET || matches!(service_error.status, 307 | 308) =>
                {
                    to = url.follow(&to, &location.0)?;
                }
                _ => return sent,
            }
        }
        Err(bad_redirect(url, "there are too many redirects").into())
    }

    /// Sends a request once, and follows no redirect. A redirect is a failure.
    pub(crate) async fn send_here(
        &self,
        method: Method,
        url: &SecretUrl,
        headers: HeaderMap,
        content: Option<RequestBody>,
    ) -> Result<Response, Failure> {
        self.public_only.iter().try_for_each(|policy| policy.check_url(url))?;
        // The kernel may still send buffered bytes of the body after it has accepted the last one.
        let in_buffers = content.as_ref().map_or(0, RequestBody::len).div_ceil(SLOWEST);
        let activity = Arc::new(Activity::new());
        let mut request = self.client.request(method, url.get()).headers(headers);
        if let Some(content) = content {
            request = request.header(CONTENT_LENGTH, content.len());
            let activity = activity.clone();
            let pieces = content.pieces().inspect(move |_| activity.record());
            request = request.body(Body::wrap_stream(pieces));
        }
        let response = async { request.send().await.map_err(Failure::network) };
        let silence = self.stall_after + Duration::from_secs(in_buffers);
        let response = unless_silent(&activity, silence, response).await?;
        self.has_responded.store(true, Relaxed);
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.body_within(ERROR_MAX, response).await.unwrap_or_default();
        let service_error = ServiceError::new(status, &headers, &body);
        let is_late = url.is_over() || service_error.message.contains("has expired");
        if matches!(status.as_u16(), 400 | 401 | 403) && is_late {
            let error = Error::new(ErrorKind::UrlExpired, "use the URL");
            return Err(Failure::Final(error.caused_by(service_error.to_string())));
        }
        Err(service_error.into())
    }

    /// Sends a part, and returns the ETag of the service.
    pub(crate) async fn put(
        &self,
        url: &SecretUrl,
        content: RequestBody,
    ) -> Result<String, Failure> {
        etag(&self.send(Method::PUT, url, HeaderMap::new(), Some(content)).await?)
    }

    /// Reads the body of a response. Its size is bounded, and so is the time.
    pub(crate) async fn body(&self, response: Response) -> Result<Bytes, Failure> {
        self.body_within(ANSWER_MAX, response).await
    }

    async fn body_within(&self, max: usize, response: Response) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        let mut chunks = self.chunks(response);
        let read = async {
            while let Some(chunk) = chunks.next().await? {
                if chunk.len() > max - body.len() {
                    return Err(Failure::Answer(format!("the response is over {max} bytes")));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(())
        };
        match tokio::time::timeout(self.stall_after, read).await {
            Ok(read) => read.map(|()| body.freeze()),
            Err(_) => Err(Failure::Stalled(self.stall_after)),
        }
    }

    pub(crate) fn chunks(&self, response: Response) -> Chunks {
        Chunks { response, stall_after: self.stall_after }
    }
}

/// Returns the ETag of a response. It identifies a part.
pub(crate) fn etag(response: &Response) -> Result<String, Failure> {
    let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
    let etag = etag.filter(|etag| !etag.is_empty()).map(str::to_owned);
    etag.ok_or_else(|| Failure::Answer("the response has no ETag".into()))
}

/// Polls `work` while its connection shows activity.
async fn unless_silent<T>(
    activity: &Activity,
    longest: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(longest.saturating_sub(activity.silence()), &mut work).await {
            Ok(done) => return done,
            Err(_) if activity.silence() >= longest => return Err(Failure::Stalled(longest)),
            Err(_) => {}
        }
    }
}

/// A series of retries of one request.
pub(crate) struct Retries<'a> {
    http: &'a Http,
    start: Instant,
    longest: Duration,
}

impl Retries<'_> {
    /// Waits before the next attempt. Returns the failure if there should be no other attempt.
    pub(crate) async fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        // Full jitter, so that clients that failed together do not retry together.
        let pause = self.longest.mul_f64(fastrand::f64());
        self.longest = (self.longest * 2).min(LONGEST_PAUSE);
        let allowed = match self.http.has_responded.load(Relaxed) {
            true => self.http.retry_for,
            false => self.http.retry_for.min(FIRST_RESPONSE_WITHIN),
        };
        if !failure.is_retryable() || self.start.elapsed() + pause > allowed {
            return Err(failure);
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// The body of a response, chunk by chunk.
pub(crate) struct Chunks {
    response: Response,
    stall_after: Duration,
}

impl Chunks {
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        match tokio::time::timeout(self.stall_after, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(Failure::network),
            Err(_) => Err(Failure::Stalled(self.stall_after)),
        }
    }
}

impl RequestBody {
    pub(crate) fn len(&self) -> u64 {
        match self {
            RequestBody::Bytes(bytes) => bytes.len() as u64,
            RequestBody::File(_, range) => range.end - range.start,
        }
    }

    /// Passes all bytes to `each`, in order. It blocks if they are in a file.
    pub(crate) fn read(&self, mut each: impl FnMut(&[u8])) -> std::io::Result<()> {
        match self {
            RequestBody::Bytes(bytes) => each(bytes),
            RequestBody::File(file, range) => {
                let mut piece = vec![0; PIECE];
                for at in range.clone().step_by(PIECE) {
                    let piece = &mut piece[..(range.end - at).min(PIECE as u64) as usize];
                    file.read_exact_at(piece, at)?;
                    each(piece);
                }
            }
        }
        Ok(())
    }

    /// Returns the body in pieces. They are small, so that each one shows that the connection is alive.
    fn pieces(self) -> stream::BoxStream<'static, std::io::Result<Bytes>> {
        match self {
            RequestBody::Bytes(bytes) => stream::iter(
                (0..bytes.len())
                    .step_by(PIECE)
                    .map(move |at| Ok(bytes.slice(at..bytes.len().min(at + PIECE)))),
            )
            .boxed(),
            RequestBody::File(file, range) => stream::try_unfold(range, move |range| {
                let file = file.clone();
                async move {
                    let len = (range.end - range.start).min(PIECE as u64) as usize;
                    if len == 0 {
                        return Ok(None);
                    }
                    let at = range.start;
                    let read = move || {
                        let mut piece = vec![0; len];
                        file.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
                    };
                    let piece = tokio::task::spawn_blocking(read).await??;
                    Ok(Some((piece, at + len as u64..range.end)))
                }
            })
            .boxed(),
        }
    }
}

/// The time of the last activity of a connection.
struct Activity(Mutex<Instant>);

impl Activity {
    fn new() -> Self {
        Activity(Mutex::new(Instant::now()))
    }

    fn record(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn silence(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>> {
    let pem = std::fs::read(path).map_err(|e| Error::io("read the certificates in", e).at(path))?;
    let wrong = |why: String| {
        Error::new(ErrorKind::InvalidInput, "use the certificates in").at(path).caused_by(why)
    };
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(wrong("the file has none".into())),
        Err(e) => Err(wrong(e.to_string())),
    }
}
