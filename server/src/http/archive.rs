//! The archive of a backup that another node sends.

use std::sync::Arc;

use futures::FutureExt;
use http_body_util::BodyExt;
use hyper::{
    Request, StatusCode,
    body::{Body, Incoming},
};
use uuid::Uuid;

use crate::{
    api_error::ApiError,
    deadline::within,
    http::reply::{self, Reply},
    node::Node,
    receive,
    stall::STALL_TIMEOUT,
    transfer::{self, PIECE_MAX, Piece, Received},
};

/// Returns what this node has of the archive.
pub(crate) async fn head(node: &Node, server: Uuid, backup: Uuid) -> Result<Reply, ApiError> {
    Ok(reply_with(StatusCode::OK, &receive::received(node, server, backup).await?))
}

/// Takes a piece of the archive.
pub(crate) async fn put(
    node: &Arc<Node>,
    server: Uuid,
    backup: Uuid,
    request: Request<Incoming>,
) -> Result<Reply, ApiError> {
    let (parts, mut body) = request.into_parts();
    let reply = match Piece::of(&parts.headers) {
        Ok(piece) => take(node, server, backup, &piece, &mut body).await,
        Err(why) => Err(ApiError::invalid(why)),
    };
    let reply = reply.unwrap_or_else(|e| reply::error(&e));
    if !reply.status().is_success() {
        discard(&mut body).await;
    }
    Ok(reply)
}

async fn take(
    node: &Arc<Node>,
    server: Uuid,
    backup: Uuid,
    piece: &Piece,
    body: &mut Incoming,
) -> Result<Reply, ApiError> {
    let receiving = receive::begin(node, server, backup, piece).await?;
    let offset = receiving.offset();
    if piece.range.start != offset {
        let text = format!("this node has {offset} bytes, so the next piece must begin there");
        let mut reply = reply::error(&ApiError::conflict(text));
        reply.headers_mut().extend([transfer::next_offset(offset)]);
        return Ok(reply);
    }
    let len = piece.range.end - piece.range.start;
    if body.size_hint().exact().is_some_and(|exact| exact != len) {
        return Err(ApiError::invalid("the body and its Content-Range have different lengths"));
    }
    Ok(reply_with(StatusCode::NO_CONTENT, &receiving.take(body, len).await?))
}

/// Reads the rest of a refused body. A connection that closes while the client still sends would lose the answer.
async fn discard(body: &mut Incoming) {
    let mut left = PIECE_MAX;
    while let Ok(Some(Ok(frame))) = within(STALL_TIMEOUT, body.frame().map(Ok)).await {
        let len = frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
        match left.checked_sub(len) {
            Some(less) => left = less,
            None => return,
        }
    }
}

fn reply_with(status: StatusCode, received: &Received) -> Reply {
    let mut reply = reply::empty(status);
    reply.headers_mut().extend(received.headers());
    reply
}
