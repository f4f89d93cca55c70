//! Cargo, called by a test.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, process::Command};

/// The packages and features of `tests/run.py`. With others, cargo would build most of the workspace again.
pub const SELECTION: [&str; 5] =
    ["--workspace", "--exclude", "wingback-isal", "--features", "wingback-cli/mount"];

/// Returns a command for cargo. Variables that cargo has set for this test are removed, because build
/// scripts that read them would run again at each such call.
pub fn cargo(program: impl AsRef<OsStr>) -> Command {
    let mut cargo = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let set = [
            "RUSTC_BOOTSTRAP",
            "CARGO_MANIFEST_",
            "CARGO_PKG_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
            "CARGO_PRIMARY_",
            "OUT_DIR",
        ];
        if set.iter().any(|set| name.as_bytes().starts_with(set.as_bytes())) {
            cargo.env_remove(name);
        }
    }
    cargo
}
