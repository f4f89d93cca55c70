//! Ranges of what a URL leads to, taken up again where a connection breaks.

use std::{future::Future, ops::Range};

use bytes::BytesMut;
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_MATCH, RANGE},
};

use crate::{
    error::{Error, ErrorKind, Result},
    net::{failure::Failure, http::Http, url::SecretUrl},
};

/// What a GET of a range brought.
pub(crate) enum Got {
    Part(Part),
    /// The service knows no ranges: the answer to it has all there is.
    NoRanges(Response),
}

/// A range of something.
pub(crate) struct Part {
    pub(crate) bytes: BytesMut,
    range: Range<u64>,
    /// Bytes of the whole.
    pub(crate) size: u64,
    /// Which whole it is a part of.
    pub(crate) etag: Option<HeaderValue>,
}

impl Part {
    fn missing(&self) -> Range<u64> {
        self.range.start + self.bytes.len() as u64..self.range.end
    }
}

/// Which bytes a GET asks for.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Bytes(Range<u64>),
    Last(u64),
}

impl Wanted {
    /// What comes of something of `size`.
    fn within(&self, size: u64) -> Range<u64> {
        match self {
            Wanted::Bytes(range) => range.start..range.end.min(size),
            Wanted::Last(n) => size.saturating_sub(*n)..size,
        }
    }
}

impl Http {
    /// Gets a range, and goes on behind what came where a connection breaks. `sign` gives the URL
    /// of each attempt.
    pub(crate) async fn get<F>(&self, wanted: Wanted, sign: impl Fn() -> F) -> Result<Got, Failure>
    where
        F: Future<Output = Result<SecretUrl, Failure>>,
    {
        let mut patience = self.patience();
        let mut part = None;
        loop {
            let attempt = async {
                let url = sign().await?;
                self.get_more(&url, &wanted, &mut part).await
            };
            match attempt.await {
                Ok(Some(answer)) => return Ok(Got::NoRanges(answer)),
                Ok(None) => break,
                Err(failure) => patience.wait(failure).await?,
            }
        }
        part.map(Got::Part).ok_or_else(|| Failure::Answer("nothing came".into()))
    }

    /// Gets what is missing of a part. Gives the answer back where all came instead.
    async fn get_more(
        &self,
        url: &SecretUrl,
        wanted: &Wanted,
        part: &mut Option<Part>,
    ) -> Result<Option<Response>, Failure> {
        let answer = match &*part {
            Some(part) => self.ask(url, &Wanted::Bytes(part.missing()), part.etag.clone()).await?,
            None => self.ask(url, wanted, None).await?,
        };
        if answer.status() != StatusCode::PARTIAL_CONTENT {
            return Ok(Some(answer));
        }
        let (range, size) = content_range(answer.headers())?;
        let expected = match &*part {
            Some(part) => part.missing(),
            None => wanted.within(size),
        };
        if range != expected {
            return Err(Failure::Answer(format!("it sent the bytes {range:?}, not {expected:?}")));
        }
        let etag = answer.headers().get(ETAG).cloned();
        // Not every service knows the condition.
        let is_another = |part: &Part| {
            part.size != size || (part.etag.is_some() && etag.is_some() && part.etag != etag)
        };
        if part.as_ref().is_some_and(is_another) {
            return Err(another());
        }
        let part = part.get_or_insert_with(|| {
            let bytes = BytesMut::with_capacity((range.end - range.start) as usize);
            Part { bytes, range, size, etag }
        });
        let mut chunks = self.chunks(answer);
        while !part.missing().is_empty() {
            let chunk = chunks.next().await?.ok_or_else(Failure::ended_early)?;
            let n = chunk.len().min((part.missing().end - part.missing().start) as usize);
            part.bytes.extend_from_slice(&chunk[..n]);
        }
        Ok(None)
    }

    /// Asks for a range once. With an ETag, only of what it belongs to.
    pub(crate) async fn ask(
        &self,
        url: &SecretUrl,
        wanted: &Wanted,
        etag: Option<HeaderValue>,
    ) -> Result<Response, Failure> {
        let range = match wanted {
            Wanted::Bytes(range) => {
                format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
            }
            Wanted::Last(n) => format!("bytes=-{n}"),
        };
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::try_from(range).unwrap_or(HeaderValue::from_static("")));
        // A weak one never matches (RFC 9110, 13.1.1).
        if let Some(etag) = etag.filter(|etag| !etag.as_bytes().starts_with(b"W/")) {
            headers.insert(IF_MATCH, etag);
        }
        let answer = self.send(Method::GET, url, headers, None).await;
        answer.map_err(|failure| if failure.is_status(412) { another() } else { failure })
    }
}

fn another() -> Failure {
    let error = Error::new(ErrorKind::Corrupt, "read");
    Failure::Final(error.caused_by("it became another while it was read"))
}

/// `bytes 0-9/100`: which bytes came, of how many.
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
        .ok_or_else(|| Failure::Answer("it does not say which bytes it sent".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_where_it_stands() {
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
    fn what_is_wanted_ends_with_the_whole() {
        assert_eq!(Wanted::Bytes(5..20).within(10), 5..10);
        assert_eq!(Wanted::Last(4).within(10), 6..10);
        assert_eq!(Wanted::Last(40).within(10), 0..10);
    }
}
