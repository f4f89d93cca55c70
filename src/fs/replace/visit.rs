//! Visits the entries of a target before a restore.

use std::ops::ControlFlow;

use rustix::io::Errno;

use crate::{
    error::{Error, Result},
    fs::{
        beneath::{Beneath, os},
        replace::entries::{all_names, is_dir, join, stat},
    },
};

/// Calls `visit` for each entry beneath a directory, until it breaks off. The arguments are the entry's
/// path and whether it is a directory. All entries of a directory come before those of its
/// subdirectories. Returns whether this process may read all directories.
pub(crate) fn visit(
    root: &Beneath,
    mut visit: impl FnMut(&[u8], bool) -> Result<ControlFlow<()>>,
) -> Result<bool> {
    let mut is_readable = true;
    let mut dirs = vec![Vec::new()];
    while let Some(dir_path) = dirs.pop() {
        let fail = |e: Errno| Error::io("list", e).at(os(&dir_path));
        let dir = match root.dir(&dir_path) {
            Ok(dir) => dir,
            Err(Errno::ACCESS) => {
                is_readable = false;
                continue;
            }
            // It was removed or replaced since it was listed, or its path is too long.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => continue,
            Err(e) => return Err(fail(e)),
        };
        let names = match all_names(&dir) {
            Ok(names) => names,
            // This process may open the directory and not list it.
            Err(Errno::ACCESS) => {
                is_readable = false;
                continue;
            }
            Err(e) => return Err(fail(e)),
        };
        for name in names {
            let path = join(&dir_path, &name);
            let Some(found) = stat(&dir, &name, &path)? else {
                continue;
            };
            let is_dir = is_dir(&found);
            if visit(&path, is_dir)?.is_break() {
                return Ok(is_readable);
            }
            if is_dir {
                dirs.push(path);
            }
        }
    }
    Ok(is_readable)
}
