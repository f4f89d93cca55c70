//! System calls that need a fallback, and the rule that decides when it is used.
//!
//! A kernel, the filter of a container or a file system may not support a call, or one of its flags. The
//! error for that ([`may_be_missing`]) can also be an error about the file. So the fallback is tried for
//! it. If the error was about the file, the fallback returns it as well. docs/file-systems.md lists the
//! calls.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::{
    fs::{AtFlags, Mode, RenameFlags},
    io::Errno,
    path::Arg,
};

/// Changes the mode of a file or directory that was opened with `O_PATH`. This is the only way to open one
/// whose mode denies access to its owner, and `fchmod` does not accept such a descriptor. No link is
/// followed.
pub(crate) fn chmod_path(fd: impl AsFd, mode: Mode) -> Result<(), Errno> {
    rustix::fs::chmod(path_of(fd), mode)
}

/// Returns a path that leads to the open file, even if the file was renamed.
pub(crate) fn path_of(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Renames, and fails with `EEXIST` if the new name exists.
///
/// If `RENAME_NOREPLACE` is not supported (NFS, ZFS before 2.2, most FUSE file systems), a file gets its new
/// name by `link`, which does not replace either. A directory, and a file on a file system without hard
/// links, is renamed as by [`rename_free`].
pub(crate) fn rename_new<P: Arg + Copy, Q: Arg + Copy>(
    from_dir: impl AsFd,
    from: P,
    to_dir: impl AsFd,
    to: Q,
) -> Result<(), Errno> {
    let (from_dir, to_dir) = (from_dir.as_fd(), to_dir.as_fd());
    match calls::rename_noreplace(from_dir, from, to_dir, to) {
        Err(e) if may_be_missing(e) => {}
        result => return result,
    }
    match calls::link(from_dir, from, to_dir, to) {
        Ok(()) => {
            let _ = rustix::fs::unlinkat(from_dir, from, AtFlags::empty());
            Ok(())
        }
        // EPERM is also the error for a directory.
        Err(e) if lacks_links(e) => check_and_rename(from_dir, from, to_dir, to),
        result => result,
    }
}

/// Renames in one step to a name that no other process is expected to take. Fails with `EEXIST` if the
/// name exists.
///
/// If `RENAME_NOREPLACE` is not supported, the function checks that the name is free and then renames. If
/// another program takes the name in between, a file replaces a file or a link, and a directory replaces
/// an empty directory. Nothing else is replaced.
///
/// Unlike after [`rename_new`], a power cut never leaves the file with both names.
pub(crate) fn rename_free<P: Arg + Copy, Q: Arg + Copy>(
    from_dir: impl AsFd,
    from: P,
    to_dir: impl AsFd,
    to: Q,
) -> Result<(), Errno> {
    let (from_dir, to_dir) = (from_dir.as_fd(), to_dir.as_fd());
    match calls::rename_noreplace(from_dir, from, to_dir, to) {
        Err(e) if may_be_missing(e) => check_and_rename(from_dir, from, to_dir, to),
        result => result,
    }
}

/// Makes a file or directory durable. If the file system cannot sync it alone, the whole file system is
/// synced.
pub(crate) fn sync(fd: impl AsFd) -> Result<(), Errno> {
    match rustix::fs::fsync(&fd) {
        Err(e) if may_be_missing(e) => rustix::fs::syncfs(&fd).map_err(|_| e),
        result => result,
    }
}

/// The reason why nothing is written if [`free_space`] is unknown and a reserve of free space was asked for.
pub(crate) const UNKNOWN_SPACE: &str =
    "the file system does not report its free space, and a reserve of it was asked for";

/// Returns the bytes that this process may still write to the file system. Returns `None` if the file
/// system does not report it.
pub(crate) fn free_space(fd: impl AsFd) -> Result<Option<u64>, Errno> {
    match rustix::fs::fstatvfs(fd) {
        Ok(stat) => Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize))),
        Err(e) if may_be_missing(e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Returns whether the error may mean that the call, or one of its flags, is not supported.
pub(crate) fn may_be_missing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::NOTSUP | Errno::XDEV | Errno::ACCESS
    )
}

/// Returns whether the error of `link` may mean that the file cannot get another name.
pub(crate) fn lacks_links(errno: Errno) -> bool {
    may_be_missing(errno) || errno == Errno::MLINK
}

fn check_and_rename<P: Arg + Copy, Q: Arg + Copy>(
    from_dir: BorrowedFd<'_>,
    from: P,
    to_dir: BorrowedFd<'_>,
    to: Q,
) -> Result<(), Errno> {
    match rustix::fs::statat(to_dir, to, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => return Err(Errno::EXIST),
        Err(Errno::NOENT) => {}
        Err(e) => return Err(e),
    }
    match calls::rename(from_dir, from, to_dir, to) {
        // Another process has made it after the check.
        Err(Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR) => Err(Errno::EXIST),
        result => result,
    }
}

/// Calls that a file system may not support. Tests make them fail.
mod calls {
    use super::*;

    pub(super) fn rename_noreplace<P: Arg + Copy, Q: Arg>(
        from_dir: BorrowedFd<'_>,
        from: P,
        to_dir: BorrowedFd<'_>,
        to: Q,
    ) -> Result<(), Errno> {
        #[cfg(test)]
        denied::check(0)?;
        #[cfg(test)]
        denied::check_layer(from_dir, from)?;
        rustix::fs::renameat_with(from_dir, from, to_dir, to, RenameFlags::NOREPLACE)
    }

    pub(super) fn rename<P: Arg + Copy, Q: Arg>(
        from_dir: BorrowedFd<'_>,
        from: P,
        to_dir: BorrowedFd<'_>,
        to: Q,
    ) -> Result<(), Errno> {
        #[cfg(test)]
        denied::check_layer(from_dir, from)?;
        rustix::fs::renameat(from_dir, from, to_dir, to)
    }

    pub(super) fn link<P: Arg, Q: Arg>(
        from_dir: BorrowedFd<'_>,
        from: P,
        to_dir: BorrowedFd<'_>,
        to: Q,
    ) -> Result<(), Errno> {
        #[cfg(test)]
        denied::check(1)?;
        rustix::fs::linkat(from_dir, from, to_dir, to, AtFlags::empty())
    }
}

/// Makes calls fail on this thread, as on a file system that does not support them.
#[cfg(test)]
pub(crate) mod denied {
    use std::{
        cell::{Cell, RefCell},
        os::fd::{BorrowedFd, OwnedFd},
    };

    use rustix::{fs::AtFlags, io::Errno, path::Arg};

    use crate::fs::stat::FileId;

    thread_local! {
        static LOWER: RefCell<Vec<OwnedFd>> = RefCell::default();
        static DENIED: Cell<[Option<Errno>; 2]> = const { Cell::new([None; 2]) };
    }

    pub(super) fn check(call: usize) -> Result<(), Errno> {
        DENIED.get()[call].map_or(Ok(()), Err)
    }

    pub(super) fn check_layer(dir: BorrowedFd<'_>, name: impl Arg) -> Result<(), Errno> {
        let id = FileId::of(&rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?);
        let is_it = |lower: &OwnedFd| rustix::fs::fstat(lower).is_ok_and(|s| FileId::of(&s) == id);
        match LOWER.with_borrow(|lower| lower.iter().any(is_it)) {
            true => Err(Errno::XDEV),
            false => Ok(()),
        }
    }

    /// Makes renames of these directories fail, as for directories of a lower layer. They are held open, so
    /// that no new directory gets the inode of a removed one.
    pub(crate) fn lower_layer(dirs: Vec<OwnedFd>) {
        LOWER.set(dirs);
    }

    /// Makes `RENAME_NOREPLACE` and `link` return these errors.
    pub(crate) fn answer(noreplace: Option<Errno>, link: Option<Errno>) {
        DENIED.set([noreplace, link]);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        os::fd::OwnedFd,
    };

    use super::*;

    type Rename = fn(&OwnedFd, &str, &OwnedFd, &str) -> Result<(), Errno>;

    /// Runs `check` with both functions, for every combination of unsupported calls.
    fn on_every_file_system(check: impl Fn(Rename, &str)) {
        let lacking = [
            None,
            Some(Errno::INVAL),
            Some(Errno::NOSYS),
            Some(Errno::PERM),
            Some(Errno::NOTSUP),
            Some(Errno::XDEV),
            Some(Errno::ACCESS),
        ];
        let no_links = [&lacking[..], &[Some(Errno::MLINK)]].concat();
        for noreplace in lacking {
            for &link in &no_links {
                denied::answer(noreplace, link);
                check(|a, b, c, d| rename_new(a, b, c, d), &format!("new {noreplace:?} {link:?}"));
                check(
                    |a, b, c, d| rename_free(a, b, c, d),
                    &format!("free {noreplace:?} {link:?}"),
                );
            }
        }
        denied::answer(None, None);
    }

    #[test]
    fn files_and_directories_are_renamed_on_every_file_system() {
        on_every_file_system(|rename, case| {
            let root = tempfile::tempdir().expect("made");
            let at: OwnedFd = File::open(root.path()).expect("open").into();
            fs::write(root.path().join("file"), "x").expect("written");
            fs::create_dir_all(root.path().join("dir/inner")).expect("made");
            std::os::unix::fs::symlink("gone", root.path().join("link")).expect("made");
            for name in ["file", "dir", "link"] {
                let to = format!("{name}-renamed");
                rename(&at, name, &at, &to).unwrap_or_else(|e| panic!("{case}, {name}: {e}"));
            }
            let mut names: Vec<_> = fs::read_dir(root.path())
                .expect("open")
                .map(|entry| entry.expect("read").file_name().into_string().expect("text"))
                .collect();
            names.sort();
            assert_eq!(names, ["dir-renamed", "file-renamed", "link-renamed"], "{case}");
            assert!(root.path().join("dir-renamed/inner").is_dir(), "{case}");
        });
    }

    #[test]
    fn nothing_is_replaced_on_any_file_system() {
        on_every_file_system(|rename, case| {
            let root = tempfile::tempdir().expect("made");
            let at: OwnedFd = File::open(root.path()).expect("open").into();
            fs::write(root.path().join("from-file"), "new").expect("written");
            fs::create_dir(root.path().join("from-dir")).expect("made");
            fs::write(root.path().join("file"), "old").expect("written");
            fs::create_dir(root.path().join("dir")).expect("made");
            std::os::unix::fs::symlink("gone", root.path().join("link")).expect("made");
            for from in ["from-file", "from-dir"] {
                for to in ["file", "dir", "link"] {
                    assert_eq!(
                        rename(&at, from, &at, to),
                        Err(Errno::EXIST),
                        "{case}: {from}, {to}"
                    );
                }
            }
            assert_eq!(
                fs::read_to_string(root.path().join("file")).expect("there"),
                "old",
                "{case}"
            );
        });
    }
}
