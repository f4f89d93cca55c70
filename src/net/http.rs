//! Requests, each tried again until it succeeds, cannot succeed, or takes too long.

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
        url::{SecretUrl, bad_redirect},
    },
    rt::background::Background,
};

/// Bytes of a body that are handed to a connection at once: each is a sign of activity.
const PIECE: usize = 64 << 10;

/// Bytes of an response that is not content, such as a page of a list.
const ANSWER_MAX: usize = 8 << 20;

/// Bytes of an response that says what went wrong.
const ERROR_MAX: usize = 64 << 10;

/// How long a service that has never answered is waited for.
const FIRST_RESPONSE_WITHIN: Duration = Duration::from_secs(10);

/// Bytes a second that a connection takes at least of what stands in buffers.
const SLOWEST: u64 = 1 << 20;

/// Redirects that are followed, one behind the other.
pub(crate) const REDIRECTS_MAX: usize = 5;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A client for requests that may be sent more than once. Its methods run on a
/// [`Runtime`](super::runtime::Runtime).
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// It follows no redirects: who may be told what is sent, and what has to be sent anew, is for us
    /// to say.
    client: Client,
    retry_for: Duration,
    stall_after: Duration,
    has_responded: Arc<AtomicBool>,
}

/// The content of a request.
#[derive(Clone)]
pub(crate) enum RequestBody {
    Bytes(Bytes),
    /// Read anew for each attempt.
    File(Arc<Background<File>>, Range<u64>),
}

impl Http {
    pub(crate) fn new(options: &Transfer) -> Result<Self> {
        let fail = |e: reqwest::Error| {
            Error::new(ErrorKind::InvalidInput, "set HTTP up").caused_by(e.without_url())
        };
        let certificates = options.ca_file.as_deref().map_or(Ok(Vec::new()), certificates)?;
        let client = Client::builder()
            .user_agent(concat!("wingback/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(options.stall_after)
            .tcp_nodelay(true);
        let client =
            certificates.into_iter().fold(client, reqwest::ClientBuilder::add_root_certificate);
        Ok(Http {
            client: client.build().map_err(fail)?,
            retry_for: options.retry_for,
            stall_after: options.stall_after,
            has_responded: Arc::default(),
        })
    }

    /// Makes attempts until one succeeds or its failure is not of a kind that passes.
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

    /// The same, with less time for retries.
    pub(crate) fn with_retry_time(&self, retry_for: Duration) -> Http {
        Http { retry_for: self.retry_for.min(retry_for), ..self.clone() }
    }

    /// For what is tried again in another way than the first time.
    pub(crate) fn retries(&self) -> Retries<'_> {
        Retries { http: self, start: Instant::now(), longest: FIRST_PAUSE }
    }

    /// Sends a request once to where a link leads, with its body anew behind each redirect; an response
    /// that is no success is a failure.
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
            let Err(Failure::Service(refusal)) = &sent else {
                return sent;
            };
            match &refusal.location {
                Some(location) if method == Method::GET || matches!(refusal.status, 307 | 308) => {
                    to = url.follow(&to, &location.0)?;
                }
                _ => return sent,
            }
        }
        Err(bad_redirect(url, "it leads from one place to the next").into())
    }

    /// Sends a request once, and to no other place than this. A redirect is a failure.
    pub(crate) async fn send_here(
        &self,
        method: Method,
        url: &SecretUrl,
        headers: HeaderMap,
        content: Option<RequestBody>,
    ) -> Result<Response, Failure> {
        // What the kernel took of a body may still be on its way when no more is asked for.
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
        let refusal = ServiceError::new(status, &headers, &body);
        let is_late = url.is_over() || refusal.message.contains("has expired");
        if matches!(status.as_u16(), 400 | 401 | 403) && is_late {
            let error = Error::new(ErrorKind::UrlExpired, "use the URL");
            return Err(Failure::Final(error.caused_by(refusal.to_string())));
        }
        Err(refusal.into())
    }

    /// Sends a part, and gives the ETag that the service responses with.
    pub(crate) async fn put(
        &self,
        url: &SecretUrl,
        content: RequestBody,
    ) -> Result<String, Failure> {
        etag(&self.send(Method::PUT, url, HeaderMap::new(), Some(content)).await?)
    }

    /// The body of an response, of a bounded size, which takes no longer than a silence may.
    pub(crate) async fn body(&self, response: Response) -> Result<Bytes, Failure> {
        self.body_within(ANSWER_MAX, response).await
    }

    async fn body_within(&self, max: usize, response: Response) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        let mut chunks = self.chunks(response);
        let read = async {
            while let Some(chunk) = chunks.next().await? {
                if chunk.len() > max - body.len() {
                    return Err(Failure::Answer(format!("an response is over {max} bytes")));
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

/// What names a part that has arrived.
pub(crate) fn etag(response: &Response) -> Result<String, Failure> {
    let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
    let etag = etag.filter(|etag| !etag.is_empty()).map(str::to_owned);
    etag.ok_or_else(|| Failure::Answer("it gave no ETag".into()))
}

/// Waits for `work` for as long as its connection shows activity.
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

/// How long something is still tried.
pub(crate) struct Retries<'a> {
    http: &'a Http,
    start: Instant,
    longest: Duration,
}

impl Retries<'_> {
    /// Waits before the next attempt; gives the failure back where there should be none.
    pub(crate) async fn wait(&mut self, failure: Failure) -> Result<(), Failure> {
        // Full jitter: those who failed together must not come back together.
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

/// The body of an response as it comes.
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

    /// Small enough that each one taken says that the connection lives.
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

/// When a connection last took something.
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
        Ok(_) => Err(wrong("there is none in it".into())),
        Err(e) => Err(wrong(e.to_string())),
    }
}
