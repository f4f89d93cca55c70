//! What stands in a target before a restore.

use std::ops::ControlFlow;

use rustix::io::Errno;

use crate::{
    error::{Error, Result},
    fs::{
        beneath::{Beneath, os},
        replace::plan::{is_dir, join, list, stat},
    },
};

/// Calls `visit` for each entry beneath a directory, by path and whether it is a directory, until it
/// breaks off. Entries of a directory come before those that lie deeper. Returns whether this process
/// may look into all directories.
pub(crate) fn visit(
    root: &Beneath,
    mut visit: impl FnMut(&[u8], bool) -> Result<ControlFlow<()>>,
) -> Result<bool> {
    let mut is_open = true;
    let mut dirs = vec![Vec::new()];
    while let Some(dir_path) = dirs.pop() {
        let fail = |e: Errno| Error::io("list", e).at(os(&dir_path));
        let dir = match root.dir(&dir_path) {
            Ok(dir) => dir,
            Err(Errno::ACCESS) => {
                is_open = false;
                continue;
            }
            // It is gone, replaced by something else meanwhile, or deeper than a path can say.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => continue,
            Err(e) => return Err(fail(e)),
        };
        let names = match list(&dir) {
            Ok(names) => names,
            // It may be read and not searched.
            Err(Errno::ACCESS) => {
                is_open = false;
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
                return Ok(is_open);
            }
            if is_dir {
                dirs.push(path);
            }
        }
    }
    Ok(is_open)
}
