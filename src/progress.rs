//! The progress of a task: counters that its threads write and any number of callers read.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll, Waker},
};

use futures::Stream;

/// A snapshot of the progress of a task. No number ever becomes smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Current phase.
    pub phase: Phase,
    /// Files that the task has reached so far.
    pub files: u64,
    /// Bytes of content that are done. For a backup: bytes that were read or are holes. For an operation
    /// that reads an archive: bytes that were decoded.
    pub bytes: u64,
    /// Bytes of the archive that the destination has accepted. Only a backup writes an archive.
    pub written: u64,
    /// Bytes of the archive that a service has confirmed. Less than `written` by the bytes in transit, and 0
    /// if the destination is not a service.
    pub uploaded: u64,
    /// Final values of `files` and `bytes`, if they are known. For a backup they are an estimate, because the
    /// source may change. An archive without an index has none.
    pub expected: Option<Expected>,
}

/// The expected size of a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expected {
    /// Number of files.
    pub files: u64,
    /// Bytes of content of those files.
    pub bytes: u64,
}

/// The phases of a task, in order. An operation that reads an archive goes from `Reading` to `Done`; a
/// restore enters `Committing` in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// The task was not polled yet, or opens its source and destination.
    #[default]
    Starting,
    /// The task reads the source or the archive.
    Reading,
    /// The source has been read completely, so a game may save again. The backup still writes the rest of
    /// the archive.
    SourceRead,
    /// A backup makes the archive durable and visible. A restore makes the new tree durable and exchanges it
    /// for the old one.
    Committing,
    /// The task has ended, with or without success.
    Done,
}

impl Phase {
    const ALL: [Phase; 5] =
        [Phase::Starting, Phase::Reading, Phase::SourceRead, Phase::Committing, Phase::Done];

    /// Returns the phase as a word for programs. The words are stable across versions.
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
    uploaded: AtomicU64,
    /// Files and bytes that are read a second time after a [`restart`](Tracker::restart). They are counted
    /// already.
    repeated_files: AtomicU64,
    repeated_bytes: AtomicU64,
    expected: Mutex<Option<Expected>>,
    cancelled: AtomicBool,
    generation: AtomicU64,
    /// Streams of updates. Every change wakes them.
    watchers: Arc<Wakers>,
    /// The task itself. Only a cancel wakes it, because thousands of changes must not.
    cancellers: Arc<Wakers>,
}

impl Tracker {
    pub(crate) fn snapshot(&self) -> Progress {
        Progress {
            phase: Phase::ALL[usize::from(self.phase.load(Relaxed))],
            files: self.files.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            written: self.written.load(Relaxed),
            uploaded: self.uploaded.load(Relaxed),
            expected: *self.expected.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Enters `phase`. Does nothing if the task is in a later phase.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
        self.notify();
    }

    pub(crate) fn add_file(&self) {
        self.files.fetch_add(not_repeated(&self.repeated_files, 1), Relaxed);
        self.notify();
    }

    pub(crate) fn add_bytes(&self, n: u64) {
        self.bytes.fetch_add(not_repeated(&self.repeated_bytes, n), Relaxed);
        self.notify();
    }

    pub(crate) fn add_written(&self, n: u64) {
        self.written.fetch_add(n, Relaxed);
        self.notify();
    }

    pub(crate) fn add_uploaded(&self, n: u64) {
        self.uploaded.fetch_add(n, Relaxed);
        self.notify();
    }

    pub(crate) fn expect(&self, expected: Expected) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = Some(expected);
        self.notify();
    }

    /// Records that the archive is read again from its start. The counts stay, and grow again after the
    /// second reading has passed the first one. The expected size is not known any more.
    pub(crate) fn restart(&self) {
        self.repeated_files.store(self.files.load(Relaxed), Relaxed);
        self.repeated_bytes.store(self.bytes.load(Relaxed), Relaxed);
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.notify();
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, SeqCst);
        self.cancellers.wake();
        self.notify();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(SeqCst)
    }

    /// Resolves after the caller has asked the task to cancel.
    pub(crate) async fn cancelled(&self) {
        let waiter = Waiter::new(&self.cancellers);
        poll_fn(|cx| {
            // Registered first, so that a cancel between the check and the return is not missed.
            waiter.register(cx);
            if self.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn notify(&self) {
        self.generation.fetch_add(1, SeqCst);
        self.watchers.wake();
    }
}

/// Subtracts `n` from `repeated`, and returns the part of `n` that exceeds it.
fn not_repeated(repeated: &AtomicU64, n: u64) -> u64 {
    if repeated.load(Relaxed) == 0 {
        return n;
    }
    let before = repeated.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(n)));
    n.saturating_sub(before.unwrap_or_default())
}

/// The wakers to call. If there are none, [`wake`](Wakers::wake) costs one load.
#[derive(Debug, Default)]
struct Wakers {
    count: AtomicUsize,
    next: AtomicU64,
    list: Mutex<Vec<(u64, Waker)>>,
}

impl Wakers {
    fn wake(&self) {
        if self.count.load(SeqCst) > 0 {
            let woken = std::mem::take(&mut *self.lock());
            woken.into_iter().for_each(|(_, waker)| waker.wake());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One entry of [`Wakers`]. Dropping it removes the entry.
#[derive(Debug)]
struct Waiter {
    wakers: Arc<Wakers>,
    id: u64,
}

impl Waiter {
    fn new(wakers: &Arc<Wakers>) -> Self {
        let id = wakers.next.fetch_add(1, Relaxed);
        wakers.count.fetch_add(1, SeqCst);
        Waiter { wakers: wakers.clone(), id }
    }

    fn register(&self, cx: &Context<'_>) {
        let mut list = self.wakers.lock();
        match list.iter_mut().find(|(id, _)| *id == self.id) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => list.push((self.id, cx.waker().clone())),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.wakers.count.fetch_sub(1, SeqCst);
        self.wakers.lock().retain(|(id, _)| *id != self.id);
    }
}

/// A stream of [`Progress`] snapshots that ends when the task ends.
///
/// A slow reader gets the newest state and misses those in between. The last item has
/// [`Phase::Done`]. To get fewer updates, wait between polls, for example with a timer.
///
/// Dropping it does not affect the task.
#[derive(Debug)]
pub struct Updates {
    tracker: Arc<Tracker>,
    waiter: Waiter,
    seen: Option<u64>,
    ended: bool,
}

impl Updates {
    pub(crate) fn new(tracker: Arc<Tracker>) -> Self {
        let waiter = Waiter::new(&tracker.watchers);
        Updates { tracker, waiter, seen: None, ended: false }
    }
}

impl Stream for Updates {
    type Item = Progress;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Progress>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.waiter.register(cx);
        let generation = self.tracker.generation.load(SeqCst);
        if self.seen == Some(generation) {
            return Poll::Pending;
        }
        self.seen = Some(generation);
        let now = self.tracker.snapshot();
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
    fn a_second_reading_counts_once() {
        let tracker = Tracker::default();
        tracker.expect(Expected { files: 9, bytes: 9 });
        tracker.add_bytes(10);
        tracker.add_file();
        tracker.restart();
        for bytes in [4, 4] {
            tracker.add_bytes(bytes);
            assert_eq!(tracker.snapshot().bytes, 10);
        }
        tracker.add_bytes(4);
        tracker.add_file();
        tracker.add_file();
        let Progress { files, bytes, expected, .. } = tracker.snapshot();
        assert_eq!((files, bytes, expected), (2, 12, None));
    }

    #[test]
    fn a_dropped_stream_of_updates_removes_its_waker() {
        let tracker = Arc::new(Tracker::default());
        let mut updates = Updates::new(tracker.clone());
        let _ = updates.next().now_or_never();
        let _ = updates.next().now_or_never();
        assert_eq!(tracker.watchers.lock().len(), 1);
        drop(updates);
        assert!(tracker.watchers.lock().is_empty());
    }
}
