//! Whatever goes wrong, there is either a whole archive or none, and the error says what it was.

mod support;

use std::{
    fs,
    pin::Pin,
    process::Command,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncWrite, executor::block_on};
use support::{Tree, bytes, format, key, noise, text, wait_until};
use wingback::{ErrorKind, Fault, Limiter, LocalStore, MemoryStore, Store};

#[test]
fn a_store_that_fails_at_any_byte_or_call_never_has_an_archive() {
    let tree = Tree::with(&[("a", b"a"), ("b", &noise(3000)), ("c/d", &text(5000))]);
    let len = bytes(tree.backup()).unwrap().1.len() as u64;
    let mut faults: Vec<Fault> = (0..=len).map(Fault::WriteAt).collect();
    faults.extend((0..=len).step_by(97).map(Fault::AbortAfterWriteAt));
    faults.extend([Fault::Create, Fault::Complete]);
    for fault in faults {
        let store = MemoryStore::new();
        store.set_fault(Some(fault));
        let error = block_on(tree.backup().start(store.clone(), key())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{fault:?}: {error}");
        assert!(store.get(&key()).is_none(), "{fault:?}");
        assert_eq!(store.unfinished(), 0, "{fault:?}");
    }
}

/// Takes up to `left` bytes, a few at a time and with pauses, and then fails.
struct Reluctant {
    taken: Vec<u8>,
    left: usize,
    rng: fastrand::Rng,
}

impl AsyncWrite for Reluctant {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        if self.rng.u8(..4) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.left == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::StorageFull.into()));
        }
        let n = self.rng.usize(1..=buf.len()).min(self.left);
        self.left -= n;
        self.taken.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        panic!("it is the caller's to close");
    }
}

#[test]
fn any_writer_will_do_and_its_error_surfaces_at_any_byte() {
    let tree = Tree::with(&[("a", b"a"), ("b", &text(3000))]);
    let (_, whole) = bytes(tree.backup()).unwrap();
    let rng = || fastrand::Rng::with_seed(9);
    let mut writer = Reluctant { taken: Vec::new(), left: usize::MAX, rng: rng() };
    let report = block_on(tree.backup().write_to(&mut writer)).unwrap();
    assert_eq!(report.size, whole.len() as u64);
    assert_eq!(format::read(&writer.taken).entries.len(), 2);
    for left in (0..whole.len()).step_by(7) {
        let mut writer = Reluctant { taken: Vec::new(), left, rng: rng() };
        let error = block_on(tree.backup().write_to(&mut writer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert_eq!(writer.taken.len(), left);
    }
}

fn engine_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let name =
        |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    threads.map(name).filter(|name| name.starts_with("wingback")).count()
}

#[test]
fn cancelled_or_dropped_at_any_moment_nothing_is_left() {
    let tree = Tree::with(&[("a", &noise(2 << 20)), ("b", &text(3 << 20))]);
    let dir = tree.tmp.path().join("backups");
    let store = LocalStore::new(&dir);
    let mut rng = fastrand::Rng::with_seed(10);
    let mut cancelled = 0;
    for round in 0..100 {
        let pause = Duration::from_micros(rng.u64(..60_000));
        let key = store.key(&uuid::Uuid::from_u128(round));
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
    wait_until("the removal of all that was begun", || parts() == 0);
    // Some were done by then, or in the middle of the commit.
    for object in block_on(store.list()).unwrap() {
        format::read(&fs::read(store.path(&object.key)).unwrap());
    }
    assert!(cancelled > 0);
    wait_until("the end of the engine's threads", || engine_threads() == 0);
}

#[test]
fn a_cancel_wakes_who_waits_for_a_limit() {
    let tree = Tree::with(&[("a", &noise(1000))]);
    let task = tree.backup().read_limit(Limiter::new(1)).start(MemoryStore::new(), key());
    let handle = task.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("reading", || handle.progress().phase == wingback::Phase::Reading);
            handle.cancel();
        });
        assert_eq!(block_on(task).unwrap_err().kind(), ErrorKind::Cancelled);
    });
    assert_eq!(handle.progress().phase, wingback::Phase::Done);
}

#[test]
fn a_full_disk_is_an_error_and_nothing_is_left() {
    let tree = Tree::with(&[("a", &noise(8 << 20))]);
    let dir = tree.tmp.path().join("small");
    fs::create_dir(&dir).unwrap();
    let mount =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "none"]).arg(&dir).output();
    if !mount.unwrap().status.success() {
        println!("a full disk: NOT TESTED, mounting is not allowed here");
        return;
    }
    let result = block_on(tree.backup().start(LocalStore::new(&dir), key()));
    let left = fs::read_dir(&dir).unwrap().count();
    assert!(Command::new("umount").arg(&dir).status().unwrap().success());
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert_eq!(left, 0);
}

#[test]
fn a_disk_under_its_reserve_is_refused() {
    let tree = Tree::with(&[("a", b"x")]);
    let dir = tree.tmp.path().join("backups");
    let store = LocalStore::new(&dir).reserve(u64::MAX);
    let error = block_on(tree.backup().start(store, key())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}
