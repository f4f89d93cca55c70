//! The archive of a backup that another node sends.

use std::sync::Arc;

use hyper::{
    Request, StatusCode,
    body::{Body, Incoming},
};
use uuid::Uuid;

use crate::{
    api_error::ApiError,
    http::reply::{self, Reply},
    node::Node,
    receive,
    transfer::{self, Piece, Received},
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
    let piece = Piece::of(request.headers()).map_err(ApiError::invalid)?;
    let receiving = receive::begin(node, server, backup, &piece).await?;
    let offset = receiving.offset();
    if piece.range.start != offset {
        let text = format!("this node has {offset} bytes, so the next piece must begin there");
        let mut reply = reply::error(&ApiError::conflict(text));
        reply.headers_mut().extend([transfer::next_offset(offset)]);
        return Ok(reply);
    }
    let len = piece.range.end - piece.range.start;
    if request.body().size_hint().exact().is_some_and(|exact| exact != len) {
        return Err(ApiError::invalid("the body and its Content-Range have different lengths"));
    }
    let received = receiving.take(request.into_body(), len).await?;
    Ok(reply_with(StatusCode::NO_CONTENT, &received))
}

fn reply_with(status: StatusCode, received: &Received) -> Reply {
    let mut reply = reply::empty(status);
    reply.headers_mut().extend(received.headers());
    reply
}
