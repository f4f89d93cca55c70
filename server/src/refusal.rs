//! Why a request is not granted.

use hyper::StatusCode;

/// What is answered instead, with text for people.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Refusal { status, text: text.into() }
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn missing(text: impl Into<String>) -> Self {
        Refusal::new(StatusCode::NOT_FOUND, text)
    }

    pub(crate) fn conflict(text: impl Into<String>) -> Self {
        Refusal::new(StatusCode::CONFLICT, text)
    }

    pub(crate) fn failed(text: impl ToString) -> Self {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text.to_string())
    }

    pub(crate) fn unauthorized() -> Self {
        Refusal::new(StatusCode::UNAUTHORIZED, "the token is missing or not valid")
    }
}
