//! System calls that need a second way.

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
/// Some file systems do not know `RENAME_NOREPLACE` (NFS, ZFS before 2.2, most of FUSE), and some
/// containers forbid the call. A file then gets its new name by `link`, which does not replace
/// either. [`rename_free`] says what happens to a directory, and to a file where there are no hard
/// links.
pub(crate) fn rename_new<P: Arg + Copy, Q: Arg + Copy>(
    from_dir: impl AsFd,
    from: P,
    to_dir: impl AsFd,
    to: Q,
) -> Result<(), Errno> {
    let (from_dir, to_dir) = (from_dir.as_fd(), to_dir.as_fd());
    match calls::rename_noreplace(from_dir, from, to_dir, to) {
        Err(e) if is_unknown(e) => {}
        result => return result,
    }
    match calls::link(from_dir, from, to_dir, to) {
        Ok(()) => {
            let _ = rustix::fs::unlinkat(from_dir, from, AtFlags::empty());
            Ok(())
        }
        // EPERM is also the answer for a directory.
        Err(e) if is_unknown(e) || e == Errno::MLINK => rename_looked(from_dir, from, to_dir, to),
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
        Err(e) if is_unknown(e) => rename_looked(from_dir, from, to_dir, to),
        result => result,
    }
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
    match rustix::fs::renameat(from_dir, from, to_dir, to) {
        // Somebody made it after the look.
        Err(Errno::NOTEMPTY | Errno::ISDIR | Errno::NOTDIR) => Err(Errno::EXIST),
        result => result,
    }
}

/// Whether the answer means that the file system, or a container's filter, does not know the call
/// or its flag.
fn is_unknown(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::NOTSUP)
}

/// The calls that a file system may not have: a test makes them fail.
mod calls {
    use super::*;

    pub(super) fn rename_noreplace<P: Arg, Q: Arg>(
        from_dir: BorrowedFd<'_>,
        from: P,
        to_dir: BorrowedFd<'_>,
        to: Q,
    ) -> Result<(), Errno> {
        #[cfg(test)]
        denied::check(0)?;
        rustix::fs::renameat_with(from_dir, from, to_dir, to, RenameFlags::NOREPLACE)
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
    use std::cell::Cell;

    use rustix::io::Errno;

    thread_local! {
        static DENIED: Cell<[Option<Errno>; 2]> = const { Cell::new([None; 2]) };
    }

    pub(super) fn check(call: usize) -> Result<(), Errno> {
        DENIED.get()[call].map_or(Ok(()), Err)
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
        let lacking = [None, Some(Errno::INVAL), Some(Errno::NOSYS), Some(Errno::NOTSUP)];
        let no_links = [None, Some(Errno::PERM), Some(Errno::NOTSUP), Some(Errno::MLINK)];
        for noreplace in lacking {
            for link in no_links {
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
