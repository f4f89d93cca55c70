//! The command where system calls are refused, as a kernel, a container's filter or a file system
//! refuses them that does not have them.

use std::{path::PathBuf, process::Command, sync::LazyLock};

use crate::common::ok;

/// `without.c`, compiled.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = PathBuf::from(concat!(env!("CARGO_TARGET_TMPDIR"), "/without.so"));
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&library);
    ok(cc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/command/without.c")));
    library
});

/// An answer to a call that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno {
    pub(crate) name: &'static str,
    number: i32,
}

impl Errno {
    /// Returns its description, as errors show it.
    pub(crate) fn text(self) -> String {
        let text = std::io::Error::from_raw_os_error(self.number).to_string();
        text.split(" (os error ").next().expect("a part").to_owned()
    }
}

/// What file systems, kernels and filters answer that do not have a call.
pub(crate) const ERRNOS: [Errno; 6] = [
    Errno { name: "EPERM", number: 1 },
    Errno { name: "EINVAL", number: 22 },
    Errno { name: "ENOSYS", number: 38 },
    Errno { name: "EXDEV", number: 18 },
    Errno { name: "EACCES", number: 13 },
    Errno { name: "EOPNOTSUPP", number: 95 },
];

/// Answers each call of `calls` to the command with `errno`: CALL[:[!]FLAG], as `without.c` has them.
pub(crate) fn refuse(command: &mut Command, calls: &[&str], errno: Errno) {
    let rules: Vec<_> = calls.iter().map(|call| format!("{call}={}", errno.name)).collect();
    command.env("LD_PRELOAD", &*LIBRARY).env("WITHOUT", rules.join(","));
}
