//! Merges the paths of both sides, which come in one order.

use std::cmp::Ordering;

use crate::{
    entry::MemberKind,
    error::Result,
    ops::{
        batches::Batches,
        diff::{
            content::{Side, is_same_content},
            difference::{Aspect, Compared, Difference, DifferenceKind},
            item::{Item, Knowledge},
        },
        select::{Selection, Unmatched},
    },
    progress::Tracker,
};

/// A comparison in progress.
pub(super) struct Merge<'a> {
    pub(super) selection: &'a Selection,
    pub(super) unmatched: &'a mut Unmatched,
    /// Times prove nothing.
    pub(super) reads_content: bool,
    pub(super) tracker: &'a Tracker,
    pub(super) compared: &'a mut Compared,
    pub(super) differences: &'a mut Batches<Difference>,
    /// The last path that could not be read.
    pub(super) unknown: Option<Vec<u8>>,
}

impl Merge<'_> {
    /// Compares all paths of `before` and `after`.
    pub(super) fn run(&mut self, before: &mut Side<'_>, after: &mut Side<'_>) -> Result<()> {
        let mut a = self.next(before)?;
        let mut b = self.next(after)?;
        loop {
            self.tracker.check()?;
            let order = match (&a, &b) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.cmp_position(b),
            };
            let (only_a, only_b) = (order.is_le(), order.is_ge());
            if let Some(item) = b.as_ref().filter(|item| only_b && item.is_unknown_beneath()) {
                self.unknown = Some(item.member.path.clone());
            }
            match (a.as_ref().filter(|_| only_a), b.as_ref().filter(|_| only_b)) {
                (Some(a), Some(b)) => self.compare(before, a, after, b)?,
                (Some(a), None) if self.is_unknown(&a.member.path) => {}
                (Some(a), None) => self.add(Some(a), None, Vec::new())?,
                (None, Some(b)) if b.knowledge == Knowledge::Nothing => {}
                (None, Some(b)) => self.add(None, Some(b), Vec::new())?,
                (None, None) => {}
            }
            self.tracker.add_file();
            if only_a {
                a = self.next(before)?;
            }
            if only_b {
                b = self.next(after)?;
            }
        }
    }

    /// Returns the next selected path of a side.
    fn next(&mut self, side: &mut Side<'_>) -> Result<Option<Item>> {
        loop {
            let next = match side {
                Side::Indexed(side) => side.next()?.map(Item::of_entry),
                Side::Table(side) => side.next(),
                Side::Tree(side) => side.next(self.tracker)?,
            };
            let Some(item) = next else { return Ok(None) };
            let is_directory = item.member.kind == MemberKind::Directory;
            if self.selection.matches(&item.member.path, is_directory, self.unmatched) {
                return Ok(Some(item));
            }
            self.tracker.check()?;
        }
    }

    fn compare(
        &mut self,
        before: &mut Side<'_>,
        a: &Item,
        after: &mut Side<'_>,
        b: &Item,
    ) -> Result<()> {
        if b.knowledge == Knowledge::Nothing {
            return Ok(());
        }
        let mut changes = a.differences(b);
        let are_files = [a.member.kind, b.member.kind] == [MemberKind::File; 2];
        if are_files {
            match self.has_same_content(before, a, after, b)? {
                Some(true) => {}
                Some(false) => changes.push(Aspect::Content),
                None => return Ok(()),
            }
        }
        changes.sort_unstable();
        match changes[..] {
            [] => {
                self.compared.unchanged += 1;
                Ok(())
            }
            _ => self.add(Some(a), Some(b), changes),
        }
    }

    fn has_same_content(
        &self,
        before: &mut Side<'_>,
        a: &Item,
        after: &mut Side<'_>,
        b: &Item,
    ) -> Result<Option<bool>> {
        if a.member.size != b.member.size {
            return Ok(Some(false));
        }
        let is_tree = matches!(after, Side::Tree(_));
        if a.member.size == 0 || !self.reads_content && is_tree && a.looks_like_file(b) {
            return Ok(Some(true));
        }
        let is_trusted = !self.reads_content && a.is_same_stamp(b);
        is_same_content(before, after, is_trusted, self.tracker)
    }

    fn is_unknown(&self, path: &[u8]) -> bool {
        let is_beneath = |rest: &[u8]| rest.is_empty() || rest.starts_with(b"/");
        let unknown = self.unknown.as_ref();
        unknown.is_some_and(|unknown| path.strip_prefix(&unknown[..]).is_some_and(is_beneath))
    }

    fn add(&mut self, a: Option<&Item>, b: Option<&Item>, changes: Vec<Aspect>) -> Result<()> {
        let Some(path) = a.or(b).map(|item| item.member.path.clone()) else { return Ok(()) };
        let member = |item: Option<&Item>| item.map(|item| item.member.clone());
        let difference = Difference { path, before: member(a), after: member(b), changes };
        let size = |item: Option<&Item>| item.map_or(0, |item| item.member.size);
        let compared = &mut *self.compared;
        match difference.kind() {
            DifferenceKind::Added => {
                compared.added += 1;
                compared.added_bytes += size(b);
            }
            DifferenceKind::Removed => {
                compared.removed += 1;
                compared.removed_bytes += size(a);
            }
            DifferenceKind::Changed => {
                compared.changed += 1;
                compared.changed_bytes += size(b);
            }
            DifferenceKind::Metadata => compared.metadata += 1,
        }
        self.differences.add(difference)
    }
}
