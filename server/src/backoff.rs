//! Pauses between attempts.

use std::time::Duration;

use smol::Timer;

/// The first pause. Each pause is twice the one before, up to a maximum.
const FIRST: Duration = Duration::from_millis(500);

/// Pauses between attempts, with some chance, so that not all attempts of many tasks come at once.
pub(crate) struct Backoff {
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(max: Duration) -> Self {
        Backoff { next: FIRST, max }
    }

    /// Begins with short pauses again.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }

    /// Waits for the next pause, or for the one that the service has asked for if that is longer.
    pub(crate) async fn wait(&mut self, asked: Option<Duration>) {
        let pause = self.next.mul_f64(0.75 + fastrand::f64() / 2.0);
        Timer::after(pause.max(asked.unwrap_or_default())).await;
        self.next = (self.next * 2).min(self.max);
    }
}
