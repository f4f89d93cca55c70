//! The consumer of an archive's members.

use std::{ffi::OsStr, ops::Range, os::unix::ffi::OsStrExt};

use super::worker_pool::SharedBuffer;
use crate::{
    entry::Member,
    error::{Error, ErrorKind, Result},
};

/// Receives the members of an archive, in order.
pub(crate) trait Sink {
    /// Begins a member. Returns whether its content is wanted.
    fn member(&mut self, member: Member) -> Result<bool>;

    /// Begins a member that cannot be used. Its content is skipped.
    fn refuse(&mut self, member: Member, why: &'static str) -> Result<()> {
        let error = Error::new(ErrorKind::Corrupt, "read the tar header of");
        Err(error.at(OsStr::from_bytes(&member.path)).caused_by(why))
    }

    /// Receives a part of the content: `range` of `raw`, at `offset` of the file.
    fn data(&mut self, raw: &SharedBuffer, range: Range<usize>, offset: u64) -> Result<()>;

    /// Ends the member, whose content is complete.
    fn end(&mut self) -> Result<()>;

    /// Ends the member. The rest of its content is lost.
    fn abandon(&mut self);

    /// All members in the current buffer have been passed on, and another buffer will come.
    fn buffer_end(&mut self) -> Result<()> {
        Ok(())
    }
}
