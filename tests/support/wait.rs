//! Waiting for conditions.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::{
    thread,
    time::{Duration, Instant},
};

/// Time limit for everything that tests wait for.
const SOON: Duration = Duration::from_secs(60);

/// Calls `ask` until it returns a value.
#[track_caller]
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < SOON, "{what} did not happen within a minute");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a condition holds.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    until(what, || is_so().then_some(()));
}
