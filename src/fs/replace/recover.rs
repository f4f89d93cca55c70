//! Ends restores that were interrupted.

use std::{fmt, path::Path};

use rustix::io::Errno;

use crate::{
    error::{Error, ErrorKind, Result},
    fs::replace::{
        claim::Claim,
        record::Phase,
        staging::{StagingDir, remove_unidentified},
        state::{StateDir, target_of},
        target::Target,
    },
};

/// Result of ending an interrupted restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovered {
    /// Its exchange had begun, and was finished. The tree is the new one.
    Finished,
    /// Its exchange had begun and could not be finished, so it was undone. The tree is the old one.
    Undone,
    /// Its exchange had not begun. The files that it had unpacked were removed. The tree is the old
    /// one.
    Discarded,
}

impl Recovered {
    /// Returns a word for programs. It is stable across versions.
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

/// Finishes or undoes an interrupted restore of `target`. Returns `None` if there is none.
pub(crate) fn recover(target: &Path, state: &StateDir) -> Result<Option<Recovered>> {
    let target = Target::open(target)?;
    let claim = state.claim_interrupted(&target)?;
    claim.map(|claim| recover_claim(claim, &target)).transpose()
}

/// Finishes or undoes the restore of a record, and removes the staging directory and the record.
pub(super) fn recover_claim(mut claim: Claim, target: &Target) -> Result<Recovered> {
    let staging = StagingDir::find(target, &claim.record().staging)?;
    let recovered = match claim.record().phase {
        Phase::Unpacking => Recovered::Discarded,
        Phase::Finished => Recovered::Finished,
        Phase::Undone => Recovered::Undone,
        Phase::Exchanging(hash) => {
            let journal = claim.journal(&hash)?.map_err(|why| needs_operator(&claim, &why))?;
            let Some(staging) = &staging else {
                return Err(needs_operator(&claim, "its staging directory is missing"));
            };
            let Some(trees) = staging.trees(target)? else {
                return Err(needs_operator(&claim, "a part of its staging directory is missing"));
            };
            let recovered = match trees.apply(&journal) {
                Ok(_) => Recovered::Finished,
                Err(e) => {
                    trees.roll_back(&journal).map_err(|undo| rollback_failed(&claim, &e, &undo))?;
                    Recovered::Undone
                }
            };
            trees.sync(&journal).map_err(|e| sync_failed(target, e))?;
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
            remove_unidentified(target, &claim.record().staging);
        }
        // A tenant removed the directory, or put another entry in its place, which belongs to the tenant.
        None => {}
    }
    claim.remove()?;
    Ok(recovered)
}

pub(super) fn remove_staging(staging: &StagingDir, target: &Target) -> Result<()> {
    let fail = |e: Errno| Error::io("remove the staging directory in", e).at(&target.path);
    staging.remove().map_err(fail)
}

/// Returns the error for an exchange that could not be made durable.
pub(super) fn sync_failed(target: &Target, errno: Errno) -> Error {
    Error::io("make the restore durable in", errno).at(&target.path)
}

/// Returns the error for an exchange that was interrupted, and that only the operator can end.
fn needs_operator(claim: &Claim, why: &str) -> Error {
    let target = target_of(claim.record());
    let cause = format!("{why}. Nothing was removed. {}", by_hand(claim));
    Error::new(ErrorKind::Corrupt, "end the interrupted restore of").at(target).caused_by(cause)
}

/// Returns the error for a rollback that failed as well. All files are kept.
pub(super) fn rollback_failed(claim: &Claim, apply: &Error, roll_back: &Error) -> Error {
    let target = target_of(claim.record());
    Error::new(ErrorKind::Io, "restore").at(target).caused_by(format!(
        "the exchange could be neither finished ({apply}) nor undone ({roll_back}). Nothing was removed. The \
         next restore or `wingback recover` tries again. If they fail too: {}",
        by_hand(claim),
    ))
}

/// Says how an operator ends an exchange.
fn by_hand(claim: &Claim) -> String {
    let record = claim.record();
    let target = target_of(record);
    format!(
        "The files are in {target} and in {}. Move the old files back by hand (they are in its `old`, by \
         number), or move the new files into place (they are in its `new`). Then remove the record {}",
        record.staging.path(Path::new(&target)).display(),
        claim.path().display(),
    )
}
