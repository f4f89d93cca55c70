//! The speed of a task.

use std::time::{Duration, Instant};

/// Time in which the weight of a moment falls to 1/e.
const MEMORY: Duration = Duration::from_secs(5);

/// Computes the mean speed of a count since its start. Older moments weigh less.
///
/// The mean does not depend on the moments at which it is read: two readings of one second each give the
/// same as one of two seconds, if the speed was the same.
#[derive(Debug)]
pub(crate) struct Meter {
    start: Instant,
    last: Instant,
    count: u64,
    /// Sum of the speeds, each with its weight and time, divided by [`MEMORY`].
    sum: f64,
}

impl Meter {
    pub(crate) fn start(now: Instant) -> Self {
        Meter { start: now, last: now, count: 0, sum: 0.0 }
    }

    /// Returns the current speed, per second. The count never becomes smaller.
    pub(crate) fn read(&mut self, now: Instant, count: u64) -> u64 {
        let seconds = now.saturating_duration_since(self.last).as_secs_f64();
        if seconds > 0.0 {
            let speed = count.saturating_sub(self.count) as f64 / seconds;
            let new = weight_of(seconds);
            self.sum += (speed - self.sum) * new;
            (self.last, self.count) = (now, count);
        }
        let all = weight_of(self.last.duration_since(self.start).as_secs_f64());
        // The sum of all weights is less than 1 until the start is long ago.
        if all > 0.0 { (self.sum / all).round() as u64 } else { 0 }
    }
}

/// Returns the weight of the last `seconds`, as a share of the weight of an endless past.
fn weight_of(seconds: f64) -> f64 {
    -(-seconds / MEMORY.as_secs_f64()).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_speed_is_the_rate_however_often_it_is_read() {
        for every in [1, 10, 250, 30_000] {
            let start = Instant::now();
            let mut meter = Meter::start(start);
            for read in 1..=20 {
                let ms = read * every;
                assert_eq!(meter.read(start + Duration::from_millis(ms), 1000 * ms), 1_000_000);
            }
        }
    }

    #[test]
    fn a_stop_shows_within_seconds_and_the_past_fades() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut meter = Meter::start(start);
        assert_eq!(meter.read(at(60), 60_000), 1000);
        assert_eq!(meter.read(at(65), 60_000), 368, "1/e of it");
        assert_eq!(meter.read(at(200), 60_000), 0);
        // A new speed replaces the old one in the same way.
        let rate = meter.read(at(205), 65_000);
        assert_eq!(rate, 632);
    }

    #[test]
    fn without_time_nothing_is_counted_and_nothing_lost() {
        let start = Instant::now();
        let mut meter = Meter::start(start);
        assert_eq!(meter.read(start, 500), 0);
        assert_eq!(meter.read(start + Duration::from_secs(1), 1000), 1000);
        assert_eq!(meter.read(start + Duration::from_secs(1), 2000), 1000);
    }
}
