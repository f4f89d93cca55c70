//! The paths that a walk is limited to.

use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind, Result};

/// Paths relative to the root. A walk returns them, everything beneath them, and the directories that lead to them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SelectedPaths(BTreeSet<Vec<u8>>);

/// What the selected paths say about an entry.
pub(super) enum Part {
    /// The entry or a directory that contains it is selected.
    Selected,
    /// Something beneath the entry is selected.
    Leads,
    Outside,
}

impl SelectedPaths {
    /// Adds a path. Empty names and `.` are left out of it.
    pub(crate) fn add(&mut self, path: &[u8]) -> Result<()> {
        let refused = |why: &str| {
            let path = String::from_utf8_lossy(path).into_owned();
            Err(Error::new(ErrorKind::InvalidInput, "select").at(path).caused_by(why))
        };
        if path.first() == Some(&b'/') {
            return refused("it is not relative to the source");
        }
        let names = path.split(|&b| b == b'/').filter(|name| !matches!(*name, b"" | b"."));
        let names: Vec<_> = names.collect();
        if names.contains(&&b".."[..]) || path.contains(&0) {
            return refused("it is not a path in the source");
        }
        self.0.insert(names.join(&b'/'));
        Ok(())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice).filter(|path| !path.is_empty())
    }

    pub(super) fn part(&self, path: &[u8]) -> Part {
        let upper = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut prefixes = std::iter::once(0).chain(upper).chain([path.len()]);
        if prefixes.any(|end| self.0.contains(&path[..end])) {
            return Part::Selected;
        }
        let beneath = [path, b"/"].concat();
        match self.0.range(beneath.clone()..).next() {
            Some(next) if next.starts_with(&beneath) => Part::Leads,
            _ => Part::Outside,
        }
    }
}
