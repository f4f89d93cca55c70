//! The transaction: prepare a staging directory, fill it, and exchange the trees.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::io::Errno;

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::Beneath,
        replace::{
            changes::Changes,
            claim::{Claim, NewOrInterrupted},
            exchange::Trees,
            ops,
            plan::{self, Exchange},
            record::{Phase, StagingRecord},
            recover::{Recovered, recover_claim, remove_staging, rollback_failed, sync_failed},
            removals::Fates,
            staging::{StagingDir, remove_unidentified},
            state::StateDir,
            target::Target,
        },
        walk::StagingId,
    },
    warning::Warning,
};

/// A transaction that has a record and a staging directory. If it is dropped before its exchange
/// begins, it removes both.
#[derive(Debug)]
pub(crate) struct Replacement {
    /// `None` after the exchange has begun. Then a drop does not undo it.
    pub(super) claim: Option<Claim>,
    target: Target,
    staging: StagingDir,
    pub(super) trees: Trees,
    recovered: Option<Recovered>,
}

impl Replacement {
    /// Opens the directory at `target`, ends an interrupted restore of it, and makes an empty staging
    /// directory in it. If `external` is given, the staging directory is made in that directory instead.
    pub(crate) fn prepare(
        target: &Path,
        state: &StateDir,
        external: Option<&Path>,
    ) -> Result<Replacement> {
        let target = Target::open(target)?;
        let staging = StagingRecord::plan(external)?;
        let mut recovered = None;
        let mut claim = loop {
            match state.claim(&target)? {
                NewOrInterrupted::New(claim) => break claim.begin(&target, staging)?,
                NewOrInterrupted::Interrupted(claim) => {
                    recovered = Some(recover_claim(claim, &target)?);
                }
            }
        };
        let (staging, identity) = match StagingDir::make(&target, &claim.record().staging) {
            Ok(made) => made,
            Err(e) => {
                remove_unidentified(&target, &claim.record().staging);
                let _ = claim.remove();
                return Err(e);
            }
        };
        let trees = claim
            .update(|record| record.staging.identity = Some(identity))
            .and_then(|()| external.map_or(Ok(()), |dir| staging.check_renames(&target, dir)))
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

    /// Returns how [`prepare`](Replacement::prepare) ended an interrupted restore, if it found one.
    pub(crate) fn recovered(&self) -> Option<Recovered> {
        self.recovered
    }

    /// Opens the directory to unpack into.
    pub(crate) fn tree(&self) -> Result<OwnedFd> {
        let fail = |e: Errno| Error::io("open the staging directory in", e).at(&self.target.path);
        self.trees.new.dir(b"").map_err(fail)
    }

    /// Opens the directory whose content is replaced.
    pub(crate) fn old_tree(&self) -> Result<Beneath> {
        let fail = |e: Errno| Error::io("open the directory", e).at(&self.target.path);
        self.trees.target.reopen().map_err(fail)
    }

    /// Fails if the target has entries that cannot be removed, before any work is done.
    pub(crate) fn check(&self, how: Exchange<'_>) -> Result<()> {
        plan::check(&self.trees, how)
    }

    /// Exchanges the trees, and returns the changes and warnings.
    ///
    /// Until the journal is written, `is_cancelled` can end the transaction, and a failure leaves the
    /// target untouched. A later failure undoes the exchange. `committed` is called while the record
    /// still says that the new tree is in place.
    pub(crate) fn commit(
        mut self,
        how: Exchange<'_>,
        is_cancelled: &dyn Fn() -> bool,
        committed: &dyn Fn(),
    ) -> Result<(Changes, Vec<Warning>)> {
        let (journal, changes) = self.trees.plan(how)?;
        ops::sync_tree(&self.trees.new).map_err(|e| sync_failed(&self.target, e))?;
        if is_cancelled() {
            return Err(Error::cancelled());
        }
        let Some(mut claim) = self.claim.take() else {
            return Err(Error::new(ErrorKind::Internal, "commit the restore"));
        };
        if let Err(e) = claim.begin_exchange(&journal) {
            return Err(self.abandon(claim, e));
        }
        let conflicts = match self.trees.apply(&journal) {
            Ok(conflicts) => conflicts,
            Err(e) => {
                let undone = self.trees.roll_back(&journal);
                undone.map_err(|undo| rollback_failed(&claim, &e, &undo))?;
                self.trees.sync(&journal).map_err(|e| sync_failed(&self.target, e))?;
                claim.update(|record| record.phase = Phase::Undone)?;
                let _ = self.remove(claim);
                return Err(e);
            }
        };
        self.trees.sync(&journal).map_err(|e| sync_failed(&self.target, e))?;
        claim.update(|record| record.phase = Phase::Finished)?;
        committed();
        let mut warnings: Vec<_> = conflicts.into_iter().map(Warning::Overwritten).collect();
        let staging = claim.record().staging.path(&self.target.path);
        if let Err(e) = self.remove(claim) {
            warnings.push(Warning::OldFilesLeft(format!("{e} ({})", staging.display())));
        }
        Ok((changes, warnings))
    }

    /// Ends the transaction after its record could not be written. The record may have changed on disk
    /// all the same, so it is first set back to its previous phase. Only then is anything removed.
    fn abandon(&self, mut claim: Claim, error: Error) -> Error {
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
            // If this fails, the next restore removes the rest.
            let _ = self.remove(claim);
        }
    }
}

/// Removes the entries of `target` that `fates` decides to remove, as one transaction. Returns warnings.
pub(crate) fn clear(target: &Path, state: &StateDir, fates: Fates<'_>) -> Result<Vec<Warning>> {
    let replacement = Replacement::prepare(target, state, None)?;
    let how = Exchange { keep: &|_, _| false, fates: Some(fates), is_named: &|_| false };
    replacement.commit(how, &|| false, &|| ()).map(|(_, warnings)| warnings)
}

/// Fails if an exchange of this directory has begun and has not ended. Then its tree is neither the old
/// one nor the new one. Returns the staging directory of a restore whose exchange has not begun.
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
    let StagingRecord { external, name, identity } = record.staging;
    let identity = identity.filter(|_| external.is_none());
    Ok(identity.map(|identity| StagingId { name, inode: identity.inode }))
}
