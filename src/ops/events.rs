//! What a thread finds in an archive, piece by piece, for a caller that polls.

use std::task::{Context, Poll, ready};

use futures::{FutureExt, StreamExt, channel::mpsc, executor::block_on};

use crate::{
    error::{Error, ErrorKind, Result},
    progress::{Phase, Tracker},
    read::Source,
    source::Archive,
    task::{Handle, Task},
};

/// Events that can be queued.
const QUEUED: usize = 4;

/// The events of a thread that reads an archive, and its result after them. Nothing is spawned: the thread
/// continues only while the events are polled.
#[derive(Debug)]
pub(crate) struct Events<'a, E, T> {
    state: State<'a, T>,
    handle: Handle,
    queue: mpsc::Receiver<E>,
}

#[derive(Debug)]
enum State<'a, T> {
    Running(Task<'a, T>),
    Done(T),
    Failed(Error),
}

/// Sends events from the thread.
pub(crate) struct EventSender<E>(mpsc::Sender<E>);

impl<'a, E: Send + 'static, T: Send + 'static> Events<'a, E, T> {
    /// Runs `work` on a thread, after the first poll.
    pub(crate) fn of(
        archive: Archive<'a>,
        work: impl FnOnce(Source, EventSender<E>, &Tracker) -> Result<T> + Send + 'static,
    ) -> Self {
        Events::of_task(|sender| {
            Task::new(|tracker| async move {
                tracker.enter(Phase::Reading);
                let watched = tracker.clone();
                let work = move |source, _| work(source, sender, &watched);
                archive.read(&tracker, work, |_| futures::future::ready(Ok(()))).await
            })
        })
    }

    /// Runs the task that `start` returns. The thread of the task sends the events.
    pub(crate) fn of_task(start: impl FnOnce(EventSender<E>) -> Task<'a, T>) -> Self {
        let (sender, queue) = mpsc::channel(QUEUED);
        let task = start(EventSender(sender));
        Events { handle: task.handle(), state: State::Running(task), queue }
    }

    /// Returns a handle that watches and cancels the reading.
    pub(crate) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Returns the next event, or `None` after the last one if the thread succeeded.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<E>>> {
        loop {
            if let Poll::Ready(Some(event)) = self.queue.poll_next_unpin(cx) {
                return Poll::Ready(Ok(Some(event)));
            }
            // The task serves the reads of the thread. Only the task knows how the thread ended.
            match &mut self.state {
                State::Running(task) => {
                    let result = ready!(task.poll_unpin(cx));
                    self.state = result.map_or_else(State::Failed, State::Done);
                }
                State::Done(_) => return Poll::Ready(Ok(None)),
                State::Failed(_) => {
                    let again = Error::new(ErrorKind::Internal, "read the archive");
                    let again = State::Failed(again.caused_by("it failed before"));
                    if let State::Failed(e) = std::mem::replace(&mut self.state, again) {
                        return Poll::Ready(Err(e));
                    }
                }
            }
        }
    }

    /// Returns the result of the thread, after its success.
    pub(crate) fn result(&self) -> Option<&T> {
        match &self.state {
            State::Done(result) => Some(result),
            State::Running(_) | State::Failed(_) => None,
        }
    }

    /// Returns the result of the thread, after its success.
    pub(crate) fn into_result(self) -> Option<T> {
        match self.state {
            State::Done(result) => Some(result),
            State::Running(_) | State::Failed(_) => None,
        }
    }
}

impl<E> EventSender<E> {
    /// Sends an event, and waits while the queue is full. Fails if the caller stopped polling for good.
    pub(crate) fn send(&mut self, event: E) -> Result<()> {
        block_on(futures::SinkExt::send(&mut self.0, event)).map_err(|_| Error::cancelled())
    }

    /// Sends an event from a future, as [`send`](EventSender::send) does from a thread.
    pub(crate) async fn pass(&mut self, event: E) -> Result<()> {
        futures::SinkExt::send(&mut self.0, event).await.map_err(|_| Error::cancelled())
    }
}
