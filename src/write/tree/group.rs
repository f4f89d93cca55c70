//! Begins, continues and ends groups of small entries.

use super::{small_file_group::SmallFileGroup, writer::Writer};
use crate::{
    error::{Error, Result},
    write::previous::PreviousEntry,
};

impl Writer<'_> {
    /// Adds an entry, which is unchanged, to the unchanged group, or begins one with it. Returns false if the
    /// entry is not at the right position for that.
    pub(super) fn join_group(&mut self, previous: &PreviousEntry) -> Result<bool> {
        let entry = previous.tar();
        if let Some(group) = &mut self.group {
            return Ok(group.extend(&entry));
        }
        let tar = previous.segment.tar();
        if !self.output.is_cut() || tar.start != entry.start || tar.end < entry.end {
            return Ok(false);
        }
        if self.tracker().is_cancelled() {
            return Err(Error::cancelled());
        }
        let Some(cursor) = &mut self.cursor else { return Ok(false) };
        let Some(copied) = cursor.copy(&previous.segment) else { return Ok(false) };
        let len = entry.end - entry.start;
        self.group = Some(SmallFileGroup { copied, tar, len, members: Vec::new() });
        Ok(true)
    }

    /// Turns an unchanged group into raw bytes, since the next entry is read or is from another segment.
    pub(super) fn unpack_group(&mut self) -> Result<()> {
        let Some(group) = self.group.take() else { return Ok(()) };
        let raw = (self.cursor.as_mut())
            .and_then(|cursor| cursor.raw_of(&group.copied, group.raw_range()));
        let Some(raw) = raw else { return self.reread(group.members) };
        self.output.batch()?.raw.extend(raw);
        group.members.into_iter().for_each(|member| self.output.add_entry(member.entry));
        Ok(())
    }

    /// Ends the current group, so that the next entry begins another segment.
    pub(super) fn end_group(&mut self) -> Result<()> {
        if let Some(group) = self.group.take_if(|group| group.is_complete()) {
            self.output.push(group.copied)?;
            group.members.into_iter().for_each(|member| self.output.add_entry(member.entry));
            return Ok(());
        }
        self.unpack_group()?;
        self.output.cut();
        Ok(())
    }

    /// Ends the current group if it ends after the entry at `path`.
    pub(super) fn end_small_entry(&mut self, path: &[u8]) -> Result<()> {
        if self.ends_group(path) {
            self.end_group()?;
            self.output.send_if_full()?;
        }
        Ok(())
    }
}
