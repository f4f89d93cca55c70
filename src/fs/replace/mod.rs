//! Replaces a directory's content as one transaction: the result is the old tree or the new one.
//!
//! ```text
//! STATE/restores/…/record, journal        what is being done, see [`state`]
//! target/.wingback-restore-{random}/      the staging directory, see [`staging`]
//!     new/        the new tree, filled by the caller
//!     old/        entries that the exchange moved out of the target, by number
//! ```
//!
//! [`Replacement::prepare`] finishes or undoes an exchange that was interrupted.
//! [`Replacement::commit`] makes the new tree durable, writes the journal, exchanges (see
//! [`exchange`]), and removes the staging directory. The target itself stays the same directory, as
//! it may be a mount point.
//!
//! A tenant may write to the target at any moment, so nothing found in it is taken as ours: only
//! the record says what the staging directory is called and by which inode it is accepted again.

mod carry;
mod claim;
mod exchange;
mod journal;
mod ops;
mod plan;
mod record;
mod remove;
mod staging;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod visit;

use std::{
    fmt,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::io::Errno;

pub use crate::fs::replace::state::default_state_dir;
pub(crate) use crate::fs::replace::{
    plan::{How, Keep},
    state::StateDir,
    visit::visit,
};
use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        replace::{
            claim::{Claim, Claimed},
            exchange::Trees,
            record::{Phase, Staging},
            staging::StagingDir,
            target::Target,
        },
        walk::StagingId,
    },
};

/// What became of a restore that was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovered {
    /// Its exchange had begun, and was finished: the tree is the new one.
    Finished,
    /// Its exchange had begun and could not be finished: it was undone, and the tree is the old one.
    Undone,
    /// Its exchange had not begun: the files that it had unpacked were removed. The tree is the old
    /// one.
    Discarded,
}

impl Recovered {
    /// A word for programs, stable across versions.
    pub fn code(self) -> &'static str {
        match self {
            Recovered::Finished => "finished",
            Recovered::Undone => "undone",
            Recovered::Discarded => "discarded",
        }
    }
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Recovered::Finished => {
                "an interrupted restore was finished: the new files are in place"
            }
            Recovered::Undone => "an interrupted restore was undone: the old files are in place",
            Recovered::Discarded => {
                "an interrupted restore was discarded: its unpacked files were removed"
            }
        })
    }
}

/// A transaction that has a record and a staging directory. Dropped before its exchange begins, it
/// removes both.
#[derive(Debug)]
pub(crate) struct Replacement {
    /// `None` once the exchange begins: from then on it is not undone by a drop.
    claim: Option<Claim>,
    target: Target,
    staging: StagingDir,
    trees: Trees,
    recovered: Option<Recovered>,
}

impl Replacement {
    /// Opens the directory at `target`, ends an interrupted restore of it, and makes an empty
    /// staging directory: in it, or in the directory `outside`.
    pub(crate) fn prepare(
        target: &Path,
        state: &StateDir,
        outside: Option<&Path>,
    ) -> Result<Replacement> {
        let target = Target::open(target)?;
        let staging = Staging::plan(outside)?;
        let mut recovered = None;
        let mut claim = loop {
            match state.claim(&target)? {
                Claimed::New(claim) => break claim.begin(&target, staging)?,
                Claimed::Interrupted(claim) => recovered = Some(recover_claim(claim, &target)?),
            }
        };
        let (staging, identity) = match StagingDir::make(&target, &claim.record().staging) {
            Ok(made) => made,
            Err(e) => {
                staging::remove_unidentified(&target, &claim.record().staging);
                let _ = claim.remove();
                return Err(e);
            }
        };
        let trees = claim
            .update(|record| record.staging.identity = Some(identity))
            .and_then(|()| outside.map_or(Ok(()), |dir| staging.check_renames(&target, dir)))
            .and_then(|()| staging.make_trees(&target));
        match trees {
            Ok(trees) => Ok(Replacement { claim: Some(claim), target, staging, trees, recovered }),
            Err(e) => {
                if staging.remove().is_ok() {
                    let _ = claim.remove();
                }
                Err(e)
            }
        }
    }

    /// An interrupted restore that [`prepare`](Replacement::prepare) found, and what became of it.
    pub(crate) fn recovered(&self) -> Option<Recovered> {
        self.recovered
    }

    /// The directory to unpack into.
    pub(crate) fn tree(&self) -> Result<OwnedFd> {
        let fail = |e: Errno| Error::io("open the staging directory in", e).at(&self.target.path);
        self.trees.new.dir(b"").map_err(fail)
    }

    /// Refuses entries that could not be exchanged, before any work is done.
    pub(crate) fn check(&self, how: How<'_>) -> Result<()> {
        plan::check(&self.trees, how)
    }

    /// Exchanges. Until the journal is written, `is_cancelled` ends it and a failure leaves the
    /// target untouched; a later failure undoes the exchange. `committed` is called while the
    /// record still says that the new tree is in place. Returns warnings.
    pub(crate) fn commit(
        mut self,
        how: How<'_>,
        is_cancelled: &dyn Fn() -> bool,
        committed: &dyn Fn(),
    ) -> Result<Vec<String>> {
        let journal = self.trees.plan(how)?;
        ops::sync_tree(&self.trees.new).map_err(|e| undurable(&self.target, e))?;
        if is_cancelled() {
            return Err(Error::cancelled());
        }
        let Some(mut claim) = self.claim.take() else {
            return Err(Error::new(ErrorKind::Internal, "commit the restore"));
        };
        if let Err(e) = claim.begin_exchange(&journal) {
            return Err(self.give_up(claim, e));
        }
        let late = match self.trees.forward(&journal) {
            Ok(late) => late,
            Err(e) => {
                self.trees.backward(&journal).map_err(|undo| stuck(&claim, &e, &undo))?;
                self.trees.sync(&journal).map_err(|e| undurable(&self.target, e))?;
                claim.update(|record| record.phase = Phase::Undone)?;
                let _ = self.remove(claim);
                return Err(e);
            }
        };
        self.trees.sync(&journal).map_err(|e| undurable(&self.target, e))?;
        claim.update(|record| record.phase = Phase::Finished)?;
        committed();
        let mut warnings: Vec<String> = late
            .iter()
            .map(|path| {
                let path = String::from_utf8_lossy(path).into_owned();
                format!(
                    "{path}: something made it during the exchange; the archive's is in its place"
                )
            })
            .collect();
        let staging = claim.record().staging.path(&self.target.path);
        if let Err(e) = self.remove(claim) {
            warnings
                .push(format!("the old files could not be removed: {e} ({})", staging.display()));
        }
        Ok(warnings)
    }

    /// The record could not be written. It may be there all the same, so it is put back to what it
    /// was before anything is removed.
    fn give_up(&self, mut claim: Claim, error: Error) -> Error {
        if claim.update(|record| record.phase = Phase::Unpacking).is_ok() {
            let _ = self.remove(claim);
        }
        error
    }

    fn remove(&self, claim: Claim) -> Result<()> {
        remove_staging(&self.staging, &self.target)?;
        claim.remove()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            // The next restore removes what cannot be removed now.
            let _ = self.remove(claim);
        }
    }
}

/// Finishes or undoes an interrupted restore of `target`; `None` if there is none.
pub(crate) fn recover(target: &Path, state: &StateDir) -> Result<Option<Recovered>> {
    let target = Target::open(target)?;
    let claim = state.find(&target)?;
    claim.map(|claim| recover_claim(claim, &target)).transpose()
}

/// Removes everything in `target` that `keep` does not match, as one transaction. Returns warnings.
pub(crate) fn clear(target: &Path, state: &StateDir, keep: Keep<'_>) -> Result<Vec<String>> {
    let replacement = Replacement::prepare(target, state, None)?;
    let how = How::Replace { keep };
    replacement.check(how)?;
    replacement.commit(how, &|| false, &|| ())
}

/// Fails if an exchange of this directory has begun and is not over: its tree is neither the old one
/// nor the new one. Returns the staging directory of a restore that has not come so far.
pub(crate) fn check_whole(
    dir: impl AsFd,
    path: &Path,
    state: &StateDir,
) -> Result<Option<StagingId>> {
    let Some(record) = state.pending(&Target::of(dir, path)?)? else {
        return Ok(None);
    };
    if let Phase::Exchanging(_) = record.phase {
        return Err(Error::new(ErrorKind::Busy, "read the source").at(path).caused_by(
            "a restore of it is not finished: if none is running, `wingback recover` ends it",
        ));
    }
    let Staging { outside, name, identity } = record.staging;
    let identity = identity.filter(|_| outside.is_none());
    Ok(identity.map(|identity| StagingId { name, inode: identity.inode }))
}

/// Finishes or undoes what the record says, and removes staging directory and record.
fn recover_claim(mut claim: Claim, target: &Target) -> Result<Recovered> {
    let staging = StagingDir::find(target, &claim.record().staging)?;
    let recovered = match claim.record().phase {
        Phase::Unpacking => Recovered::Discarded,
        Phase::Finished => Recovered::Finished,
        Phase::Undone => Recovered::Undone,
        Phase::Exchanging(hash) => {
            let journal = claim.journal(&hash)?.map_err(|why| by_hand(&claim, &why))?;
            let Some(staging) = &staging else {
                return Err(by_hand(&claim, "its staging directory is not there any more"));
            };
            let trees = staging.trees(target)?;
            let recovered = match trees.forward(&journal) {
                Ok(_) => Recovered::Finished,
                Err(e) => {
                    trees.backward(&journal).map_err(|undo| stuck(&claim, &e, &undo))?;
                    Recovered::Undone
                }
            };
            trees.sync(&journal).map_err(|e| undurable(target, e))?;
            claim.update(|record| {
                record.phase = match recovered {
                    Recovered::Finished => Phase::Finished,
                    _ => Phase::Undone,
                }
            })?;
            recovered
        }
    };
    match &staging {
        Some(staging) => remove_staging(staging, target)?,
        None if claim.record().staging.identity.is_none() => {
            staging::remove_unidentified(target, &claim.record().staging);
        }
        // A tenant removed it, or put something else in its place, which is the tenant's.
        None => {}
    }
    claim.remove()?;
    Ok(recovered)
}

fn remove_staging(staging: &StagingDir, target: &Target) -> Result<()> {
    let fail = |e: Errno| Error::io("remove the staging directory in", e).at(&target.path);
    staging.remove().map_err(fail)
}

fn undurable(target: &Target, errno: Errno) -> Error {
    Error::io("make the restore durable in", errno).at(&target.path)
}

/// The exchange has begun and cannot be ended by itself.
fn by_hand(claim: &Claim, why: &str) -> Error {
    let record = claim.record();
    let target = state::shown(record);
    Error::new(ErrorKind::Corrupt, "end the interrupted restore of").at(&target).caused_by(format!(
        "{why}. Nothing was removed. The files are in {target} and in {}: move the old ones back by \
         hand (they are in its `old`, by number) or the new ones into place (in its `new`), then \
         remove the record {}",
        record.staging.path(Path::new(&target)).display(),
        claim.path().display(),
    ))
}

/// Rollback failed as well: all files are kept.
fn stuck(claim: &Claim, forward: &Error, backward: &Error) -> Error {
    let record = claim.record();
    let target = state::shown(record);
    Error::new(ErrorKind::Io, "restore").at(&target).caused_by(format!(
        "the exchange could be neither finished ({forward}) nor undone ({backward}); the files are in \
         the directory and in {}, and the next restore or `wingback recover` tries again",
        record.staging.path(Path::new(&target)).display(),
    ))
}
