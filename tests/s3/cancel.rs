//! A backup that is cancelled or dropped at any time, with any executor, leaves only whole archives in S3.

use std::{future::Future, time::Duration};

use futures::executor::block_on;
use wingback::{Archive, Error, ErrorKind, Limiter, Report, S3Store, Store, Task, Verify};

use crate::{
    server::Server,
    store::store,
    support::{Tree, noise},
};

/// Runs the task, and cancels or drops it after `pause`.
async fn interrupt(
    mut task: Task<'_, Report>,
    is_cancel: bool,
    pause: impl Future<Output = ()>,
) -> Option<Result<Report, Error>> {
    let handle = task.handle();
    match futures::future::select(&mut task, std::pin::pin!(pause)).await {
        futures::future::Either::Left((result, _)) => Some(result),
        futures::future::Either::Right(_) if is_cancel => {
            handle.cancel();
            Some(task.await)
        }
        futures::future::Either::Right(_) => None,
    }
}

#[test]
fn a_backup_interrupted_at_random_times_leaves_nothing() {
    let server = Server::new();
    let bucket = server.bucket();
    let store = store(&server, &server.endpoint(), &bucket);
    let tree = Tree::with(&[("a.mca", &noise(8 << 20)), ("b", &noise(9 << 20))]);
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let mut rng = fastrand::Rng::with_seed(12);
    let (mut cancelled, mut done) = (0, 0);
    for round in 0..102u128 {
        // Half of them early, when the upload is created.
        let most = if round % 4 < 2 { 40_000 } else { 700_000 };
        let pause = Duration::from_micros(rng.u64(..most));
        let id = store.key(uuid::Uuid::from_u128(round));
        let slow = Limiter::new(48 << 20);
        let backup = tree.backup().read_limit(slow).start(store.clone(), id.clone());
        let is_cancel = round % 2 == 0;
        let result = match round % 3 {
            0 => smol::block_on(interrupt(backup, is_cancel, async {
                smol::Timer::after(pause).await;
            })),
            1 => tokio.block_on(interrupt(backup, is_cancel, tokio_sleep(pause))),
            _ => block_on(interrupt(backup, is_cancel, async {
                smol::unblock(move || std::thread::sleep(pause)).await;
            })),
        };
        match result {
            Some(Ok(report)) => {
                assert_eq!(block_on(store.head(&id)).unwrap().unwrap().size, report.size);
                done += 1;
            }
            Some(Err(e)) => {
                assert_eq!(e.kind(), ErrorKind::Cancelled, "{e}");
                // Without further waiting.
                assert_eq!(block_on(store.head(&id)).unwrap(), None);
                assert_eq!(server.listed_uploads(&bucket, id.as_str()), [], "{round} {pause:?}");
                cancelled += 1;
            }
            None => block_on(store.wait_for_cleanup()),
        }
    }
    assert_eq!(server.unfinished(&bucket), []);
    assert!(cancelled > 10, "{cancelled} cancelled, {done} done");
    all_are_whole(&store);
}

async fn tokio_sleep(pause: Duration) {
    tokio::time::sleep(pause).await;
}

fn all_are_whole(store: &S3Store) {
    for object in block_on(store.list()).unwrap() {
        let archive = Archive::in_store(store.clone(), object.key);
        assert!(block_on(Verify::new().start(archive)).unwrap().is_whole());
    }
}

/// The network thread ends with its store, also after an interrupted backup.
#[test]
fn a_dropped_store_cleans_up_first() {
    let server = Server::new();
    let bucket = server.bucket();
    let tree = Tree::with(&[("b", &noise(9 << 20))]);
    for round in 0..10u64 {
        let store = store(&server, &server.endpoint(), &bucket);
        let id = store.key(uuid::Uuid::from_u128(round.into()));
        let backup = tree.backup().read_limit(Limiter::new(8 << 20)).start(store, id);
        let pause = Duration::from_millis(5 + 15 * round);
        let result = smol::block_on(interrupt(backup, false, async {
            smol::Timer::after(pause).await;
        }));
        assert!(result.is_none(), "{result:?}");
    }
    crate::support::wait_until("the end of all uploads", || server.unfinished(&bucket).is_empty());
    assert_eq!(server.objects(&bucket), []);
}
