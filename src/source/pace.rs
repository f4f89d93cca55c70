//! Limits how fast an archive is read.

use std::{
    future::Future,
    ops::Range,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, channel::oneshot, executor::block_on, future::BoxFuture};

use crate::{
    error::{Error, Result},
    limiter::Limiter,
    progress::Tracker,
    read::ReadAt,
    rt::threads,
    source::{file::LocalFile, remote::Remote},
};

/// Time in which the limit grants the largest request. Larger ones would arrive in bursts.
const REQUEST: Duration = Duration::from_secs(1);

/// Grants the reads of one archive. Of those that wait, the one of the lowest offset comes first, so that the threads
/// that read a limited archive together read it in order.
///
/// Futures must not block, so a thread waits for the limit. It is started with the first read that has to wait.
pub(crate) struct Pace {
    limit: Limiter,
    tracker: Arc<Tracker>,
    queue: Mutex<Option<mpsc::Sender<Wait>>>,
}

/// A read that waits for the limit.
struct Wait {
    range: Range<u64>,
    granted: oneshot::Sender<Result<()>>,
}

impl Pace {
    pub(crate) fn new(limit: Limiter, tracker: &Arc<Tracker>) -> Self {
        Pace { limit, tracker: tracker.clone(), queue: Mutex::default() }
    }

    /// Returns a future that resolves as soon as `range` may be read. It waits from this call on until it is
    /// dropped.
    pub(crate) fn wait(
        &self,
        range: Range<u64>,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let asked = self.ask(range);
        async move {
            match asked? {
                Some(granted) => granted.await.unwrap_or_else(|_| Err(Error::cancelled())),
                None => Ok(()),
            }
        }
    }

    /// Returns how many bytes the limit grants in `time`, at least 1.
    pub(crate) fn bytes_in(&self, time: Duration) -> u64 {
        match self.limit.rate() {
            0 => u64::MAX,
            rate => ((rate as f64 * time.as_secs_f64()) as u64).max(1),
        }
    }

    fn is_limited(&self) -> bool {
        self.limit.rate() > 0
    }

    /// Returns `None` if the range may be read at once.
    fn ask(&self, range: Range<u64>) -> Result<Option<oneshot::Receiver<Result<()>>>> {
        if range.is_empty() || !self.is_limited() {
            return Ok(None);
        }
        let (granted, answer) = oneshot::channel();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = match &mut *queue {
            Some(queue) => queue,
            none => none.insert(self.start()?),
        };
        // If the thread has panicked, the dropped sender is the answer.
        let _ = queue.send(Wait { range, granted });
        Ok(Some(answer))
    }

    fn start(&self) -> Result<mpsc::Sender<Wait>> {
        let (queue, waits) = mpsc::channel();
        let (limit, tracker) = (self.limit.clone(), self.tracker.clone());
        threads::spawn("wingback-limit", move || grant(&waits, &limit, &tracker))?;
        Ok(queue)
    }
}

/// Grants the reads that `waits` receives, until its sender is dropped.
fn grant(waits: &mpsc::Receiver<Wait>, limit: &Limiter, tracker: &Tracker) {
    let mut waiting = Vec::new();
    while let Ok(wait) = waits.recv() {
        waiting.push(wait);
        loop {
            waiting.extend(waits.try_iter());
            let first = (0..waiting.len()).min_by_key(|&i| waiting[i].range.start);
            let Some(first) = first else { break };
            waiting.swap_remove(first).serve(limit, tracker);
        }
    }
}

impl Wait {
    fn serve(self, limit: &Limiter, tracker: &Tracker) {
        let is_over = || tracker.is_ending() || self.granted.is_canceled();
        let take_all = || {
            let mut left = self.range.end - self.range.start;
            while left > 0 {
                left -= limit.take(usize::try_from(left).unwrap_or(usize::MAX), is_over)? as u64;
            }
            Ok(())
        };
        let taken = take_all();
        // A dropped future needs no answer.
        let _ = self.granted.send(taken);
    }
}

/// A local file with a limit.
pub(crate) struct PacedFile {
    pub(crate) file: LocalFile,
    pub(crate) pace: Arc<Pace>,
}

impl ReadAt for PacedFile {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        block_on(self.pace.wait(at..at + into.len() as u64))?;
        self.file.read_at(at, into)
    }
}

/// A source of ranges with a limit.
pub(crate) struct Paced<R> {
    pub(crate) remote: R,
    pub(crate) pace: Arc<Pace>,
}

impl<R: Remote> Remote for Paced<R> {
    fn read(&self, range: Range<u64>, until: u64) -> BoxFuture<'_, Result<Bytes>> {
        let granted = self.pace.wait(range.clone());
        async move {
            granted.await?;
            self.remote.read(range, until).await
        }
        .boxed()
    }

    /// One more read waits for the limit, so that the others need not.
    fn parallel(&self) -> usize {
        self.remote.parallel() + usize::from(self.pace.is_limited())
    }

    fn largest(&self) -> u64 {
        self.remote.largest().min(self.pace.bytes_in(REQUEST))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::error::ErrorKind;

    fn pace(rate: u64) -> (Pace, Arc<Tracker>) {
        let tracker = Arc::new(Tracker::default());
        (Pace::new(Limiter::new(rate), &tracker), tracker)
    }

    #[test]
    fn reads_are_granted_in_the_order_of_their_offsets_and_at_the_rate() {
        let (pace, _tracker) = pace(100_000);
        let start = Instant::now();
        let (first, third) = (pace.wait(0..10_000), pace.wait(20_000..40_000));
        let second = pace.wait(10_000..20_000);
        block_on(third).expect("granted");
        assert!(start.elapsed() >= Duration::from_millis(400));
        for before in [first.now_or_never(), second.now_or_never()] {
            assert!(before.is_some_and(|before| before.is_ok()), "it was granted before");
        }
    }

    #[test]
    fn a_dropped_read_does_not_delay_others() {
        let (pace, _tracker) = pace(1000);
        drop(pace.wait(0..u64::MAX));
        block_on(pace.wait(0..10)).expect("granted");
    }

    #[test]
    fn a_cancel_or_a_failure_ends_all_waits() {
        let ends: [fn(&Tracker); 2] = [Tracker::cancel, Tracker::fail];
        for end in ends {
            let (pace, tracker) = pace(1);
            let waits = [pace.wait(0..1 << 40), pace.wait(0..1 << 40)];
            end(&tracker);
            for wait in waits {
                assert_eq!(block_on(wait).expect_err("ended").kind(), ErrorKind::Cancelled);
            }
        }
    }

    #[test]
    fn without_a_limit_nothing_waits() {
        let (pace, _tracker) = pace(0);
        assert!(pace.wait(0..u64::MAX).now_or_never().is_some_and(|granted| granted.is_ok()));
        assert_eq!(pace.bytes_in(REQUEST), u64::MAX);
        assert!(pace.queue.lock().expect("whole").is_none(), "there is no thread");
    }
}
