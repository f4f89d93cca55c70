//! Runs the command with system calls that fail, as they do on kernels and file systems that lack them
//! or in containers that filter them.

use std::{path::PathBuf, process::Command, sync::LazyLock};

use crate::common::ok;

/// The compiled `without.c`.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/without.so"));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&library);
    ok(cc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/command/without.c")));
    library
});

/// The error of a refused call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno {
    pub(crate) name: &'static str,
    number: i32,
}

impl Errno {
    /// Returns its description, as error messages show it.
    pub(crate) fn text(self) -> String {
        let text = std::io::Error::from_raw_os_error(self.number).to_string();
        text.split(" (os error ").next().expect("a part").to_owned()
    }
}

/// Errors of file systems, kernels and filters that lack a call.
pub(crate) const ERRNOS: [Errno; 6] = [
    Errno { name: "EPERM", number: 1 },
    Errno { name: "EINVAL", number: 22 },
    Errno { name: "ENOSYS", number: 38 },
    Errno { name: "EXDEV", number: 18 },
    Errno { name: "EACCES", number: 13 },
    Errno { name: "EOPNOTSUPP", number: 95 },
];

/// Makes each of `calls` fail with `errno`. The syntax is CALL[:[!]FLAG], as in `without.c`.
pub(crate) fn refuse(command: &mut Command, calls: &[&str], errno: Errno) {
    let rules: Vec<_> = calls.iter().map(|call| format!("{call}={}", errno.name)).collect();
    command.env("LD_PRELOAD", &*LIBRARY).env("WITHOUT", rules.join(","));
}
