//! Error responses of the daemon's HTTP interface.

use hyper::StatusCode;

/// A status, and a text for people.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        ApiError { status, text: text.into() }
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

    pub(crate) fn failed(text: impl ToString) -> Self {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text.to_string())
    }

    pub(crate) fn unauthorized() -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, "the token is missing or not valid")
    }
}
