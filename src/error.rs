//! The error type of the crate.

use std::{
    error::Error as StdError,
    fmt, io,
    path::{Path, PathBuf},
};

/// The result of every fallible call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an [`Error`], for programs to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The source, the archive, or a file in the archive does not exist.
    NotFound,
    /// An archive of that name exists, or another backup is writing one right now.
    AlreadyExists,
    /// The operating system or the service refused access.
    PermissionDenied,
    /// An argument, a pattern, a name, a URL or a member of an archive is not usable.
    InvalidInput,
    /// The destination is full or over its quota, or an operation would exceed a limit that the caller set.
    NoSpace,
    /// The task was cancelled.
    Cancelled,
    /// The source directory was replaced or removed while the backup read it.
    SourceGone,
    /// The data of an archive does not match its checksums or its format.
    Corrupt,
    /// The archive has another SHA-1 than the caller expects.
    Mismatch,
    /// Another operation uses the directory, or an interrupted restore must be finished first.
    Busy,
    /// The signature of a presigned URL has expired.
    UrlExpired,
    /// This build of the library lacks the function. Another build may have it.
    Unsupported,
    /// Any other failure of the disk, the network or the service.
    Io,
    /// A fault in this crate, such as a panic on one of its threads.
    Internal,
}

impl ErrorKind {
    /// Returns the kind as a word for programs. The words are stable across versions.
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
            ErrorKind::Mismatch => "mismatch",
            ErrorKind::Busy => "busy",
            ErrorKind::UrlExpired => "url-expired",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Io => "io",
            ErrorKind::Internal => "internal",
        }
    }
}

/// A failed operation: its kind, the operation, the path, and the cause.
///
/// `Display` prints one line with the operation, the path and the cause, such as `open the source
/// /srv/minecraft: Permission denied`. Printing an error needs no walk through
/// [`source`](StdError::source).
///
/// ```
/// use wingback::{Archive, ErrorKind, List};
///
/// let listed = futures::executor::block_on(List::new().start(Archive::file("/no/such.tar.gz")));
/// let error = listed.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert_eq!(error.to_string(), "open the archive /no/such.tar.gz: No such file or directory");
/// // For a caller that works with I/O errors:
/// assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::NotFound);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    path: Option<PathBuf>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Returns an error of `kind`. `operation` is a short phrase with a verb, such as `"open the source"`.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Error(Box::new(Inner { kind, operation, path: None, cause: None }))
    }

    /// Returns an error that an I/O error caused. The kind follows from `cause`.
    pub fn io(operation: &'static str, cause: impl Into<io::Error>) -> Self {
        let cause = cause.into();
        Error::new(kind_of(&cause), operation).caused_by(cause)
    }

    /// Returns the error of a task that was cancelled.
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

    /// Returns the kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the operation that failed.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Returns the path or URL that the operation was about, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Returns whether the same call may succeed a little later, although nobody changes anything.
    pub fn is_retryable(&self) -> bool {
        use io::ErrorKind::*;
        self.io_cause().is_some_and(|cause| {
            matches!(
                cause.kind(),
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

    fn io_cause(&self) -> Option<&io::Error> {
        self.0.cause.as_ref()?.downcast_ref()
    }
}

/// Converts an error for callers that work with I/O errors. The whole [`Error`] is the inner error, so
/// [`io::Error::get_ref`] returns it and its text stays the same.
///
/// The kind is the one of the I/O error that caused it, if there is one, and the nearest one otherwise.
/// It is never `Interrupted` or `WouldBlock`: readers would try again or wait.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let cause = error.io_cause().map(io::Error::kind);
        let kind = match (error.kind(), cause) {
            (ErrorKind::Io, Some(io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)) => {
                io::ErrorKind::Other
            }
            (ErrorKind::Io, Some(kind)) => kind,
            (ErrorKind::NotFound | ErrorKind::SourceGone, _) => io::ErrorKind::NotFound,
            (ErrorKind::AlreadyExists, _) => io::ErrorKind::AlreadyExists,
            (ErrorKind::PermissionDenied | ErrorKind::UrlExpired, _) => {
                io::ErrorKind::PermissionDenied
            }
            (ErrorKind::InvalidInput, _) => io::ErrorKind::InvalidInput,
            (ErrorKind::NoSpace, _) => io::ErrorKind::StorageFull,
            (ErrorKind::Corrupt | ErrorKind::Mismatch, _) => io::ErrorKind::InvalidData,
            (ErrorKind::Busy, _) => io::ErrorKind::ResourceBusy,
            (ErrorKind::Unsupported, _) => io::ErrorKind::Unsupported,
            (ErrorKind::Cancelled | ErrorKind::Io | ErrorKind::Internal, _) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
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
            Some(cause) => write!(f, ": {}", without_os_code(&cause.to_string())),
            None => Ok(()),
        }
    }
}

/// Returns the text of an error without the number that the standard library adds, such as
/// `(os error 2)`. The words before it say the same.
pub(crate) fn without_os_code(text: &str) -> &str {
    let number = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (os error "));
    match number {
        Some((words, code)) if code.parse::<i32>().is_ok() => words,
        _ => text,
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
    fn display_is_one_line_with_operation_path_and_cause() {
        let e = Error::io("open the source", io::Error::from(io::ErrorKind::NotFound)).at("/a/b");
        assert_eq!(e.to_string(), "open the source /a/b: entity not found");
        assert_eq!(e.kind(), ErrorKind::NotFound);
        assert!(!e.is_retryable());
    }

    #[test]
    fn the_number_of_a_system_error_is_not_shown() {
        let not_found = || io::Error::from_raw_os_error(2);
        let error = Error::io("open", not_found()).at("/a");
        assert_eq!(error.to_string(), "open /a: No such file or directory");
        let outer = Error::new(ErrorKind::NotFound, "restore").caused_by(error);
        assert_eq!(outer.to_string(), "restore: open /a: No such file or directory");
        let text = format!("open /a: {}", not_found());
        let error = Error::new(ErrorKind::NotFound, "list").caused_by(text);
        assert_eq!(error.to_string(), "list: open /a: No such file or directory");
        assert_eq!(without_os_code("a file (os error x)"), "a file (os error x)");
    }

    #[test]
    fn as_an_io_error_it_keeps_its_kind_text_and_source() {
        let io_error = |error: Error| {
            let text = error.to_string();
            let error = io::Error::from(error);
            assert_eq!(error.to_string(), text);
            error
        };
        let error = io_error(Error::io("write", io::Error::from(io::ErrorKind::TimedOut)).at("/a"));
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        assert!(inner.is_some_and(|inner| inner.source().is_some() && inner.path().is_some()));
        for (error, kind) in [
            (Error::new(ErrorKind::Corrupt, "x"), io::ErrorKind::InvalidData),
            (Error::new(ErrorKind::NoSpace, "x"), io::ErrorKind::StorageFull),
            (Error::io("x", io::Error::from(io::ErrorKind::Interrupted)), io::ErrorKind::Other),
            (Error::cancelled(), io::ErrorKind::Other),
        ] {
            assert_eq!(io_error(error).kind(), kind);
        }
    }

    #[test]
    fn only_temporary_failures_are_retryable() {
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
