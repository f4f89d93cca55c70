//! A limiter, and the task whose threads wait for it.

use std::sync::Arc;

use crate::{error::Result, limiter::Limiter, progress::Tracker};

/// A limit for the threads of one task. They stop waiting after a cancel, and after the task has failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Throttle {
    limit: Limiter,
    tracker: Arc<Tracker>,
}

impl Throttle {
    pub(crate) fn new(limit: Limiter, tracker: &Arc<Tracker>) -> Self {
        Throttle { limit, tracker: tracker.clone() }
    }

    /// Waits until some of `want` bytes are granted, and returns how many: at least 1, at most `want`.
    pub(crate) fn take(&self, want: usize) -> Result<usize> {
        self.limit.take(want, || self.tracker.is_ending())
    }
}
