//! Requests to the Panel, each over its own connection. A failure says whether the service may have
//! received the request.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt;
use futures_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Method, Request, header};
use serde_json::Value;
use smol::net::TcpStream;
use smol_hyper::rt::FuturesIo;

use crate::{deadline::within, io::Io, service_url::ServiceUrl};

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

/// A response, with the headers that matter here.
#[derive(Debug, Default)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) date: Option<String>,
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

    /// Sends a request with `token`, and waits at most `patience` for its response.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Attempt {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url.prefix))
            .header(header::HOST, self.url.host_header())
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::ACCEPT, "application/vnd.pterodactyl.v1+json")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("wingback-server/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)));
        let request = match request {
            Ok(request) => request,
            Err(e) => return Attempt::NotSent(e.to_string()),
        };
        let connect = async {
            let io = self.connect().await?;
            let handshake = hyper::client::conn::http1::handshake(FuturesIo::new(io));
            handshake.await.map_err(io::Error::other)
        };
        let (mut sender, connection) = match within(CONNECT, connect).await {
            Ok(connected) => connected,
            Err(e) => return Attempt::NotSent(e.to_string()),
        };
        let exchange = async {
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            let header = |name| {
                let value = response.headers().get(name);
                value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            };
            let head = Response {
                status: response.status().as_u16(),
                content_type: header(header::CONTENT_TYPE).unwrap_or_default(),
                retry_after: header(header::RETRY_AFTER),
                date: header(header::DATE),
                body: Bytes::new(),
            };
            let is_success = response.status().is_success();
            let max = if is_success { BODY_MAX } else { ERROR_BODY_MAX };
            let body = match Limited::new(response.into_body(), max).collect().await {
                Ok(body) => body.to_bytes(),
                Err(e) if !is_success && e.is::<LengthLimitError>() => Bytes::new(),
                Err(e) => return Err(io::Error::other(e)),
            };
            Ok(Response { body, ..head })
        };
        // This future polls the connection, and drops it after the response.
        let exchange = async {
            let connection = connection.then(|_| std::future::pending::<()>());
            match futures::future::select(Box::pin(exchange), Box::pin(connection)).await {
                futures::future::Either::Left((result, _)) => result,
                futures::future::Either::Right(((), exchange)) => exchange.await,
            }
        };
        match within(patience, exchange).await {
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
    /// Returns the body, if it is JSON and its content type says so.
    pub(crate) fn json(&self) -> Option<Value> {
        self.is_json().then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    pub(crate) fn is_json(&self) -> bool {
        let kind = self.content_type.split(';').next().unwrap_or_default();
        let kind = kind.trim().to_ascii_lowercase();
        let subtype = kind.strip_prefix("application/");
        subtype.is_some_and(|subtype| subtype == "json" || subtype.ends_with("+json"))
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ServiceUrl { host, port, prefix, .. } = &self.url;
        write!(f, "Client({host}:{port}{prefix})")
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
