//! Does the steps of a journal, or undoes them.
//!
//! Whether a step is done is told from what is there, whatever the order in which a file system
//! made things durable:
//!
//! | step | is done if | undone by |
//! |---|---|---|
//! | `Keep(p)` | `new/p` is there, or `new/top(p)` is not (it was put) | `new/p` → `target/p` |
//! | `MoveOut(p, i)` | `old/i` is there, or what follows is `Put(p)`, and done | `old/i` → `target/p` |
//! | `Save(p, i)` | as `MoveOut` | `old/i` → `target/p`, if that is missing |
//! | `Put(p)` | `new/p` is not there | `target/p` → `new/p` |
//!
//! A directory that cannot be renamed is carried (see [`carry`](crate::fs::replace::carry)).
//!
//! So both directions can be cut off and begun again, any number of times.

use rustix::{fs::Mode, io::Errno};

use crate::{
    error::{Error, Result},
    fs::{
        beneath::{Beneath, os, split},
        replace::{
            carry::{carry, uncarry},
            journal::{DirAttributes, Journal, Step},
            ops::{self, At},
        },
        root::FileId,
        sys,
    },
};

/// The three trees.
#[derive(Debug)]
pub(crate) struct Trees {
    pub(crate) target: Beneath,
    pub(crate) new: Beneath,
    pub(crate) old: Beneath,
    /// The directory that holds `new` and `old`, which may lie in the target.
    pub(crate) staging: FileId,
}

impl Trees {
    /// Does what is not done yet. Returns what somebody put in the way meanwhile.
    pub(crate) fn forward(&self, journal: &Journal) -> Result<Vec<Vec<u8>>> {
        let mut late = Vec::new();
        for (i, step) in journal.steps.iter().enumerate() {
            let before = i.checked_sub(1).map(|i| &journal.steps[i]);
            let replaces = matches!(before, Some(Step::Save(..)));
            let is_put = match journal.steps.get(i + 1) {
                Some(Step::Put(path)) if step.path() == path => self.is_put(step)?,
                _ => false,
            };
            if is_put {
                continue;
            }
            self.do_step(step, replaces, &mut late).map_err(|e| failed("exchange", step, e))?;
        }
        for change in &journal.attributes {
            self.set_attributes(&change.path, change.new)?;
        }
        Ok(late)
    }

    /// Makes durable what the steps did, in either direction.
    pub(crate) fn sync(&self, journal: &Journal) -> Result<(), Errno> {
        let parents = || journal.steps.iter().map(|step| split(step.path()).0);
        ops::sync_dirs(&self.target, parents())?;
        ops::sync_dirs(&self.new, parents())?;
        ops::sync_dirs(&self.old, [&b""[..]].into_iter())
    }

    /// Undoes what is done.
    pub(crate) fn backward(&self, journal: &Journal) -> Result<()> {
        for step in journal.steps.iter().rev() {
            self.undo_step(step).map_err(|e| failed("undo the exchange of", step, e))?;
        }
        for change in &journal.attributes {
            self.set_attributes(&change.path, change.old)?;
        }
        Ok(())
    }

    fn do_step(&self, step: &Step, replaces: bool, late: &mut Vec<Vec<u8>>) -> Result<(), Errno> {
        let number = |i: &u32| i.to_string().into_bytes();
        match step {
            Step::Keep(path) => {
                let top = path.split(|&b| b == b'/').next().unwrap_or_default();
                if At(&self.new, top).exists()? && !At(&self.new, path).exists()? {
                    // It may be gone: then there is nothing to keep.
                    let part = part(step);
                    let (from, to) = (At(&self.target, path), At(&self.new, path));
                    ops::unless_gone(carry(from, to, At(&self.old, &part)))?;
                }
            }
            Step::MoveOut(path, i) => {
                let old = number(i);
                if !At(&self.old, &old).exists()? {
                    let part = part(step);
                    let (from, to) = (At(&self.target, path), At(&self.old, &old));
                    ops::unless_gone(carry(from, to, At(&self.old, &part)))?;
                }
            }
            Step::Save(path, i) => {
                let old = number(i);
                if !At(&self.old, &old).exists()? {
                    match ops::link(At(&self.target, path), At(&self.old, &old)) {
                        Ok(()) | Err(Errno::NOENT) => {}
                        // Where there are no hard links, there is a moment without the file.
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
                        // Somebody made something of that name meanwhile: it goes with the old.
                        Err(Errno::EXIST) if tries < 100 => {
                            let aside = format!("late-{}-{tries}", late.len()).into_bytes();
                            ops::rename(At(&self.target, path), At(&self.old, &aside), true)?;
                            late.push(path.clone());
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
            Step::Keep(path) => {
                if At(&self.new, path).exists()? {
                    ops::rename(At(&self.new, path), At(&self.target, path), false)?;
                }
                uncarry(At(&self.target, path), At(&self.old, &part(step)))?;
            }
            Step::MoveOut(path, i) | Step::Save(path, i) => {
                let old = number(i);
                uncarry(At(&self.target, path), At(&self.old, &part(step)))?;
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

    /// Whether what this step makes way for is in its place.
    fn is_put(&self, step: &Step) -> Result<bool> {
        At(&self.new, step.path()).exists().map(|e| !e).map_err(|e| failed("exchange", step, e))
    }

    fn set_attributes(&self, path: &[u8], attributes: Option<DirAttributes>) -> Result<()> {
        let fail = |e: Errno| Error::io("set the mode and time of", e).at(os(path));
        let Some(attributes) = attributes else {
            return Ok(());
        };
        let dir = match ops::dir(&self.target, path) {
            Ok(dir) => dir,
            // It is gone, or not a directory any more.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            Err(e) => return Err(fail(e)),
        };
        ops::set_times(&dir, attributes.mtime_ns).map_err(fail)?;
        dir.set_mode(Mode::from_raw_mode(attributes.mode)).map_err(fail)
    }
}

/// Where a directory is gathered that cannot be renamed: beside the numbers in `old`.
fn part(step: &Step) -> Vec<u8> {
    match step {
        Step::Keep(path) | Step::Put(path) => format!("part-{}", blake3::hash(path).to_hex()),
        Step::MoveOut(_, i) | Step::Save(_, i) => format!("part-{i}"),
    }
    .into_bytes()
}

fn failed(doing: &'static str, step: &Step, errno: Errno) -> Error {
    let error = Error::io(doing, errno).at(os(step.path()));
    match errno {
        Errno::BUSY => error.caused_by("a file system is mounted there"),
        _ => error,
    }
}
