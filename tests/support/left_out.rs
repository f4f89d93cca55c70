//! Cases that are left out on a machine that lacks permissions or tools.

use std::{fs::OpenOptions, io::Write};

/// Whether the additions of `make test-all` run. If not, records that `case` is left out.
#[allow(dead_code, reason = "not every suite has such a case")]
pub(crate) fn in_test_all(case: &str) -> bool {
    let is_all = cases(false, true);
    if !is_all {
        left_out(&format!("{case}: only in make test-all"));
    }
    is_all
}

/// Number of cases of a campaign: the first number, or the second one in `make test-all`.
#[allow(dead_code, reason = "not every suite has a campaign")]
pub(crate) fn cases<T>(usual: T, in_test_all: T) -> T {
    if std::env::var_os("WINGBACK_TEST_ALL").is_some() { in_test_all } else { usual }
}

/// Records that a case is left out: on standard error and, for the comparison with the committed list
/// (`tests/left-out.txt`), in the file that `$WINGBACK_LEFT_OUT` names. The text must be the same in
/// each run: the case, a colon, and the reason.
pub(crate) fn left_out(case: &str) {
    // `eprintln!` would be captured by the test harness.
    let _ = writeln!(std::io::stderr(), "left out: {case}");
    let Some(file) = std::env::var_os("WINGBACK_LEFT_OUT") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the list");
    // One write per line, because several test programs write at once.
    file.write_all(format!("{case}\n").as_bytes()).expect("written to the list");
}
