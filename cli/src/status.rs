//! The exit status of the command.

use std::process::ExitCode;

/// Exit status of the process. `docs/command.md` documents it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Done = 0,
    Failed = 1,
    /// Wrong command line, or a failure of `diff`, as of diff(1).
    Usage = 2,
    Partial = 3,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        ExitCode::from(status as u8)
    }
}
