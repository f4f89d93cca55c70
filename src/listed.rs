//! Lists in reports, of a bounded length.

use std::ops::Deref;

/// Items that a list in a report has at most.
pub const LISTED_MAX: usize = 1000;

/// The first [`LISTED_MAX`] items of a list in a report, and how many more there are: a tree or an archive
/// can be made to have millions of them. It is read as a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    items: Vec<T>,
    more: u64,
}

impl<T> Listed<T> {
    /// How many items were left out.
    pub fn more(&self) -> u64 {
        self.more
    }

    /// How many items there are with those that were left out.
    pub fn total(&self) -> u64 {
        self.items.len() as u64 + self.more
    }

    /// Adds an item, or counts it.
    pub(crate) fn push(&mut self, item: T) {
        match self.items.len() {
            LISTED_MAX => self.more += 1,
            _ => self.items.push(item),
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
