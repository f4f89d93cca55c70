//! The servers, the client and the proxy work as documented.

use std::{
    io::{self, BufReader, Read, Write},
    net::TcpStream,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use crate::{
    client::{Client, Reply, fetch, reply},
    fault::{Fault, Seen},
    proxy::Proxy,
    server::Server,
    support::{left_out, noise, wait_until},
};

/// A bucket with an object, and a client through a proxy with this fault.
fn behind(fault: Fault) -> (Proxy, Client, String) {
    let server = Server::shared();
    let bucket = server.bucket();
    server.put(&bucket, "there", &noise(100_000));
    let proxy = Proxy::to(server.address(), move |_| fault.clone());
    let client = server.through(proxy.address());
    (proxy, client, bucket)
}

fn put(client: &Client, bucket: &str, bytes: &[u8]) -> io::Result<Reply> {
    client.request("PUT", bucket, "new", &[], &[], bytes)
}

fn get(client: &Client, bucket: &str) -> io::Result<Reply> {
    client.request("GET", bucket, "there", &[], &[], b"")
}

fn has_new(bucket: &str) -> bool {
    Server::shared().head(bucket, "new").is_some()
}

fn objects_and_uploads(server: &Server) {
    let bucket = server.bucket();
    assert_eq!(server.objects(&bucket), []);
    server.put(&bucket, "a b/ä&+<c>.tar.gz", b"some");
    server.put(&bucket, "z", b"");
    let objects = [("a b/ä&+<c>.tar.gz".to_owned(), 4), ("z".to_owned(), 0)];
    assert_eq!(server.objects(&bucket), objects);
    assert_eq!(server.get(&bucket, "a b/ä&+<c>.tar.gz"), b"some");
    assert_eq!(server.head(&bucket, "z").unwrap()["content-length"], "0");
    assert_eq!(server.head(&bucket, "y"), None);
    server.delete(&bucket, "z");
    assert_eq!(server.head(&bucket, "z"), None);

    let key = "deep/er/a.tar.gz";
    let id = server.create_upload(&bucket, key);
    assert_eq!(server.unfinished(&bucket), [(key.to_owned(), id.clone())]);
    assert_eq!(server.unfinished_of(&bucket, key), [&*id]);
    assert_eq!(server.unfinished_of(&bucket, "deep"), [""; 0]);
    let (first, second) = (noise(5 << 20), noise(1000));
    let url = server.presign_part(&bucket, key, &id, 1, 60);
    let etag = fetch("PUT", &url, &[], &first).unwrap().expect(200).headers["etag"].clone();
    let parts = [(1, etag), (2, server.put_part(&bucket, key, &id, 2, &second))];
    server.complete_upload(&bucket, key, &id, &parts);
    assert_eq!(server.unfinished(&bucket), []);
    let url = server.presign_get(&bucket, key, 60);
    let whole = [first, second].concat();
    assert!(fetch("GET", &url, &[], b"").unwrap().expect(200).body == whole);
    let range = fetch("GET", &url, &[("Range", "bytes=-10")], b"").unwrap().expect(206);
    assert_eq!(range.body, whole[whole.len() - 10..]);
    fetch("GET", &url.replace("a.tar", "b.tar"), &[], b"").unwrap().expect(403);

    let id = server.create_upload(&bucket, key);
    server.put_part(&bucket, key, &id, 1, b"part");
    server.abort_upload(&bucket, key, &id);
    assert_eq!(server.unfinished(&bucket), []);
    assert_eq!(server.unfinished_of(&bucket, key), [""; 0]);
}

/// Kills and restarts the server. Its objects and uploads must still exist.
fn killed(mut server: Server) -> Server {
    let bucket = server.bucket();
    server.put(&bucket, "kept", b"bytes");
    let id = server.create_upload(&bucket, "begun");
    server.kill();
    TcpStream::connect(server.address()).unwrap_err();
    server.restart();
    assert_eq!(server.get(&bucket, "kept"), b"bytes");
    assert_eq!(server.unfinished_of(&bucket, "begun"), [&*id]);
    let unfinished = server.unfinished(&bucket);
    assert_eq!(unfinished.iter().map(|upload| &upload.1).collect::<Vec<_>>(), [&id]);
    server.abort_upload(&bucket, "begun", &id);
    assert_eq!(server.unfinished(&bucket), []);
    server
}

#[test]
fn the_server_stores_objects_and_uploads_and_ends_when_dropped() {
    objects_and_uploads(Server::shared());
    let server = Server::new();
    let server = killed(server);
    let address = server.address();
    drop(server);
    TcpStream::connect(address).unwrap_err();
}

/// MinIO does not list uploads from before a restart, though they are on its disk. Versitygw lists all.
#[test]
fn each_server_lists_its_uploads_after_a_restart() {
    let mut server = killed(Server::new());
    let bucket = server.bucket();
    let id = server.create_upload(&bucket, "a/b");
    let upload = [("a/b".to_owned(), id.clone())];
    assert_eq!(server.listed_uploads(&bucket, ""), upload);
    let unless_minio = if server.is_minio() { &[] } else { &upload[..] };
    assert_eq!(server.listed_uploads(&bucket, "a/"), unless_minio);
    assert_eq!(server.listed_uploads(&bucket, "a/b"), upload);
    server.restart();
    assert_eq!(server.listed_uploads(&bucket, ""), unless_minio);
    assert_eq!(server.listed_uploads(&bucket, "a/b"), upload);
    assert_eq!(server.unfinished_of(&bucket, "a/b"), [&*id]);
    server.kill();
}

#[test]
fn the_proxy_forwards_and_logs_requests() {
    let (proxy, client, bucket) = behind(Fault::None);
    put(&client, &bucket, &noise(3 << 20)).unwrap().expect(200);
    assert!(client.get(&bucket, "new") == noise(3 << 20));
    assert_eq!(client.head(&bucket, "new").unwrap()["content-length"], (3 << 20).to_string());
    assert_eq!(client.head(&bucket, "none"), None);
    let id = client.create_upload(&bucket, "parts");
    let etag = client.put_part(&bucket, "parts", &id, 7, b"part");
    client.complete_upload(&bucket, "parts", &id, &[(7, etag)]);
    let id = client.create_upload(&bucket, "parts");
    client.abort_upload(&bucket, "parts", &id);
    client.request("GET", &bucket, "new", &[], &[("Range", "bytes=0-9")], b"").unwrap().expect(206);

    let log = proxy.log();
    let those = |are: fn(&Seen) -> bool| {
        log.iter().filter(|seen| are(seen)).map(|seen| seen.n).collect::<Vec<_>>()
    };
    assert_eq!(those(Seen::is_create), [4, 7]);
    assert_eq!(those(Seen::is_part), [5]);
    assert_eq!(those(Seen::is_complete), [6]);
    assert_eq!(those(Seen::is_abort), [8]);
    assert_eq!((log[5].part(), log[5].content_length), (Some(7), Some(4)));
    assert_eq!((&*log[9].method, log[9].range.as_deref()), ("GET", Some("bytes=0-9")));
    assert_eq!(log[9].path, format!("/{bucket}/new"));
    assert_eq!(log[9].header("host"), Some(&*proxy.address().to_string()));
    assert_eq!(log.len(), 10);
    assert_eq!(proxy.most_at_once(), 1);
}

/// Requests on one connection, with chunked bodies in both directions.
#[test]
fn the_proxy_keeps_connections_open() {
    let (proxy, client, bucket) = behind(Fault::None);
    let stream = TcpStream::connect(proxy.address()).unwrap();
    let mut replies = BufReader::new(&stream);
    let url = client.presign_get(&bucket, "there", 60);
    let head = |method: &str, url: &str| {
        let target = url.strip_prefix(&proxy.endpoint()).unwrap();
        format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n", proxy.address())
    };
    if !Server::shared().is_minio() {
        left_out("connections that the proxy keeps open: versitygw closes them");
        return;
    }
    for method in ["GET", "HEAD", "GET"] {
        (&stream).write_all((head(method, &url) + "\r\n").as_bytes()).unwrap();
        let reply = reply(&mut replies, method).unwrap();
        // The signature is for GET.
        assert_eq!(reply.status, if method == "GET" { 200 } else { 403 });
        assert!(method == "HEAD" || reply.body == noise(100_000));
    }
    let id = client.create_upload(&bucket, "chunked");
    let url = client.presign_part(&bucket, "chunked", &id, 1, 60);
    let request = head("PUT", &url) + "Transfer-Encoding: chunked\r\n\r\n";
    // S3 requires a length.
    (&stream).write_all((request + "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n").as_bytes()).unwrap();
    reply(&mut replies, "PUT").unwrap().expect(411);
}

#[test]
fn the_proxy_replaces_responses() {
    let (proxy, client, bucket) = behind(Fault::Status(503, "SlowDown"));
    let reply = put(&client, &bucket, &noise(1 << 20)).unwrap().expect(503);
    assert!(reply.text().contains("<Code>SlowDown</Code>"));
    assert!(reply.text().contains("<RequestId>TESTREQ1</RequestId>"));
    assert_eq!(reply.headers["content-type"], "application/xml");
    let reply = client.request("HEAD", &bucket, "there", &[], &[], b"").unwrap().expect(503);
    assert_eq!(reply.body, b"");
    assert!(!has_new(&bucket));

    proxy.set_rule(|_| Fault::Replace { status: 200, body: "<html>".to_owned() });
    assert_eq!(put(&client, &bucket, b"new").unwrap().expect(200).text(), "<html>");
    assert!(!has_new(&bucket));

    proxy.set_rule(|_| Fault::ReplaceAfter { status: 500, body: "<html>".to_owned() });
    assert_eq!(put(&client, &bucket, b"new").unwrap().expect(500).text(), "<html>");
    assert!(has_new(&bucket));
}

#[test]
fn the_proxy_cuts_requests_off() {
    for fault in [
        Fault::Refuse,
        Fault::CutRequest { after: 0 },
        Fault::CutRequest { after: 70_000 },
        Fault::CutRequest { after: 1 << 20 },
    ] {
        let (_proxy, client, bucket) = behind(fault.clone());
        put(&client, &bucket, &noise(2 << 20)).unwrap_err();
        get(&client, &bucket).unwrap_err();
        // Versitygw stores the part of an object that it has received.
        assert!(!has_new(&bucket) || !Server::shared().is_minio(), "{fault:?}");
    }
}

#[test]
fn the_proxy_cuts_responses_off() {
    let (proxy, client, bucket) = behind(Fault::CutResponse { after: 1000 });
    assert_eq!(get(&client, &bucket).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    put(&client, &bucket, b"new").unwrap().expect(200);

    // The number of bytes that arrive.
    let stream = TcpStream::connect(proxy.address()).unwrap();
    let url = client.presign_get(&bucket, "there", 60);
    let target = url.strip_prefix(&proxy.endpoint()).unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", proxy.address());
    (&stream).write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    { &stream }.read_to_end(&mut bytes).unwrap();
    let body = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert!(bytes[body..] == noise(100_000)[..1000]);
}

#[test]
fn the_proxy_drops_responses() {
    let (_proxy, client, bucket) = behind(Fault::LoseResponse);
    assert_eq!(put(&client, &bucket, b"new").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(has_new(&bucket));
}

#[test]
fn the_proxy_stalls_requests_and_responses() {
    let (proxy, mut client, bucket) = behind(Fault::Stall);
    client.timeout = Duration::from_millis(300);
    let is_timeout = |reply: io::Result<Reply>| {
        let kind = reply.unwrap_err().kind();
        assert!(matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{kind}");
    };
    is_timeout(get(&client, &bucket));
    // More than the buffers between them hold.
    is_timeout(put(&client, &bucket, &noise(32 << 20)));
    assert!(!has_new(&bucket));
    proxy.set_rule(|_| Fault::StallResponse { after: 1000 });
    is_timeout(get(&client, &bucket));

    // A stalled part is no longer in flight after its client has closed the connection.
    let id = Server::shared().create_upload(&bucket, "new");
    proxy.set_rule(|seen| if seen.n < 5 { Fault::Stall } else { Fault::None });
    let part = |client: &Client| {
        let query = [("partNumber", "1"), ("uploadId", &*id)];
        client.request("PUT", &bucket, "new", &query, &[], &noise(16 << 20))
    };
    is_timeout(part(&client));
    is_timeout(part(&client));
    client.timeout = Duration::from_secs(60);
    part(&client).unwrap().expect(200);
    assert_eq!(proxy.most_at_once(), 1);
}

#[test]
fn the_proxy_removes_response_headers() {
    let (_proxy, client, bucket) = behind(Fault::StripHeader("ETag"));
    let headers = put(&client, &bucket, b"new").unwrap().expect(200).headers;
    assert!(!headers.contains_key("etag") && headers.contains_key("content-length"));
}

#[test]
fn the_proxy_limits_the_speed() {
    let (_proxy, client, bucket) = behind(Fault::Slow { bytes_per_second: 200_000 });
    let start = Instant::now();
    put(&client, &bucket, &noise(100_000)).unwrap().expect(200);
    assert!(start.elapsed() >= Duration::from_millis(500));
    let start = Instant::now();
    assert!(get(&client, &bucket).unwrap().expect(200).body == noise(100_000));
    assert!(start.elapsed() >= Duration::from_millis(500));
}

#[test]
fn the_proxy_counts_parts_in_flight() {
    let (proxy, client, bucket) = behind(Fault::None);
    let id = client.create_upload(&bucket, "new");
    let together = Arc::new(Barrier::new(3));
    proxy.set_rule(move |seen| {
        if seen.is_part() {
            together.wait();
        }
        Fault::None
    });
    thread::scope(|scope| {
        for number in 1..=3 {
            let (client, bucket, id) = (&client, &bucket, &id);
            scope.spawn(move || client.put_part(bucket, "new", id, number, b"part"));
        }
    });
    assert_eq!(proxy.most_at_once(), 3);
}

/// Also with open connections, including an idle one.
#[test]
fn the_proxy_ends_when_dropped() {
    let (proxy, client, bucket) = behind(Fault::Stall);
    let address = proxy.address();
    let idle = TcpStream::connect(address).unwrap();
    thread::scope(|scope| {
        let stalled = scope.spawn(|| get(&client, &bucket).unwrap_err());
        wait_until("the request is there", || !proxy.log().is_empty());
        drop(proxy);
        stalled.join().unwrap();
    });
    assert!(io::read_to_string(idle).unwrap_or_default().is_empty());
    TcpStream::connect(address).unwrap_err();
}

/// If the server is gone, the connections of its clients are closed.
#[test]
fn the_proxy_closes_connections_of_a_dead_server() {
    let mut server = Server::new();
    let proxy = Proxy::to(server.address(), |_| Fault::None);
    let client = server.through(proxy.address());
    let bucket = client.bucket();
    server.kill();
    put(&client, &bucket, b"new").unwrap_err();
    server.restart();
    put(&client, &bucket, b"new").unwrap().expect(200);
}

/// Responses to a retry after a lost response, and the differences between servers.
#[test]
fn repeated_completions_are_answered_as_each_server_does() {
    let server = Server::shared();
    let [again, again_if_new, aborted_after] =
        if server.is_minio() { [404, 412, 204] } else { [200, 200, 404] };
    let bucket = server.bucket();
    let if_new: &[_] = &[("If-None-Match", "*")];
    let begin = |key: &str, headers: &[_]| {
        let id = server.create_upload_with(&bucket, key, headers);
        let parts = [(1, server.put_part(&bucket, key, &id, 1, b"part"))];
        (id, parts)
    };
    let complete = |key: &str, upload: &(String, [_; 1]), headers: &[_]| {
        server.try_complete(&bucket, key, &upload.0, &upload.1, headers).unwrap().status
    };

    server.put(&bucket, "there", b"old");
    let upload = begin("there", &[]);
    assert_eq!(complete("there", &upload, if_new), 412);
    assert_eq!(server.get(&bucket, "there"), b"old");
    assert_eq!(server.unfinished_of(&bucket, "there"), [&*upload.0]);
    assert_eq!(complete("there", &upload, &[]), 200);
    assert_eq!(server.get(&bucket, "there"), b"part");
    assert_eq!(complete("there", &upload, &[]), again);

    let meta = [("x-amz-meta-wingback", "a b"), ("Content-Type", "application/gzip")];
    let upload = begin("new", &meta);
    assert_eq!(complete("new", &upload, if_new), 200);
    assert_eq!(complete("new", &upload, if_new), again_if_new);
    let headers = server.head(&bucket, "new").unwrap();
    assert!(meta.iter().all(|(name, value)| headers[&name.to_lowercase()] == *value));
    assert!(headers["etag"].ends_with("-1\""));
    let id = [("uploadId", &*upload.0)];
    let abort = server.request("DELETE", &bucket, "new", &id, &[], b"").unwrap();
    assert_eq!(abort.status, aborted_after);
    assert_eq!(server.unfinished(&bucket), []);
}
