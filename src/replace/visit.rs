//! What stands in a target before a restore.

use std::ops::ControlFlow;

use rustix::io::Errno;

use crate::{
    error::{Error, Result},
    replace::plan::{is_dir, join, list, stat},
    unpack::beneath::{Beneath, os},
};

/// Calls `visit` for each entry beneath a directory, by path and whether it is a directory, until it
/// breaks off. Entries of a directory come before those that lie deeper.
pub(crate) fn visit(
    root: &Beneath,
    mut visit: impl FnMut(&[u8], bool) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut dirs = vec![Vec::new()];
    while let Some(dir_path) = dirs.pop() {
        let fail = |e: Errno| Error::io("list", e).at(os(&dir_path));
        let dir = match root.dir(&dir_path) {
            Ok(dir) => dir,
            // It is closed, gone, replaced by something else meanwhile, or deeper than a path can say.
            Err(
                Errno::ACCESS | Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG,
            ) => continue,
            Err(e) => return Err(fail(e)),
        };
        for name in list(&dir).map_err(fail)? {
            let path = join(&dir_path, &name);
            let Some(found) = stat(&dir, &name, &path)? else {
                continue;
            };
            let is_dir = is_dir(&found);
            if visit(&path, is_dir)?.is_break() {
                return Ok(());
            }
            if is_dir {
                dirs.push(path);
            }
        }
    }
    Ok(())
}
