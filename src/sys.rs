//! System calls that need a second way.

use std::os::fd::AsFd;

use rustix::{
    fs::{AtFlags, RenameFlags},
    io::Errno,
    path::Arg,
};

/// Renames, failing with `EEXIST` rather than replacing.
pub(crate) fn rename_new<P: Arg + Copy, Q: Arg + Copy>(
    from_dir: impl AsFd,
    from: P,
    to_dir: impl AsFd,
    to: Q,
) -> Result<(), Errno> {
    let (from_dir, to_dir) = (from_dir.as_fd(), to_dir.as_fd());
    match rustix::fs::renameat_with(from_dir, from, to_dir, to, RenameFlags::NOREPLACE) {
        // A file system, or a container's filter, that does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::NOTSUP) => {
            rustix::fs::linkat(from_dir, from, to_dir, to, AtFlags::empty())?;
            let _ = rustix::fs::unlinkat(from_dir, from, AtFlags::empty());
            Ok(())
        }
        result => result,
    }
}
