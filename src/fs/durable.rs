//! Makes trees and new directories durable.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags},
    io::Errno,
    path::Arg,
};

use crate::fs::{
    open_flags::{DIRECTORY, FILE},
    stat::FileId,
    sys,
};

/// The first Linux whose `syncfs` returns the errors of write-back.
const SYNCFS_REPORTS_SINCE: (u32, u32) = (5, 8);

/// File systems whose `syncfs` reports no errors: it does not reach a FUSE server, and overlayfs does not
/// return the errors of the file system below it (`FUSE_SUPER_MAGIC`, `OVERLAYFS_SUPER_MAGIC`).
const SYNCFS_REPORTS_NOTHING: [u64; 2] = [0x6573_5546, 0x794c_7630];

/// Makes `dir` and everything beneath it durable. Returns an error if a file could not be written
/// back.
///
/// If `syncfs` returns the errors of write-back, one `syncfs` is enough. If not, every file and directory
/// of the tree is synced by itself after it. This writes little more, and returns the errors.
///
/// `dir` must have been opened before the tree was written, since `syncfs` returns only errors that
/// are newer than the descriptor.
pub(crate) fn sync_tree(dir: impl AsFd) -> Result<(), Errno> {
    match sync_file_system(&dir)? {
        true => Ok(()),
        false => sync_each(dir.as_fd()),
    }
}

/// Writes back the whole file system. Returns true if all of it is known to be durable. If not, the caller
/// must sync files and directories one by one.
pub(crate) fn sync_file_system(dir: impl AsFd) -> Result<bool, Errno> {
    match rustix::fs::syncfs(&dir) {
        Ok(()) => Ok(syncfs_reports(dir.as_fd())),
        Err(e) if sys::may_be_missing(e) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes an open file or directory durable, so that its content survives a power cut. Blocks until then.
///
/// If the file system cannot sync it alone, the whole file system is synced.
///
/// # Errors
///
/// The error of the system call, such as one of a disk that cannot write.
pub fn sync(fd: impl AsFd) -> io::Result<()> {
    Ok(sys::sync(fd)?)
}

/// Makes the directory `path` and its missing parents with the permissions `mode`, and blocks until they are
/// durable. Succeeds if the directory exists.
///
/// The parent of each new directory is synced, so that a power cut cannot remove the directory together with
/// files that were synced in it.
///
/// # Errors
///
/// The error of the system call, such as [`AlreadyExists`](io::ErrorKind::AlreadyExists) if a part of the path
/// is not a directory.
pub fn make_dirs(path: impl AsRef<Path>, mode: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode);
    let mut missing: Vec<&Path> = Vec::new();
    let mut next = Some(path.as_ref()).filter(|path| !path.as_os_str().is_empty());
    while let Some(dir) = next {
        match make_dir(dir, mode) {
            Ok(()) => break,
            Err(Errno::NOENT) => {
                missing.push(dir);
                next = dir.parent().filter(|path| !path.as_os_str().is_empty());
                if next.is_none() {
                    break;
                }
            }
            Err(e) => return Err(e.into()),
        }
    }
    for dir in missing.into_iter().rev() {
        make_dir(dir, mode)?;
    }
    Ok(())
}

/// Makes one directory and syncs its parent. Succeeds if the directory exists.
fn make_dir(dir: &Path, mode: Mode) -> Result<(), Errno> {
    match rustix::fs::mkdir(dir, mode) {
        Ok(()) => sync_parent(dir),
        Err(_) if dir.is_dir() => Ok(()),
        Err(e) => Err(e),
    }
}

fn sync_parent(dir: &Path) -> Result<(), Errno> {
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    match rustix::fs::open(&parent, DIRECTORY - OFlags::NOFOLLOW, Mode::empty()) {
        Ok(parent) => fsync(&parent),
        // This process may write to the parent and not read it, so it cannot open the parent to sync it.
        Err(Errno::ACCESS) => {
            let made = rustix::fs::open(dir, DIRECTORY, Mode::empty())?;
            rustix::fs::syncfs(&made)
        }
        Err(e) => Err(e),
    }
}

fn syncfs_reports(dir: BorrowedFd<'_>) -> bool {
    let release = rustix::system::uname();
    let Ok(file_system) = rustix::fs::fstatfs(dir) else {
        return false;
    };
    kernel_reports(&release.release().to_string_lossy())
        && !SYNCFS_REPORTS_NOTHING.contains(&(file_system.f_type as u64 & 0xffff_ffff))
}

/// Returns whether `syncfs` reports errors on a kernel of this release. A release that cannot be parsed is
/// taken for an old one.
fn kernel_reports(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= SYNCFS_REPORTS_SINCE,
        _ => false,
    }
}

/// Syncs every file and directory of the tree. No link is followed and no mount is entered. Only one
/// directory is open at a time, so that trees of any depth can be synced.
fn sync_each(root: BorrowedFd<'_>) -> Result<(), Errno> {
    let device = rustix::fs::fstat(root)?.st_dev;
    let mut waiting: Vec<Vec<Vec<u8>>> = vec![Vec::new()];
    while let Some(path) = waiting.pop() {
        let Some(dir) = open_dir(root, &path)? else {
            continue;
        };
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let stat = match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // This process may not search the directory. Only `syncfs` has written back the entry.
                Err(Errno::NOENT | Errno::ACCESS) => continue,
                Err(e) => return Err(e),
            };
            match FileType::from_raw_mode(stat.st_mode) {
                // On overlayfs, only a directory is sure to have the device number of its parent.
                FileType::Directory if stat.st_dev != device => {}
                FileType::Directory => {
                    waiting.push(path.iter().cloned().chain([name.to_vec()]).collect());
                }
                FileType::RegularFile => {
                    if let Some(file) = open(&dir, name, FILE, FileType::RegularFile)? {
                        fsync(&file)?;
                    }
                }
                // A link, a pipe or a device has no content: the sync of its directory is enough.
                _ => {}
            }
        }
        fsync(&dir)?;
    }
    Ok(())
}

/// Opens a directory beneath `root`. Returns `None` if it was removed.
fn open_dir(root: BorrowedFd<'_>, path: &[Vec<u8>]) -> Result<Option<OwnedFd>, Errno> {
    let mut dir = rustix::fs::openat(root, c".", DIRECTORY, Mode::empty())?;
    for name in path {
        match open(&dir, &**name, DIRECTORY, FileType::Directory)? {
            Some(next) => dir = next,
            None => return Ok(None),
        }
    }
    Ok(Some(dir))
}

/// Opens the entry of a name. Returns `None` if it was removed, or replaced by another file type.
fn open<P: Arg + Copy>(
    dir: &OwnedFd,
    name: P,
    flags: OFlags,
    file_type: FileType,
) -> Result<Option<OwnedFd>, Errno> {
    let of_type = |file: OwnedFd| {
        let stat = rustix::fs::fstat(&file)?;
        Ok((FileType::from_raw_mode(stat.st_mode) == file_type).then_some(file))
    };
    match rustix::fs::openat(dir, name, flags | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => of_type(file),
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => Ok(None),
        Err(Errno::ACCESS) => {
            let path = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(dir, name, path, Mode::empty()).map(of_type) {
                Ok(Ok(Some(file))) => open_without_access(&file, flags).map(Some),
                Ok(other) => other,
                Err(Errno::NOENT | Errno::ACCESS) => Ok(None),
                Err(e) => Err(e),
            }
        }
        Err(e) => Err(e),
    }
}

/// Opens a file or directory of this process's user whose mode denies access to the owner. The mode is
/// changed for a moment. This is done through the descriptor, so that no other file is changed.
fn open_without_access(file: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    let before = rustix::fs::fstat(file)?;
    let mode = Mode::from_raw_mode(before.st_mode);
    sys::chmod_path(file, mode | Mode::RUSR | Mode::XUSR)?;
    let opened = rustix::fs::open(sys::path_of(file), flags - OFlags::NOFOLLOW, Mode::empty());
    sys::chmod_path(file, mode)?;
    let opened = opened?;
    match FileId::of(&rustix::fs::fstat(&opened)?) == FileId::of(&before) {
        true => Ok(opened),
        false => Err(Errno::IO),
    }
}

fn fsync(fd: &OwnedFd) -> Result<(), Errno> {
    #[cfg(test)]
    record::synced(fd);
    sys::sync(fd)
}

/// Records the files and directories that this thread has synced, for tests.
#[cfg(test)]
pub(crate) mod record {
    use std::{cell::RefCell, collections::BTreeSet, os::fd::OwnedFd};

    thread_local! {
        static SYNCED: RefCell<BTreeSet<u64>> = const { RefCell::new(BTreeSet::new()) };
    }

    pub(super) fn synced(fd: &OwnedFd) {
        let inode = rustix::fs::fstat(fd).expect("it is open").st_ino;
        SYNCED.with_borrow_mut(|synced| synced.insert(inode));
    }

    /// Returns the inode numbers since the last call.
    pub(crate) fn take() -> BTreeSet<u64> {
        SYNCED.take()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs::{self, File, Permissions},
        os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    };

    use super::*;

    fn inodes(root: &Path, paths: &[&str]) -> BTreeSet<u64> {
        paths.iter().map(|path| fs::metadata(root.join(path)).expect("there").ino()).collect()
    }

    #[test]
    fn every_file_and_directory_is_synced_where_syncfs_reports_no_error() {
        let root = tempfile::tempdir().expect("made");
        let outside = tempfile::tempdir().expect("made");
        fs::create_dir_all(root.path().join("world/region")).expect("made");
        for file in ["world/level.dat", "world/region/r.0.0.mca", "closed"] {
            fs::write(root.path().join(file), "x").expect("written");
        }
        fs::write(outside.path().join("other"), "x").expect("written");
        symlink(outside.path(), root.path().join("link")).expect("made");
        rustix::fs::mkfifoat(rustix::fs::CWD, root.path().join("pipe"), Mode::RWXU).expect("made");
        fs::set_permissions(root.path().join("closed"), Permissions::from_mode(0o000))
            .expect("set");
        record::take();
        sync_each(File::open(root.path()).expect("open").as_fd()).expect("synced");
        let all =
            ["", "world", "world/region", "world/level.dat", "world/region/r.0.0.mca", "closed"];
        assert_eq!(record::take(), inodes(root.path(), &all));
        let mode = fs::metadata(root.path().join("closed")).expect("there").mode();
        assert_eq!(mode & 0o777, 0);
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_synced() {
        let root = tempfile::tempdir().expect("made");
        let name = "d".repeat(200);
        let mut at: OwnedFd = File::open(root.path()).expect("open").into();
        for _ in 0..30 {
            rustix::fs::mkdirat(&at, &*name, Mode::RWXU).expect("made");
            at = rustix::fs::openat(&at, &*name, DIRECTORY, Mode::empty()).expect("open");
        }
        let deepest = rustix::fs::fstat(&at).expect("open").st_ino;
        record::take();
        sync_each(File::open(root.path()).expect("open").as_fd()).expect("synced");
        let synced = record::take();
        assert!(synced.len() == 31 && synced.contains(&deepest));
    }

    #[test]
    fn the_kernel_release_decides_whether_syncfs_reports_errors() {
        for new in ["5.8.0", "5.10.0-28-amd64", "6.1", "6.18.44-x"] {
            assert!(kernel_reports(new), "{new}");
        }
        for old in ["5.7.19", "5.4.0-150-generic", "4.19.0", "3.10.0-1160.el7.x86_64", "", "x"] {
            assert!(!kernel_reports(old), "{old}");
        }
    }

    #[test]
    fn a_tree_is_synced_here() {
        let root = tempfile::tempdir().expect("made");
        sync_tree(File::open(root.path()).expect("open")).expect("synced");
    }

    #[test]
    fn the_parent_of_each_new_directory_is_synced() {
        let root = tempfile::tempdir().expect("made");
        let dir = root.path().join("a/b/c");
        record::take();
        make_dirs(&dir, 0o700).expect("made");
        assert_eq!(record::take(), inodes(root.path(), &["", "a", "a/b"]));
        assert_eq!(fs::metadata(&dir).expect("there").mode() & 0o777, 0o700);
        make_dirs(&dir, 0o700).expect("there");
        make_dirs(dir.join("d"), 0o700).expect("made");
        assert_eq!(record::take(), inodes(root.path(), &["a/b/c"]));
        make_dirs(Path::new(""), 0o700).expect("the directory itself");
        fs::write(root.path().join("file"), "x").expect("written");
        for refused in ["file", "file/x"] {
            make_dirs(root.path().join(refused), 0o700).expect_err(refused);
        }
    }
}
