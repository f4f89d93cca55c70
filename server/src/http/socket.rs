//! WebSockets in the form that Wings uses: the client authenticates with a token, and receives events.

use std::{
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_broadcast::RecvError;
use async_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::server::create_response,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use futures::{
    StreamExt,
    future::{Either, select},
};
use hyper::{Request, StatusCode, body::Incoming, header, upgrade::Upgraded};
use serde::Deserialize;
use serde_json::json;
use smol::Timer;
use smol_hyper::rt::FuturesIo;
use uuid::Uuid;

use crate::{
    api_error::ApiError,
    claims::SocketClaims,
    deadline::within,
    events::{Event, Notice},
    http::{
        reply::{self, Reply},
        stall::StallTimeout,
    },
    node::Node,
    timestamp::Timestamp,
    token::TokenError,
};

/// Largest message of a client: a token, and little else.
const MESSAGE_MAX: usize = 16 << 10;

/// Time limits for authentication, and for answers to pings.
const AUTH_WITHIN: Duration = Duration::from_secs(30);
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long before the end of its token a client is warned.
const EXPIRING: Duration = Duration::from_secs(60);

/// Time limit for a new token after the end of the old one. The client gets no events meanwhile.
const RENEW_WITHIN: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<StallTimeout>;

#[derive(Deserialize)]
struct FromClient {
    event: String,
    #[serde(default)]
    args: Vec<String>,
}

/// Returns a token for a socket. The request needs the node's token.
pub(crate) async fn token(node: &Node, server: Uuid) -> Result<Reply, ApiError> {
    node.server(server).await?;
    let socket = format!("/api/servers/{server}/ws");
    Ok(reply::json(&json!({ "token": node.tokens.for_socket(server), "socket": socket })))
}

/// Opens a socket. No event is sent before the client has authenticated.
pub(crate) async fn open(
    node: &Arc<Node>,
    server: Uuid,
    mut request: Request<Incoming>,
) -> Result<Reply, ApiError> {
    check_origin(node, &request)?;
    node.server(server).await?;
    let mut asked = Request::builder().method(request.method()).uri(request.uri());
    if let Some(headers) = asked.headers_mut() {
        headers.extend(request.headers().clone());
    }
    let asked = asked.version(request.version()).body(()).map_err(ApiError::failed)?;
    let accepted = create_response(&asked)
        .map_err(|e| ApiError::invalid(format!("it must be a WebSocket handshake: {e}")))?;
    let full =
        || ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "there are too many WebSocket clients");
    let permit = node.sockets.try_acquire_arc().ok_or_else(full)?;
    let upgrade = hyper::upgrade::on(&mut request);
    let node = node.clone();
    smol::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let Some(mut socket) = socket_of(upgraded).await else { return };
        if let Err(e) = talk(&node, server, &mut socket).await {
            tracing::debug!(%server, "a WebSocket ended: {e}");
        }
        let _ = within(Duration::from_secs(5), async { Ok(socket.close(None).await) }).await;
        drop(permit);
    })
    .detach();
    let mut reply = reply::empty(accepted.status());
    reply.headers_mut().extend(accepted.headers().clone());
    Ok(reply)
}

/// Rejects pages of other origins. The Panel's page, the daemon's own and the configured ones may connect.
fn check_origin(node: &Node, request: &Request<Incoming>) -> Result<(), ApiError> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = header(header::ORIGIN) else { return Ok(()) };
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    let is_panel = node.config.remote.trim_end_matches('/') == origin;
    let is_own = header(header::HOST).is_some_and(|own| own.eq_ignore_ascii_case(host));
    let is_allowed =
        node.config.allowed_origins.iter().any(|allowed| allowed == origin || allowed == "*");
    if is_panel || is_own || is_allowed {
        return Ok(());
    }
    Err(ApiError::new(StatusCode::FORBIDDEN, "this origin may not open WebSockets"))
}

async fn socket_of(upgraded: Upgraded) -> Option<Socket> {
    let parts = upgraded.downcast::<FuturesIo<StallTimeout>>().ok()?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX))
        .read_buffer_size(4096);
    let read = parts.read_buf.to_vec();
    let io = parts.io.into_inner();
    Some(WebSocketStream::from_partially_read(io, read, Role::Server, Some(config)).await)
}

/// Serves a socket until one side ends it.
async fn talk(node: &Node, server: Uuid, socket: &mut Socket) -> io::Result<()> {
    let mut claims = within(AUTH_WITHIN, log_in(node, server, socket)).await?;
    let mut notices = node.events.listen(server);
    let mut last_message = Instant::now();
    let mut has_warned = false;
    let mut ping = Timer::interval(PING_EVERY);
    let mut pending = None;
    loop {
        if let Err(why) = node.tokens.check_socket(&claims) {
            claims = renew(node, server, socket, why).await?;
            has_warned = false;
        }
        if let Some(event) = pending.take().filter(|event| may_receive(&claims, event)) {
            send(socket, &event).await?;
        }
        let now = Timestamp::now().seconds();
        let left = Duration::from_secs(claims.grant.exp.saturating_sub(now));
        let until = if has_warned { left } else { left.saturating_sub(EXPIRING) };
        let input = {
            let notice = pin!(notices.recv_direct());
            let message = pin!(next(socket));
            let clock = pin!(smol::future::or(
                async {
                    ping.next().await;
                    true
                },
                async {
                    Timer::after(until).await;
                    false
                },
            ));
            match select(select(notice, message), clock).await {
                Either::Left((Either::Left((notice, _)), _)) => Input::Notice(notice),
                Either::Left((Either::Right((message, _)), _)) => Input::Message(message?),
                Either::Right((true, _)) => Input::Ping,
                Either::Right((false, _)) => Input::Expiry,
            }
        };
        match input {
            Input::Notice(Ok(Notice::Event(event))) => pending = Some(event),
            // The next iteration checks the token.
            Input::Notice(Ok(Notice::CheckToken)) => {}
            Input::Notice(Err(RecvError::Overflowed(_))) => {
                // The client can ask the API for the state that it missed.
                let reason = "too slow: events were missed".into();
                let frame = CloseFrame { code: CloseCode::Again, reason };
                return socket.close(Some(frame)).await.map_err(io::Error::other);
            }
            Input::Notice(Err(RecvError::Closed)) => return Ok(()),
            Input::Message(message) => {
                last_message = Instant::now();
                if let Some(new) = authenticate(node, server, socket, message).await? {
                    (claims, has_warned) = (new, false);
                }
            }
            Input::Ping if last_message.elapsed() > 2 * PING_EVERY => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Input::Ping => {
                let ping = Message::Ping(Default::default());
                socket.send(ping).await.map_err(io::Error::other)?;
            }
            Input::Expiry if has_warned => {}
            Input::Expiry => {
                has_warned = true;
                send(socket, &event("token expiring", Vec::new())).await?;
            }
        }
    }
}

/// Waits for a token that is valid for this server.
async fn log_in(node: &Node, server: Uuid, socket: &mut Socket) -> io::Result<SocketClaims> {
    loop {
        let message = next(socket).await?;
        if let Some(claims) = authenticate(node, server, socket, message).await? {
            return Ok(claims);
        }
    }
}

/// Asks the client for a new token, and closes the socket if none comes.
async fn renew(
    node: &Node,
    server: Uuid,
    socket: &mut Socket,
    why: TokenError,
) -> io::Result<SocketClaims> {
    let ended = match why {
        TokenError::Expired => event("token expired", Vec::new()),
        why => event("jwt error", vec![why.to_string()]),
    };
    send(socket, &ended).await?;
    let renewed = within(RENEW_WITHIN, log_in(node, server, socket)).await;
    if renewed.is_err() {
        let frame = CloseFrame { code: CloseCode::Policy, reason: why.to_string().into() };
        let _ = socket.close(Some(frame)).await;
    }
    renewed
}

enum Input {
    Notice(Result<Notice, RecvError>),
    Message(Message),
    Ping,
    Expiry,
}

/// Returns the claims of an authentication message. An invalid token is answered with `jwt error`.
async fn authenticate(
    node: &Node,
    server: Uuid,
    socket: &mut Socket,
    message: Message,
) -> io::Result<Option<SocketClaims>> {
    let Message::Text(text) = message else { return Ok(None) };
    let Ok(FromClient { event: name, args }) = serde_json::from_str(&text) else { return Ok(None) };
    if name != "auth" {
        return Ok(None);
    }
    let claims = args.first().map_or(Err(TokenError::Invalid), |token| node.tokens.socket(token));
    let claims = claims.and_then(|claims| {
        let is_valid = claims.grant.server_uuid == server && claims.may("websocket.connect");
        is_valid.then_some(claims).ok_or(TokenError::Invalid)
    });
    let answer = match &claims {
        Ok(_) => event("auth success", Vec::new()),
        Err(why) => event("jwt error", vec![why.to_string()]),
    };
    send(socket, &answer).await?;
    Ok(claims.ok())
}

fn may_receive(claims: &SocketClaims, event: &Event) -> bool {
    !event.event.starts_with("backup ") || claims.may("backup.read")
}

fn event(name: &str, args: Vec<String>) -> Event {
    Event { event: name.into(), args: args.into() }
}

async fn next(socket: &mut Socket) -> io::Result<Message> {
    match socket.next().await {
        Some(Ok(Message::Close(_))) | None => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(Ok(message)) => Ok(message),
        Some(Err(e)) => Err(io::Error::other(e)),
    }
}

async fn send(socket: &mut Socket, event: &Event) -> io::Result<()> {
    let text = serde_json::to_string(event).map_err(io::Error::other)?;
    socket.send(Message::text(text)).await.map_err(io::Error::other)
}
