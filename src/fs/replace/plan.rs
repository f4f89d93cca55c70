//! Plans the steps that exchange two trees, and refuses trees that cannot be exchanged.

use std::collections::HashSet;

use rustix::{fs::Stat, io::Errno};

use crate::{
    entry::Metadata,
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{os, split},
        replace::{
            changes::{Changes, is_unchanged},
            dir_access::{OpenDir, open_dir},
            entries::{is_dir, join, sorted_names, stat},
            exchange::Trees,
            journal::{DirAttributes, DirChange, Journal, Step},
            ops::At,
            removals::{self, Fates, Keep, check_one},
        },
    },
};

/// What an exchange keeps of the old tree.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    /// Decides about the entries that the new tree has as well. A kept one stays as it is, with everything
    /// in it.
    pub(crate) keep: Keep<'a>,
    /// Decides about the other entries. With `None` they all stay.
    pub(crate) fates: Option<Fates<'a>>,
    /// Returns whether a directory of the new tree has its own attributes. Otherwise the directory of the
    /// old tree keeps its attributes.
    pub(crate) is_named: &'a dyn Fn(&[u8]) -> bool,
}

/// Fails if an entry that the exchange may remove cannot be removed: a mount point, or an immutable file.
/// This finds them before the new tree is there.
pub(crate) fn check(trees: &Trees, how: Exchange<'_>) -> Result<()> {
    let Some(fates) = how.fates else {
        return Ok(());
    };
    let staging = Some(trees.staging);
    removals::find(&trees.target, staging, &|_| Ok(None), how.keep, fates).map(drop)
}

impl Trees {
    /// Plans the steps.
    pub(crate) fn plan(&self, how: Exchange<'_>) -> Result<(Journal, Changes)> {
        let mut plan = Plan {
            trees: self,
            how,
            journal: Journal::default(),
            changes: Changes::default(),
            known: HashSet::new(),
            moved_out: 0,
        };
        plan.remove()?;
        let mut dirs = vec![Vec::new()];
        while let Some(dir) = dirs.pop() {
            plan.put(&dir, &mut dirs)?;
        }
        // The attributes of a directory are set after those of its entries.
        plan.journal.attributes.sort_by(|a, b| b.path.cmp(&a.path));
        Ok((plan.journal, plan.changes))
    }

    /// Returns whether the new tree has a directory at a path; `None` if it has nothing there.
    fn is_new_dir(&self, path: &[u8]) -> Result<Option<bool>> {
        match At(&self.new, path).stat() {
            Ok(stat) => Ok(Some(is_dir(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(e) => Err(Error::io("read the metadata of", e).at(os(path))),
        }
    }
}

struct Plan<'a> {
    trees: &'a Trees,
    how: Exchange<'a>,
    journal: Journal,
    changes: Changes,
    /// Paths of directories whose attributes the journal sets.
    known: HashSet<Vec<u8>>,
    /// Entries that the steps move to `old`.
    moved_out: u32,
}

impl Plan<'_> {
    /// Plans the removal of entries that the new tree does not have.
    fn remove(&mut self) -> Result<()> {
        let Some(fates) = self.how.fates else {
            return Ok(());
        };
        let Trees { target, staging, .. } = self.trees;
        let is_new_dir = |path: &[u8]| self.trees.is_new_dir(path);
        let found = removals::find(target, Some(*staging), &is_new_dir, self.how.keep, fates)?;
        self.changes.removed = found.paths;
        for path in found.tops {
            let attributes_of = |path: &[u8]| match At(target, path).stat() {
                Ok(stat) => Ok(attributes(&stat)),
                Err(Errno::NOENT) => Ok(None),
                Err(e) => Err(Error::io("read the metadata of", e).at(os(path))),
            };
            let (parent, _) = split(&path);
            if !parent.is_empty() && self.trees.is_new_dir(parent)?.is_none() {
                let old = attributes_of(parent)?;
                self.set_attributes(parent, old, old);
            }
            self.restore_closed(&path, attributes_of(&path)?, None);
            self.move_out(&path);
        }
        Ok(())
    }

    /// Plans the steps for the entries of one directory of the new tree. Adds its directories that the old
    /// tree has as well to `dirs`.
    fn put(&mut self, dir: &[u8], dirs: &mut Vec<Vec<u8>>) -> Result<()> {
        let fail = |e: Errno| Error::io("read the metadata of", e).at(os(dir));
        let new_dir = open_dir(&self.trees.new, dir).map_err(fail)?;
        let old_dir = open_dir(&self.trees.target, dir).map_err(fail)?;
        for name in sorted_names(&new_dir, dir)? {
            let path = join(dir, &name);
            let Some(new) = stat(&new_dir, &name, &path)? else {
                continue;
            };
            match stat(&old_dir, &name, &path)? {
                None => {
                    self.changes.added.push(path.clone());
                    self.restore_closed(&path, None, attributes(&new));
                    self.put_one(path, &new)?;
                }
                Some(old) if (self.how.keep)(&path, is_dir(&old)) => {}
                Some(old) if is_dir(&old) && is_dir(&new) => {
                    check_one(&old_dir, &name, &path)?;
                    let own = attributes(&new).filter(|_| (self.how.is_named)(&path));
                    self.set_attributes(&path, attributes(&old), own.or(attributes(&old)));
                    dirs.push(path);
                }
                Some(old) => self.replace(path, &name, (&old_dir, &old), (&new_dir, &new))?,
            }
        }
        Ok(())
    }

    /// Plans the replacement of an entry that is not a directory in both trees.
    fn replace(
        &mut self,
        path: Vec<u8>,
        name: &[u8],
        old: (&OpenDir<'_>, &Stat),
        new: (&OpenDir<'_>, &Stat),
    ) -> Result<()> {
        let fail = |e: Errno| Error::io("read the link", e).at(os(&path));
        if is_unchanged(name, old, new).map_err(fail)? {
            self.changes.unchanged += 1;
            return Ok(());
        }
        check_one(old.0, name, &path)?;
        let (old, new) = (old.1, new.1);
        self.changes.replaced.push(path.clone());
        match (is_dir(old), is_dir(new)) {
            (true, _) if self.how.fates.is_none() => {
                return Err(Error::new(ErrorKind::InvalidInput, "restore").at(os(&path)).caused_by(
                    "it is a directory, and the archive has another entry in its place. A restore \
                     that deletes replaces it",
                ));
            }
            (false, false) => {
                self.journal.steps.push(Step::Save(path.clone(), self.moved_out));
                self.moved_out += 1;
            }
            _ => {
                self.restore_closed(&path, attributes(old), attributes(new));
                self.move_out(&path);
            }
        }
        self.put_one(path, new)
    }

    fn put_one(&mut self, path: Vec<u8>, new: &Stat) -> Result<()> {
        if is_dir(new) {
            self.changes.add_beneath(&self.trees.new, &path)?;
        }
        self.journal.steps.push(Step::Put(path));
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
}

/// Returns the attributes of a directory; `None` for another file type.
fn attributes(stat: &Stat) -> Option<DirAttributes> {
    let Metadata { mode, uid, gid, mtime_ns, .. } = Metadata::of(stat);
    is_dir(stat).then_some(DirAttributes { mode, uid, gid, mtime_ns })
}
