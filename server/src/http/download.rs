//! Downloads of archives, whole or in part (RFC 9110).

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, sync::Arc};

use blocking::unblock;
use bytes::Bytes;
use futures::Stream;
use hyper::{
    HeaderMap, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use wingback::{ErrorKind, ReadRange};

use crate::{
    archives::At,
    http::{
        body::Query,
        contents,
        reply::{self, Reply, attachment},
    },
    node::Node,
    refusal::Refusal,
};

/// Bytes that are read at once: from a disk, and from elsewhere.
const CHUNK: u64 = 256 << 10;
const RANGE: u64 = 8 << 20;

/// What a token allows, once.
pub(crate) async fn by_token(
    node: &Arc<Node>,
    request: &Request<Incoming>,
) -> Result<Reply, Refusal> {
    let token = Query::of(request).text("token")?.unwrap_or_default();
    let claims = node.tokens.download(&token).ok_or_else(Refusal::unauthorized)?;
    let at = node.archive(claims.server_uuid, claims.backup_uuid).await?;
    if let Some(file) = claims.file {
        return contents::one(at, file.into_bytes()).await;
    }
    let made = node.backups.get(claims.backup_uuid).and_then(|backup| backup.made);
    archive(at, made.map(|made| made.sha1), request.headers()).await
}

async fn archive(at: At, sha1: Option<String>, asked: &HeaderMap) -> Result<Reply, Refusal> {
    let gone = |e: wingback::Error| match e.kind() {
        ErrorKind::NotFound => Refusal::missing("the archive is gone"),
        _ => Refusal::failed(e),
    };
    let file = at.store.file(&at.key).await.map_err(gone)?;
    let size = match &file {
        Some(file) => file.metadata().map_err(Refusal::failed)?.len(),
        None => {
            let object = at.store.head(&at.key).await.map_err(gone)?;
            object.ok_or_else(|| Refusal::missing("the archive is gone"))?.size
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    let name = at.key.as_str().rsplit('/').next().unwrap_or_default();
    headers.insert(header::CONTENT_DISPOSITION, attachment(name));
    // An archive never changes under its name, but only its SHA-1 says so for certain.
    let tag = sha1.map(|sha1| format!("\"{sha1}\""));
    if let Some(tag) = tag.as_ref().and_then(|tag| HeaderValue::from_str(tag).ok()) {
        headers.insert(header::ETAG, tag);
    }
    if tag.as_ref().is_some_and(|tag| names(asked, header::IF_NONE_MATCH, tag)) {
        return Ok(with_headers(StatusCode::NOT_MODIFIED, headers));
    }
    let may_range = asked
        .get(header::IF_RANGE)
        .is_none_or(|wanted| tag.as_ref().is_some_and(|tag| wanted.as_bytes() == tag.as_bytes()));
    let range = asked.get(header::RANGE).filter(|_| may_range);
    let (status, range) = match range.and_then(|range| range_of(range.as_bytes(), size)) {
        None => (StatusCode::OK, 0..size),
        Some(None) => {
            let all = format!("bytes */{size}");
            headers
                .extend(HeaderValue::from_str(&all).ok().map(|all| (header::CONTENT_RANGE, all)));
            return Ok(with_headers(StatusCode::RANGE_NOT_SATISFIABLE, headers));
        }
        Some(Some(range)) => {
            let part = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            headers.extend(
                HeaderValue::from_str(&part).ok().map(|part| (header::CONTENT_RANGE, part)),
            );
            (StatusCode::PARTIAL_CONTENT, range)
        }
    };
    headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
    Ok(match file {
        Some(file) => reply::stream(status, headers, of_file(file, range)),
        None => reply::stream(status, headers, of_store(at, range)),
    })
}

fn with_headers(status: StatusCode, headers: HeaderMap) -> Reply {
    let mut reply = reply::empty(status);
    reply.headers_mut().extend(headers);
    reply
}

fn names(asked: &HeaderMap, header: HeaderName, tag: &str) -> bool {
    let values = asked.get_all(header).into_iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|wanted| wanted == "*" || wanted.trim_start_matches("W/") == tag)
}

/// The one range that is asked for; `Some(None)` where the archive has nothing of it. Several at once,
/// or another unit, may be answered with everything.
fn range_of(header: &[u8], size: u64) -> Option<Option<Range<u64>>> {
    let text = std::str::from_utf8(header).ok()?.trim().strip_prefix("bytes=")?;
    let (first, last) = text.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (first.trim(), last.trim()) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            first..last.saturating_add(1).min(size)
        }
    };
    Some((range.start < range.end).then_some(range))
}

fn of_file(file: File, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let file = Arc::new(file);
    pieces(range, CHUNK, move |piece| {
        let file = file.clone();
        unblock(move || {
            let mut bytes = vec![0; (piece.end - piece.start) as usize];
            file.read_exact_at(&mut bytes, piece.start)?;
            Ok(Bytes::from(bytes))
        })
    })
}

fn of_store(at: At, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let at = Arc::new(at);
    pieces(range, RANGE, move |piece| {
        let at = at.clone();
        async move { at.store.read(&at.key, ReadRange::Bytes(piece)).await.map_err(io::Error::other) }
    })
}

/// Reads piece after piece, until one fails.
fn pieces<F>(
    range: Range<u64>,
    size: u64,
    read: impl Fn(Range<u64>) -> F + Send,
) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    F: Future<Output = io::Result<Bytes>> + Send,
{
    futures::stream::try_unfold((range, read), move |(rest, read)| async move {
        if rest.is_empty() {
            return Ok(None);
        }
        let end = rest.end.min(rest.start + size);
        let bytes = read(rest.start..end).await?;
        Ok(Some((bytes, (end..rest.end, read))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_the_standard_says() {
        let of = |text: &str| range_of(text.as_bytes(), 100);
        assert_eq!(of("bytes=0-9"), Some(Some(0..10)));
        assert_eq!(of("bytes=90-"), Some(Some(90..100)));
        assert_eq!(of("bytes=-5"), Some(Some(95..100)));
        assert_eq!(of("bytes=-500"), Some(Some(0..100)));
        assert_eq!(of("bytes=50-5000"), Some(Some(50..100)));
        assert_eq!(of("bytes=100-"), Some(None));
        assert_eq!(of("bytes=-0"), Some(None));
        for odd in ["bytes=0-1,5-6", "lines=0-1", "bytes=a-b", "bytes=5-1", "bytes=-", "bytes"] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert_eq!(range_of(b"bytes=0-", 0), Some(None));
    }
}
