//! Mounted archives, looked at by other programs.

#[path = "../common/mod.rs"]
mod common;
#[path = "../readers/tree.rs"]
mod tree;

mod content;
mod failures;
mod mounted;
mod place;
mod unmounted;

use std::{ffi::OsString, path::Path, process::Command};

use common::ok;
use mounted::Mounted;

/// Returns what `find` prints about everything beneath a directory, sorted.
pub fn found(dir: &Path) -> Vec<String> {
    let all = "%P %y %m %U %G %T@ [%l]";
    let mut find = Command::new("find");
    find.arg(dir).args(["-mindepth", "1", "(", "-type", "f", "-printf"]);
    find.arg(format!("{all} %s\\0")).args([")", "-o", "-printf"]).arg(format!("{all}\\0"));
    let output = find.output().expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let line = |line: &[u8]| line.escape_ascii().to_string();
    let mut lines: Vec<_> = output.stdout.split(|&byte| byte == 0).map(line).collect();
    lines.sort();
    lines
}

/// Returns the SHA-1 of a tar archive of a directory's children.
pub fn tar_sum(dir: &Path) -> String {
    let script = "cd \"$0\" && find . -mindepth 1 -maxdepth 1 -printf '%P\\0' | sort -z |
        tar -c --null --no-unquote --verbatim-files-from -T - --sort=name --hard-dereference \\
            --numeric-owner --format=gnu | sha1sum";
    ok(Command::new("bash").args(["-o", "pipefail", "-c", script]).arg(dir)).out
}

/// Fails unless both directories have the same content, by `diff`.
#[track_caller]
pub fn same_content(a: &Path, b: &Path) {
    let ran = ok(Command::new("diff").args(["-r", "--no-dereference"]).args([a, b]));
    assert_eq!((ran.out, ran.err), (String::new(), String::new()));
}

/// Returns names as text.
pub fn texts(names: &[OsString]) -> Vec<String> {
    names.iter().map(|name| name.to_string_lossy().into_owned()).collect()
}
