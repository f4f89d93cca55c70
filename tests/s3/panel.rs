//! Part URLs and presigned links, as a panel issues them.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use futures::executor::block_on;
use wingback::{
    Archive, ErrorKind, Extract, List, LocalStore, NoIndex, PartUrls, ReadMethod, Transfer,
    UploadedPart, Verify,
};

use crate::{
    client::{Client, fetch},
    fault::{Fault, Seen},
    proxy::Proxy,
    server::Server,
    store::tree,
    support::{Tree, snapshot::Snapshot, wait_until},
};

const PART: u64 = 5 << 20;

/// A panel that begins an upload and issues URLs for `count` parts.
struct Panel<'a> {
    client: &'a Client,
    bucket: String,
    id: String,
    urls: Vec<String>,
}

impl<'a> Panel<'a> {
    fn new(client: &'a Client, count: u32, expires_seconds: u64) -> Self {
        let bucket = client.bucket();
        let id = client.create_upload(&bucket, "a");
        let sign = |n| client.presign_part(&bucket, "a", &id, n, expires_seconds);
        let urls = (1..=count).map(sign).collect();
        Panel { client, bucket, id, urls }
    }

    fn urls(&self) -> PartUrls {
        PartUrls::new(&self.urls, PART).unwrap().transfer(quick())
    }

    /// Completes the upload with these parts, and returns the object.
    fn complete(&self, parts: &[UploadedPart]) -> Vec<u8> {
        let parts: Vec<_> = parts.iter().map(|part| (part.number, part.etag.clone())).collect();
        self.client.complete_upload(&self.bucket, "a", &self.id, &parts);
        self.client.get(&self.bucket, "a")
    }
}

fn quick() -> Transfer {
    Transfer::new().retry_for(Duration::from_secs(6)).stall_after(Duration::from_secs(2))
}

/// Waits until a URL that the service accepts at first has expired.
fn wait_until_refused(method: &str, url: &str) {
    let status = || fetch(method, url, &[], b"").unwrap().status;
    wait_until("the expiry of the URL", || status() == 403);
}

/// The path and the bytes of a local backup of the tree.
fn local(tree: &Tree) -> (PathBuf, Vec<u8>) {
    let store = LocalStore::new(tree.tmp.path().join("local")).mkdir(true);
    let key = store.key(uuid::Uuid::from_u128(1));
    block_on(tree.backup().reproducible(true).start(store.clone(), key.clone())).unwrap();
    let bytes = fs::read(store.path(&key)).unwrap();
    (store.path(&key), bytes)
}

#[test]
fn a_backup_streams_through_part_urls() {
    let (server, tree) = (Server::shared(), tree());
    let estimate = block_on(tree.backup().estimate()).unwrap();
    let count = estimate.archive_max.div_ceil(PART) as u32;
    let panel = Panel::new(server, count, 600);
    // In a directory without space for staging.
    let (upload, parts) = panel.urls().staging("/proc").upload();
    let task = tree.backup().reproducible(true).send_to(upload);
    let handle = task.handle();
    let report = block_on(task).unwrap();
    assert_eq!(handle.progress().uploaded, report.size);
    let parts = parts.get();
    assert!(parts.len() == report.size.div_ceil(PART) as usize && parts.len() <= count as usize);
    assert!(panel.complete(&parts) == local(&tree).1);
}

#[test]
fn an_archive_on_disk_is_uploaded_in_concurrent_parts() {
    let (server, tree) = (Server::shared(), tree());
    let (path, bytes) = local(&tree);
    let proxy = Proxy::to(server.address(), |seen| match (seen.part(), seen.n) {
        (Some(_), n) if n % 5 == 2 => Fault::Status(503, "SlowDown"),
        (Some(_), n) if n % 7 == 3 => Fault::CutRequest { after: 1 << 20 },
        (Some(1), _) => Fault::Slow { bytes_per_second: 4 << 20 },
        _ => Fault::None,
    });
    let client = server.through(proxy.address());
    let panel = Panel::new(&client, 20, 600);
    let task = panel.urls().upload_file(&path);
    let handle = task.handle();
    let parts = block_on(task).unwrap();
    assert_eq!(handle.progress().uploaded, bytes.len() as u64);
    assert!((2..=4).contains(&proxy.most_at_once()), "{}", proxy.most_at_once());
    assert!(panel.complete(&parts) == bytes);
}

#[test]
fn an_upload_of_a_file_is_cancelled_at_once() {
    let (server, tree) = (Server::shared(), tree());
    let (path, _) = local(&tree);
    let proxy = Proxy::to(server.address(), |_| Fault::Slow { bytes_per_second: 100 << 10 });
    let client = server.through(proxy.address());
    let panel = Panel::new(&client, 20, 600);
    let task = panel.urls().upload_file(&path);
    let handle = task.handle();
    std::thread::scope(|scope| {
        let canceller = scope.spawn(|| {
            wait_until("a part in flight", || proxy.log().iter().any(Seen::is_part));
            handle.cancel();
            Instant::now()
        });
        let error = block_on(task).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(canceller.join().unwrap().elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn errors_of_part_urls_do_not_show_their_signature() {
    let (server, tree) = (Server::shared(), tree());
    let (path, _) = local(&tree);
    let fails = |urls: PartUrls, kind: ErrorKind| {
        let (upload, parts) = urls.clone().upload();
        let streamed = block_on(tree.backup().send_to(upload)).unwrap_err();
        assert_eq!(parts.get(), []);
        let sent = block_on(urls.upload_file(&path)).unwrap_err();
        for error in [streamed, sent] {
            assert_eq!(error.kind(), kind, "{error}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("X-Amz") && !text.contains('?'), "{text}");
        }
    };
    let few = Panel::new(server, 3, 600);
    fails(few.urls(), ErrorKind::NoSpace);
    let late = Panel::new(server, 20, 1);
    wait_until_refused("PUT", &late.urls[19]);
    fails(late.urls(), ErrorKind::UrlExpired);
    let gone = Panel::new(server, 20, 600);
    server.abort_upload(&gone.bucket, "a", &gone.id);
    fails(gone.urls(), ErrorKind::NotFound);
    let mut forged = Panel::new(server, 20, 600);
    forged.urls.iter_mut().for_each(|url| *url = url.replace("partNumber=", "partNumber=1"));
    fails(forged.urls(), ErrorKind::PermissionDenied);
    for (urls, size) in [(vec!["ftp://x/y"], 5), (vec![], 5), (vec!["http://x/y"], 0)] {
        let error = PartUrls::new(&urls, size).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{urls:?}");
    }
}

#[test]
fn parts_too_large_for_memory_are_staged_on_disk() {
    let (server, tree) = (Server::shared(), tree());
    let panel = Panel::new(server, 1, 600);
    let huge = || PartUrls::new(&panel.urls, 5 << 30).unwrap();
    let (upload, _) = huge().staging("/proc").upload();
    let error = block_on(tree.backup().send_to(upload)).unwrap_err();
    assert!(error.to_string().contains("temporary file in /proc"), "{error}");
    let staging = tempfile::tempdir().unwrap();
    let (upload, parts) = huge().staging(staging.path()).upload();
    block_on(tree.backup().reproducible(true).send_to(upload)).unwrap();
    assert_eq!(fs::read_dir(staging.path()).unwrap().count(), 0);
    assert!(panel.complete(&parts.get()) == local(&tree).1);
}

/// A server with one object behind a proxy, and a link to it through the proxy.
fn linked(
    bytes: &[u8],
    rule: impl Fn(&crate::fault::Seen) -> Fault + Send + Sync + 'static,
) -> (Proxy, String) {
    let server = Server::shared();
    let bucket = server.bucket();
    server.put(&bucket, "a", bytes);
    let proxy = Proxy::to(server.address(), rule);
    let url = server.through(proxy.address()).presign_get(&bucket, "a", 600);
    (proxy, url)
}

#[test]
fn a_link_gives_a_list_in_one_request_and_one_file_in_another() {
    let tree = tree();
    let (proxy, url) = linked(&local(&tree).1, |_| Fault::None);
    let archive = || Archive::link(&url, quick()).unwrap();
    let listing = block_on(List::new().start(archive())).unwrap();
    assert_eq!((listing.read_method(), listing.members().count()), (ReadMethod::Indexed, 6));
    assert_eq!(proxy.log().len(), 1);
    let mut file = Vec::new();
    block_on(archive().copy_file("logs/latest.log", &mut file)).unwrap();
    assert!(file == fs::read(tree.root.join("logs/latest.log")).unwrap());
    assert_eq!(proxy.log().len(), 3);
}

#[test]
fn a_link_to_a_private_address_is_read_only_as_an_exception() {
    let (proxy, url) = linked(&local(&tree()).1, |_| Fault::None);
    // A host in a URL for which the signature of the service does not matter here.
    let named = url.replace("127.0.0.1", "localhost");
    let listed = |url: &str, except: &[&str]| {
        let archive = Archive::link(url, quick().public_only(except.iter().copied()))?;
        block_on(List::new().start(archive)).map(drop)
    };
    let began = Instant::now();
    for (url, except) in [(&url, "localhost"), (&named, "127.0.0.2"), (&named, "10.0.0.0/8")] {
        let error = listed(url, &[except]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("not a public address"), "{error}");
    }
    // It is not retried.
    assert!(began.elapsed() < Duration::from_secs(2) && proxy.log().is_empty());
    listed(&url, &["10.0.0.0/8", "127.0.0.0/8"]).unwrap();
    for allowed in [&["localhost"][..], &["127.0.0.1", "::1"]] {
        let answer = listed(&named, allowed).map_err(|e| e.to_string());
        assert!(!answer.is_err_and(|e| e.contains("not a public address")));
    }
    assert!(proxy.log().len() >= 3);
    let error = listed(&url, &["127.0.0.0/33"]).unwrap_err();
    assert!(error.to_string().contains("option public_only: \"127.0.0.0/33\""), "{error}");
}

#[test]
fn a_whole_read_of_a_link_is_one_stream_that_is_resumed() {
    let tree = tree();
    // Interrupted several times, each time a little later.
    let (proxy, url) = linked(&local(&tree).1, |seen| match seen.n {
        n @ 1..=4 => Fault::CutResponse { after: (7 << 20) + n * 1_000_003 },
        5 => Fault::StallResponse { after: 1 << 20 },
        _ => Fault::None,
    });
    let target = Tree::new();
    let archive = Archive::link(&url, quick()).unwrap();
    let done = block_on(Extract::new(&target.root).start(archive)).unwrap();
    assert_eq!(done.read_method, ReadMethod::Indexed);
    Snapshot::of(&target.root).assert_is(&Snapshot::of(&tree.root), "extracted");
    // The tail, and one stream that was interrupted five times.
    assert_eq!(proxy.log().len(), 7);
}

#[test]
fn a_link_whose_object_changes_during_a_read_is_an_error() {
    let tree = tree();
    let (proxy, url) = linked(&local(&tree).1, |_| Fault::None);
    let bucket = url.split('/').nth(3).unwrap().to_owned();
    proxy.set_rule(move |seen| match seen.n {
        1 => Fault::CutResponse { after: 5 << 20 },
        2 => {
            Server::shared().put(&bucket, "a", b"another");
            Fault::None
        }
        _ => Fault::None,
    });
    let error = block_on(Verify::new().start(Archive::link(&url, quick()).unwrap())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("changed while it was read"), "{error}");
}

#[test]
fn a_link_without_ranges_is_read_as_a_stream() {
    let tree = tree();
    let (_, bytes) = local(&tree);
    let served = {
        let bytes = bytes.clone();
        crate::plain::serve(move |_| bytes.clone())
    };
    let verified = block_on(Verify::new().start(Archive::link(&served.url, quick()).unwrap()));
    let verified = verified.unwrap();
    assert!(verified.is_whole());
    assert_eq!(verified.read_method, ReadMethod::Sequential(NoIndex::Stream));
}

#[test]
fn an_expired_or_redirected_link_has_its_own_error() {
    let server = Server::shared();
    let bucket = server.bucket();
    server.put(&bucket, "a", b"x");
    let url = server.presign_get(&bucket, "a", 1);
    wait_until_refused("GET", &url);
    let list =
        |url: &str| block_on(List::new().start(Archive::link(url, quick()).unwrap())).unwrap_err();
    let error = list(&url);
    assert_eq!(error.kind(), ErrorKind::UrlExpired, "{error}");
    assert!(!error.to_string().contains("X-Amz"), "{error}");
    let tree = tree();
    server.put(&bucket, "b", &local(&tree).1);
    let elsewhere = crate::plain::redirect(&server.presign_get(&bucket, "b", 600)).url;
    let followed = Archive::link(&elsewhere, quick()).unwrap();
    assert_eq!(block_on(List::new().start(followed)).unwrap().members().count(), 6);
    let error = list(&elsewhere.replace("127.0.0.1", "localhost"));
    assert!(error.to_string().contains("another host without TLS"), "{error}");
    assert!(!error.to_string().contains("X-Amz"), "{error}");
    assert_eq!(list(&server.presign_get(&bucket, "c", 60)).kind(), ErrorKind::NotFound);
    assert_eq!(Archive::link("file:///x", quick()).unwrap_err().kind(), ErrorKind::InvalidInput);
}
