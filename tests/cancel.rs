//! A backup that is cancelled or dropped at any time leaves nothing. A program of its own, because it
//! counts the threads of its process.

mod support;

use std::{
    fs,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, executor::block_on, future::BoxFuture};
use support::{Tree, engine_threads, format, key, noise, text, wait_until};
use wingback::{
    Error, ErrorKind, Key, Limiter, LocalStore, MemoryStore, Object, Phase, ReadRange, Store, Task,
    Upload,
};

#[test]
fn a_backup_that_is_cancelled_or_dropped_at_any_time_leaves_nothing() {
    let tree = Tree::with(&[("a", &noise(2 << 20)), ("b", &text(3 << 20))]);
    let dir = tree.tmp.path().join("backups");
    let store = LocalStore::new(&dir).mkdir(true);
    let mut rng = fastrand::Rng::with_seed(10);
    let mut cancelled = 0;
    for round in 0..100 {
        let pause = Duration::from_micros(rng.u64(..60_000));
        let key = store.key(uuid::Uuid::from_u128(round));
        let task = tree.backup().start(store.clone(), key.clone());
        let handle = task.handle();
        if round % 2 == 0 {
            let canceller = std::thread::spawn(move || {
                std::thread::sleep(pause);
                handle.cancel();
            });
            match block_on(task) {
                Ok(report) => assert_eq!(report.files, 2),
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::Cancelled);
                    assert!(!store.path(&key).exists());
                    cancelled += 1;
                }
            }
            canceller.join().unwrap();
        } else {
            let timer = async {
                smol::Timer::after(pause).await;
            };
            smol::block_on(futures::future::select(task, Box::pin(timer)));
        }
    }
    let is_part = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().ends_with("-part");
    let parts = || fs::read_dir(&dir).unwrap().flatten().filter(is_part).count();
    wait_until("the removal of unfinished files", || parts() == 0);
    // Some had finished by then, or were in the middle of the commit.
    for object in block_on(store.list()).unwrap() {
        format::read(&fs::read(store.path(&object.key)).unwrap());
    }
    assert!(cancelled > 0);
    wait_until("the end of the engine's threads", || engine_threads() == 0);
}

/// Covers the time when the store creates the upload: a caller that cancels may exit immediately, and
/// a caller that drops the task can wait for the store.
#[test]
fn an_upload_created_during_a_cancel_is_gone_when_the_task_ends() {
    let tree = Tree::with(&[("a", b"a")]);
    let dir = tree.tmp.path().join("backups");
    fs::create_dir(&dir).unwrap();
    let store = LocalStore::new(&dir).mkdir(true);
    let left = || fs::read_dir(&dir).unwrap().flatten().map(|e| e.file_name()).collect::<Vec<_>>();
    let mut rng = fastrand::Rng::with_seed(11);
    for round in 0..600 {
        let key = store.key(uuid::Uuid::from_u128(round));
        let mut task = tree.backup().write_limit(Limiter::new(1)).start(store.clone(), key);
        let pause = Duration::from_micros(rng.u64(..400));
        let start = std::time::Instant::now();
        block_on(poll_fn(|cx| {
            assert!(task.poll_unpin(cx).is_pending());
            cx.waker().wake_by_ref();
            if start.elapsed() < pause { Poll::Pending } else { Poll::Ready(()) }
        }));
        if round % 2 == 0 {
            task.handle().cancel();
            assert_eq!(block_on(task).unwrap_err().kind(), ErrorKind::Cancelled);
        } else {
            drop(task);
            block_on(store.wait_for_cleanup());
        }
        assert_eq!(left(), [""; 0], "{round} after {pause:?}");
    }
}

/// Polls the task at most `polls` times, and then drops it.
fn poll_some<T>(mut task: Task<'_, T>, mut polls: usize) -> Option<Result<T, Error>> {
    block_on(poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        task.poll_unpin(cx).map(Some)
    }))
}

#[test]
fn a_task_dropped_after_any_number_of_polls_ends_its_upload() {
    let tree = Tree::with(&[("a", &noise(3 << 20))]);
    let store = MemoryStore::new();
    for polls in 0..1000 {
        let result = poll_some(tree.backup().start(store.clone(), key()), polls);
        assert_eq!(store.unfinished(), 0, "after {polls} polls");
        assert_eq!(store.get(&key()).is_some(), result.is_some(), "after {polls} polls");
        if let Some(result) = result {
            assert!(polls > 5);
            result.unwrap();
            return;
        }
    }
    panic!("not done after a thousand polls");
}

/// A store that stops responding at one of its calls.
struct Stuck {
    at: &'static str,
    is_stuck: AtomicBool,
}

impl Stuck {
    async fn call<T>(&self, name: &str, answer: T) -> T {
        if self.at == name {
            self.is_stuck.store(true, SeqCst);
            futures::future::pending::<()>().await;
        }
        answer
    }
}

struct StuckUpload(Arc<Stuck>);

impl Upload for StuckUpload {
    fn write(&mut self, _: Bytes) -> BoxFuture<'_, Result<(), Error>> {
        self.0.call("write", Ok(())).boxed()
    }

    fn complete<'a>(self: Box<Self>) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.0.call("complete", Ok(())).await }.boxed()
    }
}

/// For methods that a backup does not call.
fn unused<T>() -> T {
    unreachable!("a backup only creates")
}

struct StuckStore(Arc<Stuck>);

impl Store for StuckStore {
    fn create<'a>(
        &'a self,
        _: &'a Key,
        _: Option<u64>,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>, Error>> {
        let upload = Box::new(StuckUpload(self.0.clone())) as Box<dyn Upload>;
        self.0.call("create", Ok(upload)).boxed()
    }

    fn head<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Option<Object>, Error>> {
        unused()
    }

    fn read<'a>(&'a self, _: &'a Key, _: ReadRange) -> BoxFuture<'a, Result<Bytes, Error>> {
        unused()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Object>, Error>> {
        unused()
    }

    fn delete<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<(), Error>> {
        unused()
    }
}

#[test]
fn cancel_does_not_wait_for_a_store_that_does_not_answer() {
    let tree = Tree::with(&[("a", &noise(5 << 20))]);
    for at in ["create", "write"] {
        let stuck = Arc::new(Stuck { at, is_stuck: AtomicBool::new(false) });
        let task = tree.backup().start(StuckStore(stuck.clone()), key());
        let handle = task.handle();
        let result = std::thread::scope(|scope| {
            scope.spawn(|| {
                wait_until("the store that does not respond", || stuck.is_stuck.load(SeqCst));
                handle.cancel();
            });
            block_on(task)
        });
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled, "{at}");
    }
}

#[test]
fn cancel_has_no_effect_after_the_commit_has_begun() {
    let tree = Tree::with(&[("a", &noise(1000))]);
    let stuck = Arc::new(Stuck { at: "complete", is_stuck: AtomicBool::new(false) });
    let mut task = tree.backup().start(StuckStore(stuck.clone()), key());
    let handle = task.handle();
    block_on(poll_fn(|cx| match task.poll_unpin(cx) {
        Poll::Ready(result) => panic!("the task must still run: {result:?}"),
        Poll::Pending if stuck.is_stuck.load(SeqCst) => Poll::Ready(()),
        Poll::Pending => Poll::Pending,
    }));
    assert_eq!(handle.progress().phase, Phase::Committing);
    handle.cancel();
    assert!(task.now_or_never().is_none(), "the task waits for the commit");
}

#[test]
fn cancel_wakes_a_thread_that_waits_for_a_limiter() {
    let tree = Tree::with(&[("a", &noise(1000))]);
    let task = tree.backup().read_limit(Limiter::new(1)).start(MemoryStore::new(), key());
    let handle = task.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("reading", || handle.progress().phase == Phase::Reading);
            handle.cancel();
        });
        assert_eq!(block_on(task).unwrap_err().kind(), ErrorKind::Cancelled);
    });
    assert_eq!(handle.progress().phase, Phase::Done);
}
