//! An independent S3 client: its own signatures, all in the query, over its own HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, UNIX_EPOCH},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::http::Head;

const REGION: &str = "us-east-1";

/// A client of a server, possibly through a proxy, which is then the host in signatures. Panics include
/// the server's response.
#[derive(Clone, Debug)]
pub struct Client {
    pub address: SocketAddr,
    pub access_key: String,
    pub secret_key: String,
    /// Time without data after which a request fails.
    pub timeout: Duration,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// With names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}: {}", self.headers, self.text());
        self
    }
}

impl Client {
    /// Sends a request. `key` may be empty, for the bucket itself.
    pub fn request(
        &self,
        method: &str,
        bucket: &str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        let target = self.signed(method, bucket, key, query, headers, 3600);
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", self.address);
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += &format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        exchange(self.address, self.timeout, method, &[head.as_bytes(), body].concat())
    }

    fn ask(&self, method: &str, bucket: &str, key: &str, query: &[(&str, &str)]) -> String {
        self.request(method, bucket, key, query, &[], b"").unwrap().expect(200).text()
    }

    /// Creates a bucket and returns its name.
    pub fn bucket(&self) -> String {
        let bucket = format!("wings-{}", uuid::Uuid::new_v4());
        self.ask("PUT", &bucket, "", &[]);
        bucket
    }

    pub fn buckets(&self) -> Vec<String> {
        let page = self.ask("GET", "", "", &[]);
        elements(&page, "Bucket").map(|bucket| element(bucket, "Name")).collect()
    }

    /// All objects with their sizes, sorted.
    pub fn objects(&self, bucket: &str) -> Vec<(String, u64)> {
        let mut objects = Vec::new();
        let mut token = String::new();
        loop {
            let query = [("list-type", "2"), ("continuation-token", &*token)];
            let query = if token.is_empty() { &query[..1] } else { &query };
            let page = self.ask("GET", bucket, "", query);
            for object in elements(&page, "Contents") {
                objects.push((element(object, "Key"), element(object, "Size").parse().unwrap()));
            }
            match element(&page, "NextContinuationToken") {
                next if next.is_empty() => return objects,
                next => token = next,
            }
        }
    }

    pub fn get(&self, bucket: &str, key: &str) -> Vec<u8> {
        self.request("GET", bucket, key, &[], &[], b"").unwrap().expect(200).body
    }

    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) {
        self.request("PUT", bucket, key, &[], &[], bytes).unwrap().expect(200);
    }

    pub fn delete(&self, bucket: &str, key: &str) {
        self.request("DELETE", bucket, key, &[], &[], b"").unwrap().expect(204);
    }

    /// The headers of the object. `None` if it does not exist.
    pub fn head(&self, bucket: &str, key: &str) -> Option<BTreeMap<String, String>> {
        let reply = self.request("HEAD", bucket, key, &[], &[], b"").unwrap();
        (reply.status != 404).then(|| reply.expect(200).headers)
    }

    /// Key and upload ID of every multipart upload that the server lists under a prefix, sorted.
    pub fn listed_uploads(&self, bucket: &str, prefix: &str) -> Vec<(String, String)> {
        let mut uploads = BTreeSet::new();
        let (mut key, mut id) = (String::new(), String::new());
        loop {
            let mut query = vec![("uploads", "")];
            let more = [("prefix", prefix), ("key-marker", &key), ("upload-id-marker", &id)];
            query.extend(more.iter().filter(|part| !part.1.is_empty()));
            let page = self.ask("GET", bucket, "", &query);
            let listed = elements(&page, "Upload");
            uploads.extend(listed.map(|one| (element(one, "Key"), element(one, "UploadId"))));
            if element(&page, "IsTruncated") != "true" {
                return uploads.into_iter().collect();
            }
            (key, id) = (element(&page, "NextKeyMarker"), element(&page, "NextUploadIdMarker"));
        }
    }

    pub fn create_upload(&self, bucket: &str, key: &str) -> String {
        self.create_upload_with(bucket, key, &[])
    }

    pub fn create_upload_with(&self, bucket: &str, key: &str, headers: &[(&str, &str)]) -> String {
        let reply = self.request("POST", bucket, key, &[("uploads", "")], headers, b"");
        element(&reply.unwrap().expect(200).text(), "UploadId")
    }

    /// Returns the part's ETag.
    pub fn put_part(&self, bucket: &str, key: &str, id: &str, number: u32, bytes: &[u8]) -> String {
        let query = [("partNumber", &*number.to_string()), ("uploadId", id)];
        let reply = self.request("PUT", bucket, key, &query, &[], bytes).unwrap().expect(200);
        reply.headers["etag"].clone()
    }

    /// `parts` are part numbers and ETags.
    pub fn complete_upload(&self, bucket: &str, key: &str, id: &str, parts: &[(u32, String)]) {
        let reply = self.try_complete(bucket, key, id, parts, &[]).unwrap().expect(200);
        assert!(reply.text().contains("CompleteMultipartUploadResult"), "{}", reply.text());
    }

    pub fn try_complete(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        parts: &[(u32, String)],
        headers: &[(&str, &str)],
    ) -> io::Result<Reply> {
        let part = |(number, etag): &(u32, String)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        };
        let parts: String = parts.iter().map(part).collect();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        self.request("POST", bucket, key, &[("uploadId", id)], headers, body.as_bytes())
    }

    pub fn abort_upload(&self, bucket: &str, key: &str, id: &str) {
        let query = [("uploadId", id)];
        self.request("DELETE", bucket, key, &query, &[], b"").unwrap().expect(204);
    }

    pub fn presign_part(
        &self,
        bucket: &str,
        key: &str,
        id: &str,
        number: u32,
        expires_seconds: u64,
    ) -> String {
        let query = [("partNumber", &*number.to_string()), ("uploadId", id)];
        let target = self.signed("PUT", bucket, key, &query, &[], expires_seconds);
        format!("http://{}{target}", self.address)
    }

    pub fn presign_get(&self, bucket: &str, key: &str, expires_seconds: u64) -> String {
        let target = self.signed("GET", bucket, key, &[], &[], expires_seconds);
        format!("http://{}{target}", self.address)
    }

    /// Path and query of a request, signed with AWS Signature Version 4 over `host` and `headers`, but not
    /// over its body.
    fn signed(
        &self,
        method: &str,
        bucket: &str,
        key: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        expires_seconds: u64,
    ) -> String {
        let path = match (bucket, key) {
            ("", _) => "/".to_owned(),
            (bucket, "") => format!("/{bucket}"),
            (bucket, key) => format!("/{bucket}/{}", escaped(key, "/")),
        };
        let time = time(UNIX_EPOCH.elapsed().unwrap().as_secs());
        let scope = format!("{}/{REGION}/s3/aws4_request", &time[..8]);

        let host = self.address.to_string();
        let mut signed: BTreeMap<_, _> =
            headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), *value)).collect();
        signed.insert("host".to_owned(), &host);
        let names = signed.keys().cloned().collect::<Vec<_>>().join(";");
        let signed: String =
            signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();

        let credential = format!("{}/{scope}", self.access_key);
        let expires = expires_seconds.to_string();
        let signature = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", &expires),
            ("X-Amz-SignedHeaders", &names),
        ];
        let query: BTreeMap<_, _> = query.iter().chain(&signature).copied().collect();
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{}={}", escaped(name, ""), escaped(value, "")))
            .collect();
        let query = query.join("&");

        let canonical = format!("{method}\n{path}\n{query}\n{signed}\n{names}\nUNSIGNED-PAYLOAD");
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let secret = format!("AWS4{}", self.secret_key).into_bytes();
        let key = scope.split('/').fold(secret, |key, part| hmac(&key, part));
        format!("{path}?{query}&X-Amz-Signature={}", hex(&hmac(&key, &text)))
    }
}

/// Sends a request to a presigned URL.
pub fn fetch(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Reply> {
    let (host, target) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut head = format!("{method} /{target} HTTP/1.1\r\nHost: {host}\r\n");
    headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    head += &format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let request = [head.as_bytes(), body].concat();
    exchange(host.parse().unwrap(), Duration::from_secs(60), method, &request)
}

/// Sends a request on a new connection.
fn exchange(to: SocketAddr, timeout: Duration, method: &str, bytes: &[u8]) -> io::Result<Reply> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    (&stream).write_all(bytes)?;
    reply(&mut BufReader::new(&stream), method)
}

/// Reads the response to a request with this method.
pub fn reply(from: &mut BufReader<&TcpStream>, method: &str) -> io::Result<Reply> {
    let head = Head::read(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut body = Vec::new();
    head.response_body(method).read(from, &mut |bytes, payload| {
        body.extend_from_slice(if payload { bytes } else { b"" });
        Ok(())
    })?;
    Ok(Reply { status: head.status(), headers: head.headers().collect(), body })
}

/// The content of the elements with this name. Elements of S3 do not contain elements of their own name.
fn elements<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (start, end) = (format!("<{name}>"), format!("</{name}>"));
    let starts: Vec<_> = xml.split(&*start).skip(1).collect();
    starts.into_iter().map(move |inner| inner.split_once(&*end).unwrap().0)
}

/// The text of the first element with this name, or an empty string.
fn element(xml: &str, name: &str) -> String {
    let text = elements(xml, name).next().unwrap_or_default();
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", "\"");
    text.replace("&quot;", "\"").replace("&#39;", "'").replace("&apos;", "'").replace("&amp;", "&")
}

fn escaped(text: &str, but: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_.~".contains(char);
    let escape = |byte: u8| match char::from(byte) {
        char if is_plain(char) || but.contains(char) => char.to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The time in the format of signatures: 20260102T030405Z.
fn time(unix: u64) -> String {
    let (mut day, second) = (unix / 86400, unix % 86400);
    let mut year = 1970;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let months = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}{:02}{:02}T{hour:02}{minute:02}{second:02}Z", month + 1, day + 1)
}

pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    hmac.update(text.as_bytes());
    hmac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn times_are_formatted_for_signatures() {
    assert_eq!(time(0), "19700101T000000Z");
    assert_eq!(time(951_782_400), "20000229T000000Z");
    assert_eq!(time(1_767_225_599), "20251231T235959Z");
}
