//! How far a task is: counters that the worker threads write and any number of callers read.

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

/// A snapshot of how far a task is. No number ever becomes smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Files taken up so far.
    pub files: u64,
    /// Bytes of content that are done: of a backup, those read or known to be holes; of what reads
    /// an archive, those that came out of it.
    pub bytes: u64,
    /// Bytes of the archive that the destination has taken; only a backup writes one.
    pub written: u64,
    /// Bytes of the archive that a service has confirmed: behind `written` by what is on its way,
    /// and 0 where the destination is no service.
    pub uploaded: u64,
    /// What `files` and `bytes` will come to, once it is known: of a backup while the source may
    /// change, of an archive only where it has an index.
    pub expected: Option<Expected>,
}

/// What a task will come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Files.
    pub files: u64,
    /// Bytes of their content.
    pub bytes: u64,
}

/// The phases of a task, in their order. What reads an archive goes from reading to done, a restore
/// by way of committing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Not polled yet, or opening source and destination.
    #[default]
    Starting,
    /// Reading the source, or the archive.
    Reading,
    /// The source is read to its end and not needed any more (a game may save again); the rest of
    /// the archive is still being written.
    SourceRead,
    /// The archive is written and is being made durable and visible; or what was unpacked is, in
    /// exchange for what was there.
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
    uploaded: AtomicU64,
    /// What comes again after a [`restart`](Tracker::restart), and is counted already.
    files_again: AtomicU64,
    bytes_again: AtomicU64,
    expected: Mutex<Option<Expected>>,
    cancelled: AtomicBool,
    generation: AtomicU64,
    /// Woken by every change: the streams of updates.
    watchers: Arc<Wakers>,
    /// Woken by a cancel only: the task itself, which thousands of changes must not disturb.
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

    /// Moves on to `phase`; never back.
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
        self.notify();
    }

    pub(crate) fn add_file(&self) {
        self.files.fetch_add(without(&self.files_again, 1), Relaxed);
        self.notify();
    }

    pub(crate) fn add_bytes(&self, n: u64) {
        self.bytes.fetch_add(without(&self.bytes_again, n), Relaxed);
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

    /// Says that the archive is read once more from its start: what is counted stays, and grows only
    /// once the second reading has come further. What was expected is not known any more.
    pub(crate) fn restart(&self) {
        self.files_again.store(self.files.load(Relaxed), Relaxed);
        self.bytes_again.store(self.bytes.load(Relaxed), Relaxed);
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

    /// Resolves once the task is asked to cancel.
    pub(crate) async fn cancelled(&self) {
        let waiter = Waiter::new(&self.cancellers);
        poll_fn(|cx| {
            // Registered first, so that a cancel between the look and the return is not missed.
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

/// What is left of `n` once it has been taken off `again`.
fn without(again: &AtomicU64, n: u64) -> u64 {
    if again.load(Relaxed) == 0 {
        return n;
    }
    let before = again.fetch_update(Relaxed, Relaxed, |again| Some(again.saturating_sub(n)));
    n.saturating_sub(before.unwrap_or_default())
}

/// Who wants to be woken. It costs one load to find that nobody does.
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

/// One that may want to be woken; dropping it takes it off the list.
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

/// A stream of snapshots that ends when the task is over.
///
/// It coalesces: whoever polls slowly gets the newest state and misses those between. The last
/// item has [`Phase::Done`]. Wait between polls, for example with a timer, to be called less often.
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
    fn what_is_read_again_counts_once() {
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
    fn a_dropped_listener_leaves_nothing_behind() {
        let tracker = Arc::new(Tracker::default());
        let mut updates = Updates::new(tracker.clone());
        let _ = updates.next().now_or_never();
        let _ = updates.next().now_or_never();
        assert_eq!(tracker.watchers.lock().len(), 1);
        drop(updates);
        assert!(tracker.watchers.lock().is_empty());
    }
}
