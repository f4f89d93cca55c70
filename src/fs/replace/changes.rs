//! The changes of an exchange, for reports.

use std::os::fd::AsFd;

use rustix::{
    fs::{FileType, Stat},
    io::Errno,
};

use crate::{
    entry::Metadata,
    error::{Error, Result},
    fs::{
        beneath::{Beneath, os},
        replace::{
            dir_access::open_dir,
            entries::{is_dir, join, sorted_names, stat},
        },
        stat::FileId,
    },
    listed::Listed,
};

/// The changes of an exchange. A directory that both trees have is not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) added: Listed<Vec<u8>>,
    pub(crate) replaced: Listed<Vec<u8>>,
    pub(crate) removed: Listed<Vec<u8>>,
    /// Files and symlinks that are equal in both trees.
    pub(crate) unchanged: u64,
}

impl Changes {
    /// Adds all entries beneath a directory of the new tree.
    pub(super) fn add_beneath(&mut self, new: &Beneath, path: &[u8]) -> Result<()> {
        let mut dirs = vec![path.to_vec()];
        while let Some(path) = dirs.pop() {
            let dir = open_dir(new, &path).map_err(|e| Error::io("list", e).at(os(&path)))?;
            for name in sorted_names(&dir, &path)? {
                let path = join(&path, &name);
                if let Some(found) = stat(&dir, &name, &path)? {
                    self.added.push(path.clone());
                    if is_dir(&found) {
                        dirs.push(path);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Returns whether an entry of both trees is the same file, or an equal symlink.
pub(super) fn is_unchanged(
    name: &[u8],
    (old_dir, old): (impl AsFd, &Stat),
    (new_dir, new): (impl AsFd, &Stat),
) -> Result<bool, Errno> {
    let is_link = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    if !is_link(old) || !is_link(new) {
        return Ok(FileId::of(old) == FileId::of(new));
    }
    let attributes = |stat| {
        let Metadata { uid, gid, mtime_ns, .. } = Metadata::of(stat);
        (uid, gid, mtime_ns)
    };
    Ok(attributes(old) == attributes(new)
        && rustix::fs::readlinkat(old_dir, name, Vec::new())?
            == rustix::fs::readlinkat(new_dir, name, Vec::new())?)
}
