//! System calls that need a second way, and the rule by which it is taken.
//!
//! A kernel, a container's filter or a file system may lack a call, or one of its flags. What they
//! answer then ([`may_be_missing`]) can also be an answer about the file. So the second way is tried,
//! and where the answer was about the file it gives the same one. docs/file-systems.md lists the calls.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::{
    fs::{AtFlags, Mode, RenameFlags},
    io::Errno,
    path::Arg,
};

/// Changes the mode of a file or directory that was opened for its path alone (`O_PATH`), as one that
/// is closed to its owner has to be; `fchmod` does not take such a handle. No link is followed.
pub(crate) fn chmod_path(fd: impl AsFd, mode: Mode) -> Result<(), Errno> {
    rustix::fs::chmod(path_of(fd), mode)
}

/// A path that leads to what is open, whatever its name is by now.
pub(crate) fn path_of(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Renames, failing with `EEXIST` rather than replacing.
///
/// Where `RENAME_NOREPLACE` is missing (NFS, ZFS before 2.2, most of FUSE), a file gets its new name
/// by `link`, which does not replace either. [`rename_free`] says what happens to a directory, and to
/// a file where there are no hard links.
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
        // EPERM is also the answer for a directory.
        Err(e) if lacks_links(e) => rename_looked(from_dir, from, to_dir, to),
        result => result,
    }
}

/// Renames in one step to a name that nobody else is expected to make, failing with `EEXIST` if it
/// is there.
///
/// Where the file system has no `RENAME_NOREPLACE`, the name is looked at and then taken. Another
/// program could make it in the moment between. Then a file replaces a file or a link, and a
/// directory replaces an empty directory. Nothing else is replaced.
///
/// Unlike [`rename_new`], the file never has both names, whenever the power goes.
pub(crate) fn rename_free<P: Arg + Copy, Q: Arg + Copy>(
    from_dir: impl AsFd,
    from: P,
    to_dir: impl AsFd,
    to: Q,
) -> Result<(), Errno> {
    let (from_dir, to_dir) = (from_dir.as_fd(), to_dir.as_fd());
    match calls::rename_noreplace(from_dir, from, to_dir, to) {
        Err(e) if may_be_missing(e) => rename_looked(from_dir, from, to_dir, to),
        result => result,
    }
}

/// Makes a file or directory durable: all of its file system where that cannot sync it by itself.
pub(crate) fn sync(fd: impl AsFd) -> Result<(), Errno> {
    match rustix::fs::fsync(&fd) {
        Err(e) if may_be_missing(e) => rustix::fs::syncfs(&fd).map_err(|_| e),
        result => result,
    }
}

/// Why nothing is written where [`free_space`] is not known and some of it is to stay free.
pub(crate) const UNKNOWN_SPACE: &str =
    "the file system does not say how much is free, and some is to stay free";

/// Bytes that the file system has left for this process; `None` if it does not say.
pub(crate) fn free_space(fd: impl AsFd) -> Result<Option<u64>, Errno> {
    match rustix::fs::fstatvfs(fd) {
        Ok(stat) => Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize))),
        Err(e) if may_be_missing(e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether the answer may mean that the call, or a flag of it, is missing.
pub(crate) fn may_be_missing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::NOTSUP | Errno::XDEV | Errno::ACCESS
    )
}

/// Whether the answer of `link` may mean that the file can get no other name.
pub(crate) fn lacks_links(errno: Errno) -> bool {
    may_be_missing(errno) || errno == Errno::MLINK
}

fn rename_looked<P: Arg + Copy, Q: Arg + Copy>(
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
        // Somebody made it after the look.
        Err(Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR) => Err(Errno::EXIST),
        result => result,
    }
}

/// The calls that a file system may not have: a test makes them fail.
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

/// Calls that fail on this thread, as on a file system that does not have them.
#[cfg(test)]
pub(crate) mod denied {
    use std::{
        cell::{Cell, RefCell},
        os::fd::{BorrowedFd, OwnedFd},
    };

    use rustix::{fs::AtFlags, io::Errno, path::Arg};

    use crate::fs::root::FileId;

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

    /// These cannot be renamed from now on, as directories of a lower layer. They are held open, so
    /// that no new one gets the inode of one that was removed.
    pub(crate) fn lower_layer(dirs: Vec<OwnedFd>) {
        LOWER.set(dirs);
    }

    /// Answers `RENAME_NOREPLACE` and `link` like this from now on.
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

    /// Every combination of what a file system may lack, and both functions.
    fn everywhere(check: impl Fn(Rename, &str)) {
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
        everywhere(|rename, case| {
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
        everywhere(|rename, case| {
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
