//! From two trees to the steps that exchange them, and what forbids that.

use std::{collections::HashSet, os::fd::AsFd};

use rustix::{
    fs::{AtFlags, FileType, Stat, StatxAttributes, StatxFlags},
    io::Errno,
};

use crate::{
    entry::Metadata,
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{Beneath, os},
        replace::{
            exchange::Trees,
            journal::{DirAttributes, DirChange, Journal, Step},
            ops::{self, At},
            remove::{self, names},
        },
        root::FileId,
    },
};

/// Entries of one directory that the exchange moves. Each costs some hundred bytes of memory.
const ENTRIES_MAX: usize = 4_000_000;

/// Which paths of the old tree stay as they are, by path and whether it is a directory.
pub(crate) type Keep<'a> = &'a dyn Fn(&[u8], bool) -> bool;

/// What the exchange is to come to.
#[derive(Clone, Copy)]
pub(crate) enum How<'a> {
    /// Exactly the new tree, and what is kept.
    Replace { keep: Keep<'a> },
    /// The new tree over the old one.
    Merge { keep: Keep<'a> },
}

/// Refuses, before anything is touched, what could not be exchanged: mounts in the tree, and files
/// that may not be changed. What is kept or only merged around is not looked at.
pub(crate) fn check(trees: &Trees, how: How<'_>) -> Result<()> {
    let How::Replace { keep } = how else {
        return Ok(());
    };
    let mut paths: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(dir_path) = paths.pop() {
        let fail = |e: Errno| Error::io("look at", e).at(os(&dir_path));
        let dir = match trees.target.dir(&dir_path) {
            Ok(dir) => Beneath::from_fd(dir),
            // It cannot be listed, and may be moved all the same: closed, gone, replaced by
            // something else meanwhile, or deeper than a path can say.
            Err(
                Errno::ACCESS | Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG,
            ) => continue,
            Err(e) => return Err(fail(e)),
        };
        let names = match list(&dir) {
            // It may be read and not searched.
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

/// A mount point, or a file that may not be changed.
fn check_one(dir: impl AsFd, name: &[u8], path: &[u8]) -> Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let Ok(found) = rustix::fs::statx(dir, name, flags, StatxFlags::empty()) else {
        // Before Linux 4.11, and under some filters: the rename will fail, and be undone.
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
    /// Plans, after removing from the new tree what is to be kept of the old one.
    pub(crate) fn plan(&self, how: How<'_>) -> Result<Journal> {
        let journal = Journal::default();
        let mut plan = Plan { trees: self, journal, known: HashSet::new(), moved_out: 0 };
        match how {
            How::Replace { keep } => plan.replace(keep)?,
            How::Merge { keep } => plan.merge(keep)?,
        }
        Ok(plan.journal)
    }
}

struct Plan<'a> {
    trees: &'a Trees,
    journal: Journal,
    /// Directories whose attributes the journal sets.
    known: HashSet<Vec<u8>>,
    moved_out: u32,
}

impl Plan<'_> {
    fn replace(&mut self, keep: Keep<'_>) -> Result<()> {
        let mut going = Vec::new();
        for name in sorted(&self.trees.target, b"")? {
            let Some(stat) = stat(&self.trees.target, &name, &name)? else {
                continue;
            };
            if FileId::of(&stat) == self.trees.staging {
                continue;
            }
            let is_dir = is_dir(&stat);
            if keep(&name, is_dir) {
                self.drop_new(&name)?;
                continue;
            }
            if is_dir {
                self.find_kept(&name, keep)?;
            }
            going.push((name, attributes(&stat)));
        }
        let new = sorted(&self.trees.new, b"")?;
        for (name, old) in &going {
            if new.binary_search(name).is_err() {
                self.move_out(name);
                self.restore_closed(name, *old, None);
            }
        }
        for name in new {
            let old = going.binary_search_by(|(going, _)| going.cmp(&name));
            let old = old.ok().map(|i| going[i].1);
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

    /// What is kept beneath a directory that is not: it moves into the new tree.
    fn find_kept(&mut self, top: &[u8], keep: Keep<'_>) -> Result<()> {
        let mut dirs = vec![top.to_vec()];
        while let Some(dir) = dirs.pop() {
            let mut has_kept = false;
            let held = match ops::dir(&self.trees.target, &dir) {
                Ok(held) => held,
                // No pattern can name what is deeper than a path can say.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => continue,
                Err(e) => return Err(Error::io("list", e).at(os(&dir))),
            };
            for name in sorted_names(&held, &dir)? {
                let path = join(&dir, &name);
                let Some(stat) = stat(&held, &name, &path)? else {
                    continue;
                };
                let is_dir = is_dir(&stat);
                if keep(&path, is_dir) {
                    if !has_kept {
                        self.make_parents(&dir)?;
                        has_kept = true;
                    }
                    self.drop_new(&path)?;
                    self.journal.steps.push(Step::Keep(path));
                } else if is_dir {
                    dirs.push(path);
                }
            }
        }
        Ok(())
    }

    /// Directories that the new tree needs for what is kept, as the old tree has them; and their
    /// attributes, since moves into and out of them change their times.
    fn make_parents(&mut self, dir: &[u8]) -> Result<()> {
        let ends = (1..=dir.len()).filter(|&i| dir.get(i).is_none_or(|&b| b == b'/'));
        for end in ends.collect::<Vec<_>>() {
            let path = &dir[..end];
            if self.known.contains(path) {
                continue;
            }
            let fail = |e: Errno| Error::io("look at", e).at(os(path));
            let old = attributes(&At(&self.trees.target, path).stat().map_err(fail)?);
            let new = match At(&self.trees.new, path).stat() {
                Ok(stat) if is_dir(&stat) => attributes(&stat),
                Ok(_) => {
                    return Err(Error::new(ErrorKind::InvalidInput, "keep")
                        .at(os(dir))
                        .caused_by("the archive has something else where its directory would be"));
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
            let fail = |e: Errno| Error::io("look at", e).at(os(&dir));
            let new_dir = ops::dir(&self.trees.new, &dir).map_err(fail)?;
            let old_dir = ops::dir(&self.trees.target, &dir).map_err(fail)?;
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
                    self.drop_new(&path)?;
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
                            true => "a directory stands where the archive has a file",
                            false => "a file stands where the archive has a directory",
                        };
                        let error = Error::new(ErrorKind::InvalidInput, "merge").at(os(&path));
                        return Err(error.caused_by(why));
                    }
                }
            }
        }
        // A directory's attributes are set after those of the entries that lie in it.
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

    /// A directory that its owner may not write to is opened for its move; a kill may leave it so.
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

    /// Removes what the archive has of a path that is kept.
    fn drop_new(&self, path: &[u8]) -> Result<()> {
        let fail = |e: Errno| Error::io("keep", e).at(os(path));
        let new = At(&self.trees.new, path);
        if new.exists().map_err(fail)? {
            ops::rename(new, At(&self.trees.old, b"kept"), false).map_err(fail)?;
            remove::empty(&self.trees.old).map_err(fail)?;
        }
        Ok(())
    }
}

pub(super) fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Those of a directory.
fn attributes(stat: &Stat) -> Option<DirAttributes> {
    let meta = Metadata::of(stat);
    is_dir(stat).then_some(DirAttributes { mode: meta.mode, mtime_ns: meta.mtime_ns })
}

fn sorted(tree: &Beneath, path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let dir = ops::dir(tree, path).map_err(|e| Error::io("list", e).at(os(path)))?;
    sorted_names(&dir, path)
}

fn sorted_names(dir: impl AsFd, path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut names = list(dir).map_err(|e| Error::io("list", e).at(os(path)))?;
    names.sort_unstable();
    Ok(names)
}

pub(super) fn list(dir: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let names = names(dir, ENTRIES_MAX + 1)?;
    if names.len() > ENTRIES_MAX { Err(Errno::FBIG) } else { Ok(names) }
}

/// What stands in a directory; `None` if it is gone.
pub(super) fn stat(dir: impl AsFd, name: &[u8], path: &[u8]) -> Result<Option<Stat>> {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(Error::io("look at", e).at(os(path))),
    }
}

pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir {
        b"" => name.to_vec(),
        dir => [dir, b"/", name].concat(),
    }
}
