//! Signatures in headers (AWS Signature Version 4), for requests that a signed URL is not enough for. `minio`
//! signs URLs. Its own requests would read responses of any length, recursively.

use hmac::{Hmac, KeyInit, Mac};
use minio::s3::{
    http::Url,
    multimap_ext::{Multimap, MultimapExt},
    utils::{hex_encode, sha256_hash, to_amz_date, to_signer_date, utc_now},
};
use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use sha2::Sha256;

use crate::{
    error::{Error, ErrorKind, Result},
    store::s3::credentials::Credentials,
};

/// The hash of an empty body.
pub(super) const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Returns the headers of a request with its signature. `body` is the hash of the body.
pub(super) fn headers(
    keys: &Credentials,
    region: &str,
    method: &Method,
    url: &Url,
    body: &str,
    mut headers: Multimap,
) -> Result<HeaderMap> {
    let now = utc_now();
    headers.add("Host", url.host_header_value());
    headers.add("X-Amz-Content-Sha256", body);
    headers.add("X-Amz-Date", to_amz_date(now));
    keys.token().iter().for_each(|token| headers.add("X-Amz-Security-Token", *token));
    let (signed, canonical) = headers.get_canonical_headers();
    let query = url.query.get_canonical_query_string();
    let request = format!("{method}\n{}\n{query}\n{canonical}\n\n{signed}\n{body}", url.path);
    let day = to_signer_date(now);
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        to_amz_date(now),
        sha256_hash(request.as_bytes())
    );
    let secret = format!("AWS4{}", keys.secret_key);
    let key = [&*day, region, "s3", "aws4_request"]
        .iter()
        .fold(secret.into_bytes(), |key, part| authenticate(&key, part));
    let signature = hex_encode(&authenticate(&key, &text));
    let access_key = &keys.access_key;
    headers.add(
        "Authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
        ),
    );
    // The client adds this header itself.
    headers.remove("Host");
    let wrong = |name: &str| {
        Error::new(ErrorKind::InvalidInput, "send the header").at(name).caused_by("it is malformed")
    };
    headers
        .flat_iter()
        .map(|(name, value)| {
            let named = HeaderName::try_from(name).map_err(|_| wrong(name))?;
            Ok((named, HeaderValue::try_from(value).map_err(|_| wrong(name))?))
        })
        .collect()
}

fn authenticate(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
