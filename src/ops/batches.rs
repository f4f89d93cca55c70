//! Items that a thread finds in an archive, sent in batches, for a stream of single items.

use std::task::{Context, Poll, ready};

use crate::{
    error::Result,
    ops::events::{EventSender, Events},
    task::Handle,
};

/// Items that the thread sends together.
const BATCH: usize = 256;

/// The items of a thread one by one, and its result after them.
#[derive(Debug)]
pub(super) struct BatchStream<'a, I, T> {
    events: Events<'a, Vec<I>, T>,
    batch: std::vec::IntoIter<I>,
    count: u64,
    has_ended: bool,
}

/// Sends items to a [`BatchStream`].
pub(super) struct Batches<I> {
    sender: EventSender<Vec<I>>,
    batch: Vec<I>,
    has_sent: bool,
}

impl<'a, I: Send + 'static, T: Send + 'static> BatchStream<'a, I, T> {
    pub(super) fn new(events: Events<'a, Vec<I>, T>) -> Self {
        BatchStream { events, batch: Vec::new().into_iter(), count: 0, has_ended: false }
    }

    /// Returns a handle that watches and cancels the thread.
    pub(super) fn handle(&self) -> Handle {
        self.events.handle()
    }

    /// Returns the number of items that were returned.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the result of the thread, after its success.
    pub(super) fn result(&self) -> Option<&T> {
        self.events.result()
    }

    /// Returns the result of the thread, after its success.
    pub(super) fn into_result(self) -> Option<T> {
        self.events.into_result()
    }

    /// Returns the next item. `None` after the last, and after an error.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<I>>> {
        loop {
            if let Some(item) = self.batch.next() {
                self.count += 1;
                return Poll::Ready(Some(Ok(item)));
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

impl<I> Batches<I> {
    pub(super) fn new(sender: EventSender<Vec<I>>) -> Self {
        Batches { sender, batch: Vec::new(), has_sent: false }
    }

    pub(super) fn add(&mut self, item: I) -> Result<()> {
        self.batch.push(item);
        if self.batch.len() == BATCH { self.send() } else { Ok(()) }
    }

    /// Forgets the items that were not sent. Returns false if some were sent.
    pub(super) fn restart(&mut self) -> bool {
        self.batch.clear();
        !self.has_sent
    }

    /// Sends the last items.
    pub(super) fn finish(mut self) -> Result<()> {
        self.send()
    }

    fn send(&mut self) -> Result<()> {
        self.has_sent = true;
        self.sender.send(std::mem::take(&mut self.batch))
    }
}
