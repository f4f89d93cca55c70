//! Unusual responses: the store uses another method where one exists, and errors name the reason.

use std::{net::SocketAddr, time::Duration};

use futures::executor::block_on;
use wingback::{
    Archive, Error, ErrorKind, Extract, Key, List, PartUrls, ReadMethod, ReadRange, S3Config,
    S3Store, Store, Verify,
};

use crate::{
    fault::{Fault, Seen, error},
    faults::{quick, quick_config},
    hostile::serve,
    proxy::Proxy,
    server::Server,
    store::with,
    support::{Tree, noise, snapshot::Snapshot, swept},
};

/// A bucket behind a proxy with this rule.
fn behind(
    server: &Server,
    rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static,
) -> (Proxy, S3Store, Key) {
    let (proxy, config, key) = bucket_behind(server, rule);
    (proxy, with(config, |_| ()), key)
}

fn bucket_of(store: &S3Store, key: &Key) -> String {
    store.location(key).to_string_lossy().split('/').nth(2).expect("s3://bucket/name").to_owned()
}

fn bucket_behind(
    server: &Server,
    rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static,
) -> (Proxy, S3Config, Key) {
    let proxy = Proxy::to(server.address(), rule);
    let config = quick_config(server, &proxy.endpoint(), &server.bucket());
    let key = config.names.key(uuid::Uuid::from_u128(1));
    (proxy, config, key)
}

/// Calls every operation of a store: writing, reading, listing and deleting.
fn there_and_back(store: &S3Store, key: &Key) {
    let tree = Tree::with(&[("a", &noise(6 << 20)), ("b", b"b")]);
    let report = block_on(tree.backup().start(store.clone(), key.clone())).unwrap();
    let archive = || Archive::in_store(store.clone(), key.clone());
    assert_eq!(block_on(store.list()).unwrap().len(), 1);
    assert_eq!(block_on(store.head(key)).unwrap().map(|object| object.size), Some(report.size));
    let verified = block_on(Verify::new().sha1(report.sha1).start(archive())).unwrap();
    assert!(verified.is_whole() && verified.read_method == ReadMethod::Indexed, "{verified:?}");
    let target = Tree::new();
    block_on(Extract::new(&target.root).start(archive())).unwrap();
    Snapshot::of(&target.root).assert_is(&Snapshot::of(&tree.root), "extracted");
    assert_eq!(swept(store).unwrap(), [""; 0]);
    block_on(store.delete(key)).unwrap();
    assert_eq!(block_on(store.head(key)).unwrap(), None);
}

fn answer(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Fault {
    Fault::Answer { status, headers, body }
}

/// Responses of services that do not support suffix ranges, for an object of this size.
fn refused_suffixes(size: usize, whole: &str) -> Vec<Fault> {
    let whole_size = format!("bytes */{size}");
    let length =
        "<Error><Code>InvalidRange</Code><ActualObjectSize>SIZE</ActualObjectSize></Error>";
    let length = length.replace("SIZE", &size.to_string());
    let end = whole.len().min(1000);
    let etag = || ("ETag", "\"e\"".to_owned());
    let first = format!("bytes 0-{}/{size}", end - 1);
    vec![
        answer(416, vec![("Content-Range", whole_size)], error("InvalidRange")),
        answer(416, vec![], length),
        answer(416, vec![], error("InvalidRange")),
        answer(501, vec![], error("NotImplemented")),
        answer(400, vec![], error("InvalidArgument")),
        // The whole object, as RFC 9110 allows.
        answer(200, vec![etag()], whole.to_owned()),
        answer(200, vec![etag(), ("Accept-Ranges", "bytes".to_owned())], whole.to_owned()),
        // The number is read as a range from the start.
        answer(206, vec![("Content-Range", first)], whole[..end].to_owned()),
    ]
}

#[test]
fn a_service_without_suffix_ranges_is_read_by_explicit_ranges() {
    let server = Server::shared();
    for len in [1, 300, 100_000] {
        let whole = "x".repeat(len);
        for fault in refused_suffixes(len, &whole) {
            let of = fault.clone();
            let is_suffix = |seen: &Seen| seen.range.as_ref().is_some_and(|r| r.contains("=-"));
            let (proxy, store, key) =
                behind(server, move |seen| if is_suffix(seen) { of.clone() } else { Fault::None });
            server.put(&bucket_of(&store, &key), key.as_str(), whole.as_bytes());
            let opened = block_on(store.open(&key, 65536));
            let opened = opened.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
            assert_eq!((opened.size, opened.tail.len()), (len as u64, len.min(65536)), "{fault:?}");
            let last = block_on(store.read(&key, ReadRange::Last(2))).unwrap();
            assert_eq!(last.len(), len.min(2), "{fault:?}");
            assert!(proxy.log().len() <= 6, "{fault:?}: {:?}", proxy.log());
            let url = server.through(proxy.address());
            let url = url.presign_get(&bucket_of(&store, &key), key.as_str(), 60);
            // Not an archive, but not an error of the service either.
            let verified = block_on(Verify::new().start(Archive::link(&url, quick()).unwrap()));
            assert!(!verified.unwrap().is_whole());
        }
    }
}

#[test]
fn an_archive_is_read_by_its_index_without_suffix_ranges() {
    let server = Server::shared();
    for (status, code) in [(416, "InvalidRange"), (501, "NotImplemented")] {
        let (_proxy, store, key) = behind(server, move |seen| match &seen.range {
            Some(range) if range.contains("=-") => Fault::Status(status, code),
            _ => Fault::None,
        });
        there_and_back(&store, &key);
    }
}

#[test]
fn a_time_that_a_service_leaves_out_or_garbles_is_unknown() {
    let server = Server::shared();
    for garbled in ["", "<LastModified>yesterday</LastModified>"] {
        let (_proxy, store, key) = behind(server, move |seen| match &*seen.method {
            "HEAD" if garbled.is_empty() => Fault::StripHeader("last-modified"),
            "HEAD" => answer(200, vec![("Last-Modified", "yesterday".into())], "hello".into()),
            "GET" => {
                let key = wingback::NameTemplate::default().key(uuid::Uuid::from_u128(1));
                let object = format!("<Key>{key}</Key><Size>5</Size>{garbled}");
                let list =
                    format!("<ListBucketResult><Contents>{object}</Contents></ListBucketResult>");
                Fault::Replace { status: 200, body: list }
            }
            _ => Fault::None,
        });
        let bucket = bucket_of(&store, &key);
        server.put(&bucket, key.as_str(), b"hello");
        let head = block_on(store.head(&key)).unwrap().unwrap();
        let listed = block_on(store.list()).unwrap();
        for object in [&head, &listed[0]] {
            assert_eq!((&object.key, object.size, object.modified), (&key, 5, None));
        }
    }
}

#[test]
fn an_empty_object_is_not_an_error() {
    let server = Server::shared();
    for with_size in [true, false] {
        let headers =
            if with_size { vec![("Content-Range", "bytes */0".to_owned())] } else { vec![] };
        let refused = answer(416, headers, error("InvalidRange"));
        let (_proxy, store, key) = behind(server, move |seen| match seen.range {
            Some(_) => refused.clone(),
            None => Fault::None,
        });
        server.put(&bucket_of(&store, &key), key.as_str(), b"");
        let opened = block_on(store.open(&key, 100)).unwrap();
        assert_eq!((opened.size, opened.tail.len()), (0, 0));
    }
}

/// Only content can be damaged. Responses are never reported as damage.
#[test]
fn no_response_is_reported_as_damage() {
    let server = Server::shared();
    for refused in [
        answer(416, vec![], error("InvalidRange")),
        answer(403, vec![], error("AccessDenied")),
        answer(400, vec![], error("BadRequest")),
        answer(200, vec![], "<html>a page</html>".to_owned()),
        answer(206, vec![], "no range".to_owned()),
        answer(301, vec![], error("PermanentRedirect")),
        answer(307, vec![], error("TemporaryRedirect")),
        answer(404, vec![], "<html>gone</html>".to_owned()),
    ] {
        // The object is read in two requests.
        for from in [0, 1] {
            let tree = Tree::with(&[("a", &noise(9 << 20))]);
            let (proxy, config, key) = bucket_behind(server, |_| Fault::None);
            let store = with(config.clone(), |_| ());
            block_on(tree.backup().start(store, key.clone())).unwrap();
            let (of, n) = (refused.clone(), proxy.log().len());
            proxy.set_rule(move |seen| match seen.n {
                at if at >= n + from => of.clone(),
                _ => Fault::None,
            });
            let hurried = with(config, |config| {
                config.transfer = quick().retry_for(Duration::from_millis(200));
            });
            let verified = block_on(Verify::new().start(Archive::in_store(hurried, key.clone())));
            let error = verified.expect_err("nothing was read");
            assert!(!matches!(error.kind(), ErrorKind::Internal | ErrorKind::Corrupt), "{error}");
        }
    }
}

#[test]
fn an_error_of_head_is_asked_for_again_with_a_body() {
    let server = Server::shared();
    for (status, code, kind) in [
        (400, "ExpiredToken", ErrorKind::Io),
        (400, "InvalidArgument", ErrorKind::Io),
        (405, "MethodNotAllowed", ErrorKind::Io),
        // A status alone does not mean that an object does not exist.
        (404, "XAdminUserNotFound", ErrorKind::PermissionDenied),
        (404, "NoSuchBucket", ErrorKind::NotFound),
    ] {
        let (_proxy, store, key) = behind(server, move |_| Fault::Status(status, code));
        let tree = Tree::with(&[("a", b"a")]);
        let made = block_on(tree.backup().start(store.clone(), key.clone())).map(drop);
        for error in [made, block_on(store.head(&key)).map(drop), block_on(store.delete(&key))] {
            let error = error.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(code), "{error}");
        }
    }
    // If only HEAD is denied, GET returns the size.
    let (_proxy, store, key) = behind(server, |seen| match &*seen.method {
        "HEAD" => Fault::Status(405, "MethodNotAllowed"),
        _ => Fault::None,
    });
    there_and_back(&store, &key);
}

/// Amazon's response to a request that is signed for another region.
fn is_elsewhere(seen: &Seen, region: &str) -> bool {
    let scope = format!("/{region}/s3/");
    let in_header = seen.header("authorization").is_some_and(|header| header.contains(&scope));
    !in_header && !seen.query.replace("%2F", "/").contains(&scope)
}

#[test]
fn a_wrong_region_is_corrected_once_if_the_service_names_the_right_one() {
    let server = Server::shared();
    let in_body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message>\
                   <Region>us-east-1</Region></Error>";
    let header = || vec![("x-amz-bucket-region", "us-east-1".to_owned())];
    for wrong in [
        answer(400, header(), error("AuthorizationHeaderMalformed")),
        answer(400, vec![], in_body.to_owned()),
        answer(301, header(), error("PermanentRedirect")),
    ] {
        let (proxy, config, key) = bucket_behind(server, move |seen| {
            if is_elsewhere(seen, "us-east-1") { wrong.clone() } else { Fault::None }
        });
        let store = with(config, |config| config.region = Some("eu-central-1".into()));
        there_and_back(&store, &key);
        let asked_wrongly = proxy.log().iter().filter(|s| is_elsewhere(s, "us-east-1")).count();
        // HEAD has no body, so the error may be requested with GET as well.
        assert!((1..=2).contains(&asked_wrongly), "{asked_wrongly}");
    }
}

#[test]
fn a_region_that_stays_wrong_is_an_error_after_few_requests() {
    let server = Server::shared();
    for named in ["eu-central-1", "changing", "not a region/"] {
        let (proxy, store, key) = behind(server, move |seen| {
            let region =
                if named == "changing" { format!("eu-{}", seen.n) } else { named.to_owned() };
            answer(
                400,
                vec![("x-amz-bucket-region", region)],
                error("AuthorizationHeaderMalformed"),
            )
        });
        let tree = Tree::with(&[("a", b"a")]);
        let error = block_on(tree.backup().start(store.clone(), key)).unwrap_err();
        let text = error.to_string();
        let region = if named == "changing" { "eu-" } else { named };
        assert!(text.contains("AuthorizationHeaderMalformed") && text.contains(region), "{text}");
        assert!(proxy.log().len() <= 6, "{:?}", proxy.log().len());
    }
}

fn redirect(status: u16, to: SocketAddr, seen: &Seen) -> Fault {
    let location = format!("http://{to}{}?{}", seen.path, seen.query);
    answer(status, vec![("Location", location)], error("TemporaryRedirect"))
}

#[test]
fn a_temporary_redirect_is_followed_and_the_body_sent_again() {
    let server = Server::shared();
    let to = server.address();
    for status in [307, 308] {
        let (proxy, store, key) = behind(server, move |seen| redirect(status, to, seen));
        there_and_back(&store, &key);
        assert!(proxy.log().iter().any(Seen::is_part), "parts were redirected");
    }
}

#[test]
fn redirects_of_part_urls_and_links_are_followed() {
    let server = Server::shared();
    let (bucket, to) = (server.bucket(), server.address());
    let id = server.create_upload(&bucket, "a");
    // The URLs are signed for the server and requested at the proxy.
    let proxy = Proxy::to(to, move |seen| redirect(307, to, seen));
    let at_proxy = |url: String| url.replace(&server.endpoint(), &proxy.endpoint());
    let urls: Vec<_> =
        (1..=3).map(|n| at_proxy(server.presign_part(&bucket, "a", &id, n, 60))).collect();
    let tree = Tree::with(&[("a", &noise(6 << 20))]);
    let (upload, parts) = PartUrls::new(urls, 5 << 20).unwrap().transfer(quick()).upload();
    let report = block_on(tree.backup().send_to(upload)).unwrap();
    let parts: Vec<_> = parts.get().into_iter().map(|part| (part.number, part.etag)).collect();
    server.complete_upload(&bucket, "a", &id, &parts);
    assert_eq!(server.get(&bucket, "a").len() as u64, report.size);
    let link = Archive::link(&at_proxy(server.presign_get(&bucket, "a", 60)), quick()).unwrap();
    assert_eq!(block_on(List::new().start(link)).unwrap().members().count(), 1);
}

#[test]
fn nothing_is_sent_to_a_host_outside_the_service() {
    let server = Server::shared();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    let elsewhere = serve(move |_, to| {
        count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        crate::hostile::begin(to, 200)
    });
    let elsewhere = elsewhere.replace("127.0.0.1", "localhost");
    let (_proxy, store, key) = behind(server, move |seen| {
        let location = format!("{elsewhere}{}?secret", seen.path);
        answer(307, vec![("Location", location)], error("TemporaryRedirect"))
    });
    let tree = Tree::with(&[("a", b"a")]);
    let message = |result: Result<(), Error>| result.unwrap_err().to_string();
    for text in [
        message(block_on(tree.backup().start(store.clone(), key.clone())).map(drop)),
        message(block_on(store.list()).map(drop)),
        message(block_on(store.open(&key, 10)).map(drop)),
        message(block_on(store.delete(&key))),
        message(swept(&store).map(drop)),
    ] {
        assert!(
            text.contains("does not belong to the service") && text.contains("localhost"),
            "{text}"
        );
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[test]
fn a_redirect_loop_is_an_error() {
    let server = Server::shared();
    let (proxy, store, key) = behind(server, |_| Fault::None);
    let to = proxy.address();
    proxy.set_rule(move |seen| redirect(307, to, seen));
    let error = block_on(store.head(&key)).unwrap_err();
    assert!(error.to_string().contains("too many redirects"), "{error}");
    assert!(proxy.log().len() <= 6, "{}", proxy.log().len());
}
