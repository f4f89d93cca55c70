//! The harness for limits measures and stops what it runs.

mod support;

use std::{hint::black_box, process::Command};

use support::limited::{self, Guard};

#[test]
fn the_memory_of_a_body_is_measured() {
    let ran = limited::body(|_| {}, |_| drop(black_box(vec![1u8; 100 << 20])));
    let Some(ran) = ran else { return };
    ran.succeeded().peak_below(130);
    assert!(ran.peak_kb > 100 << 10, "{ran:?}");
}

#[test]
fn the_body_reads_the_prepared_directory() {
    let ran = limited::body(
        |dir| std::fs::write(dir.join("a"), "here").unwrap(),
        |dir| println!("read: {}", std::fs::read_to_string(dir.join("a")).unwrap()),
    );
    let Some(ran) = ran else { return };
    assert!(ran.succeeded().out.contains("read: here"), "{ran:?}");
}

#[test]
fn a_body_over_its_memory_limit_is_stopped() {
    let guard = Guard { mb: 256, ..Guard::default() };
    let ran = limited::body_within(guard, |_| {}, |_| drop(black_box(vec![0u8; 1 << 40])));
    let Some(ran) = ran else { return };
    assert_eq!(ran.status, -6, "{ran:?}");
}

#[test]
fn a_program_over_its_time_limit_is_killed() {
    let guard = Guard { seconds: 1, ..Guard::default() };
    let ran = limited::run_within(guard, Command::new("sleep").arg("30"));
    assert_eq!(ran.status, -9, "{ran:?}");
    ran.took_less_than(2.0);
}

#[test]
#[should_panic(expected = "MiB")]
fn memory_over_the_asserted_peak_fails_the_test() {
    limited::run(&Command::new("true")).peak_below(1);
}
