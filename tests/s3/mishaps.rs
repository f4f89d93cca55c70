//! Several faults in sequence, each followed by the checks of [`Ran`].

use std::{collections::VecDeque, ffi::OsString, sync::Mutex, time::Duration};

use futures::executor::block_on;
use wingback::{ErrorKind, Limiter};

use crate::{
    fault::{Fault, Seen, error},
    faults::{Ran, TREE, at_first, quick},
    server::Server,
    store::{config, with},
    support::{left_out, swept, wait_until},
};

/// Injects these faults into consecutive requests of a kind, and then none.
fn in_turn(
    is_it: impl Fn(&Seen) -> bool + Send + Sync + 'static,
    faults: &[Fault],
) -> impl Fn(&Seen) -> Fault + Send + Sync + 'static {
    let left = Mutex::new(VecDeque::from(faults.to_vec()));
    move |seen| match is_it(seen) {
        true => left.lock().unwrap().pop_front().unwrap_or(Fault::None),
        false => Fault::None,
    }
}

fn is_list_of_uploads(seen: &Seen) -> bool {
    seen.method == "GET" && seen.query("uploads").is_some()
}

/// Uses the second rule if the first one has no fault.
fn both(
    one: impl Fn(&Seen) -> Fault + Send + Sync + 'static,
    other: impl Fn(&Seen) -> Fault + Send + Sync + 'static,
) -> impl Fn(&Seen) -> Fault + Send + Sync + 'static {
    move |seen| match one(seen) {
        Fault::None => other(seen),
        fault => fault,
    }
}

const SLOW_DOWN: Fault = Fault::Status(503, "SlowDown");

/// The server has created an upload, and the response with its ID is lost.
#[test]
fn an_upload_whose_creation_response_is_lost_is_aborted() {
    let html = || Fault::ReplaceAfter { status: 200, body: "<html>hello</html>".into() };
    let disguised = || Fault::ReplaceAfter { status: 200, body: error("InternalError") };
    let server = Server::shared();
    for lost in [
        Fault::LoseResponse,
        Fault::CutResponse { after: 60 },
        Fault::StallResponse { after: 60 },
        Fault::ReplaceAfter { status: 502, body: String::new() },
        html(),
        disguised(),
    ] {
        let shown = format!("{lost:?}");
        let ran = Ran::on(server, at_first(1, Seen::is_create, lost), |_| ());
        assert!(ran.result.is_ok(), "{shown}: {:?}", ran.result);
    }
    // Listing uploads, which would find it, fails for a while as well.
    let list = [SLOW_DOWN, Fault::Refuse];
    let lost = [Fault::LoseResponse, SLOW_DOWN, Fault::LoseResponse];
    let rule = both(in_turn(Seen::is_create, &lost), in_turn(is_list_of_uploads, &list));
    Ran::on(server, rule, |_| ()).succeeded();
    // No creation succeeds.
    let rule = |seen: &Seen| match seen.is_create() {
        true => Fault::LoseResponse,
        false => Fault::None,
    };
    let hurried = quick().retry_for(Duration::from_secs(2));
    let ran = Ran::on(server, rule, |config| config.transfer = hurried);
    assert!(ran.result.is_err_and(|e| e.is_retryable()));
}

#[test]
fn an_upload_created_after_its_request_timed_out_is_aborted() {
    let server = Server::shared();
    let late = [Duration::from_millis(900), Duration::from_millis(500)];
    let late = Mutex::new(late.into_iter());
    let rule = move |seen: &Seen| {
        if seen.is_create() {
            // Simulates a slow service: it creates the upload after the engine's request has timed out.
            let pause = late.lock().unwrap().next();
            std::thread::sleep(pause.unwrap_or_default());
        }
        Fault::None
    };
    Ran::on(server, rule, |_| ()).succeeded();
}

#[test]
fn a_completion_is_judged_by_the_object_in_the_bucket() {
    let conflict = || Fault::Status(409, "ConditionalRequestConflict");
    let server = Server::shared();
    for answers in [
        vec![Fault::CutResponse { after: 20 }],
        vec![Fault::StallResponse { after: 20 }],
        vec![conflict(), conflict()],
        vec![SLOW_DOWN, Fault::LoseResponse, Fault::LoseResponse, SLOW_DOWN],
        vec![Fault::ReplaceAfter { status: 412, body: error("PreconditionFailed") }],
        vec![Fault::ReplaceAfter { status: 404, body: error("NoSuchUpload") }],
        vec![Fault::Replace { status: 200, body: "<html>hello</html>".into() }],
    ] {
        let rule = in_turn(Seen::is_complete, &answers);
        let ran = Ran::on(server, rule, |_| ());
        assert!(ran.result.is_ok(), "{answers:?}: {:?}", ran.result);
    }
    let always = |fault: Fault| {
        let rule = move |seen: &Seen| match seen.is_complete() {
            true => fault.clone(),
            false => Fault::None,
        };
        let hurried = quick().retry_for(Duration::from_secs(2));
        Ran::on(server, rule, |config| config.transfer = hurried)
    };
    always(Fault::LoseResponse).succeeded();
    always(Fault::ReplaceAfter { status: 500, body: error("InternalError") }).succeeded();
    always(Fault::Replace { status: 200, body: error("InternalError") })
        .failed(ErrorKind::Io, "InternalError");
    always(SLOW_DOWN).failed(ErrorKind::Io, "SlowDown");
    always(Fault::Refuse).failed(ErrorKind::Io, "complete the upload");
}

#[test]
fn a_denied_request_is_not_retried_and_its_upload_is_aborted_with_retries() {
    let denied = || Fault::Status(403, "AccessDenied");
    let is_second = |seen: &Seen| seen.part() == Some(2);
    let server = Server::shared();
    let abort = [SLOW_DOWN, Fault::Refuse, Fault::LoseResponse, SLOW_DOWN];
    for is_it in [is_second, Seen::is_create, Seen::is_complete] {
        let rule = both(at_first(9, is_it, denied()), in_turn(Seen::is_abort, &abort));
        let ran = Ran::on(server, rule, |_| ());
        ran.failed(ErrorKind::PermissionDenied, "AccessDenied");
        ran.failed(ErrorKind::PermissionDenied, "TESTREQ1");
        ran.failed(ErrorKind::PermissionDenied, "The test says so.");
        let times = ran.proxy.log().iter().filter(|seen| is_it(seen)).count();
        assert_eq!(times, 1, "{:?}", ran.result);
    }
}

/// The credentials may write but not read.
#[test]
fn a_completion_is_trusted_without_permission_for_head() {
    let server = Server::shared();
    let rule = |seen: &Seen| match &*seen.method {
        "HEAD" => Fault::Status(403, "AccessDenied"),
        _ => Fault::None,
    };
    Ran::on(server, rule, |_| ()).succeeded();
}

/// Random faults in random order.
#[test]
fn random_faults_leave_a_whole_archive_or_nothing() {
    let weather = |seed: u64, server: &Server| {
        let rng = Mutex::new(fastrand::Rng::with_seed(seed));
        let rule = move |seen: &Seen| {
            let mut rng = rng.lock().unwrap();
            let after = rng.usize(..if seen.is_part() { 5 << 20 } else { 300 });
            let refused = |status, code| Fault::Status(status, code);
            match rng.u8(..30) {
                0 => Fault::Refuse,
                1 => Fault::CutRequest { after },
                2 => Fault::CutResponse { after },
                3 => Fault::LoseResponse,
                4 => Fault::StallResponse { after },
                5 => SLOW_DOWN,
                6 => refused(500, "InternalError"),
                7 => Fault::ReplaceAfter { status: 500, body: error("InternalError") },
                8 => Fault::ReplaceAfter { status: 200, body: error("InternalError") },
                // The timeout of such a part would take seconds.
                9 if !seen.is_part() => Fault::Stall,
                10 if seen.is_part() => refused(400, "InvalidRequest"),
                _ => Fault::None,
            }
        };
        Ran::on(server, rule, |_| ()).result.is_ok()
    };
    let ran: Vec<_> = (0..8).map(|seed| weather(seed, Server::shared())).collect();
    let done = ran.iter().filter(|done| **done).count();
    assert!((1..8).contains(&done), "{done} of {} are done", ran.len());
}

/// Its uploads are on its disk and listed after its restart.
#[test]
fn an_upload_kept_by_a_dead_server_is_swept_once_it_is_old() {
    let mut server = Server::new();
    if server.is_minio() {
        left_out("a sweep after MinIO was killed: it lists no upload from before");
        return;
    }
    let bucket = server.bucket();
    let hurried = quick().retry_for(Duration::from_secs(2));
    let mut config = config(&server, &server.endpoint(), &bucket);
    config.transfer = hurried;
    let store = with(config.clone(), |_| ());
    let id = store.key(uuid::Uuid::from_u128(1));
    let backup = TREE.0.backup().read_limit(Limiter::new(8 << 20));
    let task = backup.start(store.clone(), id.clone());
    let handle = task.handle();
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| block_on(task));
        wait_until("the first part is sent", || handle.progress().uploaded > 5 << 20);
        server.kill();
        running.join().unwrap().unwrap_err()
    });
    assert!(error.is_retryable(), "{error}");
    server.restart();
    assert_eq!(server.unfinished_of(&bucket, id.as_str()).len(), 1);
    assert_eq!(swept(&store).unwrap(), [""; 0], "it may still be running");
    assert_eq!(server.unfinished(&bucket).len(), 1);
    let old = with(config, |config| config.dead_after = Duration::ZERO);
    let swept = swept(&old).unwrap();
    assert_eq!(swept, [OsString::from(format!("s3://{bucket}/{id}"))]);
    assert_eq!(server.unfinished(&bucket), []);
    assert_eq!(server.objects(&bucket), []);
}
