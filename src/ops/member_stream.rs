//! The members of a list, one by one.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Stream;

use crate::{
    entry::Member,
    error::Result,
    ops::{
        events::{EventSender, Events},
        unpacked::{too_many, weight},
    },
    progress::Tracker,
    read::{Source, damage::ReadMethod},
    source::Archive,
    task::Handle,
};

/// Members that the thread sends together.
const BATCH: usize = 256;

/// The members of an archive that [`List::stream`](crate::List::stream) returns.
///
/// A list of an archive with an index takes constant memory: a page of the index and about a thousand members.
/// The stream ends after the last member, or after an error.
///
/// # Cancel safety
///
/// Dropping the stream ends the reading.
#[derive(Debug)]
pub struct MemberStream<'a> {
    events: Events<'a, Vec<Member>, ListEnd>,
    batch: std::vec::IntoIter<Member>,
    count: u64,
    has_ended: bool,
}

/// What is known after the last member.
#[derive(Debug)]
pub(super) struct ListEnd {
    pub(super) read_method: ReadMethod,
    pub(super) unmatched: Vec<Vec<u8>>,
}

/// Takes the members of a list.
pub(super) trait MemberSink {
    fn add(&mut self, member: Member) -> Result<()>;

    /// Forgets all members. Returns false if the caller has some already.
    fn restart(&mut self) -> bool;
}

/// Collects members, up to a limit of their [`weight`].
pub(super) struct Collected {
    pub(super) members: Vec<Member>,
    pub(super) left: u64,
    pub(super) max: u64,
}

impl MemberSink for Collected {
    fn add(&mut self, member: Member) -> Result<()> {
        let left = self.left.checked_sub(weight(&member));
        self.left = left.ok_or_else(|| too_many("list", self.max))?;
        self.members.push(member);
        Ok(())
    }

    fn restart(&mut self) -> bool {
        self.members.clear();
        self.left = self.max;
        true
    }
}

/// Sends members to a [`MemberStream`].
pub(super) struct Batches {
    sender: EventSender<Vec<Member>>,
    batch: Vec<Member>,
    has_sent: bool,
}

impl Batches {
    fn send(&mut self) -> Result<()> {
        self.has_sent = true;
        self.sender.send(std::mem::take(&mut self.batch))
    }
}

impl MemberSink for Batches {
    fn add(&mut self, member: Member) -> Result<()> {
        self.batch.push(member);
        if self.batch.len() == BATCH { self.send() } else { Ok(()) }
    }

    fn restart(&mut self) -> bool {
        self.batch.clear();
        !self.has_sent
    }
}

impl<'a> MemberStream<'a> {
    /// Returns the members that `list` adds, on a thread.
    pub(super) fn of(
        archive: Archive<'a>,
        list: impl FnOnce(Source, &mut Batches, &Tracker) -> Result<ListEnd> + Send + 'static,
    ) -> Self {
        let work = |source, sender, tracker: &Tracker| {
            let mut batches = Batches { sender, batch: Vec::new(), has_sent: false };
            let end = list(source, &mut batches, tracker)?;
            batches.send()?;
            Ok(end)
        };
        let batch = Vec::new().into_iter();
        MemberStream { events: Events::of(archive, work), batch, count: 0, has_ended: false }
    }

    /// Returns a handle that watches and cancels the reading.
    pub fn handle(&self) -> Handle {
        self.events.handle()
    }

    /// Returns the number of members that the stream has yielded.
    pub fn returned(&self) -> u64 {
        self.count
    }

    /// Returns how the archive was read. `None` before the end of the stream, and after an error.
    pub fn read_method(&self) -> Option<ReadMethod> {
        self.events.result().map(|end| end.read_method)
    }

    /// Returns the selected paths and patterns that matched nothing. Empty before the end of the stream, and
    /// after an error.
    pub fn unmatched(&self) -> &[Vec<u8>] {
        self.events.result().map_or(&[], |end| &end.unmatched)
    }
}

impl Stream for MemberStream<'_> {
    type Item = Result<Member>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Member>>> {
        loop {
            if let Some(member) = self.batch.next() {
                self.count += 1;
                return Poll::Ready(Some(Ok(member)));
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            match ready!(self.events.poll_next(cx)) {
                Ok(Some(batch)) => self.batch = batch.into_iter(),
                Ok(None) => self.has_ended = true,
                Err(e) => {
                    self.has_ended = true;
                    return Poll::Ready(Some(Err(e)));
                }
            }
        }
    }
}
