//! The harness for limits measures and ends what it runs.

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
fn the_body_sees_what_was_prepared() {
    let ran = limited::body(
        |dir| std::fs::write(dir.join("a"), "here").unwrap(),
        |dir| println!("read: {}", std::fs::read_to_string(dir.join("a")).unwrap()),
    );
    let Some(ran) = ran else { return };
    assert!(ran.succeeded().out.contains("read: here"), "{ran:?}");
}

#[test]
fn a_body_that_takes_too_much_memory_is_ended() {
    let guard = Guard { mb: 256, ..Guard::default() };
    let ran = limited::body_within(guard, |_| {}, |_| drop(black_box(vec![0u8; 1 << 40])));
    let Some(ran) = ran else { return };
    assert_eq!(ran.status, -6, "{ran:?}");
}

#[test]
fn a_program_that_takes_too_long_is_ended() {
    let guard = Guard { seconds: 1, ..Guard::default() };
    let ran = limited::run_within(guard, Command::new("sleep").arg("30"));
    assert_eq!(ran.status, -9, "{ran:?}");
    ran.took_less_than(2.0);
}

#[test]
#[should_panic(expected = "MiB")]
fn too_much_memory_fails_the_test() {
    limited::run(&Command::new("true")).peak_below(1);
}
