//! The progress of a task: counters that its threads write and any number of callers read.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicU8, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::Stream;

use crate::{
    error::{Error, Result},
    meter::Meter,
    wakers::{Waiter, Wakers},
};

/// A snapshot of the progress of a task. The counts never become smaller.
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
    /// Bytes of the archive that were sent to a service, and that it has confirmed. 0 if the destination is not
    /// a service.
    pub uploaded: u64,
    /// Bytes of the archive that a service has copied from the previous archive in the same store. Together with
    /// `uploaded` they are less than `written` by the bytes in transit.
    pub copied_in_store: u64,
    /// Final values of `files` and `bytes`, if they are known. For a backup they are an estimate, because the
    /// source may change. An archive without an index has none.
    pub expected: Option<Expected>,
    /// Current speed: bytes of `bytes` per second.
    ///
    /// It is the mean over the time since the task began to read. In this mean, the last seconds count most:
    /// the weight of a moment falls to 37 % (1/e) in 5 seconds. All readers of a task share one rate. It is 0
    /// before the first byte, and after the end.
    pub rate: u64,
    /// Estimated time until `bytes` reaches the expected value, at the current rate.
    ///
    /// `None` unless the task is in the phase `Reading`, the expected value is known and not reached, and the
    /// rate is not 0.
    pub time_left: Option<Duration>,
}

impl Progress {
    /// Returns the share of the expected bytes that is done, in percent, from 0.0 to 100.0 in steps of 0.1.
    /// `None` if the expected size is not known. A source that grows does not exceed 100.
    pub fn percent(&self) -> Option<f64> {
        let expected = self.expected?.bytes;
        if expected == 0 {
            return Some(100.0);
        }
        let per_mille = u128::from(self.bytes) * 1000 / u128::from(expected);
        Some(per_mille.min(1000) as f64 / 10.0)
    }
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

/// Bytes of an archive that a service has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// This many bytes were sent to the service.
    Uploaded(u64),
    /// The service has copied this many bytes from another archive of the same store.
    CopiedInStore(u64),
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
    copied_in_store: AtomicU64,
    /// Files and bytes that are read a second time after a [`restart`](Tracker::restart). They are counted
    /// already.
    repeated_files: AtomicU64,
    repeated_bytes: AtomicU64,
    expected: Mutex<Option<Expected>>,
    /// Speed of the task. `None` before it reads.
    meter: Mutex<Option<Meter>>,
    cancelled: AtomicBool,
    /// The reading of an archive has failed, and its threads end.
    failed: AtomicBool,
    generation: AtomicU64,
    /// Streams of updates. Every change wakes them.
    watchers: Arc<Wakers>,
    /// The task itself. Only a cancel wakes it, because thousands of changes must not.
    cancellers: Arc<Wakers>,
}

impl Tracker {
    pub(crate) fn snapshot(&self) -> Progress {
        self.snapshot_at(Instant::now())
    }

    fn snapshot_at(&self, now: Instant) -> Progress {
        let phase = Phase::ALL[usize::from(self.phase.load(Relaxed))];
        let bytes = self.bytes.load(Relaxed);
        let expected = *lock(&self.expected);
        let rate = match &mut *lock(&self.meter) {
            Some(meter) if phase != Phase::Done => meter.read(now, bytes),
            _ => 0,
        };
        Progress {
            phase,
            files: self.files.load(Relaxed),
            bytes,
            written: self.written.load(Relaxed),
            uploaded: self.uploaded.load(Relaxed),
            copied_in_store: self.copied_in_store.load(Relaxed),
            expected,
            rate,
            time_left: expected
                .filter(|_| phase == Phase::Reading)
                .and_then(|expected| time_for(expected.bytes.saturating_sub(bytes), rate)),
        }
    }

    /// Enters `phase`. Does nothing if the task is in a later phase.
    pub(crate) fn enter(&self, phase: Phase) {
        self.enter_at(Instant::now(), phase);
    }

    fn enter_at(&self, now: Instant, phase: Phase) {
        self.phase.fetch_max(phase as u8, Relaxed);
        if phase == Phase::Reading {
            lock(&self.meter).get_or_insert_with(|| Meter::start(now));
        }
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

    pub(crate) fn add_confirmed(&self, confirmed: Confirmed) {
        let (counter, n) = match confirmed {
            Confirmed::Uploaded(n) => (&self.uploaded, n),
            Confirmed::CopiedInStore(n) => (&self.copied_in_store, n),
        };
        counter.fetch_add(n, Relaxed);
        self.notify();
    }

    pub(crate) fn expect(&self, expected: Expected) {
        *lock(&self.expected) = Some(expected);
        self.notify();
    }

    /// Records that the archive is read again from its start. The counts stay, and grow again after the
    /// second reading has passed the first one. The expected size is not known any more.
    pub(crate) fn restart(&self) {
        self.repeated_files.store(self.files.load(Relaxed), Relaxed);
        self.repeated_bytes.store(self.bytes.load(Relaxed), Relaxed);
        *lock(&self.expected) = None;
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

    /// Records that the reading of an archive has failed. Threads that wait for a limit end.
    pub(crate) fn fail(&self) {
        self.failed.store(true, SeqCst);
    }

    /// Records that the task goes on after a failure, with another archive.
    pub(crate) fn go_on(&self) {
        self.failed.store(false, SeqCst);
    }

    /// Returns whether threads that wait for a limit end.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_cancelled() || self.failed.load(SeqCst)
    }

    /// Fails if the caller has asked the task to cancel.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(Error::cancelled()) } else { Ok(()) }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the time that `bytes` take. `None` without bytes, or at a rate of 0.
fn time_for(bytes: u64, rate: u64) -> Option<Duration> {
    (bytes > 0 && rate > 0).then(|| Duration::from_secs_f64(bytes as f64 / rate as f64))
}

/// Subtracts `n` from `repeated`, and returns the part of `n` that exceeds it.
fn not_repeated(repeated: &AtomicU64, n: u64) -> u64 {
    if repeated.load(Relaxed) == 0 {
        return n;
    }
    let before = repeated.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(n)));
    n.saturating_sub(before.unwrap_or_default())
}

/// A stream of [`Progress`] snapshots that ends when the task ends.
///
/// A slow reader gets the newest state and misses those in between. The last item has
/// [`Phase::Done`]. To get fewer updates, wait between polls, for example with a timer.
///
/// Only a change gives an item, and time is not a change. If a task stands still, the rate falls, and
/// [`Handle::progress`](crate::Handle::progress) returns it.
///
/// Dropping it does not affect the task.
#[derive(Debug)]
#[must_use = "a stream does nothing unless it is polled"]
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
        assert!(!tracker.watchers.is_empty());
        drop(updates);
        assert!(tracker.watchers.is_empty());
    }

    #[test]
    fn the_time_left_follows_from_the_rate() {
        let (tracker, start) = (Tracker::default(), Instant::now());
        let at = |seconds| tracker.snapshot_at(start + Duration::from_secs(seconds));
        tracker.add_bytes(0);
        assert_eq!((at(1).rate, at(1).time_left), (0, None), "it does not read yet");
        tracker.enter_at(start + Duration::from_secs(1), Phase::Reading);
        tracker.add_bytes(300);
        assert_eq!((at(4).rate, at(4).time_left), (100, None), "nothing is expected");
        tracker.expect(Expected { files: 1, bytes: 1000 });
        assert_eq!(at(4).time_left, Some(Duration::from_secs(7)));
        tracker.add_bytes(700);
        assert_eq!(at(4).time_left, None, "all has come");
        tracker.expect(Expected { files: 1, bytes: 2000 });
        tracker.enter_at(start + Duration::from_secs(5), Phase::SourceRead);
        assert!(at(6).rate > 0 && at(6).time_left.is_none(), "the source is read");
        tracker.enter_at(start + Duration::from_secs(7), Phase::Done);
        assert_eq!((at(8).rate, at(8).time_left), (0, None));
    }

    #[test]
    fn percent_stays_within_its_range() {
        let of = |bytes, expected| {
            let expected = Some(Expected { files: 1, bytes: expected });
            Progress { bytes, expected, ..Progress::default() }.percent()
        };
        assert_eq!(
            [of(0, 7), of(3, 7), of(7, 7), of(9, 7), of(0, 0)].map(Option::unwrap),
            [0.0, 42.8, 100.0, 100.0, 100.0]
        );
        assert_eq!(of(u64::MAX, u64::MAX), Some(100.0));
        assert_eq!(Progress::default().percent(), None);
    }
}
