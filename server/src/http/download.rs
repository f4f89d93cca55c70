//! Downloads of complete archives or ranges (RFC 9110).

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
    api_error::ApiError,
    archives::ArchiveLocation,
    config::Compatibility,
    http::{
        body::Query,
        contents,
        reply::{self, Reply, attachment},
    },
    node::Node,
    token::TokenError,
};

/// Bytes of one read from a local file, and from another store.
const FILE_CHUNK: u64 = 256 << 10;
const STORE_CHUNK: u64 = 8 << 20;

/// Sends the archive or the file that a token allows. A token is valid once.
pub(crate) async fn by_token(
    node: &Arc<Node>,
    request: &Request<Incoming>,
) -> Result<Reply, ApiError> {
    let token = Query::of(request).text("token")?.unwrap_or_default();
    let claims =
        node.tokens.download(&token).map_err(|why| not_valid(why, node.config.tokens()))?;
    let location = node.archive(claims.grant.server_uuid, claims.backup_uuid).await?;
    if let Some(file) = claims.file {
        return contents::one(location, file.into_bytes()).await;
    }
    let recorded = node.backups.get(claims.backup_uuid).and_then(|backup| backup.archive);
    archive(location, recorded.map(|archive| archive.sha1), request.headers()).await
}

/// Returns the answer for a token that is not valid. Its status depends on the program.
fn not_valid(why: TokenError, form: Compatibility) -> ApiError {
    use TokenError::{Denied, Expired, Invalid, Used, WrongScope};
    match (form, why) {
        (Compatibility::Documented, _) => ApiError::unauthorized(),
        (_, Invalid | Expired) => ApiError::failed(why),
        (_, Denied | Used | WrongScope) => ApiError::missing(why.to_string()),
    }
}

async fn archive(
    location: ArchiveLocation,
    sha1: Option<String>,
    asked: &HeaderMap,
) -> Result<Reply, ApiError> {
    let gone = |e: wingback::Error| match e.kind() {
        ErrorKind::NotFound => ApiError::missing("the archive does not exist any more"),
        _ => ApiError::failed(e),
    };
    let file = location.store.file(&location.key).await.map_err(gone)?;
    let size = match &file {
        Some(file) => file.metadata().map_err(ApiError::failed)?.len(),
        None => {
            let object = location.store.head(&location.key).await.map_err(gone)?;
            object.ok_or_else(|| ApiError::missing("the archive does not exist any more"))?.size
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    let name = location.key.as_str().rsplit('/').next().unwrap_or_default();
    headers.insert(header::CONTENT_DISPOSITION, attachment(name));
    // An archive does not change, but only its SHA-1 proves that.
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
        Some(file) => reply::stream(status, headers, from_file(file, range)),
        None => reply::stream(status, headers, from_store(location, range)),
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

/// Returns the requested range; `Some(None)` if the archive does not contain it. For several ranges, or
/// another unit, the standard allows the whole archive (`None`).
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

fn from_file(file: File, range: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let file = Arc::new(file);
    chunks(range, FILE_CHUNK, move |chunk| {
        let file = file.clone();
        unblock(move || {
            let mut bytes = vec![0; (chunk.end - chunk.start) as usize];
            file.read_exact_at(&mut bytes, chunk.start)?;
            Ok(Bytes::from(bytes))
        })
    })
}

fn from_store(
    location: ArchiveLocation,
    range: Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let location = Arc::new(location);
    chunks(range, STORE_CHUNK, move |chunk| {
        let location = location.clone();
        async move {
            let read = location.store.read(&location.key, ReadRange::Bytes(chunk));
            read.await.map_err(io::Error::other)
        }
    })
}

/// Reads one chunk after the other, until one fails.
fn chunks<F>(
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
    fn a_range_is_parsed_by_the_standard() {
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
