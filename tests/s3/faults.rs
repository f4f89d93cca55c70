//! Faults of networks and services. After each there is either the object, equal to a local backup, or a
//! clear error without an object or an unfinished upload.

use std::{
    fs,
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures::executor::block_on;
use wingback::{
    Archive, Credentials, Error, ErrorKind, Extract, LocalStore, Report, S3Config, S3Store, Store,
    Transfer, Verify,
};

use crate::{
    fault::{Fault, Seen, error},
    proxy::Proxy,
    server::Server,
    store::{config, store, with},
    support::{Tree, noise, snapshot::Snapshot, wait_until},
};

/// A tree whose archive has five parts, and a local backup of it.
pub static TREE: LazyLock<(Tree, Vec<u8>)> = LazyLock::new(|| {
    let tree = Tree::with(&[("a.mca", &noise(12 << 20)), ("b", &noise(9 << 20)), ("c", b"c")]);
    let local = LocalStore::new(tree.tmp.path().join("local")).mkdir(true);
    let id = local.key(uuid::Uuid::from_u128(1));
    block_on(tree.backup().reproducible(true).start(local.clone(), id.clone())).unwrap();
    let bytes = fs::read(local.path(&id)).unwrap();
    (tree, bytes)
});

pub fn quick() -> Transfer {
    Transfer::new()
        .parallel(2)
        .stall_after(Duration::from_millis(700))
        .retry_for(Duration::from_secs(8))
}

pub fn quick_config(server: &Server, endpoint: &str, bucket: &str) -> S3Config {
    let mut config = config(server, endpoint, bucket);
    config.transfer = quick();
    config
}

pub fn quick_store(server: &Server, endpoint: &str, bucket: &str) -> S3Store {
    S3Store::new(quick_config(server, endpoint, bucket)).unwrap()
}

/// A backup through a proxy with this rule. It checks what is left on the server.
pub struct Ran {
    pub proxy: Proxy,
    pub result: Result<Report, Error>,
    pub took: Duration,
}

impl Ran {
    pub fn through(rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static) -> Ran {
        Ran::with(rule, |_| ())
    }

    fn with(
        rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static,
        change: impl FnOnce(&mut S3Config),
    ) -> Ran {
        Ran::on(Server::shared(), rule, change)
    }

    pub fn on(
        server: &Server,
        rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static,
        change: impl FnOnce(&mut S3Config),
    ) -> Ran {
        let bucket = server.bucket();
        let proxy = Proxy::to(server.address(), rule);
        let mut config = quick_config(server, &proxy.endpoint(), &bucket);
        change(&mut config);
        let store = S3Store::new(config).unwrap();
        let (tree, bytes) = &*TREE;
        let id = store.key(uuid::Uuid::from_u128(1));
        let start = Instant::now();
        let result = block_on(tree.backup().reproducible(true).start(store.clone(), id.clone()));
        let took = start.elapsed();
        assert_eq!(server.left_of(&bucket, id.as_str()), [""; 0], "{result:?}");
        match &result {
            Ok(report) => {
                assert_eq!(report.size, bytes.len() as u64);
                assert!(server.get(&bucket, id.as_str()) == *bytes);
            }
            Err(e) => {
                assert_eq!(server.objects(&bucket), [], "{e}");
                let text = format!("{e} {e:?}");
                assert!(!text.contains("X-Amz") && !text.contains(server.secret_key()), "{text}");
            }
        }
        Ran { proxy, result, took }
    }

    #[track_caller]
    pub fn succeeded(self) -> Ran {
        assert!(self.result.is_ok(), "{:?}", self.result);
        self
    }

    #[track_caller]
    pub fn failed(&self, kind: ErrorKind, about: &str) {
        let error = self.result.as_ref().expect_err("a failure");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(about), "{error} does not say {about:?}");
    }
}

/// Returns true for the first `n` calls.
fn first(n: usize) -> impl Fn() -> bool + Send + Sync {
    let calls = AtomicUsize::new(0);
    move || calls.fetch_add(1, SeqCst) < n
}

pub fn at_first(
    n: usize,
    is_it: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    fault: Fault,
) -> impl Fn(&Seen) -> Fault + Send + Sync + 'static {
    let first = first(n);
    move |seen| if is_it(seen) && first() { fault.clone() } else { Fault::None }
}

#[test]
fn temporary_failures_are_retried() {
    const SLOW_DOWN: Fault = Fault::Status(503, "SlowDown");
    const BROKEN: Fault = Fault::Status(500, "InternalError");
    let cut = || Fault::CutRequest { after: 3 << 20 };
    let completed = || Fault::Replace { status: 200, body: COMPLETED.into() };
    let disguised = || Fault::ReplaceAfter { status: 200, body: error("InternalError") };
    for ran in [
        Ran::through(at_first(4, Seen::is_part, SLOW_DOWN)),
        Ran::through(at_first(4, Seen::is_part, BROKEN)),
        Ran::through(at_first(3, Seen::is_part, Fault::Status(408, "RequestTimeout"))),
        Ran::through(at_first(3, Seen::is_part, Fault::Status(429, ""))),
        Ran::through(at_first(2, Seen::is_create, SLOW_DOWN)),
        Ran::through(at_first(3, Seen::is_complete, BROKEN)),
        Ran::through(at_first(3, Seen::is_part, cut())),
        Ran::through(at_first(4, |_| true, Fault::Refuse)),
        Ran::through(at_first(2, Seen::is_part, Fault::Stall)),
        Ran::through(at_first(1, Seen::is_create, Fault::Stall)),
        Ran::through(at_first(1, Seen::is_complete, Fault::Stall)),
        Ran::through(at_first(2, Seen::is_part, Fault::LoseResponse)),
        Ran::through(at_first(1, Seen::is_create, Fault::LoseResponse)),
        Ran::through(at_first(3, Seen::is_complete, Fault::LoseResponse)),
        Ran::through(at_first(2, Seen::is_part, Fault::StripHeader("etag"))),
        // An error with status 200, before and after the completion.
        Ran::through(at_first(
            2,
            Seen::is_complete,
            Fault::Replace { status: 200, body: error("InternalError") },
        )),
        Ran::through(at_first(1, Seen::is_complete, disguised())),
        // A success response without a completion.
        Ran::through(at_first(2, Seen::is_complete, completed())),
        // A service that does not support conditional requests.
        Ran::through(|seen| match seen.is_complete() && seen.header("if-none-match").is_some() {
            true => Fault::Status(501, "NotImplemented"),
            false => Fault::None,
        }),
    ] {
        ran.succeeded();
    }
}

pub const COMPLETED: &str =
    "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>";

#[test]
fn lasting_failures_end_with_the_error_of_the_service() {
    let ran = Ran::through(|seen| match seen.part() {
        Some(2) => Fault::Status(400, "InvalidRequest"),
        _ => Fault::None,
    });
    ran.failed(ErrorKind::Io, "InvalidRequest");
    ran.failed(ErrorKind::Io, "request id TESTREQ1");
    let attempts = ran.proxy.log().iter().filter(|seen| seen.part() == Some(2)).count();
    assert_eq!(attempts, 1, "it is not retried");

    let full = Fault::Status(507, "XMinioStorageFull");
    Ran::through(move |seen| if seen.is_part() { full.clone() } else { Fault::None })
        .failed(ErrorKind::NoSpace, "XMinioStorageFull");
    for code in ["SlowDown", "InternalError"] {
        let status = if code == "SlowDown" { 503 } else { 500 };
        let ran = Ran::through(move |seen| match seen.is_part() {
            true => Fault::Status(status, code),
            false => Fault::None,
        });
        ran.failed(ErrorKind::Io, code);
        assert!(ran.result.as_ref().is_err_and(Error::is_retryable));
        assert!((1..15).contains(&ran.took.as_secs()), "{:?}", ran.took);
    }
    Ran::through(|seen| if seen.is_part() { Fault::Stall } else { Fault::None })
        .failed(ErrorKind::Io, "no byte moved for");
    Ran::through(|seen| if seen.is_part() { Fault::StripHeader("etag") } else { Fault::None })
        .failed(ErrorKind::Io, "no ETag");
    Ran::through(|seen| match seen.is_complete() {
        true => Fault::Replace { status: 200, body: COMPLETED.into() },
        false => Fault::None,
    })
    .failed(ErrorKind::Io, "does not exist");
    Ran::through(|seen| match seen.is_complete() {
        true => Fault::Status(400, "InvalidPart"),
        false => Fault::None,
    })
    .failed(ErrorKind::Io, "InvalidPart");
}

#[test]
fn denied_access_is_not_retried() {
    let server = Server::shared();
    let keys = |secret: &str| Credentials::new(server.access_key(), secret);
    let (tree, _) = &*TREE;
    let fails = |bucket: &str, keys: Credentials, kind: ErrorKind, about: &str| {
        let config = quick_config(server, &server.endpoint(), bucket);
        let store = with(config, |config| config.credentials = Some(keys));
        let id = store.key(uuid::Uuid::from_u128(1));
        let start = Instant::now();
        let made = block_on(tree.backup().start(store.clone(), id.clone())).map(drop);
        assert!(start.elapsed() < Duration::from_secs(6));
        // Also with status 404 no archive counts as absent before S3 says so.
        for result in [made, block_on(store.head(&id)).map(drop), block_on(store.delete(&id))] {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(about), "{error} does not say {about:?}");
        }
    };
    let bucket = server.bucket();
    let denied = ErrorKind::PermissionDenied;
    fails(&bucket, keys("wrong"), denied, "SignatureDoesNotMatch");
    fails(&bucket, Credentials::new("who", "x"), denied, server.unknown_key_code());
    fails("no-such-bucket", keys(server.secret_key()), ErrorKind::NotFound, "NoSuchBucket");
    let uploads = server.listed_uploads(&bucket, "");
    assert_eq!((server.objects(&bucket), uploads), (vec![], vec![]));
}

#[test]
fn an_unreachable_service_fails_soon() {
    let server = Server::shared();
    let store = store(server, "http://127.0.0.1:9", "bucket");
    let start = Instant::now();
    let error = block_on(store.list()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(12), "{error}");
    assert!(error.is_retryable() && error.to_string().contains("refused"), "{error}");
}

#[test]
fn a_slow_connection_is_not_a_stalled_one() {
    let ran = Ran::through(|seen| match seen.part() {
        Some(_) => Fault::Slow { bytes_per_second: 1500 << 10 },
        None => Fault::None,
    });
    assert!(ran.succeeded().took > Duration::from_secs(6));
}

#[test]
fn each_attempt_is_signed_again_and_parts_in_flight_are_limited() {
    let ran = Ran::with(at_first(1, |seen| seen.part() == Some(1), Fault::Stall), |config| {
        config.transfer = quick().parallel(3);
    })
    .succeeded();
    let log = ran.proxy.log();
    let dates: Vec<_> = (log.iter().filter(|seen| seen.part() == Some(1)))
        .map(|seen| seen.header("x-amz-date").unwrap())
        .collect();
    assert!(dates.len() == 2 && dates[0] != dates[1], "{dates:?}");
    assert!((2..=3).contains(&ran.proxy.most_at_once()), "{}", ran.proxy.most_at_once());
}

#[test]
fn an_existing_object_is_kept_and_one_of_two_writers_wins() {
    let (tree, bytes) = &*TREE;
    let server = Server::new();
    let bucket = server.bucket();
    let new = || store(&server, &server.endpoint(), &bucket);
    let id = new().key(uuid::Uuid::from_u128(1));
    let backup = || tree.backup().reproducible(true).start(new(), id.clone());
    let results = std::thread::scope(|scope| {
        let writers = [(), ()].map(|()| scope.spawn(|| block_on(backup())));
        writers.map(|writer| writer.join().unwrap())
    });
    let lost: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(lost.len() == 1 && lost[0].kind() == ErrorKind::AlreadyExists, "{results:?}");
    let again = block_on(tree.backup().start(new(), id.clone())).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    assert!(server.get(&bucket, id.as_str()) == *bytes);
    assert_eq!(server.unfinished(&bucket), []);
}

#[test]
fn a_returning_server_is_waited_for_and_a_lost_one_leaves_an_upload_to_sweep() {
    let (tree, bytes) = &*TREE;
    let mut server = Server::new();
    let bucket = server.bucket();
    let config = config(&server, &server.endpoint(), &bucket);
    let id = |n: u128| config.names.key(uuid::Uuid::from_u128(n));
    let back_up = |n: u128, server: &mut Server, comes_back: bool| {
        let mut backup = tree.backup().reproducible(true);
        backup = backup.read_limit(wingback::Limiter::new(8 << 20));
        let retry_for = if comes_back { 30 } else { 4 };
        let proxy = Proxy::to(server.address(), |_| Fault::None);
        let store = with(config.clone(), |config| {
            config.transfer = quick().retry_for(Duration::from_secs(retry_for));
            if comes_back {
                config.endpoint = Some(proxy.endpoint());
            }
        });
        let task = backup.start(store, id(n));
        let handle = task.handle();
        std::thread::scope(|scope| {
            let running = scope.spawn(|| block_on(task));
            wait_until("the first part is sent", || handle.progress().uploaded > 5 << 20);
            server.kill();
            if comes_back {
                let before = proxy.log().len();
                wait_until("requests without a server", || proxy.log().len() > before + 2);
                server.restart();
            }
            running.join().unwrap()
        })
    };
    back_up(1, &mut server, true).unwrap();
    assert!(server.get(&bucket, id(1).as_str()) == *bytes);
    assert_eq!(server.unfinished_of(&bucket, id(1).as_str()), [""; 0]);

    let error = back_up(2, &mut server, false).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    server.restart();
    assert_eq!(server.head(&bucket, id(2).as_str()), None);
    assert_eq!(server.unfinished_of(&bucket, id(2).as_str()).len(), 1);
}

/// The archive on a server, behind a proxy.
pub fn stored(rule: impl Fn(&Seen) -> Fault + Send + Sync + 'static) -> (Proxy, Archive<'static>) {
    let server = Server::shared();
    let bucket = server.bucket();
    let proxy = Proxy::to(server.address(), rule);
    let store = quick_store(server, &proxy.endpoint(), &bucket);
    let id = store.key(uuid::Uuid::from_u128(1));
    server.put(&bucket, id.as_str(), &TREE.1);
    (proxy, Archive::in_store(store, id))
}

#[test]
fn a_broken_read_is_resumed() {
    for (fault, times) in [
        (Fault::CutResponse { after: 1 << 20 }, 8),
        (Fault::StallResponse { after: 1 << 20 }, 2),
        (Fault::Status(503, "SlowDown"), 6),
        (Fault::Refuse, 4),
    ] {
        let (proxy, archive) = stored(at_first(times, |seen| seen.n > 0, fault.clone()));
        let target = Tree::new();
        block_on(Extract::new(&target.root).start(archive)).unwrap();
        Snapshot::of(&target.root).assert_is(&Snapshot::of(&TREE.0.root), format!("{fault:?}"));
        let log = proxy.log();
        if let Fault::CutResponse { after } = fault {
            let goes_on =
                log.iter().filter_map(|seen| seen.range.as_deref()?.strip_prefix("bytes="));
            let starts: Vec<u64> =
                goes_on.filter_map(|range| range.split_once('-')?.0.parse().ok()).collect();
            assert!(starts.iter().any(|start| starts.contains(&(start + after as u64))));
        }
    }
}

#[test]
fn an_object_that_changes_while_it_is_read_is_an_error() {
    let server = Server::shared();
    let bucket = server.bucket();
    let proxy = Proxy::to(server.address(), |_| Fault::None);
    let store = quick_store(server, &proxy.endpoint(), &bucket);
    let id = store.key(uuid::Uuid::from_u128(1));
    server.put(&bucket, id.as_str(), &TREE.1);
    let (other, name) = (bucket.clone(), id.to_string());
    proxy.set_rule(move |seen| {
        if seen.n == 2 {
            let mut bytes = TREE.1.clone();
            bytes.iter_mut().skip(1 << 20).step_by(1 << 20).for_each(|byte| *byte ^= 1);
            Server::shared().put(&other, &name, &bytes);
        }
        Fault::None
    });
    let verified = block_on(Verify::new().start(Archive::in_store(store, id))).unwrap();
    assert!(!verified.is_whole(), "{}", proxy.log().len());
}
