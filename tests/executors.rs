//! Backups work with every executor.

mod support;

use std::{future::Future, process::Command};

use futures::{StreamExt, executor::block_on};
use support::{Tree, format, key, noise, wait_until};
use wingback::{ErrorKind, Limiter, LocalStore, MemoryStore, Phase, Store};

async fn suite() {
    let tree = Tree::with(&[("a", &noise(3 << 20)), ("b/c", b"c")]);

    let store = LocalStore::new(tree.tmp.path().join("backups")).mkdir(true);
    let task = tree.backup().start(store.clone(), key());
    let updates = task.handle().updates().collect::<Vec<_>>();
    let (report, updates) = futures::future::join(task, updates).await;
    let report = report.unwrap();
    assert!(updates.is_sorted_by_key(|p| (p.phase, p.files, p.bytes, p.written)));
    assert_eq!(updates.last().unwrap().phase, Phase::Done);
    assert_eq!(updates.last().unwrap().written, report.size);
    let size = store.head(&key()).await.unwrap().unwrap().size;
    let bytes = store.read(&key(), wingback::ReadRange::Last(size)).await.unwrap();
    assert_eq!(format::read(&bytes).entries.len(), 3);

    let mut plain = futures::io::Cursor::new(Vec::new());
    let plain_report = tree.backup().write_to(&mut plain).await.unwrap();
    assert_eq!(plain_report.size, plain.get_ref().len() as u64);

    let store = MemoryStore::new();
    let task = tree.backup().read_limit(Limiter::new(1000)).start(store.clone(), key());
    let handle = task.handle();
    let cancel = async {
        handle
            .updates()
            .skip_while(|p| futures::future::ready(p.phase < Phase::Reading))
            .next()
            .await;
        handle.cancel();
    };
    let (result, ()) = futures::future::join(task, cancel).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(store.unfinished(), 0);

    let estimate = tree.backup().estimate().await.unwrap();
    assert_eq!((estimate.files, estimate.directories), (2, 1));
    assert!(estimate.archive_max >= report.size);
}

/// Some executors move futures between threads.
fn assert_send<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn without_an_executor_a_thread_waits() {
    let tree = Tree::with(&[("a", &noise(100_000))]);
    let store = MemoryStore::new();
    let report = tree.backup().start(store.clone(), key()).wait().unwrap();
    assert_eq!(store.get(&key()).unwrap().len() as u64, report.size);

    let task = tree.backup().read_limit(Limiter::new(1000)).write_to(futures::io::sink());
    let handle = task.handle();
    let waiting = std::thread::spawn(move || task.wait());
    wait_until("reading", || handle.progress().phase == Phase::Reading);
    assert!(!waiting.is_finished(), "it waits for the limit");
    handle.cancel();
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn everything_works_with_the_executor_of_futures() {
    block_on(suite());
}

#[test]
fn everything_works_with_smol() {
    smol::block_on(smol::spawn(assert_send(suite())));
}

#[test]
fn everything_works_with_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async { tokio::spawn(assert_send(suite())).await.unwrap() });
}

#[test]
fn everything_works_with_one_thread_for_blocking_work() {
    let me = std::env::current_exe().unwrap();
    let mut run = Command::new(me);
    run.args([
        "everything_works_with_the_executor_of_futures",
        "everything_works_with_smol",
        "everything_works_with_tokio",
        "--exact",
    ])
    .env("BLOCKING_MAX_THREADS", "1");
    let output = run.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
