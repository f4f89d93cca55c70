//! Limits slow a backup down. Only lower bounds of time are asserted, because the speed without a
//! limit depends on the machine.

use std::time::{Duration, Instant};

use crate::common::{self, Fixture, listed, ok};

#[track_caller]
fn takes_a_second(option: &str) {
    let fixture =
        Fixture::with(&[("a", &common::noise(1, 150_000)), ("b", &common::noise(2, 150_000))]);
    let start = Instant::now();
    ok(fixture.create().args([option, "300kB/s"]));
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(950), "{option}: {took:?}");
    assert_eq!(listed(&fixture.archive()), ["a", "b"]);
}

#[test]
fn write_limit_slows_writing() {
    takes_a_second("--write-limit");
}

#[test]
fn read_limit_slows_reading() {
    takes_a_second("--read-limit");
}
