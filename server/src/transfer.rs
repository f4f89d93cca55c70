//! The headers of requests that send an archive from one node to another, and of their answers.
//!
//! `HEAD …/archive` asks how much of an archive the other node has. `PUT …/archive` sends the next piece of it, with its
//! place in `Content-Range` (RFC 9110, 14.4). Both are answered with `Upload-Offset` and `Upload-Complete`, as in
//! draft-ietf-httpbis-resumable-upload.

use std::ops::Range;

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};
use wingback::Sha1;

/// Largest piece that a node sends. Many proxies refuse bodies over 100 MB.
pub(crate) const PIECE_MAX: u64 = 64 << 20;

/// SHA-1 of the whole archive: forty hexadecimal digits.
const CHECKSUM: HeaderName = HeaderName::from_static("x-checksum-sha1");
/// Number of bytes that the node has. The next piece begins there.
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// `?1` if the archive is complete, otherwise `?0`.
const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");

/// The part of an archive that a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) offset: u64,
    pub(crate) complete: bool,
    /// SHA-1 of a complete archive.
    pub(crate) sha1: Option<Sha1>,
}

/// A piece of an archive, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// An empty range at the end asks to complete an archive of which all bytes have arrived.
    pub(crate) range: Range<u64>,
    /// Size of the archive.
    pub(crate) size: u64,
    pub(crate) sha1: Sha1,
}

impl Received {
    /// Reads the answer of a node; `None` if another program answered.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let complete = match headers.get(COMPLETE)?.as_bytes() {
            b"?1" => true,
            b"?0" => false,
            _ => return None,
        };
        Some(Received { offset: offset(headers)?, complete, sha1: sha1(headers) })
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let complete = if self.complete { "?1" } else { "?0" };
        let mut headers = HeaderMap::new();
        headers.insert(OFFSET, self.offset.into());
        headers.insert(COMPLETE, HeaderValue::from_static(complete));
        headers.extend(self.sha1.map(|sha1| (CHECKSUM, text(&sha1.to_string()))));
        headers
    }
}

impl Piece {
    /// Reads the headers of a request. The error is for people.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, &'static str> {
        let range = headers.get(header::CONTENT_RANGE).ok_or("the Content-Range is missing")?;
        let range = range.to_str().ok().and_then(range_of);
        let wrong = "the Content-Range must be `bytes FIRST-LAST/SIZE`, or `bytes */SIZE`";
        let (range, size) = range.ok_or(wrong)?;
        let wrong =
            "the X-Checksum-Sha1 must be the SHA-1 of the archive: forty hexadecimal digits";
        Ok(Piece { range, size, sha1: sha1(headers).ok_or(wrong)? })
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let Piece { range, size, sha1 } = self;
        let bytes = match range.is_empty() {
            true => format!("bytes */{size}"),
            false => format!("bytes {}-{}/{size}", range.start, range.end - 1),
        };
        HeaderMap::from_iter([
            (header::CONTENT_RANGE, text(&bytes)),
            (header::CONTENT_LENGTH, (range.end - range.start).into()),
            (CHECKSUM, text(&sha1.to_string())),
        ])
    }
}

/// Returns the header of an answer to a piece that does not begin at `offset`.
pub(crate) fn next_offset(offset: u64) -> (HeaderName, HeaderValue) {
    (OFFSET, offset.into())
}

/// Reads the number of bytes that the node has.
pub(crate) fn offset(headers: &HeaderMap) -> Option<u64> {
    number(headers.get(OFFSET)?.to_str().ok()?)
}

fn sha1(headers: &HeaderMap) -> Option<Sha1> {
    headers.get(CHECKSUM)?.to_str().ok()?.parse().ok()
}

/// Parses a `Content-Range`. Returns the range, and the size of the archive.
fn range_of(text: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let size = number(size).filter(|&size| size > 0)?;
    if range == "*" {
        return Some((size..size, size));
    }
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last && last < size).then(|| (first..last + 1, size))
}

/// Parses a number without a sign.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("it has digits and signs only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_understand_each_other() {
        let sha1 = Sha1([7; 20]);
        for range in [0..1, 5..100, 100..100] {
            let piece = Piece { range, size: 100, sha1 };
            assert_eq!(Piece::of(&piece.headers()), Ok(piece));
        }
        for received in [
            Received { offset: 0, complete: false, sha1: None },
            Received { offset: 100, complete: true, sha1: Some(sha1) },
        ] {
            assert_eq!(Received::of(&received.headers()), Some(received));
        }
        assert_eq!(Received::of(&HeaderMap::new()), None);
    }

    #[test]
    fn a_range_that_is_not_of_the_archive_is_refused() {
        assert_eq!(range_of("bytes 0-9/10"), Some((0..10, 10)));
        assert_eq!(range_of("bytes */10"), Some((10..10, 10)));
        for wrong in [
            "",
            "bytes",
            "bytes 0-9",
            "bytes 0-10/10",
            "bytes 9-8/10",
            "bytes */0",
            "bytes */*",
            "bytes 0-9/*",
            "bytes +0-9/10",
            "bytes -9/10",
            "bytes 0-/10",
            "bytes */",
            "lines 0-9/10",
            "bytes 0-18446744073709551615/18446744073709551615",
            "bytes */99999999999999999999",
        ] {
            assert_eq!(range_of(wrong), None, "{wrong}");
        }
    }
}
