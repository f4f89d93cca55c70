//! The daemon's HTTP server: connections, with limits, and the handlers of requests.

mod access;
mod api;
mod backups;
mod body;
mod contents;
mod download;
mod page;
mod reply;
mod route;
mod search;
mod socket;
mod stall;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use async_lock::Semaphore;
use futures_rustls::TlsAcceptor;
use hyper::{server::conn::http1, service::service_fn};
use smol::{
    Timer,
    net::{TcpListener, TcpStream},
};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use crate::{deadline::within, http::stall::StallTimeout, io::Io, node::Node};

/// Largest size of a request's line and headers, and largest number of headers.
const HEAD_MAX: usize = 32 << 10;
const HEADERS_MAX: usize = 64;

/// Time after which a client that accepts no bytes is disconnected.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Accepts connections until the future is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: impl Fn() -> Option<TlsAcceptor>,
    node: Arc<Node>,
) {
    let permits = Arc::new(Semaphore::new(node.config.wingback.max_connections));
    loop {
        // Connections beyond the limit wait in the queue of the system.
        let permit = permits.acquire_arc().await;
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(e) => {
                tracing::warn!("cannot accept a connection: {e}");
                Timer::after(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, node) = (tls(), node.clone());
        smol::spawn(async move {
            if let Err(e) = connection(stream, peer, tls, node).await {
                tracing::debug!(%peer, "a connection ended: {e}");
            }
            drop(permit);
        })
        .detach();
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    node: Arc<Node>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let patience = node.config.wingback.request_timeout;
    let io: Box<dyn Io> = match tls {
        Some(tls) => Box::new(within(patience, async { tls.accept(stream).await }).await?),
        None => Box::new(stream),
    };
    let io = FuturesIo::new(StallTimeout::new(io, STALL_TIMEOUT));
    let service = service_fn(move |request| {
        let node = node.clone();
        async move { Ok::<_, io::Error>(route::answer(node, peer, request).await) }
    });
    http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(io, service)
        .with_upgrades()
        .await
        .map_err(io::Error::other)
}
