//! HTTP responses.

use std::io;

use bytes::Bytes;
use futures::Stream;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Frame,
    header::{self, HeaderValue},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::json;

use crate::api_error::ApiError;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Reply = Response<Body>;

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Reply {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    with(status, body, None)
}

pub(crate) fn json(value: &impl Serialize) -> Reply {
    let text = serde_json::to_vec(value).expect("a response serializes to JSON");
    whole(StatusCode::OK, text, "application/json")
}

pub(crate) fn text(text: impl Into<Bytes>, kind: &'static str) -> Reply {
    whole(StatusCode::OK, text, kind)
}

pub(crate) fn error(error: &ApiError) -> Reply {
    let text = json!({ "error": error.text }).to_string();
    let mut reply = whole(error.status, text, "application/json");
    if error.status == StatusCode::UNAUTHORIZED {
        let headers = reply.headers_mut();
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if error.status == StatusCode::PAYLOAD_TOO_LARGE {
        // The rest of the request is not read.
        reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    reply
}

/// A response with a stream of bytes. An error closes the connection, so that the client does not accept
/// a part as the whole.
pub(crate) fn stream(
    status: StatusCode,
    headers: HeaderMap,
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Reply {
    use futures::StreamExt;
    let body = StreamBody::new(bytes.map(|bytes| bytes.map(Frame::data))).boxed_unsync();
    let mut reply = with(status, body, None);
    reply.headers_mut().extend(headers);
    reply
}

/// Returns the header that lets a browser save the response as `name` (RFC 6266).
pub(crate) fn attachment(name: &str) -> HeaderValue {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || ".-_ ".contains(*c);
    let plain: String = name.chars().map(|c| if is_plain(&c) { c } else { '_' }).collect();
    let exact = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let value = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}");
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

fn whole(status: StatusCode, text: impl Into<Bytes>, kind: &'static str) -> Reply {
    let body = Full::new(text.into()).map_err(|never| match never {}).boxed_unsync();
    with(status, body, Some(kind))
}

fn with(status: StatusCode, body: Body, kind: Option<&'static str>) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(kind) = kind {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_header() {
        let value = attachment("a\"b\r\nX: ü.txt");
        let text = value.to_str().unwrap();
        assert_eq!(
            text,
            "attachment; filename=\"a_b__X_ _.txt\"; \
             filename*=UTF-8''a%22b%0D%0AX%3A%20%C3%BC%2Etxt"
        );
    }
}
