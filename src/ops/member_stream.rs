//! The members of a list, one by one.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::Stream;

use crate::{
    entry::Member,
    error::Result,
    ops::{
        batches::{BatchStream, Batches},
        events::Events,
        unpacked::{too_many, weight},
    },
    progress::Tracker,
    read::{Source, damage::ReadMethod},
    source::Archive,
    task::Handle,
};

/// The members of an archive that [`List::stream`](crate::List::stream) returns.
///
/// A list of an archive with an index takes constant memory: a page of the index and about a thousand members.
/// The stream ends after the last member, or after an error.
///
/// # Cancel safety
///
/// Dropping the stream ends the reading.
#[derive(Debug)]
pub struct MemberStream<'a>(BatchStream<'a, Member, ListEnd>);

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

impl MemberSink for Batches<Member> {
    fn add(&mut self, member: Member) -> Result<()> {
        Batches::add(self, member)
    }

    fn restart(&mut self) -> bool {
        Batches::restart(self)
    }
}

impl<'a> MemberStream<'a> {
    /// Returns the members that `list` adds, on a thread.
    pub(super) fn of(
        archive: Archive<'a>,
        list: impl FnOnce(Source, &mut Batches<Member>, &Tracker) -> Result<ListEnd> + Send + 'static,
    ) -> Self {
        let work = |source, sender, tracker: &Tracker| {
            let mut batches = Batches::new(sender);
            let end = list(source, &mut batches, tracker)?;
            batches.finish()?;
            Ok(end)
        };
        MemberStream(BatchStream::new(Events::of(archive, work)))
    }

    /// Returns a handle that watches and cancels the reading.
    pub fn handle(&self) -> Handle {
        self.0.handle()
    }

    /// Returns the number of members that the stream has yielded.
    pub fn returned(&self) -> u64 {
        self.0.count()
    }

    /// Returns how the archive was read. `None` before the end of the stream, and after an error.
    pub fn read_method(&self) -> Option<ReadMethod> {
        self.0.result().map(|end| end.read_method)
    }

    /// Returns the selected paths and patterns that matched nothing. Empty before the end of the stream, and
    /// after an error.
    pub fn unmatched(&self) -> &[Vec<u8>] {
        self.0.result().map_or(&[], |end| &end.unmatched)
    }
}

impl Stream for MemberStream<'_> {
    type Item = Result<Member>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Member>>> {
        self.0.poll_next(cx)
    }
}
