//! Returns the members of an archive one by one, with their content.

use std::{
    io,
    ops::Range,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures::{AsyncRead, Stream};

use crate::{
    entry::{Member, MemberKind},
    error::Result,
    ops::events::{EventSender, Events},
    progress::Tracker,
    read::{
        self, Options, Source, Wanted,
        gaps::Gaps,
        sink::Sink,
        worker_pool::{SharedBuffer, WorkerPool},
    },
    source::Archive,
    task::Handle,
};

/// The members of an archive one by one, with their content, for programs that write files in their own way.
///
/// It is a [`Stream`] of members. After it has returned a member, it is an [`AsyncRead`] of the content of that
/// member. The next poll of the stream skips content that was not read.
///
/// ```no_run
/// use futures::TryStreamExt;
/// use wingback::{Archive, Entries};
///
/// # async fn f() -> wingback::Result<()> {
/// let mut entries = Entries::open(Archive::file("backup.tar.gz"));
/// while let Some(member) = entries.try_next().await? {
///     println!("{}", String::from_utf8_lossy(&member.path));
///     futures::io::copy(&mut entries, &mut futures::io::sink()).await.unwrap();
/// }
/// # Ok(()) }
/// ```
///
/// The members are in the order of the archive. An archive that tar has appended to may have several members
/// of one path: the last counts. A hard link refers to the members before it. The links and directories of
/// an archive of profile `wings` come last.
///
/// The content is known to be right only after the stream has ended without an error, because a checksum may
/// follow the last file.
///
/// With an index, all processors decode. Nothing is spawned: reading continues only while the entries are
/// polled.
///
/// # Errors
///
/// - [`NotFound`](crate::ErrorKind::NotFound), [`PermissionDenied`](crate::ErrorKind::PermissionDenied) or
///   [`UrlExpired`](crate::ErrorKind::UrlExpired) if the archive cannot be opened.
/// - [`Corrupt`](crate::ErrorKind::Corrupt) if it is damaged, or is not a `.tar.gz`.
/// - [`Cancelled`](crate::ErrorKind::Cancelled) after [`Handle::cancel`].
/// - [`Io`](crate::ErrorKind::Io) if the disk or the network fails.
///
/// An error is the last item of the stream. If a read of content fails, the next item is an error of the kind
/// [`Internal`](crate::ErrorKind::Internal).
///
/// # Cancel safety
///
/// If a future that waits for the next member is dropped, no member is lost. Dropping the entries ends the
/// reading.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
pub struct Entries<'a> {
    events: Events<'a, Event, ()>,
    /// The stream of members has ended, with or without an error.
    has_ended: bool,
    in_content: bool,
    /// Content that has come and was not read yet.
    rest: Bytes,
}

/// A message of the thread that reads the archive.
#[derive(Debug)]
enum Event {
    Member(Member),
    Data(Bytes),
    End,
}

impl<'a> Entries<'a> {
    /// Returns the members of `archive`. Nothing is read before the first poll.
    pub fn open(archive: Archive<'a>) -> Self {
        let events = Events::of(archive, send_members);
        Entries { events, has_ended: false, in_content: false, rest: Bytes::new() }
    }

    /// Returns a handle that watches and cancels the reading.
    pub fn handle(&self) -> Handle {
        self.events.handle()
    }
}

impl Stream for Entries<'_> {
    type Item = Result<Member>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Member>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        self.rest.clear();
        loop {
            match ready!(self.events.poll_next(cx)) {
                Ok(Some(Event::Member(member))) => {
                    self.in_content = member.kind == MemberKind::File;
                    return Poll::Ready(Some(Ok(member)));
                }
                Ok(Some(Event::Data(_))) => {}
                Ok(Some(Event::End)) => self.in_content = false,
                result => {
                    self.has_ended = true;
                    return Poll::Ready(result.err().map(Err));
                }
            }
        }
    }
}

impl AsyncRead for Entries<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        while self.rest.is_empty() {
            if !self.in_content {
                return Poll::Ready(Ok(0));
            }
            match ready!(self.events.poll_next(cx)).map_err(io::Error::from)? {
                Some(Event::Data(bytes)) => self.rest = bytes,
                Some(Event::End) => self.in_content = false,
                _ => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            }
        }
        let n = out.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut out[..n]);
        Poll::Ready(Ok(n))
    }
}

/// Reads the archive. Runs on a thread of the engine.
fn send_members(source: Source, events: EventSender<Event>, tracker: &Tracker) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let pool = WorkerPool::start(threads, false)?;
    let options = Options { sha1: false, keys: false, tolerant: false };
    let mut sink = EventSink { events, gaps: Gaps::default(), tracker };
    let outcome = match (source.checked_index()?, &source) {
        (Ok(index), Source::At(at)) => {
            read::by_index(at, index, Wanted::All, &options, &pool, tracker, &mut sink)?
        }
        (Err(why), _) => Some(read::in_sequence(source, why, &options, &pool, tracker, &mut sink)?),
        (Ok(_), Source::Stream(_)) => None,
    };
    if let Some(index) = outcome.and_then(|outcome| outcome.index) {
        index.for_each_unlisted(|entry| sink.member(Member::of_entry(entry)).map(drop))?;
    }
    Ok(())
}

/// Sends members and content to [`Entries`].
struct EventSink<'a> {
    events: EventSender<Event>,
    gaps: Gaps,
    tracker: &'a Tracker,
}

impl Sink for EventSink<'_> {
    fn member(&mut self, member: Member) -> Result<bool> {
        let is_file = member.kind == MemberKind::File;
        self.gaps = Gaps::of(member.size);
        self.events.send(Event::Member(member))?;
        Ok(is_file)
    }

    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()> {
        self.tracker.add_bytes(range.len() as u64);
        while let Some(zeros) = self.gaps.before(offset) {
            self.events.send(Event::Data(zeros))?;
        }
        self.gaps.pass(range.len());
        self.events.send(Event::Data(Bytes::from_owner(raw.clone()).slice(range)))
    }

    fn end(&mut self) -> Result<()> {
        while let Some(zeros) = self.gaps.at_end() {
            self.events.send(Event::Data(zeros))?;
        }
        self.tracker.add_file();
        self.events.send(Event::End)
    }

    fn abandon(&mut self) {}
}
