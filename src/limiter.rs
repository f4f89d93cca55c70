//! Rate limits that tasks share and that can change while they run.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::error::{Error, ErrorKind, Result};

/// Longest time after which a waiting thread notices a cancel.
const TICK: Duration = Duration::from_millis(50);

/// A rate limit in bytes a second: for a backup [`Backup::read_limit`](crate::Backup::read_limit) and
/// [`Backup::write_limit`](crate::Backup::write_limit), and for operations that read an archive
/// [`Archive::read_limit`](crate::Archive::read_limit) and [`Archive::write_limit`](crate::Archive::write_limit).
///
/// Clones share one limit: several operations with clones of it together stay below it.
///
/// It grants at most a tenth of a second's bytes at once, and does not save up unused time. Only
/// threads of the engine wait for it, never a future.
///
/// ```
/// use wingback::{Backup, Limiter};
///
/// let limit = Limiter::new(50_000_000);
/// let backup = Backup::new("/srv/minecraft").read_limit(limit.clone());
/// limit.set_rate(10_000_000); // Takes effect at once, also while the backup runs.
/// # drop(backup);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Limiter(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    rate_changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes a second. 0 means no limit.
    rate: u64,
    /// Time at which the next bytes are granted.
    next: Option<Instant>,
    /// Number of rate changes. A waiting thread starts again after one.
    epoch: u64,
}

impl Limiter {
    /// Returns a limit of `bytes_per_second`. 0 means no limit.
    pub fn new(bytes_per_second: u64) -> Self {
        let limiter = Limiter::default();
        limiter.set_rate(bytes_per_second);
        limiter
    }

    /// Changes the limit at once for all clones. 0 means no limit.
    pub fn set_rate(&self, bytes_per_second: u64) {
        let mut state = self.lock();
        state.rate = bytes_per_second;
        state.next = None;
        state.epoch += 1;
        self.0.rate_changed.notify_all();
    }

    /// Returns the current limit in bytes a second. 0 means no limit.
    pub fn rate(&self) -> u64 {
        self.lock().rate
    }

    /// Waits until some of `want` bytes are granted, and returns how many: at least 1, at most `want`.
    pub(crate) fn take(&self, want: usize, cancelled: impl Fn() -> bool) -> Result<usize> {
        let mut state = self.lock();
        loop {
            if state.rate == 0 {
                return Ok(want);
            }
            let granted = usize::try_from(state.rate / 10).unwrap_or(want).clamp(1, want.max(1));
            let now = Instant::now();
            let start = state.next.map_or(now, |next| next.max(now));
            let end = start + Duration::from_secs_f64(granted as f64 / state.rate as f64);
            state.next = Some(end);
            let epoch = state.epoch;
            while state.epoch == epoch {
                if cancelled() {
                    return Err(Error::new(ErrorKind::Cancelled, "wait for the rate limit"));
                }
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(granted);
                }
                state = self
                    .0
                    .rate_changed
                    .wait_timeout(state, left.min(TICK))
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(limiter: &Limiter, bytes: usize) -> Duration {
        pass_and_say(limiter, bytes, || {})
    }

    /// Calls `waits` while it waits.
    fn pass_and_say(limiter: &Limiter, mut bytes: usize, waits: impl Fn()) -> Duration {
        let start = Instant::now();
        let cancelled = || {
            waits();
            false
        };
        while bytes > 0 {
            bytes -= limiter.take(bytes, cancelled).expect("not cancelled");
        }
        start.elapsed()
    }

    #[test]
    fn a_limiter_never_exceeds_its_rate_and_allows_no_bursts() {
        let limiter = Limiter::new(1_000_000);
        // Time in which nothing passes is not saved up.
        std::thread::sleep(Duration::from_millis(100));
        assert!(pass(&limiter, 300_000) >= Duration::from_millis(300));
        assert!(limiter.take(1_000_000, || false).expect("granted") <= 100_000);
    }

    #[test]
    fn a_limiter_is_shared_by_threads() {
        let limiter = Limiter::new(1_000_000);
        let start = Instant::now();
        std::thread::scope(|s| {
            for _ in 0..3 {
                s.spawn(|| pass(&limiter, 100_000));
            }
        });
        assert!(start.elapsed() >= Duration::from_millis(300));
    }

    #[test]
    fn a_new_rate_and_a_cancel_wake_waiting_threads() {
        let limiter = Limiter::new(1);
        let raised = limiter.clone();
        std::thread::scope(|s| {
            let (waits, waiting) = std::sync::mpsc::channel();
            s.spawn(move || {
                waiting.recv().expect("it waits");
                raised.set_rate(0);
            });
            let took = pass_and_say(&limiter, 1 << 20, || {
                let _ = waits.send(());
            });
            assert!(took < Duration::from_secs(20));
        });
        limiter.set_rate(1);
        let err = limiter.take(10, || true).expect_err("cancelled");
        assert_eq!(err.kind(), ErrorKind::Cancelled);
    }
}
