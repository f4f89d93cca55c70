//! Requests for ranges. They continue after a connection breaks.

use std::{future::Future, ops::Range};

use bytes::BytesMut;
use reqwest::{
    Method, Response, StatusCode,
    header::{
        ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_MATCH, RANGE,
    },
};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{failure::Failure, http::Http, url::SecretUrl},
};

/// The result of a request for a range.
pub(crate) enum RangeResponse {
    Part(Part),
    /// The service does not support ranges. The response has the whole object.
    NoRanges(Response),
}

/// A range of an object.
pub(crate) struct Part {
    pub(crate) bytes: BytesMut,
    range: Range<u64>,
    /// Size of the whole object.
    pub(crate) size: u64,
    /// ETag of the object.
    pub(crate) etag: Option<HeaderValue>,
}

impl Part {
    /// Returns an empty part of an object that does not have the range.
    fn none_of(size: u64) -> Self {
        Part { bytes: BytesMut::new(), range: size..size, size, etag: None }
    }

    fn missing(&self) -> Range<u64> {
        self.range.start + self.bytes.len() as u64..self.range.end
    }
}

/// The bytes that a GET requests.
#[derive(Clone, Debug)]
pub(crate) enum RangeSpec {
    Bytes(Range<u64>),
    Last(u64),
    /// The whole object, without a range.
    All,
}

impl RangeSpec {
    /// Returns the range in an object of `size`.
    pub(crate) fn within(&self, size: u64) -> Range<u64> {
        match self {
            RangeSpec::Bytes(range) => range.start..range.end.min(size),
            RangeSpec::Last(n) => size.saturating_sub(*n)..size,
            RangeSpec::All => 0..size,
        }
    }

    /// Returns whether the failure may mean that the service does not support this form of range.
    fn may_be_unsupported(&self, failure: &Failure) -> bool {
        let is_suffix = matches!(self, RangeSpec::Last(_));
        let is_range = !matches!(self, RangeSpec::All);
        is_range && failure.is_status(416)
            || is_suffix && (failure.is_status(400) || failure.is_status(501))
    }

    /// Returns the headers that request the range.
    pub(crate) fn headers(&self, etag: Option<HeaderValue>) -> HeaderMap {
        let range = match self {
            RangeSpec::Bytes(range) => {
                format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
            }
            RangeSpec::Last(n) => format!("bytes=-{n}"),
            RangeSpec::All => String::new(),
        };
        let mut headers = HeaderMap::new();
        if let Some(range) = HeaderValue::try_from(range).ok().filter(|range| !range.is_empty()) {
            headers.insert(RANGE, range);
        }
        // A weak ETag never matches (RFC 9110, 13.1.1).
        if let Some(etag) = etag.filter(|etag| !etag.as_bytes().starts_with(b"W/")) {
            headers.insert(IF_MATCH, etag);
        }
        headers
    }
}

/// The result of one request for a part.
enum Received {
    /// All missing bytes of the part.
    Part,
    /// Other bytes than the last ones, of an object of this size: the service does not support suffixes.
    Other(u64),
    /// The whole object.
    Whole(Response),
}

impl Http {
    /// Gets a range, and continues after a connection breaks. `ask` sends one request for a range.
    ///
    /// Some services do not support a request for the last bytes, or not for an object that is shorter. (RFC
    /// 9110, 14.1.2 allows it; some return 416.) Then this asks for the size first, and for the range by its
    /// position after that.
    pub(crate) async fn get<F>(
        &self,
        spec: RangeSpec,
        ask: impl Fn(RangeSpec, Option<HeaderValue>) -> F,
    ) -> Result<RangeResponse, Failure>
    where
        F: Future<Output = Result<Response, Failure>>,
    {
        let mut retries = self.retries();
        let (mut requested, mut part): (_, Option<Part>) = (spec.clone(), None);
        // The reported size, and whether the request is for the first byte only, to learn the size.
        let (mut reported, mut is_probe) = (None, false);
        loop {
            let size = match self.get_more(&ask, &requested, &mut part).await {
                Ok(Received::Part) if !is_probe => break,
                Ok(Received::Part) => part.take().map_or(0, |part| part.size),
                Ok(Received::Other(size)) => size,
                Ok(Received::Whole(response)) => match content_length(&response) {
                    Some(size)
                        if matches!(requested, RangeSpec::Last(_)) && accepts_ranges(&response) =>
                    {
                        size
                    }
                    _ => return Ok(RangeResponse::NoRanges(response)),
                },
                Err(failure)
                    if part.is_none()
                        && reported.is_none()
                        && requested.may_be_unsupported(&failure) =>
                {
                    match failure.total_size() {
                        Some(size) => size,
                        // Not even the first byte exists: the object is empty, or there are no ranges.
                        None if is_probe => {
                            (requested, is_probe) = (RangeSpec::All, false);
                            continue;
                        }
                        None => {
                            (requested, is_probe) = (RangeSpec::Bytes(0..1), true);
                            continue;
                        }
                    }
                }
                Err(failure) => {
                    retries.wait(failure).await?;
                    continue;
                }
            };
            let range = spec.within(size);
            if range.is_empty() {
                return Ok(RangeResponse::Part(Part::none_of(size)));
            }
            (requested, reported, is_probe) = (RangeSpec::Bytes(range), Some(size), false);
        }
        let part = part.ok_or_else(|| Failure::Answer("the response is empty".into()))?;
        match reported {
            Some(size) if size != part.size => Err(changed()),
            _ => Ok(RangeResponse::Part(part)),
        }
    }

    /// Gets the missing bytes of a part.
    async fn get_more<F>(
        &self,
        ask: &impl Fn(RangeSpec, Option<HeaderValue>) -> F,
        spec: &RangeSpec,
        part: &mut Option<Part>,
    ) -> Result<Received, Failure>
    where
        F: Future<Output = Result<Response, Failure>>,
    {
        let response = match &*part {
            Some(part) => ask(RangeSpec::Bytes(part.missing()), part.etag.clone()).await?,
            None => ask(spec.clone(), None).await?,
        };
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(Received::Whole(response));
        }
        let (range, size) = content_range(response.headers())?;
        let expected = match &*part {
            Some(part) => part.missing(),
            None => spec.within(size),
        };
        if range != expected && part.is_none() && matches!(spec, RangeSpec::Last(_)) {
            return Ok(Received::Other(size));
        }
        if range != expected {
            return Err(Failure::Answer(format!(
                "the response has the bytes {range:?}, not {expected:?}"
            )));
        }
        let etag = response.headers().get(ETAG).cloned();
        // Some services ignore the condition.
        let is_changed = |part: &Part| {
            part.size != size || (part.etag.is_some() && etag.is_some() && part.etag != etag)
        };
        if part.as_ref().is_some_and(is_changed) {
            return Err(changed());
        }
        let part = part.get_or_insert_with(|| {
            let bytes = BytesMut::with_capacity((range.end - range.start) as usize);
            Part { bytes, range, size, etag }
        });
        let mut chunks = self.chunks(response);
        while !part.missing().is_empty() {
            let chunk = chunks.next().await?.ok_or_else(Failure::ended_early)?;
            let n = chunk.len().min((part.missing().end - part.missing().start) as usize);
            part.bytes.extend_from_slice(&chunk[..n]);
        }
        Ok(Received::Part)
    }

    /// Requests a range once. With an ETag, only of the object with that ETag.
    pub(crate) async fn ask(
        &self,
        url: &SecretUrl,
        spec: &RangeSpec,
        etag: Option<HeaderValue>,
    ) -> Result<Response, Failure> {
        let response = self.send(Method::GET, url, spec.headers(etag), None).await;
        response.map_err(changed_if_precondition_failed)
    }
}

/// Replaces a failed precondition by the failure of an object that has changed.
pub(crate) fn changed_if_precondition_failed(failure: Failure) -> Failure {
    if failure.is_status(412) { changed() } else { failure }
}

/// Returns the size of an object from the response that has all of it.
pub(crate) fn content_length(response: &Response) -> Option<u64> {
    let len = response.headers().get(CONTENT_LENGTH)?;
    len.to_str().ok()?.parse().ok()
}

fn accepts_ranges(response: &Response) -> bool {
    response.headers().get(ACCEPT_RANGES).is_some_and(|unit| unit.as_bytes() == b"bytes")
}

fn changed() -> Failure {
    let error = Error::new(ErrorKind::Corrupt, "read");
    Failure::Final(error.caused_by("the object changed while it was read"))
}

/// Parses a header such as `bytes 0-9/100`: the range and the size of the whole.
pub(crate) fn content_range(headers: &HeaderMap) -> Result<(Range<u64>, u64), Failure> {
    let parse = |text: &str| {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let size = size.parse().ok()?;
        (first <= last && last < size).then_some((first..last + 1, size))
    };
    let text = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    text.and_then(parse)
        .ok_or_else(|| Failure::Answer("the response does not say which bytes it has".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_range_has_positions_and_a_size() {
        let of = |text: &str| {
            let value = HeaderValue::from_str(text).expect("a header");
            content_range(&HeaderMap::from_iter([(CONTENT_RANGE, value)]))
        };
        assert_eq!(of("bytes 0-9/100").expect("a range"), (0..10, 100));
        assert_eq!(of("bytes 99-99/100").expect("a range"), (99..100, 100));
        for bad in ["", "bytes */100", "bytes 5-4/100", "bytes 0-100/100", "bytes 0-9/*", "0-9/100"]
        {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(content_range(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_range_ends_with_the_object() {
        assert_eq!(RangeSpec::Bytes(5..20).within(10), 5..10);
        assert_eq!(RangeSpec::Last(4).within(10), 6..10);
        assert_eq!(RangeSpec::Last(40).within(10), 0..10);
    }
}
