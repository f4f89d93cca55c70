//! From two trees to the steps that exchange them, and what forbids that.

use rustix::{
    fs::{AtFlags, FileType, Stat, StatxAttributes, StatxFlags},
    io::Errno,
};

use crate::{
    entry::Metadata,
    error::{Error, ErrorKind, Result},
    swap::{
        exchange::Trees,
        journal::{Dress, Journal, Looks, Step},
        ops::{self, At},
        remove::{self, names},
    },
    unpack::beneath::{Beneath, os},
    walk::STAGING,
};

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
pub(crate) fn check(target: &Beneath, how: How<'_>) -> Result<()> {
    let How::Replace { keep } = how else {
        return Ok(());
    };
    let mut paths: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(dir_path) = paths.pop() {
        let fail = |e: Errno| Error::io("look at", e).at(os(&dir_path));
        let dir = match target.dir(&dir_path) {
            Ok(dir) => Beneath::from_fd(dir),
            // It cannot be listed, and may be moved all the same.
            Err(Errno::ACCESS | Errno::NOENT) => continue,
            Err(e) => return Err(fail(e)),
        };
        for name in names(&dir).map_err(fail)? {
            if dir_path.is_empty() && name == STAGING.as_bytes() {
                continue;
            }
            let path = join(&dir_path, &name);
            let Some(stat) = stat(&dir, &name, &path)? else {
                continue;
            };
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if dir_path.is_empty() && keep(&path, is_dir) {
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
fn check_one(dir: &Beneath, name: &[u8], path: &[u8]) -> Result<()> {
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
        let mut plan = Plan { trees: self, journal: Journal::default(), asides: 0 };
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
    asides: u32,
}

impl Plan<'_> {
    fn replace(&mut self, keep: Keep<'_>) -> Result<()> {
        let mut asides = Vec::new();
        for name in sorted(&self.trees.target, b"")? {
            if name == STAGING.as_bytes() {
                continue;
            }
            let Some(stat) = stat(&self.trees.target, &name, &name)? else {
                continue;
            };
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if keep(&name, is_dir) {
                self.drop_new(&name)?;
                continue;
            }
            if is_dir {
                self.find_kept(&name, keep)?;
            }
            asides.push((name, looks(&stat, is_dir)));
        }
        let new = sorted(&self.trees.new, b"")?;
        for (name, old) in &asides {
            if new.binary_search(name).is_err() {
                self.aside(name);
                self.dress_closed(name, *old, None);
            }
        }
        for name in new {
            let old = asides.iter().find(|(aside, _)| *aside == name);
            if old.is_some() {
                self.aside(&name);
            }
            let stat = stat(&self.trees.new, &name, &name)?;
            let is_dir = |s: &Stat| FileType::from_raw_mode(s.st_mode) == FileType::Directory;
            let looks = stat.and_then(|s| looks(&s, is_dir(&s)));
            self.dress_closed(&name, old.and_then(|(_, looks)| *looks), looks);
            self.journal.steps.push(Step::Put(name));
        }
        Ok(())
    }

    /// What is kept beneath a directory that is not: it moves into the new tree.
    fn find_kept(&mut self, top: &[u8], keep: Keep<'_>) -> Result<()> {
        let mut dirs = vec![top.to_vec()];
        while let Some(dir) = dirs.pop() {
            let mut has_kept = false;
            for name in sorted(&self.trees.target, &dir)? {
                let path = join(&dir, &name);
                let Some(stat) =
                    At(&self.trees.target, &path).stat().map(Some).or_else(gone(&path))?
                else {
                    continue;
                };
                let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
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
    /// looks, since what is moved into and out of them changes their times.
    fn make_parents(&mut self, dir: &[u8]) -> Result<()> {
        let ends = (1..=dir.len()).filter(|&i| dir.get(i).is_none_or(|&b| b == b'/'));
        for end in ends.collect::<Vec<_>>() {
            let path = &dir[..end];
            if self.journal.dresses.iter().any(|dress| dress.path == path) {
                continue;
            }
            let fail = |e: Errno| Error::io("look at", e).at(os(path));
            let old = At(&self.trees.target, path).stat().map_err(fail)?;
            let old = looks(&old, true);
            let new = match At(&self.trees.new, path).stat() {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
                    looks(&stat, true)
                }
                Ok(_) => {
                    return Err(Error::new(ErrorKind::InvalidInput, "keep")
                        .at(os(dir))
                        .caused_by("the archive has something else where its directory would be"));
                }
                Err(Errno::NOENT) => {
                    let (parent, name) = At(&self.trees.new, path).parent().map_err(fail)?;
                    ops::make_dir(&parent, &name).map_err(fail)?;
                    old
                }
                Err(e) => return Err(fail(e)),
            };
            self.journal.dresses.push(Dress { path: path.to_vec(), old, new });
        }
        Ok(())
    }

    fn merge(&mut self, keep: Keep<'_>) -> Result<()> {
        let mut dirs = vec![Vec::new()];
        while let Some(dir) = dirs.pop() {
            for name in sorted(&self.trees.new, &dir)? {
                let path = join(&dir, &name);
                let fail = |e: Errno| Error::io("look at", e).at(os(&path));
                let new = At(&self.trees.new, &path).stat().map_err(fail)?;
                let new_is_dir = FileType::from_raw_mode(new.st_mode) == FileType::Directory;
                let old = match At(&self.trees.target, &path).stat() {
                    Ok(old) => old,
                    Err(Errno::NOENT) => {
                        let closed = looks(&new, new_is_dir);
                        self.dress_closed(&path, None, closed);
                        self.journal.steps.push(Step::Put(path));
                        continue;
                    }
                    Err(e) => return Err(fail(e)),
                };
                let old_is_dir = FileType::from_raw_mode(old.st_mode) == FileType::Directory;
                if keep(&path, old_is_dir) {
                    self.drop_new(&path)?;
                    continue;
                }
                let parent = self.trees.target.dir(&dir).map(Beneath::from_fd).map_err(fail)?;
                check_one(&parent, &name, &path)?;
                match (old_is_dir, new_is_dir) {
                    (true, true) => {
                        let (old, new) = (looks(&old, true), looks(&new, true));
                        self.journal.dresses.push(Dress { path: path.clone(), old, new });
                        dirs.push(path);
                    }
                    (false, false) => {
                        self.journal.steps.push(Step::Save(path.clone(), self.asides));
                        self.asides += 1;
                        self.journal.steps.push(Step::Put(path));
                    }
                    (is_dir, _) => {
                        let why = match is_dir {
                            true => "a directory stands where the archive has a file",
                            false => "a file stands where the archive has a directory",
                        };
                        let error = Error::new(ErrorKind::InvalidInput, "merge").at(os(&path));
                        return Err(error.caused_by(why));
                    }
                }
            }
        }
        // A directory's looks come after those of what lies in it.
        self.journal.dresses.sort_by(|a, b| b.path.cmp(&a.path));
        Ok(())
    }

    fn aside(&mut self, path: &[u8]) {
        self.journal.steps.push(Step::Aside(path.to_vec(), self.asides));
        self.asides += 1;
    }

    /// A directory that its owner may not write to is opened for its move, so its looks are set.
    fn dress_closed(&mut self, path: &[u8], old: Option<Looks>, new: Option<Looks>) {
        let is_closed = |looks: &Option<Looks>| looks.is_some_and(|l| l.mode & 0o200 == 0);
        let is_known = self.journal.dresses.iter().any(|dress| dress.path == path);
        if !is_known && (is_closed(&old) || is_closed(&new)) {
            self.journal.dresses.push(Dress { path: path.to_vec(), old, new });
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

fn looks(stat: &Stat, is_dir: bool) -> Option<Looks> {
    let meta = Metadata::of(stat);
    is_dir.then_some(Looks { mode: meta.mode, mtime_ns: meta.mtime_ns })
}

fn sorted(tree: &Beneath, dir: &[u8]) -> Result<Vec<Vec<u8>>> {
    let fail = |e: Errno| Error::io("list", e).at(os(dir));
    let dir = Beneath::from_fd(tree.dir(dir).map_err(fail)?);
    let mut names = names(&dir).map_err(fail)?;
    names.sort_unstable();
    Ok(names)
}

/// What stands in a directory; `None` if it is gone.
fn stat(dir: &Beneath, name: &[u8], path: &[u8]) -> Result<Option<Stat>> {
    At(dir, name).stat().map(Some).or_else(gone(path))
}

fn gone(path: &[u8]) -> impl Fn(Errno) -> Result<Option<Stat>> {
    move |e| match e {
        Errno::NOENT => Ok(None),
        e => Err(Error::io("look at", e).at(os(path))),
    }
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match dir {
        b"" => name.to_vec(),
        dir => [dir, b"/", name].concat(),
    }
}
