//! How far a task is: counters that the worker threads write and any number of callers read.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use futures::Stream;

/// A snapshot of how far a task is. No number ever becomes smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Files taken up so far.
    pub files: u64,
    /// Bytes of the source that are done: read, or known to be holes.
    pub bytes: u64,
    /// Bytes of the archive that the destination has taken.
    pub written: u64,
    /// What `files` and `bytes` will come to, once it is known; the source may change meanwhile.
    pub expected: Option<Expected>,
}

/// What a backup will come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Files.
    pub files: u64,
    /// Bytes of their content.
    pub bytes: u64,
}

/// The phases of a backup, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Not polled yet, or opening source and destination.
    #[default]
    Starting,
    /// Reading the source.
    Reading,
    /// The source is read to its end and not needed any more (a game may save again); the rest of
    /// the archive is still being written.
    SourceRead,
    /// The archive is written and is being made durable and visible.
    Committing,
    /// Over, well or not.
    Done,
}

impl Phase {
    const ALL: [Phase; 5] =
        [Phase::Starting, Phase::Reading, Phase::SourceRead, Phase::Committing, Phase::Done];

    /// A word for programs, stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Reading => "reading",
            Phase::SourceRead => "source-read",
            Phase::Committing => "committing",
            Phase::Done => "done",
        }
    }
}

/// The shared state of one task.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    phase: AtomicU8,
    files: AtomicU64,
    bytes: AtomicU64,
    written: AtomicU64,
    expected: Mutex<Option<Expected>>,
    cancelled: AtomicBool,
    generation: AtomicU64,
    listeners: Mutex<Listeners>,
}

#[derive(Debug, Default)]
struct Listeners {
    next: u64,
    wakers: Vec<(u64, Waker)>,
}

impl Tracker {
    pub(crate) fn snapshot(&self) -> Progress {
        Progress {
            phase: Phase::ALL[usize::from(self.phase.load(Relaxed))],
            files: self.files.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            written: self.written.load(Relaxed),
            expected: *self.expected.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Moves on to `phase`; never back.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
        self.notify();
    }

    /// Counts without waking anybody: files come too fast for that.
    pub(crate) fn add_file(&self) {
        self.files.fetch_add(1, Relaxed);
    }

    pub(crate) fn add_bytes(&self, n: u64) {
        self.bytes.fetch_add(n, Relaxed);
        self.notify();
    }

    pub(crate) fn add_written(&self, n: u64) {
        self.written.fetch_add(n, Relaxed);
        self.notify();
    }

    pub(crate) fn expect(&self, expected: Expected) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some(expected);
        self.notify();
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
        self.notify();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    fn notify(&self) {
        self.generation.fetch_add(1, Relaxed);
        let wakers = std::mem::take(&mut self.lock().wakers);
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the tracker to change; the base of [`Updates`] and of waiting for a cancel.
#[derive(Debug)]
pub(crate) struct Listener {
    tracker: Arc<Tracker>,
    id: u64,
}

impl Listener {
    pub(crate) fn new(tracker: Arc<Tracker>) -> Self {
        let mut listeners = tracker.lock();
        let id = listeners.next;
        listeners.next += 1;
        drop(listeners);
        Listener { tracker, id }
    }

    fn register(&self, cx: &Context<'_>) {
        let mut listeners = self.tracker.lock();
        match listeners.wakers.iter_mut().find(|(id, _)| *id == self.id) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => listeners.wakers.push((self.id, cx.waker().clone())),
        }
    }

    /// Resolves once the task is asked to cancel.
    pub(crate) async fn cancelled(self) {
        futures::future::poll_fn(|cx| {
            // Registered first, so that a cancel between the look and the return is not missed.
            self.register(cx);
            match self.tracker.is_cancelled() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.tracker.lock().wakers.retain(|(id, _)| *id != self.id);
    }
}

/// A stream of snapshots that ends when the task is over.
///
/// It coalesces: whoever polls slowly gets the newest state and misses those between. The last
/// item has [`Phase::Done`]. Wait between polls, for example with a timer, to be called less often.
#[derive(Debug)]
pub struct Updates {
    listener: Listener,
    seen: Option<u64>,
    ended: bool,
}

impl Updates {
    pub(crate) fn new(tracker: Arc<Tracker>) -> Self {
        Updates { listener: Listener::new(tracker), seen: None, ended: false }
    }
}

impl Stream for Updates {
    type Item = Progress;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Progress>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.listener.register(cx);
        let generation = self.listener.tracker.generation.load(Relaxed);
        if self.seen == Some(generation) {
            return Poll::Pending;
        }
        self.seen = Some(generation);
        let now = self.listener.tracker.snapshot();
        self.ended = now.phase == Phase::Done;
        Poll::Ready(Some(now))
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    #[test]
    fn updates_coalesce_and_end() {
        let tracker = Arc::new(Tracker::default());
        let mut updates = Updates::new(tracker.clone());
        assert!(updates.next().now_or_never().is_some());
        assert!(updates.next().now_or_never().is_none(), "nothing has changed");
        tracker.add_bytes(1);
        tracker.add_bytes(2);
        let seen = updates.next().now_or_never().flatten().expect("an update");
        assert_eq!(seen.bytes, 3);
        assert!(updates.next().now_or_never().is_none(), "coalesced");
        tracker.enter(Phase::Done);
        tracker.enter(Phase::Reading);
        let last = updates.next().now_or_never().flatten().expect("the last");
        assert_eq!(last.phase, Phase::Done, "never back");
        assert_eq!(updates.next().now_or_never(), Some(None));
    }

    #[test]
    fn a_dropped_listener_leaves_nothing_behind() {
        let tracker = Arc::new(Tracker::default());
        let mut updates = Updates::new(tracker.clone());
        let _ = updates.next().now_or_never();
        let _ = updates.next().now_or_never();
        assert_eq!(tracker.lock().wakers.len(), 1);
        drop(updates);
        assert!(tracker.lock().wakers.is_empty());
    }
}
