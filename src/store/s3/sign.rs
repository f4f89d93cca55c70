//! Signatures of requests (AWS Signature Version 4, "Authenticating Requests: Using the Authorization Header").
//!
//! The crate `minio` signs only its own requests, and they read responses of any length.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use sha2::{Digest, Sha256};

use crate::{
    error::{Error, ErrorKind, Result},
    store::s3::credentials::Credentials,
};

/// Stands for the hash of a body that the signature does not include.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Adds the signature to the headers of a request. The path and the query of the URL are encoded as signatures need
/// it. The signature includes the hash of an empty body, but not of any other body.
pub(super) fn sign(
    headers: &mut HeaderMap,
    keys: &Credentials,
    region: &str,
    method: &Method,
    url: &Url,
    has_body: bool,
    now: DateTime<Utc>,
) -> Result<()> {
    let hash = if has_body { UNSIGNED.to_owned() } else { hex(&Sha256::digest("")) };
    let (time, day) = (now.format("%Y%m%dT%H%M%SZ").to_string(), now.format("%Y%m%d").to_string());
    add_header(headers, "x-amz-content-sha256", &hash)?;
    add_header(headers, "x-amz-date", &time)?;
    if let Some(token) = keys.token() {
        add_secret(headers, "x-amz-security-token", token)?;
    }
    let (names, lines) = canonical(headers, url);
    let (path, query) = (url.path(), url.query().unwrap_or_default());
    let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{hash}");
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let secret = format!("AWS4{}", keys.secret_key).into_bytes();
    let key = scope.split('/').fold(secret, |key, part| authenticate(&key, part));
    let signature = hex(&authenticate(&key, &text));
    let credential = format!("{}/{scope}", keys.access_key);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    );
    add_secret(headers, "authorization", &authorization)
}

/// Adds a header to those of a request.
pub(super) fn add_header(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<()> {
    let value = HeaderValue::try_from(value).map_err(|_| {
        let error = Error::new(ErrorKind::InvalidInput, "send the header").at(name);
        error.caused_by("it is malformed")
    })?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}

/// Adds a header whose value `Debug` does not show.
fn add_secret(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<()> {
    add_header(headers, name, value)?;
    headers.get_mut(name).into_iter().for_each(|value| value.set_sensitive(true));
    Ok(())
}

/// Returns the names of the headers that are signed, and their lines: the host, the type, and those of Amazon. A proxy
/// may change others.
fn canonical(headers: &HeaderMap, url: &Url) -> (String, String) {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let host = format!("{}{port}", url.host_str().unwrap_or_default());
    let is_signed = |name: &HeaderName| name == CONTENT_TYPE || name.as_str().starts_with("x-amz-");
    let given = headers.iter().filter(|(name, _)| is_signed(name));
    let mut all: Vec<_> = given
        .map(|(name, value)| {
            (name.as_str(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .chain([("host", host)])
        .collect();
    all.sort();
    let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
    let lines = all.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    (names.join(";"), lines)
}

fn authenticate(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use reqwest::header::AUTHORIZATION;

    use super::*;

    /// The examples of "Signature Calculations for the Authorization Header" in Amazon's manual of S3.
    #[test]
    fn signatures_are_those_of_amazons_examples() {
        let keys =
            Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let now = "2013-05-24T00:00:00Z".parse().expect("a time");
        for (query, signature) in [
            ("lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            (
                "max-keys=2&prefix=J",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let url = format!("https://examplebucket.s3.amazonaws.com/?{query}");
            let url = Url::parse(&url).expect("a URL");
            let mut headers = HeaderMap::new();
            sign(&mut headers, &keys, "us-east-1", &Method::GET, &url, false, now).expect("signed");
            let signed = "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
                          SignedHeaders=host;x-amz-content-sha256;x-amz-date";
            assert_eq!(
                headers[AUTHORIZATION],
                format!("AWS4-HMAC-SHA256 {signed}, Signature={signature}")
            );
            assert!(!format!("{headers:?}").contains(signature));
        }
    }

    #[test]
    fn the_host_the_type_and_amazons_headers_are_signed() {
        let keys = Credentials::new("access", "secret").session_token("to/ken");
        let url = Url::parse("http://127.0.0.1:9000/bucket/a").expect("a URL");
        let named = |name| (HeaderName::from_static(name), HeaderValue::from_static("1"));
        let names = ["content-type", "range", "x-amz-meta-a"];
        let mut headers: HeaderMap = names.into_iter().map(named).collect();
        sign(&mut headers, &keys, "r", &Method::PUT, &url, true, Utc::now()).expect("signed");
        assert_eq!(headers["x-amz-content-sha256"], UNSIGNED);
        let (names, lines) = canonical(&headers, &url);
        let signed =
            "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-a;x-amz-security-token";
        assert_eq!(names, signed);
        assert!(lines.contains("\nhost:127.0.0.1:9000\n"), "{lines}");
    }

    #[test]
    fn a_key_that_no_header_can_have_is_an_error() {
        let keys = Credentials::new("acc\ness", "secret");
        let url = Url::parse("http://127.0.0.1/").expect("a URL");
        let mut headers = HeaderMap::new();
        let error = sign(&mut headers, &keys, "r", &Method::GET, &url, false, Utc::now());
        assert_eq!(error.expect_err("malformed").kind(), ErrorKind::InvalidInput);
    }
}
