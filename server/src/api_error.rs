//! Error responses of the daemon's HTTP interface.

use hyper::StatusCode;

/// A status, and a text for people.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
    /// Whether the same request can succeed a moment later.
    pub(crate) is_temporary: bool,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        ApiError { status, text: text.into(), is_temporary: false }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn missing(text: impl Into<String>) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, text)
    }

    pub(crate) fn conflict(text: impl Into<String>) -> Self {
        ApiError::new(StatusCode::CONFLICT, text)
    }

    /// Returns the error for a request that another one excludes at the moment.
    pub(crate) fn busy(text: impl Into<String>) -> Self {
        ApiError { is_temporary: true, ..ApiError::conflict(text) }
    }

    pub(crate) fn failed(text: impl ToString) -> Self {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text.to_string())
    }

    pub(crate) fn unauthorized() -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, "the token is missing or not valid")
    }
}
