//! After any failure there is either a whole archive or none, and the error names the cause.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    pin::Pin,
    process::Command,
    task::{Context, Poll},
};

use futures::{AsyncWrite, executor::block_on};
use support::{Tree, bytes, format, key, left_out, noise, text, unmount, wait_until};
use wingback::{
    Error, ErrorKind, Limiter, LocalStore, MemoryStore, Report,
    testing::{Fault, FaultyStore},
};

#[test]
fn a_store_that_fails_at_any_byte_or_call_has_no_archive() {
    let tree = Tree::with(&[("a", b"a"), ("b", &noise(300)), ("c/d", &text(900))]);
    let len = bytes(tree.backup()).unwrap().1.len() as u64;
    let mut faults: Vec<Fault> = (0..=len).map(Fault::WriteAt).collect();
    faults.extend((0..=len).step_by(97).map(Fault::AbortAfterWriteAt));
    faults.extend([Fault::Create, Fault::Complete]);
    for fault in faults {
        let store = MemoryStore::new();
        let faulty = FaultyStore::new(store.clone(), fault);
        let error = block_on(tree.backup().start(faulty, key())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{fault:?}: {error}");
        assert!(store.get(&key()).is_none(), "{fault:?}");
        assert_eq!(store.unfinished(), 0, "{fault:?}");
    }
}

/// Accepts up to `left` bytes, a few at a time and with pauses, and then fails.
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
        panic!("only the caller closes the writer");
    }
}

#[test]
fn a_backup_returns_an_error_of_its_writer_at_any_byte() {
    let tree = Tree::with(&[("a", b"a"), ("b", &text(900))]);
    let (_, whole) = bytes(tree.backup()).unwrap();
    let rng = || fastrand::Rng::with_seed(9);
    let mut writer = Reluctant { taken: Vec::new(), left: usize::MAX, rng: rng() };
    let report = block_on(tree.backup().write_to(&mut writer)).unwrap();
    assert_eq!(report.size, whole.len() as u64);
    assert_eq!(format::read(&writer.taken).entries.len(), 2);
    for left in 0..whole.len() {
        let mut writer = Reluctant { taken: Vec::new(), left, rng: rng() };
        let error = block_on(tree.backup().write_to(&mut writer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace);
        assert_eq!(writer.taken.len(), left);
    }
}

#[test]
fn a_backup_directory_removed_during_a_backup_is_an_error() {
    let tree = Tree::with(&[("a", &noise(100_000))]);
    let dir = tree.tmp.path().join("backups");
    let limit = Limiter::new(10_000);
    let store = LocalStore::new(&dir).mkdir(true);
    let task = tree.backup().write_limit(limit.clone()).start(store.clone(), key());
    let handle = task.handle();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("writing", || handle.progress().written > 0);
            fs::remove_dir_all(&dir).unwrap();
            limit.set_rate(0);
        });
        block_on(task)
    });
    assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!dir.exists());
}

fn open_files_in(dir: &Path) -> Vec<PathBuf> {
    let dir = dir.canonicalize().unwrap();
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    open.flat_map(|fd| fs::read_link(fd.path())).filter(|path| path.starts_with(&dir)).collect()
}

/// Backs up 24 MiB into a new file system of `mib` MiB. Returns the result and the number of files
/// left, or `None` without the right to mount.
fn into_small_disk(
    mib: u64,
    store: impl FnOnce(LocalStore) -> LocalStore,
) -> Option<(Result<Report, Error>, usize)> {
    let tree = Tree::with(&[("a", &noise(24 << 20))]);
    let dir = tree.tmp.path().join("small");
    fs::create_dir(&dir).unwrap();
    let size = format!("size={mib}m");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&dir).output();
    if !mount.unwrap().status.success() {
        left_out("a full disk: no permission to mount");
        return None;
    }
    let result = block_on(tree.backup().start(store(LocalStore::new(&dir).mkdir(true)), key()));
    assert!(open_files_in(&dir).is_empty(), "a finished task keeps no file open");
    let left = fs::read_dir(&dir).unwrap().count();
    unmount(&dir);
    Some((result, left))
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let Some((result, left)) = into_small_disk(4, |store| store) else { return };
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert_eq!(left, 0);
}

#[test]
fn a_disk_that_falls_below_its_reserve_during_a_backup_is_freed() {
    // Enough space at the start, and enough for the whole archive without the reserve.
    let Some((result, left)) = into_small_disk(40, |store| store.reserve(28 << 20)) else { return };
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    assert!(error.to_string().contains("must stay free"), "{error}");
    assert_eq!(left, 0);
    let (result, left) = into_small_disk(40, |store| store.reserve(8 << 20)).unwrap();
    assert_eq!((result.unwrap().files, left), (1, 1));
}

#[test]
fn a_disk_below_its_reserve_is_rejected() {
    let tree = Tree::with(&[("a", b"x")]);
    let dir = tree.tmp.path().join("backups");
    let store = LocalStore::new(&dir).mkdir(true).reserve(u64::MAX);
    let error = block_on(tree.backup().start(store, key())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}
