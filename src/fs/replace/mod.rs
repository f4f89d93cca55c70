//! Replaces a directory's content as one transaction: the result is the old tree or the new tree.
//!
//! ```text
//! STATE/restores/…/record, journal        the state of the transaction, see [`state`]
//! target/.wingback-restore-{random}/      the staging directory, see [`staging`]
//!     new/        the new tree, filled by the caller
//!     old/        entries that the exchange moved out of the target, by number
//! ```
//!
//! [`Replacement::prepare`] finishes or undoes an exchange that was interrupted.
//! [`Replacement::commit`] makes the new tree durable, writes the journal, exchanges the trees (see
//! [`exchange`]), and removes the staging directory. The target itself stays the same directory, since
//! it may be a mount point.
//!
//! A tenant may write to the target at any moment, so nothing that is found in the target is trusted.
//! Only the record says which name the staging directory has, and by which inode it is recognized.

mod changes;
mod claim;
mod dir_access;
mod entries;
mod exchange;
mod faults;
mod journal;
mod move_dir;
mod ops;
mod plan;
mod record;
mod recover;
mod removals;
mod remove;
mod staging;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod transaction;
mod visit;

pub(crate) use crate::fs::replace::{
    changes::Changes,
    plan::Exchange,
    recover::recover,
    removals::{Fate, Fates, find as find_removals, in_the_way},
    state::StateDir,
    transaction::{Replacement, check_whole, clear},
    visit::visit,
};
pub use crate::fs::replace::{recover::Recovered, state::default_state_dir};
