//! Failures of requests, and whether a retry may help.

use std::{error::Error as StdError, fmt, io, time::Duration};

use reqwest::{
    StatusCode,
    header::{CONTENT_RANGE, HeaderMap, LOCATION},
};

use crate::{
    error::{Error, ErrorKind},
    net::{public::NotPublic, xml::Element},
};

/// Longest text of an error that is kept, in characters.
const MESSAGE_MAX: usize = 500;

/// A request that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The service returned an error.
    Service(Box<ServiceError>),
    /// The connection could not be made, or it broke.
    Network(String),
    /// The connection moved no byte for this long.
    Stalled(Duration),
    /// An error that neither the service nor the network can repair. It is not retried.
    Final(Error),
    /// The response is malformed.
    Answer(String),
}

/// An error that a service returned.
#[derive(Debug, Default)]
pub(crate) struct ServiceError {
    /// HTTP status. 0 if it is not known.
    pub(crate) status: u16,
    /// S3 error code, such as `SlowDown`. Empty if the response is not from S3.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) request_id: String,
    /// Region of the bucket, if the service reports it. Empty otherwise.
    pub(crate) region: String,
    /// Size of the whole object, if a range was requested that it does not have.
    pub(crate) total_size: Option<u64>,
    /// Target of a redirect. It may have a signature, so it is never shown.
    pub(crate) location: Option<Location>,
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        Failure::Service(Box::new(error))
    }
}

/// A `Location` header. `Debug` does not show it.
pub(crate) struct Location(pub(crate) String);

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Location")
    }
}

impl ServiceError {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut error = ServiceError::from_xml(body).unwrap_or_default();
        error.status = status.as_u16();
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if error.request_id.is_empty() {
            error.request_id = one_line(header("x-amz-request-id").unwrap_or_default());
        }
        if error.region.is_empty() {
            error.region = one_line(header("x-amz-bucket-region").unwrap_or_default());
        }
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            let total_size =
                header(CONTENT_RANGE.as_str()).and_then(|text| text.strip_prefix("bytes */"));
            error.total_size = total_size.and_then(|size| size.parse().ok()).or(error.total_size);
        }
        if status.is_redirection() {
            error.location = header(LOCATION.as_str()).map(|to| Location(to.to_owned()));
        }
        if error.message.is_empty() {
            error.message = status.canonical_reason().unwrap_or_default().to_owned();
        }
        error
    }

    /// Parses the error in a body. It may come with any status: CompleteMultipartUpload sends 200 before it
    /// knows the result.
    pub(crate) fn from_xml(body: &[u8]) -> Option<Self> {
        let error = Element::parse(body).ok().filter(|root| root.name == "Error")?;
        let text = |name| error.child(name).map(one_line).unwrap_or_default();
        Some(ServiceError {
            status: StatusCode::OK.as_u16(),
            code: text("Code"),
            message: text("Message"),
            request_id: text("RequestId"),
            region: text("Region"),
            total_size: error.child("ActualObjectSize").and_then(|size| size.trim().parse().ok()),
            location: None,
        })
    }

    /// Returns whether the error has only a status, and a retry does not help. The response to HEAD has no
    /// body that gives a reason.
    pub(crate) fn has_only_status(&self) -> bool {
        self.code.is_empty() && !self.is_retryable()
    }

    fn is_retryable(&self) -> bool {
        const CODES: [&str; 8] = [
            "InternalError",
            "OperationAborted",
            "RequestTimeout",
            "ServiceUnavailable",
            "SlowDown",
            "Throttling",
            "ThrottlingException",
            "ConditionalRequestConflict",
        ];
        // 501 means that the service lacks the function, so a retry does not help.
        matches!(self.status, 408 | 429 | 500 | 502..=599) || CODES.contains(&&*self.code)
    }

    fn kind(&self) -> ErrorKind {
        match (&*self.code, self.status) {
            // Versitygw returns 404 for an unknown access key.
            ("AccessDenied" | "InvalidAccessKeyId" | "XAdminUserNotFound", _) => {
                ErrorKind::PermissionDenied
            }
            ("NoSuchBucket" | "NoSuchKey" | "NoSuchUpload", _) | (_, 404 | 410) => {
                ErrorKind::NotFound
            }
            ("QuotaExceeded" | "XMinioStorageFull" | "EntityTooLarge", _) | (_, 507) => {
                ErrorKind::NoSpace
            }
            ("PreconditionFailed", _) | (_, 412) => ErrorKind::AlreadyExists,
            (_, 401 | 403) => ErrorKind::PermissionDenied,
            _ => ErrorKind::Io,
        }
    }
}

/// Returns one line of bounded length, because the text may come from any service.
pub(crate) fn one_line(text: &str) -> String {
    let text = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    text.take(MESSAGE_MAX).collect()
}

impl Failure {
    /// Returns the failure of a request that got no response, or a response that broke off. It leaves the URL
    /// out, because its query is secret.
    pub(crate) fn network(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let is_refused = error.is_builder();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(not_public) = cause.downcast_ref::<NotPublic>() {
                return Failure::Final(not_public.error("the host"));
            }
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        if is_refused {
            let error = Error::new(ErrorKind::InvalidInput, "follow the URL");
            return Failure::Final(error.caused_by(one_line(&text)));
        }
        Failure::Network(one_line(&text))
    }

    /// Returns the failure of a response that ended early.
    pub(crate) fn ended_early() -> Self {
        Failure::Network("the response ended early".into())
    }

    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Failure::Service(error) => error.is_retryable(),
            // A certificate that is not trusted now is not trusted in a minute either.
            Failure::Network(why) => !why.contains("certificate"),
            Failure::Stalled(_) | Failure::Answer(_) => true,
            Failure::Final(_) => false,
        }
    }

    pub(crate) fn is_status(&self, status: u16) -> bool {
        matches!(self, Failure::Service(error) if error.status == status)
    }

    /// Returns the S3 error code. Empty if the service sent none.
    pub(crate) fn code(&self) -> &str {
        match self {
            Failure::Service(error) => &error.code,
            _ => "",
        }
    }

    /// Returns the size of the whole object, if a range was refused that it does not have.
    pub(crate) fn total_size(&self) -> Option<u64> {
        match self {
            Failure::Service(error) => error.total_size,
            _ => None,
        }
    }

    /// Converts the failure into an error of `operation` on `place`.
    pub(crate) fn into_error(self, operation: &'static str, place: impl fmt::Display) -> Error {
        let place = place.to_string();
        match self {
            Failure::Final(error) if error.path().is_some() => error,
            Failure::Final(error) => error.at(place),
            Failure::Service(service_error) => {
                let error = Error::new(service_error.kind(), operation);
                let text = service_error.to_string();
                match service_error.is_retryable() {
                    true => error.caused_by(io::Error::new(io::ErrorKind::ResourceBusy, text)),
                    false => error.caused_by(text),
                }
                .at(place)
            }
            Failure::Network(why) => Error::new(ErrorKind::Io, operation)
                .at(place)
                .caused_by(io::Error::new(io::ErrorKind::ConnectionAborted, why)),
            Failure::Stalled(after) => {
                let why = format!("no byte moved for {after:?}");
                let cause = io::Error::new(io::ErrorKind::TimedOut, why);
                Error::new(ErrorKind::Io, operation).at(place).caused_by(cause)
            }
            Failure::Answer(why) => Error::new(ErrorKind::Io, operation).at(place).caused_by(why),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Final(error)
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.code {
            "" => write!(f, "{} ", self.message)?,
            code => write!(f, "{code}: {} ", self.message)?,
        }
        // Other status codes may also come with a region, but are not about it.
        let is_about_region = matches!(self.status, 300..=400) && !self.region.is_empty();
        if is_about_region && !self.message.contains(&self.region) {
            write!(f, "(the bucket is in the region {}) ", self.region)?;
        }
        match (self.status, &*self.request_id) {
            (0, "") => f.write_str("(no request id)"),
            (0, id) => write!(f, "(request id {id})"),
            (status, "") => write!(f, "(status {status})"),
            (status, id) => write!(f, "(status {status}, request id {id})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &[u8] =
        b"<?xml version=\"1.0\"?><Error xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <Code>SlowDown</Code><Message>Please\nwait</Message><RequestId>R1</RequestId></Error>";

    #[test]
    fn the_error_has_code_message_status_and_request_id() {
        let error = ServiceError::new(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new(), XML);
        let error = Failure::from(error).into_error("upload to", "s3://b/k");
        let text = "upload to s3://b/k: SlowDown: Please wait (status 503, request id R1)";
        assert_eq!(error.to_string(), text);
        assert!(error.is_retryable());
        let error = ServiceError::new(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>");
        assert_eq!(error.to_string(), "Bad Gateway (status 502)");
    }

    #[test]
    fn only_temporary_failures_are_retried() {
        let of = |status: u16, body: &[u8]| {
            let status = StatusCode::from_u16(status).expect("a status");
            Failure::from(ServiceError::new(status, &HeaderMap::new(), body))
        };
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(of(status, b"").is_retryable(), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 409, 412, 501] {
            assert!(!of(status, b"").is_retryable(), "{status}");
        }
        assert!(of(200, XML).is_retryable());
        assert!(!Failure::Final(Error::new(ErrorKind::InvalidInput, "x")).is_retryable());
    }
}
