//! Finds entries of an index by their paths, and the children of a directory.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    entry::{EntryKind, Member, MemberKind},
    error::Result,
    format::index::{LocatedEntry, Page, sort_key},
    read::{Index, Pages},
};

/// Pages that stay decoded. A page takes half a MiB, and at most 3 MiB.
const PAGES: usize = 4;

/// Most children that are returned at once.
const CHILDREN_MAX: usize = 512;

/// Longest name in a directory.
const NAME_MAX: usize = 255;

/// The entries of an index, read where they are needed.
pub(super) struct Members {
    index: Arc<Index>,
    /// The pages that were used last. The newest is at the end.
    pages: VecDeque<Arc<Page>>,
}

impl Members {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Members { index, pages: VecDeque::new() }
    }

    /// Returns the member at this path. A directory that is only a part of other paths counts as well.
    pub(super) fn member(&mut self, path: &[u8]) -> Result<Option<Member>> {
        if path.is_empty() {
            return Ok(Some(implied_dir(Vec::new())));
        }
        if let Some((page, at)) = self.entry(path)? {
            return Ok(Some(Member::of_entry(&page.entries[at].entry)));
        }
        let beneath = [path, b"/"].concat();
        let next = self.seek(&beneath)?;
        let is_dir =
            next.is_some_and(|(page, at)| page.entries[at].entry.path.starts_with(&beneath));
        Ok(is_dir.then(|| implied_dir(path.to_vec())))
    }

    /// Returns the entry with this path, as its page and its number there.
    pub(super) fn entry(&mut self, path: &[u8]) -> Result<Option<(Arc<Page>, usize)>> {
        for kind in [EntryKind::File, EntryKind::Directory] {
            let key: Vec<u8> = sort_key(path, kind).copied().collect();
            let found = self.seek(&key)?;
            if let Some((page, at)) =
                found.filter(|(page, at)| page.entries[*at].entry.path == path)
            {
                return Ok(Some((page, at)));
            }
        }
        Ok(None)
    }

    /// Returns the children of a directory after the child `after`, at most [`CHILDREN_MAX`].
    pub(super) fn children(&mut self, dir: &[u8], after: Option<&Member>) -> Result<Vec<Member>> {
        let mut prefix = dir.to_vec();
        if !dir.is_empty() {
            prefix.push(b'/');
        }
        let mut key = match after {
            Some(child) => key_after(child),
            // No name begins with NUL. The key of the directory itself is the prefix.
            None => [&prefix[..], &[0]].concat(),
        };
        let mut children = Vec::new();
        while let Some((page, mut at)) = self.seek(&key)? {
            while let Some(LocatedEntry { entry, .. }) = page.entries.get(at) {
                let Some(rest) = entry.path.strip_prefix(&prefix[..]) else { return Ok(children) };
                let name = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
                let child = match name.len() == rest.len() {
                    true => Member::of_entry(entry),
                    // The index has only paths beneath it.
                    false => implied_dir([&prefix[..], name].concat()),
                };
                key = key_after(&child);
                if is_name(name) {
                    children.push(child);
                }
                if children.len() == CHILDREN_MAX {
                    return Ok(children);
                }
                at = position(&page, &key);
            }
        }
        Ok(children)
    }

    /// Returns the first entry whose sort key is not less than `key`, as its page and its number there.
    fn seek(&mut self, key: &[u8]) -> Result<Option<(Arc<Page>, usize)>> {
        let known = self.pages.iter().position(|page| spans(page, key));
        let page = match known.and_then(|known| self.pages.remove(known)) {
            Some(page) => page,
            None => {
                let mut pages = Pages::from(self.index.clone(), key)?;
                loop {
                    match pages.next()? {
                        None => return Ok(None),
                        Some(page) if position(&page, key) < page.entries.len() => {
                            break Arc::new(page);
                        }
                        Some(_) => {}
                    }
                }
            }
        };
        if self.pages.len() == PAGES {
            self.pages.pop_front();
        }
        self.pages.push_back(page.clone());
        let at = position(&page, key);
        Ok(Some((page, at)))
    }
}

/// Returns the number of the first entry whose sort key is not less than `key`.
fn position(page: &Page, key: &[u8]) -> usize {
    page.entries
        .partition_point(|LocatedEntry { entry, .. }| sort_key(&entry.path, entry.kind).lt(key))
}

/// Returns whether the first entry at or after `key` is in this page for sure.
fn spans(page: &Page, key: &[u8]) -> bool {
    let is_within = |first: &LocatedEntry, last: &LocatedEntry| {
        sort_key(&first.entry.path, first.entry.kind).le(key)
            && sort_key(&last.entry.path, last.entry.kind).ge(key)
    };
    page.entries
        .first()
        .zip(page.entries.last())
        .is_some_and(|(first, last)| is_within(first, last))
}

/// Returns the least sort key after a member and everything beneath it.
fn key_after(member: &Member) -> Vec<u8> {
    let after = if member.kind == MemberKind::Directory { b'/' + 1 } else { 0 };
    [&member.path[..], &[after]].concat()
}

/// Returns whether a file system can have this name. Anybody can make an index with others.
fn is_name(name: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && name != b"." && name != b".." && !name.contains(&0)
}

/// Returns a directory that the index does not have, because it has only paths beneath it.
fn implied_dir(path: Vec<u8>) -> Member {
    Member {
        path,
        kind: MemberKind::Directory,
        size: 0,
        mode: 0o555,
        uid: 0,
        gid: 0,
        mtime_ns: 0,
        target: Vec::new(),
    }
}
