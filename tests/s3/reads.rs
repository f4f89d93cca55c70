//! Range reads whose connection breaks.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use wingback::{ErrorKind, ReadRange, Store, Verify};

use crate::{
    fault::Fault,
    faults::{at_first, quick_store, stored},
    proxy::Proxy,
    server::Server,
};

/// Each half alone would be a valid response.
#[test]
fn a_broken_range_read_never_mixes_two_objects() {
    let server = Server::shared();
    for second in [Fault::None, Fault::ForgetHeader("if-match"), Fault::Refuse] {
        // If the server was unreachable, a third request follows.
        let is_gone = matches!(second, Fault::Refuse);
        let bucket = server.bucket();
        let proxy = Proxy::to(server.address(), |_| Fault::None);
        let store = quick_store(server, &proxy.endpoint(), &bucket);
        let id = store.key(uuid::Uuid::from_u128(1));
        server.put(&bucket, id.as_str(), &vec![1; 4 << 20]);
        let (client, name) = (server.through(server.address()), id.to_string());
        proxy.set_rule(move |seen| match seen.n {
            0 => Fault::CutResponse { after: 1 << 20 },
            1 if is_gone => {
                client.delete(&bucket, &name);
                second.clone()
            }
            1 => {
                client.put(&bucket, &name, &vec![2; 4 << 20]);
                second.clone()
            }
            _ => Fault::None,
        });
        let start = Instant::now();
        let error = block_on(store.read(&id, ReadRange::Bytes(100..3 << 20))).unwrap_err();
        let kind = if is_gone { ErrorKind::NotFound } else { ErrorKind::Corrupt };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!error.is_retryable() && start.elapsed() < Duration::from_secs(3), "{error}");
    }
}

#[test]
fn a_slow_response_is_not_a_stalled_one() {
    let (proxy, archive) = stored(|_| Fault::Slow { bytes_per_second: 3 << 20 });
    let start = Instant::now();
    assert!(block_on(Verify::new().start(archive)).unwrap().is_whole());
    assert!(start.elapsed() > Duration::from_millis(1400));
    assert!(proxy.log().len() < 20, "no request is repeated");
}

#[test]
fn a_read_that_cannot_be_resumed_ends_with_the_reason() {
    let ends = |fault: Fault, about: &str| {
        let is_lasting = matches!(fault, Fault::Status(403, _));
        let (_proxy, archive) = stored(at_first(usize::MAX, |seen| seen.n > 0, fault));
        let start = Instant::now();
        let error = block_on(Verify::new().start(archive)).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(about) && !text.contains("X-Amz"), "{text}");
        assert_eq!(error.is_retryable(), !is_lasting, "{text}");
        assert!(start.elapsed() < Duration::from_secs(if is_lasting { 3 } else { 15 }));
    };
    std::thread::scope(|scope| {
        for (fault, about) in [
            (Fault::Status(503, "SlowDown"), "SlowDown"),
            (Fault::CutResponse { after: 0 }, "read"),
            (Fault::StallResponse { after: 1000 }, "no byte moved"),
            (Fault::Status(403, "AccessDenied"), "AccessDenied"),
        ] {
            scope.spawn(move || ends(fault, about));
        }
    });
}
