//! What to unpack, and how.

use crate::{
    entry::{Entry, EntryKind},
    fs::unpack::OverwritePolicy,
    ops::{select::Selection, unpacked::UnpackOptions},
};

/// The options of an unpack.
pub(crate) struct Job<'a> {
    pub(crate) existing: OverwritePolicy,
    pub(crate) selection: &'a Selection,
    /// Returns whether to leave a member out. Its arguments are the path and whether it is a directory.
    pub(crate) skip: &'a dyn Fn(&[u8], bool) -> bool,
    pub(crate) salvage: bool,
    pub(crate) sha1: bool,
    pub(crate) options: &'a UnpackOptions,
}

impl Job<'_> {
    /// Returns whether an entry of the index is selected, and not left out.
    pub(super) fn matches(&self, entry: &Entry) -> bool {
        let is_directory = entry.kind == EntryKind::Directory;
        let mut unmatched = self.selection.unmatched();
        self.selection.matches(&entry.path, is_directory, &mut unmatched)
            && !(self.skip)(&entry.path, is_directory)
    }

    /// Returns whether an unusable member is left out. Otherwise it is an error.
    pub(super) fn skips_unusable(&self) -> bool {
        self.salvage || self.options.skip_refused
    }
}
