//! The transaction under faults, kills, forged records and tenants that interfere.

mod exchange;
mod records;
mod tenant;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt, fs::PermissionsExt, fs::symlink},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use rustix::io::Errno;

use super::{
    faults::{self, Fault},
    journal::{DirChange, Journal, Step},
    record::Stored,
    removals::Fates,
    remove::remove_contents,
    target::Target,
    *,
};
use crate::{
    error::{ErrorKind, Result},
    fs::{
        beneath::{Beneath, os},
        walk::StagingId,
    },
};

/// A tree for comparisons: mode, time and content of each path except the root.
type Snapshot = BTreeMap<Vec<u8>, (u32, i64, Vec<u8>)>;

fn snapshot(root: &Path) -> Snapshot {
    fn walk(dir: &Path, root: &Path, found: &mut Snapshot) {
        for entry in fs::read_dir(dir).expect("listed") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("beneath").as_os_str().as_bytes().to_vec();
            if name.starts_with(staging::PREFIX.as_bytes()) {
                continue;
            }
            let meta = fs::symlink_metadata(&path).expect("metadata");
            let content = if meta.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else if meta.is_file() {
                fs::read(&path).expect("a file")
            } else {
                b"/".to_vec()
            };
            let mtime = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            let mtime = if meta.is_symlink() { 0 } else { mtime };
            found.insert(name, (meta.mode() & 0o7777, mtime, content));
            if meta.is_dir() {
                walk(&path, root, found);
            }
        }
    }
    let mut found = Snapshot::new();
    walk(root, root, &mut found);
    found
}

/// Makes a tree. `path/` is a directory, and `path -> target` is a link. Times are set, deepest first.
fn build(root: &Path, tag: &str, paths: &[&str]) {
    for path in paths {
        if let Some((path, target)) = path.split_once(" -> ") {
            symlink(target, root.join(path)).expect("made");
        } else if let Some(dir) = path.strip_suffix('/') {
            fs::create_dir_all(root.join(dir)).expect("made");
        } else {
            fs::create_dir_all(root.join(path).parent().expect("a parent")).expect("made");
            fs::write(root.join(path), format!("{tag} {path}")).expect("written");
        }
    }
    let seed = if tag == "old" { 1_000_000_000 } else { 1_500_000_000 };
    let mut all: Vec<_> = snapshot(root).into_iter().collect();
    all.reverse();
    for (i, (path, (_, _, content))) in all.into_iter().enumerate() {
        let path = root.join(os(&path));
        if fs::symlink_metadata(&path).expect("there").is_symlink() {
            continue;
        }
        let mode = if content == b"/" { 0o750 } else { 0o640 };
        let time = UNIX_EPOCH + Duration::new(seed + i as u64, 123_456_789);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set");
        fs::File::open(&path).expect("open").set_modified(time).expect("set");
    }
}

fn temporary() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let target = dir.path().join("target");
    fs::create_dir(&target).expect("made");
    (dir, target)
}

/// Returns a state directory next to the target.
fn state(target: &Path) -> StateDir {
    StateDir::new(Some(&target.parent().expect("a parent").join("state")))
}

fn records(target: &Path) -> PathBuf {
    target.parent().expect("a parent").join("state/restores")
}

/// Returns the directory of the only record.
fn record_dir(target: &Path) -> PathBuf {
    let mut found = fs::read_dir(records(target)).expect("listed");
    found.next().expect("a record").expect("read").path()
}

fn prepare(target: &Path) -> Result<Replacement> {
    Replacement::prepare(target, &state(target), None)
}

fn recover(target: &Path) -> Result<Option<Recovered>> {
    super::recover(target, &state(target))
}

fn staging_dirs(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("read"));
    let is_staging =
        |e: &fs::DirEntry| e.file_name().as_bytes().starts_with(staging::PREFIX.as_bytes());
    names.filter(is_staging).map(|entry| entry.path()).collect()
}

fn staging_dir(target: &Path) -> PathBuf {
    staging_dirs(target).pop().expect("a staging directory")
}

#[track_caller]
fn assert_nothing_left(target: &Path) {
    assert_eq!(staging_dirs(target), [] as [PathBuf; 0]);
    let left: Vec<_> = fs::read_dir(records(target)).into_iter().flatten().collect();
    assert!(left.is_empty(), "records are left: {left:?}");
}
