//! Maps requests to handlers.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures::FutureExt;
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    api_error::ApiError,
    http::{
        access, api, backups,
        body::segment,
        contents, download, page,
        reply::{self, Reply},
        search, socket,
    },
    node::{Node, uuid_of},
};

/// The ID of a request, in its answer and in the lines of the log that it causes.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Pelican's Panel takes an error without this header for an answer of another program.
const PROGRAM: HeaderValue =
    HeaderValue::from_static(concat!("wingback-server/", env!("CARGO_PKG_VERSION")));

/// Answers a request, and logs it without its query, which may contain a token.
pub(crate) async fn answer(node: Arc<Node>, peer: SocketAddr, request: Request<Incoming>) -> Reply {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let is_read_only = matches!(method, Method::GET | Method::HEAD);
    let id = Uuid::new_v4().to_string();
    // At this level, no filter of the log removes the ID from errors.
    let span = tracing::error_span!("request", %id);
    let answering = {
        let node = node.clone();
        async move { route(&node, request).await.unwrap_or_else(|e| reply::error(&e)) }
    };
    let answering = AssertUnwindSafe(answering.instrument(span.clone())).catch_unwind();
    let answer = if is_read_only {
        // If the client disconnects, the work stops.
        answering.await.ok()
    } else {
        // If the client disconnects, the work continues.
        let (done, answer) = futures::channel::oneshot::channel();
        smol::spawn(async move { drop(done.send(answering.await)) }).detach();
        answer.await.ok().and_then(Result::ok)
    };
    let mut reply = answer.unwrap_or_else(|| reply::error(&ApiError::failed("internal error")));
    reply.headers_mut().insert(header::USER_AGENT, PROGRAM);
    reply.headers_mut().extend(HeaderValue::from_str(&id).ok().map(|id| (REQUEST_ID, id)));
    let status = reply.status().as_u16();
    node.metrics.response_sent(status);
    let took = began.elapsed();
    tracing::info!(target: "http", parent: &span, %peer, %method, path, status, ?took);
    reply
}

async fn route(node: &Arc<Node>, request: Request<Incoming>) -> Result<Reply, ApiError> {
    let path = request.uri().path().to_owned();
    let segments = path.split('/').skip(1).map(segment).collect::<Option<Vec<_>>>();
    let segments = segments.ok_or_else(unknown_path)?;
    let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
    // A HEAD request is handled like GET; hyper leaves the body out. A download is the exception,
    // because its token is valid for one response.
    let method = match request.method() {
        &Method::HEAD if segments.first() != Some(&"download") => Method::GET,
        method => method.clone(),
    };
    if segments.first() == Some(&"api") && !is_socket(&segments) {
        check_token(node, &request)?;
    }
    match (&method, &*segments) {
        (&Method::GET, [""]) => Ok(page::html()),
        (&Method::GET, ["page.css"]) => Ok(page::css()),
        (&Method::GET, [name]) if page::is_script(name) => {
            page::script(name).ok_or_else(unknown_path)
        }
        (&Method::GET, ["openapi.json"]) => Ok(page::openapi(node)),
        (&Method::GET, ["health"]) => Ok(api::health(node)),
        (&Method::GET, ["metrics"]) => Ok(api::metrics(node)),
        (&Method::GET, ["download", "backup"]) => download::by_token(node, &request).await,
        (&Method::GET, ["api", "servers"]) => api::servers(node).await,
        (&Method::GET, ["api", "servers", server, "backups"]) => {
            api::backups(node, server_of(server)?).await
        }
        (&Method::GET, ["api", "servers", server, "find"]) => {
            search::find(node, server_of(server)?, &request).await
        }
        (&Method::POST, ["api", "servers", server, "verify"]) => {
            backups::verify_all(node, server_of(server)?).await
        }
        (&Method::POST, ["api", "servers", server, "verify", "cancel"]) => {
            backups::cancel_verify_all(node, server_of(server)?).await
        }
        (&Method::POST, ["api", "servers", server, "websocket"]) => {
            socket::token(node, server_of(server)?).await
        }
        (&Method::GET, ["api", "servers", server, "ws"]) => {
            socket::open(node, server_of(server)?, request).await
        }
        (&Method::POST, ["api", "servers", server, "ws", "deny"]) => {
            access::deny(node, server_of(server)?, request).await
        }
        (&Method::POST, ["api", "deauthorize-user"]) => access::deauthorize(node, request).await,
        (&Method::POST, ["api", "servers", server, "backup"]) => {
            backups::create(node, server_of(server)?, request).await
        }
        (_, ["api", "servers", server, "backup", backup, rest @ ..]) => {
            let server = server_of(server)?;
            let backup = backup_of(node, backup)?;
            match (&method, rest) {
                (&Method::GET, []) => api::backup(node, server, backup),
                (&Method::DELETE, []) => backups::delete(node, server, backup).await,
                (&Method::POST, ["cancel"]) => backups::cancel(node, server, backup).await,
                (&Method::POST, ["restore"]) => {
                    backups::restore(node, server, backup, request).await
                }
                (&Method::POST, ["verify"]) => backups::verify(node, server, backup).await,
                (&Method::POST, ["lock"]) => backups::set_lock(node, server, backup, true).await,
                (&Method::POST, ["unlock"]) => backups::set_lock(node, server, backup, false).await,
                (&Method::POST, ["link"]) => contents::link(node, server, backup, request).await,
                (&Method::GET, ["info"]) => contents::info(node, server, backup).await,
                (&Method::GET, ["diff"]) => search::diff(node, server, backup, &request).await,
                (&Method::GET, ["files"]) => contents::files(node, server, backup, &request).await,
                (&Method::GET, ["file"]) => contents::file(node, server, backup, &request).await,
                _ => wrong_method(&segments),
            }
        }
        _ => wrong_method(&segments),
    }
}

/// The first message of a WebSocket contains its token, because a browser cannot send one in a header.
fn is_socket(segments: &[&str]) -> bool {
    matches!(segments, ["api", "servers", _, "ws"])
}

fn check_token(node: &Node, request: &Request<Incoming>) -> Result<(), ApiError> {
    let header = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    if header.is_some_and(|header| node.tokens.is_bearer(header)) {
        Ok(())
    } else {
        Err(ApiError::unauthorized())
    }
}

fn server_of(text: &str) -> Result<Uuid, ApiError> {
    uuid_of(text).ok_or_else(|| ApiError::missing("there is no such server"))
}

fn backup_of(node: &Node, text: &str) -> Result<Uuid, ApiError> {
    let status = node.config.invalid_uuid_status();
    uuid_of(text).ok_or_else(|| ApiError::new(status, "there is no such backup: it is not a UUID"))
}

/// Returns the error for a path that needs another method, or that does not exist.
fn wrong_method(segments: &[&str]) -> Result<Reply, ApiError> {
    let allowed = match segments {
        [name] if page::is_script(name) => "GET, HEAD",
        [""]
        | ["page.css" | "openapi.json" | "health" | "metrics"]
        | ["download", "backup"]
        | ["api", "servers"]
        | ["api", "servers", _, "backups" | "find" | "ws"]
        | ["api", "servers", _, "backup", _, "info" | "diff" | "files" | "file"] => "GET, HEAD",
        ["api", "deauthorize-user"]
        | ["api", "servers", _, "websocket" | "backup" | "verify"]
        | ["api", "servers", _, "ws", "deny"]
        | ["api", "servers", _, "verify", "cancel"]
        | [
            "api",
            "servers",
            _,
            "backup",
            _,
            "cancel" | "restore" | "verify" | "lock" | "unlock" | "link",
        ] => "POST",
        ["api", "servers", _, "backup", _] => "GET, HEAD, DELETE",
        _ => return Err(unknown_path()),
    };
    let text = format!("the method must be {}", allowed.replace(", ", " or "));
    let mut reply = reply::error(&ApiError::new(StatusCode::METHOD_NOT_ALLOWED, text));
    reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    Ok(reply)
}

fn unknown_path() -> ApiError {
    ApiError::missing("there is no such path")
}
