//! The failure of a call or a task: the Rust side of `wingback_error`.

use std::{ffi::CString, os::unix::ffi::OsStrExt};

use crate::enums::wingback_status;

/// Why a call or a task failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) status: wingback_status,
    pub(crate) message: CString,
    pub(crate) path: Vec<u8>,
    pub(crate) is_retryable: bool,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: wingback_status, message: impl Into<String>) -> Self {
        let message = message.into().replace('\0', "\u{fffd}");
        // This cannot fail: the message has no zero byte any more.
        let message = CString::new(message).unwrap_or_default();
        Failure { status, message, path: Vec::new(), is_retryable: false }
    }

    /// An argument that cannot be used.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Failure::new(wingback_status::InvalidInput, message)
    }

    /// An index beyond the end of a list.
    pub(crate) fn no_element(index: usize, count: usize) -> Self {
        Failure::invalid(format!("there is no element {index} in a list of {count}"))
    }

    /// A status that is not a failure. C gets no error object for it.
    pub(crate) fn status_only(status: wingback_status) -> Self {
        Failure::new(status, "")
    }

    #[cfg(not(feature = "s3"))]
    pub(crate) fn without_s3() -> Self {
        Failure::new(wingback_status::Unsupported, "this build of the library has no network")
    }

    pub(crate) fn text(&self) -> &str {
        self.message.to_str().unwrap_or_default()
    }
}

impl From<wingback::Error> for Failure {
    fn from(error: wingback::Error) -> Self {
        let failure = Failure::new(wingback_status::of_error(error.kind()), error.to_string());
        let path = error.path().map(|path| path.as_os_str().as_bytes().to_vec());
        Failure { path: path.unwrap_or_default(), is_retryable: error.is_retryable(), ..failure }
    }
}
