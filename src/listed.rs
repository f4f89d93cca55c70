//! Lists of bounded length, for reports.

use std::ops::Deref;

/// Most items that a [`Listed`] holds.
pub const LISTED_MAX: usize = 1000;

/// The first [`LISTED_MAX`] items of a list in a report, and the number of the others.
///
/// The bound protects the memory of the caller: a hostile tree or archive can have millions of such items.
/// A `Listed` derefs to a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    items: Vec<T>,
    more: u64,
}

impl<T> Listed<T> {
    /// Returns the number of items that were left out.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// Returns the number of all items, including those that were left out.
    pub fn total(&self) -> u64 {
        self.items.len() as u64 + self.more
    }

    /// Adds an item, or only counts it if the list is full.
    pub(crate) fn push(&mut self, item: T) {
        match self.items.len() < LISTED_MAX && self.more == 0 {
            true => self.items.push(item),
            false => self.more += 1,
        }
    }
}

impl Listed<Vec<u8>> {
    /// Takes back a path that was added.
    pub(crate) fn remove(&mut self, path: &[u8]) {
        match self.items.iter().position(|known| known == path) {
            Some(i) => drop(self.items.remove(i)),
            None => self.more = self.more.saturating_sub(1),
        }
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Listed { items: Vec::new(), more: 0 }
    }
}

impl<T> Deref for Listed<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<T> IntoIterator for Listed<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Listed<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items.iter()
    }
}

impl<T> Extend<T> for Listed<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<T> FromIterator<T> for Listed<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut listed = Listed::default();
        listed.extend(items);
        listed
    }
}
