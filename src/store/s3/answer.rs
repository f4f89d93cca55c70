//! What comes back from a service: XML, and errors as `minio` has them.

use minio::s3::{
    error::{Error, NetworkError, S3ServerError, ValidationErr},
    minio_error_response::MinioErrorCode,
};
use xmltree::Element;

use crate::net::failure::{Failure, Refusal, plain};

pub(super) fn child(element: &Element, name: &str) -> Option<String> {
    element.get_child(name)?.get_text().map(|text| text.into_owned())
}

pub(super) fn children<'a>(
    element: &'a Element,
    name: &'a str,
) -> impl Iterator<Item = &'a Element> {
    element.children.iter().filter_map(|node| node.as_element()).filter(move |e| e.name == name)
}

/// `minio` keeps of an error what its XML says but not its status, and of codes that it does not
/// know the small letters only.
pub(super) fn of_minio(error: Error) -> Failure {
    const CODES: [&str; 11] = [
        "AuthorizationHeaderMalformed",
        "InternalError",
        "InvalidAccessKeyId",
        "InvalidRequest",
        "NotImplemented",
        "OperationAborted",
        "RequestTimeout",
        "RequestTimeTooSkewed",
        "ServiceUnavailable",
        "SignatureDoesNotMatch",
        "SlowDown",
    ];
    match error {
        Error::S3Server(S3ServerError::S3Error(said)) => {
            let code = match said.code() {
                MinioErrorCode::OtherError(code) => CODES
                    .iter()
                    .find(|known| known.eq_ignore_ascii_case(&code))
                    .map_or_else(|| plain(&code), |known| (*known).to_owned()),
                code => format!("{code:?}"),
            };
            Failure::Service(Refusal {
                status: status_of(&code),
                code,
                message: plain(said.message().as_deref().unwrap_or_default()),
                request_id: plain(said.request_id()),
            })
        }
        Error::S3Server(S3ServerError::InvalidServerResponse { http_status_code, .. }) => {
            Failure::Service(Refusal { status: http_status_code, ..Refusal::default() })
        }
        Error::S3Server(S3ServerError::HttpError(status, message)) => {
            let message = plain(&message);
            Failure::Service(Refusal { status, message, ..Refusal::default() })
        }
        Error::Network(NetworkError::ServerError(status)) => {
            Failure::Service(Refusal { status, ..Refusal::default() })
        }
        Error::Network(NetworkError::ReqwestError(e))
        | Error::Validation(ValidationErr::HttpError(e)) => Failure::network(e),
        error => Failure::Answer(plain(&error.to_string())),
    }
}

/// What S3 sends these codes with.
fn status_of(code: &str) -> u16 {
    match code {
        "AccessDenied"
        | "InvalidAccessKeyId"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch" => 403,
        "NoSuchBucket" | "NoSuchKey" | "NoSuchUpload" => 404,
        "InternalError" => 500,
        "ServiceUnavailable" | "SlowDown" => 503,
        _ => 0,
    }
}
