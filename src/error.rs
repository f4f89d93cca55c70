//! The one error type of the crate.

use std::{
    error::Error as StdError,
    fmt, io,
    path::{Path, PathBuf},
};

/// The result of every fallible call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, for programs to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source, or the archive asked for, does not exist.
    NotFound,
    /// An archive of that name exists, or another backup is making it right now.
    AlreadyExists,
    /// The system refused access.
    PermissionDenied,
    /// An argument, a pattern, a name or a UUID is not usable.
    InvalidInput,
    /// The destination is full, over its quota, or under the reserve that was asked for.
    NoSpace,
    /// The task was cancelled.
    Cancelled,
    /// The source directory was replaced or went away while it was read.
    SourceGone,
    /// An archive is not what its checksums or its format promise.
    Corrupt,
    /// Another operation is under way there, or one that was interrupted must be ended first.
    Busy,
    /// A link with a signature that is not good any more.
    UrlExpired,
    /// Any other failure of the system below: the disk, the network, the store.
    Io,
    /// A fault in this crate, such as a panic on one of its threads.
    Internal,
}

impl ErrorKind {
    /// A word for programs, stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::NotFound => "not-found",
            ErrorKind::AlreadyExists => "already-exists",
            ErrorKind::PermissionDenied => "permission-denied",
            ErrorKind::InvalidInput => "invalid-input",
            ErrorKind::NoSpace => "no-space",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::SourceGone => "source-gone",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Busy => "busy",
            ErrorKind::UrlExpired => "url-expired",
            ErrorKind::Io => "io",
            ErrorKind::Internal => "internal",
        }
    }
}

/// Why an operation failed: its kind, what was being done, to which path, and the cause.
///
/// `Display` is one line and includes the cause, so printing an error needs no walk through
/// [`source`](StdError::source).
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    path: Option<PathBuf>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` met while doing `operation`, a short phrase such as `"open the source"`.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Error(Box::new(Inner { kind, operation, path: None, cause: None }))
    }

    /// An error of the system: the kind is taken from `cause`.
    pub fn io(operation: &'static str, cause: impl Into<io::Error>) -> Self {
        let cause = cause.into();
        Error::new(kind_of(&cause), operation).caused_by(cause)
    }

    /// What a task resolves with once it is cancelled.
    pub(crate) fn cancelled() -> Self {
        Error::new(ErrorKind::Cancelled, "cancelled")
    }

    /// Adds the path that the operation was about.
    #[must_use]
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.0.path = Some(path.as_ref().to_owned());
        self
    }

    /// Adds the cause: another error, or a sentence that says what is wrong.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being done.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The path that it was about, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Whether the same call may succeed a little later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        let Some(cause) = &self.0.cause else {
            return false;
        };
        cause.downcast_ref::<io::Error>().is_some_and(|e| {
            use io::ErrorKind::*;
            matches!(
                e.kind(),
                TimedOut
                    | Interrupted
                    | WouldBlock
                    | ConnectionReset
                    | ConnectionAborted
                    | ConnectionRefused
                    | NotConnected
                    | HostUnreachable
                    | NetworkUnreachable
                    | NetworkDown
                    | StaleNetworkFileHandle
                    | ResourceBusy
            )
        })
    }
}

fn kind_of(cause: &io::Error) -> ErrorKind {
    match cause.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::NoSpace
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
        _ => ErrorKind::Io,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.operation)?;
        if let Some(path) = &self.0.path {
            write!(f, " {}", path.display())?;
        }
        match &self.0.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.cause.as_ref().map(|c| &**c as &dyn StdError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_operation_path_and_cause() {
        let e = Error::io("open the source", io::Error::from(io::ErrorKind::NotFound)).at("/a/b");
        assert_eq!(e.to_string(), "open the source /a/b: entity not found");
        assert_eq!(e.kind(), ErrorKind::NotFound);
        assert!(!e.is_retryable());
    }

    #[test]
    fn only_what_may_pass_by_itself_is_retryable() {
        for (kind, retryable) in [
            (io::ErrorKind::TimedOut, true),
            (io::ErrorKind::StaleNetworkFileHandle, true),
            (io::ErrorKind::StorageFull, false),
            (io::ErrorKind::PermissionDenied, false),
        ] {
            assert_eq!(Error::io("x", io::Error::from(kind)).is_retryable(), retryable);
        }
        assert!(!Error::new(ErrorKind::Cancelled, "x").is_retryable());
    }
}
