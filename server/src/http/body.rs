//! Bodies and queries of requests. A body is JSON, with limits for its size and its time.

use std::{borrow::Cow, io, ops::Range};

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{Request, StatusCode, body::Incoming, header};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::{api_error::ApiError, config::Wingback, deadline::within};

/// Reads and decodes the body.
pub(crate) async fn json<T: DeserializeOwned>(
    request: Request<Incoming>,
    limits: &Wingback,
) -> Result<T, ApiError> {
    let max = limits.max_body_kib << 10;
    let too_large = || {
        let text = format!("the body is larger than {} KiB", limits.max_body_kib);
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > max as u64) {
        return Err(too_large());
    }
    let body = async {
        let body = Limited::new(request.into_body(), max).collect().await;
        body.map_err(io::Error::other)
    };
    let body = match within(limits.request_timeout, body).await {
        Ok(body) => body.to_bytes(),
        Err(e) if e.kind() == io::ErrorKind::TimedOut => {
            return Err(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            ));
        }
        Err(e) if e.get_ref().is_some_and(|e| e.is::<LengthLimitError>()) => {
            return Err(too_large());
        }
        Err(e) => return Err(ApiError::invalid(format!("cannot read the body: {e}"))),
    };
    serde_json::from_slice(&body)
        .map_err(|e| ApiError::invalid(format!("cannot decode the body: {e}")))
}

const PER_PAGE: usize = 100;
const PER_PAGE_MAX: usize = 1000;
const PAGE_MAX: usize = 1_000_000_000;

/// The part of a list that a request asks for.
pub(crate) struct Page {
    /// From 1 on.
    pub(crate) number: usize,
    pub(crate) len: usize,
}

impl Page {
    /// Returns the indexes of the items.
    pub(crate) fn range(&self) -> Range<usize> {
        let first = (self.number - 1).saturating_mul(self.len);
        first..first.saturating_add(self.len)
    }
}

/// The values of a query.
pub(crate) struct Query<'a>(Option<&'a str>);

impl<'a> Query<'a> {
    pub(crate) fn of(request: &'a Request<Incoming>) -> Self {
        Query(request.uri().query())
    }

    /// Returns the first value of `name` as bytes.
    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let pairs = self.0?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
        Some(percent_decode_str(&value.replace('+', " ")).collect())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, ApiError> {
        let text = self.bytes(name).map(String::from_utf8).transpose();
        text.map_err(|_| ApiError::invalid(format!("{name}: it is not UTF-8")))
    }

    /// Returns the values `page` and `per_page`.
    pub(crate) fn page(&self) -> Result<Page, ApiError> {
        let number = self.number("page", PAGE_MAX)?.unwrap_or(1);
        let len = self.number("per_page", PER_PAGE_MAX)?.unwrap_or(PER_PAGE);
        Ok(Page { number, len })
    }

    /// Returns a number from 1 to `max`.
    fn number(&self, name: &str, max: usize) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|n| (1..=max).contains(n));
        let wrong = || ApiError::invalid(format!("{name}: it must be a number from 1 to {max}"));
        number.map(Some).ok_or_else(wrong)
    }
}

/// Decodes a segment of a path; `None` if it is not UTF-8.
pub(crate) fn segment(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}
