//! An archive behind a link, which may expire within minutes.

use std::{ops::Range, sync::Arc};

use async_lock::Mutex;
use bytes::{Buf, Bytes, BytesMut};
use futures::{FutureExt, future::BoxFuture};
use reqwest::{
    StatusCode,
    header::{ETAG, HeaderValue},
};

use crate::{
    error::Result,
    net::{
        Transfer,
        failure::Failure,
        http::{Chunks, Http},
        range::{RangeResponse, RangeSpec, content_range},
        runtime::Runtime,
        url::SecretUrl,
    },
    source::remote::Remote,
};

/// A link to a service that supports ranges. Consecutive reads use one request, so that a whole archive can be
/// read although the link expires.
pub(crate) struct Link {
    http: Http,
    runtime: Arc<Runtime>,
    url: SecretUrl,
    etag: Option<HeaderValue>,
    /// The response that continues where the last read ended.
    body: Mutex<Option<Body>>,
}

struct Body {
    at: u64,
    rest: Bytes,
    chunks: Chunks,
}

/// The resource behind a link.
pub(crate) enum Opened {
    /// Size, last bytes, and a reader for ranges.
    Ranges(u64, Bytes, Link),
    /// A stream, because the service does not support ranges.
    Stream(LinkStream),
}

/// The whole resource from its start to its end.
pub(crate) struct LinkStream {
    runtime: Arc<Runtime>,
    url: SecretUrl,
    chunks: Option<Chunks>,
}

pub(crate) async fn open(url: SecretUrl, options: &Transfer, tail: u64) -> Result<Opened> {
    let (runtime, http) = (Arc::new(Runtime::start()?), Http::new(options)?);
    let first = {
        let (http, url) = (http.clone(), url.clone());
        runtime.call(async move {
            let ask = |wanted: RangeSpec, etag| {
                let (http, url) = (&http, &url);
                async move { http.ask(url, &wanted, etag).await }
            };
            let got = http.get(RangeSpec::Last(tail), ask).await;
            got.map_err(|failure| failure.into_error("open", &url))
        })
    };
    Ok(match first.await? {
        RangeResponse::Part(part) => {
            let link = Link { http, runtime, url, etag: part.etag, body: Mutex::new(None) };
            Opened::Ranges(part.size, part.bytes.freeze(), link)
        }
        RangeResponse::NoRanges(response) => {
            Opened::Stream(LinkStream { runtime, url, chunks: Some(http.chunks(response)) })
        }
    })
}

impl Remote for Link {
    fn read(&self, range: Range<u64>, until: u64) -> BoxFuture<'_, Result<Bytes>> {
        async move {
            let mut body = self.body.lock().await;
            let from = body.take();
            let (http, url, etag) = (self.http.clone(), self.url.clone(), self.etag.clone());
            let read = self.runtime.call(async move {
                let reading = Reading { http: &http, url: &url, etag, until };
                let read = reading.read(range, from).await;
                read.map_err(|failure| failure.into_error("read", &url))
            });
            let (bytes, rest) = read.await?;
            *body = rest;
            Ok(bytes)
        }
        .boxed()
    }

    fn parallel(&self) -> usize {
        1
    }
}

struct Reading<'a> {
    http: &'a Http,
    url: &'a SecretUrl,
    etag: Option<HeaderValue>,
    until: u64,
}

impl Reading<'_> {
    /// Reads a range from the current response, and from a new one after the connection breaks.
    async fn read(
        &self,
        range: Range<u64>,
        body: Option<Body>,
    ) -> Result<(Bytes, Option<Body>), Failure> {
        let len = (range.end - range.start) as usize;
        let mut bytes = BytesMut::with_capacity(len);
        let mut body = body.filter(|body| body.at == range.start);
        let mut retries = self.http.retries();
        while bytes.len() < len {
            let at = range.start + bytes.len() as u64;
            if let Err(failure) = self.more(at, len, &mut bytes, &mut body).await {
                body = None;
                retries.wait(failure).await?;
            }
        }
        let body =
            body.filter(|_| range.end < self.until).map(|body| Body { at: range.end, ..body });
        Ok((bytes.freeze(), body))
    }

    async fn more(
        &self,
        at: u64,
        len: usize,
        bytes: &mut BytesMut,
        body: &mut Option<Body>,
    ) -> Result<(), Failure> {
        let body = match body {
            Some(body) => body,
            None => {
                let wanted = at..self.until;
                let spec = RangeSpec::Bytes(wanted.clone());
                let response = self.http.ask(self.url, &spec, self.etag.clone()).await?;
                if response.status() != StatusCode::PARTIAL_CONTENT {
                    let why = "the response has the whole object, not the requested range";
                    return Err(Failure::Answer(why.into()));
                }
                if content_range(response.headers())?.0 != wanted
                    || response.headers().get(ETAG) != self.etag.as_ref()
                {
                    return Err(Failure::Answer(
                        "the response has another range than the requested one".into(),
                    ));
                }
                body.insert(Body { at, rest: Bytes::new(), chunks: self.http.chunks(response) })
            }
        };
        while bytes.len() < len {
            if body.rest.is_empty() {
                body.rest = body.chunks.next().await?.ok_or_else(Failure::ended_early)?;
            }
            let n = body.rest.len().min(len - bytes.len());
            bytes.extend_from_slice(&body.rest[..n]);
            body.rest.advance(n);
        }
        Ok(())
    }
}

impl LinkStream {
    /// Returns the next bytes. `None` at the end. It cannot continue after the connection breaks.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(mut chunks) = self.chunks.take() else {
            return Ok(None);
        };
        let url = self.url.clone();
        let read = self.runtime.call(async move {
            let chunk = chunks.next().await.map_err(|failure| failure.into_error("read", url))?;
            Ok(chunk.map(|chunk| (chunk, chunks)))
        });
        Ok(read.await?.map(|(chunk, chunks)| {
            self.chunks = Some(chunks);
            chunk
        }))
    }
}
