//! Shared by the tests.
#![allow(dead_code, reason = "each test uses a part of it")]

pub mod corpora;
pub mod dir;
pub mod forge;
pub mod format;
pub mod hostile;
pub mod left_out;
pub mod limited;
mod noise;
pub mod random;
pub mod snapshot;
mod wait;

use std::{
    ffi::OsString,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
    time::SystemTime,
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{TryStreamExt, executor::block_on};
pub(crate) use left_out::left_out;
pub use wait::wait_until;
use wingback::{Archive, Backup, Error, Key, MemoryStore, Report, Restore, Restored, Store};

/// A source directory in a temporary directory.
pub struct Tree {
    pub tmp: tempfile::TempDir,
    pub root: PathBuf,
}

impl Tree {
    pub fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path().join("source");
        fs::create_dir(&root).unwrap();
        Tree { tmp, root }
    }

    pub fn with(files: &[(&str, &[u8])]) -> Self {
        let tree = Tree::new();
        files.iter().for_each(|(path, content)| tree.file(path, content));
        tree
    }

    pub fn file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.root.join(path)).unwrap();
    }

    /// Returns a backup of the tree. All backups of a process have one time, so that equal trees give equal
    /// bytes.
    pub fn backup(&self) -> Backup {
        static NOW: LazyLock<SystemTime> = LazyLock::new(SystemTime::now);
        Backup::new(&self.root).threads(2).now(*NOW)
    }
}

/// A restore with the state directory that all tests share.
pub fn restore(dir: &Path) -> Restore {
    Restore::new(dir).state_dir(state_dir())
}

/// Restores an archive, with options that `change` sets.
pub fn restore_bytes(
    bytes: &[u8],
    dir: &Path,
    change: impl FnOnce(Restore) -> Restore,
) -> Result<Restored, Error> {
    block_on(change(restore(dir)).start(in_memory(bytes)))
}

pub fn state_dir() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    std::env::temp_dir().join(format!("wingback-tests-{user}"))
}

impl Drop for Tree {
    /// Directories that are not writable could not be removed.
    fn drop(&mut self) {
        if !is_root() {
            let _ = Command::new("chmod").args(["-R", "u+rwx"]).arg(self.tmp.path()).status();
        }
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// The number of engine threads in this process.
pub fn engine_threads() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let name =
        |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    threads.map(name).filter(|name| name.starts_with("wingback")).count()
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn key() -> Key {
    Key::new("a.tar.gz").unwrap()
}

/// Runs a backup into memory, and reads the archive with the independent reader.
pub fn archive(backup: Backup) -> (Report, format::Archive) {
    let (report, bytes) = bytes(backup).unwrap();
    assert_eq!(report.size, bytes.len() as u64);
    let archive = format::read(&bytes);
    assert_eq!(report.segments, archive.segments as u64);
    (report, archive)
}

pub fn bytes(backup: Backup) -> Result<(Report, Vec<u8>), Error> {
    let store = MemoryStore::new();
    let report = block_on(backup.start(store.clone(), key()))?;
    assert_eq!(store.unfinished(), 0);
    Ok((report, store.get(&key()).unwrap().to_vec()))
}

/// Runs a backup into memory. Returns the archive.
pub fn archive_bytes(backup: Backup) -> Vec<u8> {
    bytes(backup).unwrap().1
}

/// An archive in a store that supports only range reads.
pub fn in_memory(bytes: &[u8]) -> Archive<'static> {
    let store = MemoryStore::new();
    store.put(key(), Bytes::copy_from_slice(bytes));
    Archive::in_store(store, key())
}

/// Returns what a sweep of a store removes.
pub fn swept(store: &dyn Store) -> Result<Vec<OsString>, Error> {
    block_on(store.sweep().try_collect())
}

/// Incompressible bytes.
pub fn noise(len: usize) -> Vec<u8> {
    noise::noise(len as u64, len)
}

/// Text like that of server logs.
pub fn text(len: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(len as u64);
    let mut text = Vec::new();
    while text.len() < len {
        let line =
            format!("[12:00:{:02}] player{} joined at {}\n", rng.u8(..60), rng.u8(..), rng.u32(..));
        text.extend_from_slice(line.as_bytes());
    }
    text.truncate(len);
    text
}

/// Waits until the engine of this process has opened the file, and so knows its size. A read limit must
/// keep the engine waiting at that file.
pub fn wait_until_open(path: &Path) {
    let path = path.canonicalize().unwrap();
    let is_it = |fd: fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|open| open == path);
    let is_open = || fs::read_dir("/proc/self/fd").unwrap().flatten().any(is_it);
    // Between the open and the check of the size the engine's thread runs. In the limiter it sleeps.
    wait_until("opening the file", || is_open() && engine_sleeps());
}

/// Whether each engine thread in this process is waiting.
fn engine_sleeps() -> bool {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let stats = threads.map(|thread| fs::read_to_string(thread.path().join("stat")));
    // The number, the name in parentheses, the state.
    let mut ours = stats.flatten().filter(|stat| stat.contains("(wingback"));
    ours.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S')))
}

/// Unmounts lazily: a child that another test is starting may briefly hold open files of this process,
/// which would make the file system busy.
pub fn unmount(dir: &Path) {
    let status = Command::new("umount").arg("-l").arg(dir).status();
    assert!(status.unwrap().success());
}
