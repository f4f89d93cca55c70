//! Requests to the Panel and to other nodes, each over its own connection. A failure says whether the service
//! may have received the request.

use std::{borrow::Cow, future::ready, io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt;
use futures_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request,
    body::Body,
    header::{self, HeaderName},
    http::{self, request},
};
use serde_json::Value;
use smol::net::TcpStream;
use smol_hyper::rt::FuturesIo;

use crate::{
    deadline::{within, within_after},
    io::Io,
    service_url::ServiceUrl,
    stall::StallTimeout,
};

/// Time limit for connecting.
const CONNECT: Duration = Duration::from_secs(15);

/// Largest body of a successful response: ten thousand signed URLs take several megabytes.
const BODY_MAX: usize = 64 << 20;

/// Largest body of an error response. A larger one is treated as empty.
const ERROR_BODY_MAX: usize = 64 << 10;

/// Sends requests to one service.
#[derive(Clone)]
pub(crate) struct Client {
    url: ServiceUrl,
    tls: Option<TlsConnector>,
}

/// Result of a request.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The service answered. A redirect is such a response. It is not followed, because the token is
    /// for this host only.
    Answered(Response),
    /// The request was not sent.
    NotSent(String),
    /// The request was sent, and no complete response arrived.
    Lost(String),
}

#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// Creates a client for paths below `url`.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let parsed = ServiceUrl::parse(url)?;
        let tls = match parsed.is_https {
            true => Some(connector().map_err(|e| format!("{url:?}: {e}"))?),
            false => None,
        };
        Ok(Client { url: parsed, tls })
    }

    pub(crate) fn url(&self) -> &ServiceUrl {
        &self.url
    }

    /// Sends a request of JSON with `token`, and waits at most `patience` for its response.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Attempt {
        let request = self
            .request(method, path, token)
            .header(header::ACCEPT, "application/vnd.pterodactyl.v1+json")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)));
        self.exchange(request, ready(()), patience).await
    }

    /// Begins a request with `token`.
    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url.prefix))
            .header(header::HOST, self.url.host_header())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::USER_AGENT, concat!("wingback-server/", env!("CARGO_PKG_VERSION")))
    }

    /// Sends a request. The service has `patience` for its response from the time at which `sent` resolves.
    /// Until then, only a connection that accepts no bytes fails.
    pub(crate) async fn exchange<B>(
        &self,
        request: http::Result<Request<B>>,
        sent: impl Future<Output = ()>,
        patience: Duration,
    ) -> Attempt
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + 'static,
    {
        let request = match request {
            Ok(request) => request,
            Err(e) => return Attempt::NotSent(e.to_string()),
        };
        let connect = async {
            let io = self.connect().await?;
            let io = FuturesIo::new(StallTimeout::new(io));
            let handshake = hyper::client::conn::http1::handshake(io);
            handshake.await.map_err(io::Error::other)
        };
        let (mut sender, connection) = match within(CONNECT, connect).await {
            Ok(connected) => connected,
            Err(e) => return Attempt::NotSent(e.to_string()),
        };
        let exchange = async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let (head, body) = response.into_parts();
            let is_success = head.status.is_success();
            let max = if is_success { BODY_MAX } else { ERROR_BODY_MAX };
            let body = match Limited::new(body, max).collect().await {
                Ok(body) => body.to_bytes(),
                Err(e) if !is_success && e.is::<LengthLimitError>() => Bytes::new(),
                Err(e) => return Err(io::Error::other(e)),
            };
            Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
        };
        // This future polls the connection, and drops it after the response.
        let exchange = async {
            let connection = connection.then(|_| std::future::pending::<()>());
            match futures::future::select(Box::pin(exchange), Box::pin(connection)).await {
                futures::future::Either::Left((result, _)) => result,
                futures::future::Either::Right(((), exchange)) => exchange.await,
            }
        };
        match within_after(sent, patience, exchange).await {
            Ok(response) => Attempt::Answered(response),
            Err(e) => Attempt::Lost(e.to_string()),
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Io>> {
        let stream = TcpStream::connect((&*self.url.host, self.url.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.url.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

impl Response {
    pub(crate) fn header(&self, name: HeaderName) -> Option<Cow<'_, str>> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    pub(crate) fn content_type(&self) -> Cow<'_, str> {
        self.header(header::CONTENT_TYPE).unwrap_or_default()
    }

    /// Returns the body, if it is JSON and its content type says so.
    pub(crate) fn json(&self) -> Option<Value> {
        self.is_json().then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    pub(crate) fn is_json(&self) -> bool {
        let kind = self.content_type();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let subtype = kind.strip_prefix("application/");
        subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({})", self.url)
    }
}

/// Trusts the roots of the system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn connector() -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(crate::tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
