//! Requests to the daemon of another node, which takes an archive.

use std::{fmt, fs::File, future::ready, io, ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, channel::oneshot, stream::BoxStream};
use http_body_util::{Empty, StreamBody};
use hyper::{Method, body::Frame, header};
use uuid::Uuid;
use wingback::{Error, ErrorKind, Limiter, Sha1};

use crate::{
    answer::Answer,
    client::{Attempt, Client, Response},
    config::Secret,
    file_bytes,
    transfer::{self, PIECE_MAX, Piece, Received},
};

/// Time for the answer to a piece. After the last one, the other node reads the whole archive.
const PATIENCE: Duration = Duration::from_secs(600);

/// Time for the answer to a request without a body.
const ASK_PATIENCE: Duration = Duration::from_secs(60);

/// The daemon of another node.
pub(crate) struct OtherNode {
    client: Client,
    token: Secret,
}

/// An archive that is being sent.
pub(crate) struct Outgoing {
    pub(crate) server: Uuid,
    pub(crate) backup: Uuid,
    pub(crate) file: Arc<File>,
    pub(crate) size: u64,
    pub(crate) sha1: Sha1,
    pub(crate) limit: Limiter,
}

/// A request that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    /// Whether another attempt can succeed.
    pub(crate) is_temporary: bool,
    /// Shortest time until the next attempt, if the answer gives one.
    pub(crate) pause: Option<Duration>,
}

impl OtherNode {
    pub(crate) fn new(url: &str, token: Secret) -> Result<Self, String> {
        let client = Client::new(url).map_err(|problem| format!("url: {problem}"))?;
        if token.0.is_empty() || !token.0.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("token: it is empty, or has a character that no token has".into());
        }
        Ok(OtherNode { client, token })
    }

    /// Asks how much of an archive the other node has.
    pub(crate) async fn received(&self, archive: &Outgoing) -> Result<Received, Failure> {
        let request = self.client.request(Method::HEAD, &path(archive), &self.token.0);
        let request = request.body(Empty::<Bytes>::new());
        self.answer(self.client.exchange(request, ready(()), ASK_PATIENCE).await)
    }

    /// Sends the piece of an archive that begins at `offset`, and returns how much the other node has then.
    pub(crate) async fn send(&self, archive: &Outgoing, offset: u64) -> Result<Received, Failure> {
        let range = offset..archive.size.min(offset.saturating_add(PIECE_MAX));
        let piece = Piece { range: range.clone(), size: archive.size, sha1: archive.sha1 };
        let mut request = self.client.request(Method::PUT, &path(archive), &self.token.0);
        if let Some(headers) = request.headers_mut() {
            headers.extend(piece.headers());
        }
        let (all_sent, sent) = oneshot::channel();
        let request = request.body(StreamBody::new(body(archive, range, all_sent)));
        let sent = sent.map(|_| ());
        let received = self.answer(self.client.exchange(request, sent, PATIENCE).await)?;
        if received.complete || received.offset > offset {
            return Ok(received);
        }
        let error = failed(ErrorKind::Io, format!("the other node still has {offset} bytes"));
        Err(Failure { error, is_temporary: true, pause: None })
    }

    fn answer(&self, attempt: Attempt) -> Result<Received, Failure> {
        let (kind, is_temporary) = match &attempt {
            Attempt::Answered(response) => match Received::of(&response.headers) {
                Some(received) if response.is_success() => return Ok(received),
                _ => kind_of(response),
            },
            Attempt::NotSent(_) | Attempt::Lost(_) => (ErrorKind::Io, true),
        };
        let Answer { text, pause, .. } = Answer::of(&attempt, &self.token.0);
        Err(Failure { error: failed(kind, text), is_temporary, pause })
    }
}

/// The URL of the node.
impl fmt::Display for OtherNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.url().fmt(f)
    }
}

pub(crate) fn failed(kind: ErrorKind, why: String) -> Error {
    Error::new(kind, "send the archive").caused_by(why)
}

fn path(archive: &Outgoing) -> String {
    format!("/api/servers/{}/backup/{}/archive", archive.server, archive.backup)
}

/// Returns the bytes of a piece. `all_sent` is dropped with the last of them.
fn body(
    archive: &Outgoing,
    range: Range<u64>,
    all_sent: oneshot::Sender<()>,
) -> BoxStream<'static, io::Result<Frame<Bytes>>> {
    let mut left = range.end - range.start;
    let mut all_sent = Some(all_sent).filter(|_| left > 0);
    let bytes = file_bytes::stream(archive.file.clone(), range, archive.limit.clone());
    let frames = bytes.map(move |bytes| {
        let bytes = bytes?;
        left -= bytes.len() as u64;
        if left == 0 {
            drop(all_sent.take());
        }
        Ok(Frame::data(bytes))
    });
    frames.boxed()
}

/// Returns the kind of the error that an answer means, and whether another attempt can succeed.
fn kind_of(response: &Response) -> (ErrorKind, bool) {
    match response.status {
        401 | 403 => (ErrorKind::PermissionDenied, false),
        404 | 405 => (ErrorKind::NotFound, false),
        // Only the offset was wrong, or another job of the backup is running there.
        409 if transfer::offset(&response.headers).is_some()
            || response.header(header::RETRY_AFTER).is_some() =>
        {
            (ErrorKind::Io, true)
        }
        409 => (ErrorKind::AlreadyExists, false),
        422 => (ErrorKind::Mismatch, false),
        507 => (ErrorKind::NoSpace, false),
        408 | 425 | 429 | 500..=599 => (ErrorKind::Io, true),
        400..=499 => (ErrorKind::InvalidInput, false),
        // A redirect, or the answer of another program. Redirects are not followed, because the token is for this
        // host only.
        _ => (ErrorKind::Unsupported, false),
    }
}
