//! Requests to the Panel: one connection each, with an answer that says whether the request can have
//! been heard.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite, FutureExt};
use futures_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Method, Request, Uri, header};
use smol::{Timer, net::TcpStream};
use smol_hyper::rt::FuturesIo;

use crate::answer::Reply;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(15);

/// Bytes of an answer: ten thousand signed URLs are some megabytes.
const ANSWER_MAX: usize = 64 << 20;

/// Bytes of an answer that says what went wrong. What is longer counts as nothing said.
const ERROR_MAX: usize = 64 << 10;

/// A service behind http or https.
#[derive(Clone)]
pub(crate) struct Client {
    host: String,
    port: u16,
    /// Of every path; without a slash at its end.
    prefix: String,
    tls: Option<TlsConnector>,
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Somebody answered it. A redirect is such an answer: it is not followed, since the token is for
    /// this host only.
    Reply(Reply),
    /// It was never sent.
    NotSent(String),
    /// It was sent, and nobody knows what became of it.
    Lost(String),
}

/// What bytes go over, encrypted or not.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Client {
    /// A client of what lies beneath `url`.
    pub(crate) fn new(url: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{url:?}: {why}");
        let uri: Uri = url.parse().map_err(|_| wrong("it is no URL"))?;
        let host = uri.host().ok_or_else(|| wrong("it has no host"))?;
        let (port, tls) = match uri.scheme_str() {
            Some("https") => (443, Some(connector().map_err(|e| wrong(&e.to_string()))?)),
            Some("http") => (80, None),
            _ => return Err(wrong("it is neither http nor https")),
        };
        Ok(Client {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: uri.port_u16().unwrap_or(port),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            tls,
        })
    }

    /// Sends a request with `token`, and waits at most `patience` for its answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Answer {
        let host = match (self.host.contains(':'), self.port) {
            (true, port) => format!("[{}]:{port}", self.host),
            (false, 80 | 443) => self.host.clone(),
            (false, port) => format!("{}:{port}", self.host),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(header::HOST, host)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::ACCEPT, "application/vnd.pterodactyl.v1+json")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("wingback-server/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::from(body)));
        let request = match request {
            Ok(request) => request,
            Err(e) => return Answer::NotSent(e.to_string()),
        };
        let connect = async {
            let io = self.connect().await?;
            let handshake = hyper::client::conn::http1::handshake(FuturesIo::new(io));
            handshake.await.map_err(io::Error::other)
        };
        let (mut sender, connection) = match within(CONNECT, connect).await {
            Ok(connected) => connected,
            Err(e) => return Answer::NotSent(e.to_string()),
        };
        let exchange = async {
            let answer = sender.send_request(request).await.map_err(io::Error::other)?;
            let header = |name| {
                let value = answer.headers().get(name);
                value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            };
            let reply = Reply {
                status: answer.status().as_u16(),
                content_type: header(header::CONTENT_TYPE).unwrap_or_default(),
                retry_after: header(header::RETRY_AFTER),
                date: header(header::DATE),
                body: Bytes::new(),
            };
            let is_success = answer.status().is_success();
            let max = if is_success { ANSWER_MAX } else { ERROR_MAX };
            let body = match Limited::new(answer.into_body(), max).collect().await {
                Ok(body) => body.to_bytes(),
                Err(e) if !is_success && e.is::<LengthLimitError>() => Bytes::new(),
                Err(e) => return Err(io::Error::other(e)),
            };
            Ok(Reply { body, ..reply })
        };
        // The connection is polled here, and is gone with the answer.
        let exchange = async {
            let connection = connection.then(|_| std::future::pending::<()>());
            match futures::future::select(Box::pin(exchange), Box::pin(connection)).await {
                futures::future::Either::Left((answer, _)) => answer,
                futures::future::Either::Right(((), exchange)) => exchange.await,
            }
        };
        match within(patience, exchange).await {
            Ok(reply) => Answer::Reply(reply),
            Err(e) => Answer::Lost(e.to_string()),
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Io>> {
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({}:{}{})", self.host, self.port, self.prefix)
    }
}

/// With the system's roots, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
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

/// The future's result, or that it took too long.
pub(crate) async fn within<T>(
    time: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let late = async {
        Timer::after(time).await;
        let late = format!("no answer within {} seconds", time.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, late))
    };
    smol::future::or(work, late).await
}
