//! Hostile patterns take a bounded amount of memory and time for all names.

mod support;

use std::{collections::BTreeSet, fs, path::Path, time::Instant};

use fastrand::Rng;
use support::{Tree, bytes, limited};
use wingback::{Backup, ErrorKind, Excludes, PatternOrigin, Report, Rules, Warning};

const FILES: usize = 400;
const KIB: usize = 1 << 10;

/// Limits for all cases of a test.
const MB: u64 = 64;
const SECONDS: f64 = 10.0;

/// Makes a line of a list from its number.
type Pattern = fn(usize) -> String;

#[test]
fn an_ignore_file_is_bounded() {
    let ran = limited::body(make_tree, |dir| {
        for pattern in PATTERNS.iter().copied() {
            fs::write(dir.join(".pteroignore"), list(32 * KIB, pattern)).unwrap();
            let report = timed(pattern, || back_up(Backup::new(dir)).unwrap());
            assert_eq!(report.files as usize, FILES + 1, "{}", pattern(0));
            let unused = |w: &Warning| matches!(w, Warning::IgnoreFile(_));
            assert!(!report.warnings.iter().any(unused), "{:?}", report.warnings);
        }
    });
    let Some(ran) = ran else { return };
    println!("{} KiB, {} s\n{}", ran.peak_kb, ran.cpu, ran.out);
    ran.succeeded().peak_below(MB).took_less_than(SECONDS);
}

#[test]
fn a_megabyte_of_patterns_is_bounded() {
    let ran = limited::body(make_tree, |dir| {
        for pattern in PATTERNS.iter().copied() {
            let patterns = list(KIB * KIB, pattern);
            let has_stars = pattern(0).matches('*').count() > 1;
            match timed(pattern, || back_up(Backup::new(dir).exclude(patterns))) {
                Ok(report) => assert_eq!(report.files as usize, FILES, "{}", pattern(0)),
                Err(e) => {
                    assert!(has_stars, "{}: {e}", pattern(0));
                    assert_eq!(e.kind(), ErrorKind::InvalidInput);
                    assert!(e.to_string().contains("several stars are over 64 KiB"), "{e}");
                }
            }
        }
    });
    let Some(ran) = ran else { return };
    println!("{} KiB, {} s\n{}", ran.peak_kb, ran.cpu, ran.out);
    ran.succeeded().peak_below(MB).took_less_than(SECONDS);
}

#[test]
fn an_ignore_file_for_wings_is_bounded() {
    let ran = limited::body(make_tree, |dir| {
        for pattern in EXPRESSIONS.iter().chain(PATTERNS).copied() {
            fs::write(dir.join(".pteroignore"), list(32 * KIB, pattern)).unwrap();
            let backup = || back_up(Backup::new(dir).rules(Rules::Wings));
            let report = timed(pattern, backup).unwrap();
            assert_eq!(report.files as usize, FILES + 1, "{}", pattern(0));
        }
    });
    let Some(ran) = ran else { return };
    println!("{} KiB, {} s\n{}", ran.peak_kb, ran.cpu, ran.out);
    ran.succeeded().peak_below(MB).took_less_than(SECONDS);
}

#[test]
fn a_megabyte_of_patterns_for_wings_is_rejected() {
    let ran = limited::body(make_tree, |dir| {
        for pattern in EXPRESSIONS.iter().chain(PATTERNS).copied() {
            let patterns = list(KIB * KIB, pattern);
            let backup = || back_up(Backup::new(dir).rules(Rules::Wings).exclude(patterns));
            let result = timed(pattern, backup);
            // A repeated line counts as one pattern.
            if pattern(0) == pattern(1) && pattern(0).len() > 1 && result.is_ok() {
                continue;
            }
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let text = error.to_string();
            let is_expected =
                ["64 KiB in total", "too large in total"].map(|why| text.contains(why));
            assert!(is_expected.contains(&true), "{}: {text}", pattern(0));
        }
    });
    let Some(ran) = ran else { return };
    println!("{} KiB, {} s\n{}", ran.peak_kb, ran.cpu, ran.out);
    ran.succeeded().peak_below(MB).took_less_than(SECONDS);
}

#[test]
fn matching_the_longest_list_with_the_longest_paths_is_bounded() {
    let ran = limited::body(
        |_| {},
        |_| {
            let side_by_side: Pattern = |i| format!("**/a*/b*{i}");
            let at_both_ends: Pattern = |i| format!("/{}*/{i}", "?".repeat(40));
            match_paths(Rules::Git, 63 * KIB, side_by_side);
            match_paths(Rules::Git, 1024 * KIB, at_both_ends);
        },
    );
    let Some(ran) = ran else { return };
    println!("{} KiB, {} s\n{}", ran.peak_kb, ran.cpu, ran.out);
    ran.succeeded().peak_below(MB).took_less_than(SECONDS);
}

#[test]
fn matching_the_longest_list_for_wings_with_the_longest_paths_is_bounded() {
    let ran =
        limited::body(|_| {}, |_| match_paths(Rules::Wings, 40 * KIB, |i| format!("*a*b*{i}")));
    let Some(ran) = ran else { return };
    println!("{} KiB, {} s\n{}", ran.peak_kb, ran.cpu, ran.out);
    ran.succeeded().peak_below(MB).took_less_than(SECONDS);
}

/// Each expression has many active states at once.
#[test]
fn matching_the_largest_number_of_expressions_is_bounded() {
    let ran = limited::body(
        |_| {},
        |_| {
            let names = names();
            let mut excludes = Excludes::new(Rules::Wings);
            let mut count = 0;
            while excludes.add(PatternOrigin::Caller, EXPRESSIONS[0](count).as_bytes()).is_ok() {
                count += 1;
            }
            assert!((20..200).contains(&count), "{count} expressions");
            timed(EXPRESSIONS[0], || {
                assert!(!names.iter().any(|name| excludes.is_excluded(name.as_bytes(), false)));
            });
        },
    );
    let Some(ran) = ran else { return };
    println!("{} KiB, {} s\n{}", ran.peak_kb, ran.cpu, ran.out);
    ran.succeeded().peak_below(MB).took_less_than(SECONDS);
}

#[test]
fn an_ignore_file_over_the_limit_for_wings_is_a_warning() {
    let tree = Tree::with(&[("a.log", b"")]);
    tree.file(".pteroignore", [b"*.log\n", &*list(30 * KIB, EXPRESSIONS[0])].concat());
    let report = back_up(tree.backup().rules(Rules::Wings)).unwrap();
    assert_eq!(report.files, 2);
    assert_eq!(report.warnings.len(), 1);
    let text = report.warnings[0].to_string();
    assert!(text.starts_with(".pteroignore is not used: "), "{text}");
}

#[test]
fn a_rejected_list_leaves_the_patterns_unchanged() {
    for rules in [Rules::Git, Rules::Wings] {
        let mut excludes = Excludes::new(rules);
        excludes.add(PatternOrigin::Caller, b"*.log\n(\n[a").unwrap();
        let warnings = excludes.warnings().len();
        for text in [vec![b'\n'; 1100 * KIB], list(1000 * KIB, |i| format!("[\n*a*b*{i}"))] {
            let error = excludes.add(PatternOrigin::Caller, &text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(excludes.warnings().len(), warnings);
        assert!(excludes.is_excluded(b"a.log", false));
        excludes.add(PatternOrigin::Caller, b"!a.log").unwrap();
        assert!(!excludes.is_excluded(b"a.log", false));
    }
}

#[test]
fn suspicious_patterns_are_counted_after_the_first_hundred() {
    let tree = Tree::with(&[("a", b"")]);
    let patterns = list(1000 * KIB, |_| "[".into());
    let count = patterns.len() / 2;
    let report = back_up(tree.backup().exclude(patterns)).unwrap();
    assert_eq!(report.warnings.len(), 101);
    assert_eq!(report.warnings[100], Warning::MorePatterns(count as u64 - 100));
}

/// The first ones made a matcher that builds an automaton of their states take gigabytes.
const PATTERNS: &[Pattern] = &[
    |i| format!("*{}{}", ["a", "b"][i % 2], "?".repeat(40 + i / 2 % 200)) + &i.to_string(),
    |i| format!("*a{i}"),
    |_| format!("*a{}c", "?".repeat(40)),
    |i| format!("*a*b*{i}"),
    |i| format!("*{}*{i}", "a*b".repeat(70)),
    |i| format!("**/*a*/**/{}{i}", "?*".repeat(20)),
    |i| format!("{i}"),
    |i| format!("{}{i}", "[ab]".repeat(40)),
    |i| format!("{}*{i}", "[^c-z]".repeat(200)),
    |_| "[".into(),
    |_| "[[:".repeat(5000),
    |i| format!("!*{i}"),
];

/// Patterns for Wings that need regular expressions.
const EXPRESSIONS: &[Pattern] = &[
    |i| format!("[ab]*a[ab]{{40}}{i}"),
    |i| format!("(a|b)*a(a|b){{40}}{i}"),
    |i| format!("(a{{999}}b){i}"),
    |i| format!("(((a{{9}}){{9}}){{9}}){{9}}{i}"),
    |i| format!("[^x]{{1000}}{i}"),
];

/// Lines of `size` bytes in total.
fn list(size: usize, pattern: Pattern) -> Vec<u8> {
    let mut text = Vec::new();
    for i in 0.. {
        let line = pattern(i);
        if text.len() + line.len() + 1 > size {
            break;
        }
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    text
}

/// Matches paths of the maximal length.
fn match_paths(rules: Rules, size: usize, pattern: Pattern) {
    let mut rng = Rng::with_seed(1);
    let mut path = || {
        let byte = |at| if at % 50 == 49 { b'/' } else { b"ab"[rng.usize(..2)] };
        (0..4095).map(byte).collect::<Vec<_>>()
    };
    let mut excludes = Excludes::new(rules);
    excludes.add(PatternOrigin::Caller, &list(size, pattern)).unwrap();
    timed(pattern, || (0..FILES).for_each(|_| assert!(!excludes.is_excluded(&path(), false))));
}

/// Names of the maximal length.
fn names() -> BTreeSet<String> {
    let mut rng = Rng::with_seed(7);
    (0..FILES).map(|_| (0..255).map(|_| ['a', 'b'][rng.usize(..2)]).collect()).collect()
}

fn make_tree(dir: &Path) {
    names().iter().for_each(|name| fs::write(dir.join(name), "").unwrap());
}

fn back_up(backup: Backup) -> wingback::Result<Report> {
    bytes(backup.threads(2)).map(|(report, _)| report)
}

/// Prints the time that one case takes.
fn timed<T>(pattern: Pattern, case: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = case();
    println!("{:?} for {:.40}", start.elapsed(), pattern(0));
    result
}
