//! Plans the steps that exchange two trees, and refuses trees that cannot be exchanged.

use std::{collections::HashSet, os::fd::AsFd};

use rustix::{
    fs::{AtFlags, Stat, StatxAttributes, StatxFlags},
    io::Errno,
};

use crate::{
    entry::Metadata,
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{Beneath, component_ends, os},
        replace::{
            dir_access::open_dir,
            entries::{all_names, is_dir, join, sorted_names, sorted_names_at, stat},
            exchange::Trees,
            journal::{DirAttributes, DirChange, Journal, Step},
            ops::{self, At},
            remove::remove_contents,
        },
        stat::FileId,
    },
};

/// Returns whether an entry of the old tree is kept as it is. The arguments are its path and whether it is
/// a directory.
pub(crate) type Keep<'a> = &'a dyn Fn(&[u8], bool) -> bool;

/// The result of an exchange.
#[derive(Clone, Copy)]
pub(crate) enum ExchangeMode<'a> {
    /// The new tree, and the entries that are kept.
    Replace { keep: Keep<'a> },
    /// The new tree over the old one.
    Merge { keep: Keep<'a> },
}

/// Fails if the target has entries that cannot be exchanged: mount points, and files that are immutable.
/// Nothing is changed. Entries that are kept, or that a merge does not touch, are not checked.
pub(crate) fn check(trees: &Trees, mode: ExchangeMode<'_>) -> Result<()> {
    let ExchangeMode::Replace { keep } = mode else {
        return Ok(());
    };
    let mut paths: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(dir_path) = paths.pop() {
        let fail = |e: Errno| Error::io("read the metadata of", e).at(os(&dir_path));
        let dir = match trees.target.dir(&dir_path) {
            Ok(dir) => Beneath::from_fd(dir),
            // It cannot be listed, and can be moved all the same. This process may not read it, it was
            // removed or replaced, or its path is too long.
            Err(
                Errno::ACCESS | Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG,
            ) => continue,
            Err(e) => return Err(fail(e)),
        };
        let names = match all_names(&dir) {
            // This process may open it and not list it.
            Err(Errno::ACCESS) => continue,
            names => names.map_err(fail)?,
        };
        for name in names {
            let path = join(&dir_path, &name);
            let Some(stat) = stat(&dir, &name, &path)? else {
                continue;
            };
            let is_top = dir_path.is_empty();
            let is_dir = is_dir(&stat);
            if FileId::of(&stat) == trees.staging || is_top && keep(&path, is_dir) {
                continue;
            }
            check_one(&dir, &name, &path)?;
            if is_dir {
                paths.push(path);
            }
        }
    }
    Ok(())
}

/// Fails if the entry is a mount point or immutable.
fn check_one(dir: impl AsFd, name: &[u8], path: &[u8]) -> Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let Ok(found) = rustix::fs::statx(dir, name, flags, StatxFlags::empty()) else {
        // `statx` is missing before Linux 4.11 and under some filters. Then the rename fails, and is undone.
        return Ok(());
    };
    let attributes = found.stx_attributes & found.stx_attributes_mask;
    let why = if attributes.contains(StatxAttributes::MOUNT_ROOT) {
        "a file system is mounted there"
    } else if attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
        "it is immutable (chattr +i or +a)"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::PermissionDenied, "replace").at(os(path)).caused_by(why))
}

impl Trees {
    /// Plans the steps. Entries of the new tree that the kept entries of the old tree replace are removed
    /// first.
    pub(crate) fn plan(&self, mode: ExchangeMode<'_>) -> Result<Journal> {
        let journal = Journal::default();
        let mut plan = Plan { trees: self, journal, known: HashSet::new(), moved_out: 0 };
        match mode {
            ExchangeMode::Replace { keep } => plan.replace(keep)?,
            ExchangeMode::Merge { keep } => plan.merge(keep)?,
        }
        Ok(plan.journal)
    }
}

struct Plan<'a> {
    trees: &'a Trees,
    journal: Journal,
    /// Paths of directories whose attributes the journal sets.
    known: HashSet<Vec<u8>>,
    /// Entries that the steps move to `old`.
    moved_out: u32,
}

impl Plan<'_> {
    fn replace(&mut self, keep: Keep<'_>) -> Result<()> {
        let mut replaced = Vec::new();
        for name in sorted_names_at(&self.trees.target, b"")? {
            let Some(stat) = stat(&self.trees.target, &name, &name)? else {
                continue;
            };
            if FileId::of(&stat) == self.trees.staging {
                continue;
            }
            let is_dir = is_dir(&stat);
            if keep(&name, is_dir) {
                self.remove_new(&name)?;
                continue;
            }
            if is_dir {
                self.plan_kept_beneath(&name, keep)?;
            }
            replaced.push((name, attributes(&stat)));
        }
        let new = sorted_names_at(&self.trees.new, b"")?;
        for (name, old) in &replaced {
            if new.binary_search(name).is_err() {
                self.move_out(name);
                self.restore_closed(name, *old, None);
            }
        }
        for name in new {
            let old = replaced.binary_search_by(|(old, _)| old.cmp(&name));
            let old = old.ok().map(|i| replaced[i].1);
            if old.is_some() {
                self.move_out(&name);
            }
            let new = stat(&self.trees.new, &name, &name)?;
            let new = new.and_then(|stat| attributes(&stat));
            self.restore_closed(&name, old.flatten(), new);
            self.journal.steps.push(Step::Put(name));
        }
        Ok(())
    }

    /// Plans the moves of kept entries beneath a directory that is not kept: they move into the new tree.
    fn plan_kept_beneath(&mut self, top: &[u8], keep: Keep<'_>) -> Result<()> {
        let mut dirs = vec![top.to_vec()];
        while let Some(dir) = dirs.pop() {
            let mut has_kept = false;
            let opened = match open_dir(&self.trees.target, &dir) {
                Ok(opened) => opened,
                // No pattern can match a path that is too long.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => continue,
                Err(e) => return Err(Error::io("list", e).at(os(&dir))),
            };
            for name in sorted_names(&opened, &dir)? {
                let path = join(&dir, &name);
                let Some(stat) = stat(&opened, &name, &path)? else {
                    continue;
                };
                let is_dir = is_dir(&stat);
                if keep(&path, is_dir) {
                    if !has_kept {
                        self.make_parents(&dir)?;
                        has_kept = true;
                    }
                    self.remove_new(&path)?;
                    self.journal.steps.push(Step::Keep(path));
                } else if is_dir {
                    dirs.push(path);
                }
            }
        }
        Ok(())
    }

    /// Makes the directories that the new tree needs for kept entries, with the attributes of the old
    /// tree. Notes the attributes of all these directories, since the moves change their times.
    fn make_parents(&mut self, dir: &[u8]) -> Result<()> {
        for end in component_ends(dir) {
            let path = &dir[..end];
            if self.known.contains(path) {
                continue;
            }
            let fail = |e: Errno| Error::io("read the metadata of", e).at(os(path));
            let old = attributes(&At(&self.trees.target, path).stat().map_err(fail)?);
            let new = match At(&self.trees.new, path).stat() {
                Ok(stat) if is_dir(&stat) => attributes(&stat),
                Ok(_) => {
                    return Err(Error::new(ErrorKind::InvalidInput, "keep").at(os(dir)).caused_by(
                        "the archive has an entry of another type in place of its directory",
                    ));
                }
                Err(Errno::NOENT) => {
                    At(&self.trees.new, path).make_dir().map_err(fail)?;
                    old
                }
                Err(e) => return Err(fail(e)),
            };
            self.set_attributes(path, old, new);
        }
        Ok(())
    }

    fn merge(&mut self, keep: Keep<'_>) -> Result<()> {
        let mut dirs = vec![Vec::new()];
        while let Some(dir) = dirs.pop() {
            let fail = |e: Errno| Error::io("read the metadata of", e).at(os(&dir));
            let new_dir = open_dir(&self.trees.new, &dir).map_err(fail)?;
            let old_dir = open_dir(&self.trees.target, &dir).map_err(fail)?;
            for name in sorted_names(&new_dir, &dir)? {
                let path = join(&dir, &name);
                let Some(new) = stat(&new_dir, &name, &path)? else {
                    continue;
                };
                let Some(old) = stat(&old_dir, &name, &path)? else {
                    self.restore_closed(&path, None, attributes(&new));
                    self.journal.steps.push(Step::Put(path));
                    continue;
                };
                if keep(&path, is_dir(&old)) {
                    self.remove_new(&path)?;
                    continue;
                }
                check_one(&old_dir, &name, &path)?;
                match (is_dir(&old), is_dir(&new)) {
                    (true, true) => {
                        self.set_attributes(&path, attributes(&old), attributes(&new));
                        dirs.push(path);
                    }
                    (false, false) => {
                        self.journal.steps.push(Step::Save(path.clone(), self.moved_out));
                        self.moved_out += 1;
                        self.journal.steps.push(Step::Put(path));
                    }
                    (old_is_dir, _) => {
                        let why = match old_is_dir {
                            true => "it is a directory, and the archive has a file there",
                            false => "it is a file, and the archive has a directory there",
                        };
                        let error = Error::new(ErrorKind::InvalidInput, "merge").at(os(&path));
                        return Err(error.caused_by(why));
                    }
                }
            }
        }
        // The attributes of a directory are set after those of its entries.
        self.journal.attributes.sort_by(|a, b| b.path.cmp(&a.path));
        Ok(())
    }

    fn move_out(&mut self, path: &[u8]) {
        self.journal.steps.push(Step::MoveOut(path.to_vec(), self.moved_out));
        self.moved_out += 1;
    }

    fn set_attributes(
        &mut self,
        path: &[u8],
        old: Option<DirAttributes>,
        new: Option<DirAttributes>,
    ) {
        if self.known.insert(path.to_vec()) {
            self.journal.attributes.push(DirChange { path: path.to_vec(), old, new });
        }
    }

    /// Restores the mode of a directory that its owner may not write to. The move makes it writable, and a
    /// kill may leave it so.
    fn restore_closed(
        &mut self,
        path: &[u8],
        old: Option<DirAttributes>,
        new: Option<DirAttributes>,
    ) {
        let is_closed = |dir: &DirAttributes| dir.mode & 0o700 != 0o700;
        if old.iter().chain(&new).any(is_closed) {
            self.set_attributes(path, old, new);
        }
    }

    /// Removes an entry of the new tree whose path is kept.
    fn remove_new(&self, path: &[u8]) -> Result<()> {
        let fail = |e: Errno| Error::io("keep", e).at(os(path));
        let new = At(&self.trees.new, path);
        if new.exists().map_err(fail)? {
            ops::rename(new, At(&self.trees.old, b"kept"), false).map_err(fail)?;
            remove_contents(&self.trees.old).map_err(fail)?;
        }
        Ok(())
    }
}

/// Returns the attributes of a directory; `None` for another file type.
fn attributes(stat: &Stat) -> Option<DirAttributes> {
    let meta = Metadata::of(stat);
    is_dir(stat).then_some(DirAttributes { mode: meta.mode, mtime_ns: meta.mtime_ns })
}
