//! Applies the steps of a journal, or rolls them back.
//!
//! The existing entries tell whether a step is done. This does not depend on the order in which a file
//! system made the changes durable:
//!
//! | step | is done if | undone by |
//! |---|---|---|
//! | `MoveOut(p, i)` | `old/i` exists, or the next step is `Put(p)` and is done | `old/i` → `target/p` |
//! | `Save(p, i)` | as `MoveOut` | `old/i` → `target/p`, if that is missing |
//! | `Put(p)` | `new/p` does not exist | `target/p` → `new/p` |
//!
//! So both directions can be interrupted and started again, any number of times.
//!
//! A directory that cannot be renamed is moved entry by entry (see
//! [`move_dir`](crate::fs::replace::move_dir)).

use rustix::{
    fs::{Gid, Mode, Stat, Uid},
    io::Errno,
};

use crate::{
    error::{Error, Result},
    fs::{
        beneath::{Beneath, os, split},
        replace::{
            dir_access::{OpenDir, open_dir},
            journal::{DirAttributes, Journal, Step},
            move_dir::{move_entry, undo_partial_move},
            ops::{self, At},
        },
        stat::FileId,
        sys,
    },
};

/// The three trees.
#[derive(Debug)]
pub(crate) struct Trees {
    pub(crate) target: Beneath,
    pub(crate) new: Beneath,
    pub(crate) old: Beneath,
    /// The directory that contains `new` and `old`. It may be in the target.
    pub(crate) staging: FileId,
}

impl Trees {
    /// Does the steps that are not done yet. Returns the paths of entries that another process made during
    /// the exchange, and that were moved out as well.
    pub(crate) fn apply(&self, journal: &Journal) -> Result<Vec<Vec<u8>>> {
        let mut conflicts = Vec::new();
        for (i, step) in journal.steps.iter().enumerate() {
            let previous = i.checked_sub(1).map(|i| &journal.steps[i]);
            let replaces = matches!(previous, Some(Step::Save(..)));
            let is_put = match journal.steps.get(i + 1) {
                Some(Step::Put(path)) if step.path() == path => self.is_put(step)?,
                _ => false,
            };
            if is_put {
                continue;
            }
            self.do_step(step, replaces, &mut conflicts)
                .map_err(|e| failed("exchange", step, e))?;
        }
        for change in &journal.attributes {
            self.set_attributes(&change.path, change.new)?;
        }
        Ok(conflicts)
    }

    /// Makes the changes of the steps durable, in either direction.
    pub(crate) fn sync(&self, journal: &Journal) -> Result<(), Errno> {
        let parents = || journal.steps.iter().map(|step| split(step.path()).0);
        ops::sync_dirs(&self.target, parents())?;
        ops::sync_dirs(&self.new, parents())?;
        ops::sync_dirs(&self.old, [&b""[..]].into_iter())
    }

    /// Undoes the steps that are done.
    pub(crate) fn roll_back(&self, journal: &Journal) -> Result<()> {
        for step in journal.steps.iter().rev() {
            self.undo_step(step).map_err(|e| failed("undo the exchange of", step, e))?;
        }
        for change in &journal.attributes {
            self.set_attributes(&change.path, change.old)?;
        }
        Ok(())
    }

    fn do_step(
        &self,
        step: &Step,
        replaces: bool,
        conflicts: &mut Vec<Vec<u8>>,
    ) -> Result<(), Errno> {
        let number = |i: &u32| i.to_string().into_bytes();
        match step {
            Step::MoveOut(path, i) => {
                let old = number(i);
                if !At(&self.old, &old).exists()? {
                    let part = part(*i);
                    let (from, to) = (At(&self.target, path), At(&self.old, &old));
                    ops::unless_gone(move_entry(from, to, At(&self.old, &part)))?;
                }
            }
            Step::Save(path, i) => {
                let old = number(i);
                if !At(&self.old, &old).exists()? {
                    match ops::link(At(&self.target, path), At(&self.old, &old)) {
                        Ok(()) | Err(Errno::NOENT) => {}
                        // Without hard links, the file is missing for a moment.
                        Err(e) if sys::lacks_links(e) => {
                            ops::rename(At(&self.target, path), At(&self.old, &old), false)?;
                        }
                        Err(e) => return Err(e),
                    }
                }
            }
            Step::Put(path) => {
                let mut tries = 0;
                while At(&self.new, path).exists()? {
                    match ops::rename(At(&self.new, path), At(&self.target, path), replaces) {
                        // Another process has made an entry of that name: it moves to the old entries.
                        Err(Errno::EXIST) if tries < 100 => {
                            let name = format!("conflict-{}-{tries}", conflicts.len());
                            let to = At(&self.old, name.as_bytes());
                            ops::rename(At(&self.target, path), to, true)?;
                            conflicts.push(path.clone());
                            tries += 1;
                        }
                        result => result?,
                    }
                }
            }
        }
        Ok(())
    }

    fn undo_step(&self, step: &Step) -> Result<(), Errno> {
        let number = |i: &u32| i.to_string().into_bytes();
        match step {
            Step::MoveOut(path, i) | Step::Save(path, i) => {
                let old = number(i);
                undo_partial_move(At(&self.target, path), At(&self.old, &part(*i)))?;
                if At(&self.old, &old).exists()? && !At(&self.target, path).exists()? {
                    ops::rename(At(&self.old, &old), At(&self.target, path), false)?;
                }
            }
            Step::Put(path) => {
                if !At(&self.new, path).exists()? && At(&self.target, path).exists()? {
                    ops::rename(At(&self.target, path), At(&self.new, path), false)?;
                }
            }
        }
        Ok(())
    }

    /// Returns whether the new entry that this step makes room for is in place.
    fn is_put(&self, step: &Step) -> Result<bool> {
        At(&self.new, step.path()).exists().map(|e| !e).map_err(|e| failed("exchange", step, e))
    }

    fn set_attributes(&self, path: &[u8], attributes: Option<DirAttributes>) -> Result<()> {
        let fail = |e: Errno| Error::io("set the owner, mode and time of", e).at(os(path));
        let Some(attributes) = attributes else {
            return Ok(());
        };
        let dir = match open_dir(&self.target, path) {
            Ok(dir) => dir,
            // It was removed, or replaced by another file type.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(e) => return Err(fail(e)),
        };
        let found = rustix::fs::fstat(&dir).map_err(fail)?;
        match set(dir, &found, attributes) {
            // Only its owner can set them. A directory of another user keeps its own.
            Err(Errno::PERM) if found.st_uid != rustix::process::geteuid().as_raw() => Ok(()),
            result => result.map_err(fail),
        }
    }
}

fn set(dir: OpenDir<'_>, found: &Stat, attributes: DirAttributes) -> Result<(), Errno> {
    let DirAttributes { mode, uid, gid, mtime_ns } = attributes;
    if (found.st_uid, found.st_gid) != (uid, gid) {
        ops::chown(&dir, Uid::from_raw(uid), Gid::from_raw(gid))?;
    }
    ops::set_times(&dir, mtime_ns)?;
    dir.set_mode(Mode::from_raw_mode(mode))
}

/// Returns the name, in `old`, of the part of a directory that is moved entry by entry.
fn part(number: u32) -> Vec<u8> {
    format!("part-{number}").into_bytes()
}

fn failed(operation: &'static str, step: &Step, errno: Errno) -> Error {
    let error = Error::io(operation, errno).at(os(step.path()));
    match errno {
        Errno::BUSY => error.caused_by("a file system is mounted there"),
        _ => error,
    }
}
