//! The folders above the archives of a place: labels, and times within them.

use std::collections::{BTreeMap, HashMap};

use wingback::StoredArchive;

use crate::units::rfc3339;

/// Longest name without its suffix. A name of a file has at most 255 bytes.
const NAME_MAX: usize = 240;

/// A child of a folder, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    Folder(usize),
    Archive(usize),
}

/// The folders with the names of their children, sorted. The first folder is the root.
#[derive(Debug, Default)]
pub struct Folders(Vec<Vec<(Vec<u8>, Child)>>);

impl Folders {
    /// Returns the folders for these archives, of which the newest comes first.
    pub fn of(archives: &[StoredArchive]) -> Self {
        let mut root = Names::default();
        let mut labels: BTreeMap<&[u8], Names> = BTreeMap::new();
        let mut unlabeled = Vec::new();
        // The oldest first, so that a newer archive does not change the name of an older one.
        for (number, archive) in archives.iter().enumerate().rev() {
            match archive.label() {
                Some(label) => labels.entry(label).or_default().add(
                    time(archive).unwrap_or_else(|| archive.key.to_string()).as_bytes(),
                    Child::Archive(number),
                ),
                None => unlabeled.push((archive.key.as_str(), Child::Archive(number))),
            }
        }
        let mut folders = vec![Vec::new()];
        for (label, names) in labels {
            root.add(label, Child::Folder(folders.len()));
            folders.push(names.sorted());
        }
        for (key, archive) in unlabeled {
            root.add(key.as_bytes(), archive);
        }
        folders[0] = root.sorted();
        Folders(folders)
    }

    /// Returns the child of a folder with this name.
    pub fn child(&self, folder: usize, name: &[u8]) -> Option<Child> {
        let children = self.children(folder);
        let at = children.binary_search_by(|(other, _)| other[..].cmp(name)).ok()?;
        Some(children[at].1)
    }

    /// Returns the children of a folder, with their names.
    pub fn children(&self, folder: usize) -> &[(Vec<u8>, Child)] {
        &self.0[folder]
    }
}

/// Returns the time of an archive as a name: `2026-11-30T04-25-12Z`.
fn time(archive: &StoredArchive) -> Option<String> {
    archive.made_ns().map(|ns| rfc3339(ns).replace(':', "-"))
}

/// Different names in one folder.
#[derive(Default)]
struct Names(HashMap<Vec<u8>, Child>);

impl Names {
    /// Adds a child. A label may have any bytes, and two archives may have the same second.
    fn add(&mut self, text: &[u8], child: Child) {
        let is_kept = |byte: &u8| !matches!(byte, b'/' | 0);
        let name: Vec<u8> = text.iter().map(|b| if is_kept(b) { *b } else { b'_' }).collect();
        let name: &[u8] = match &name[..] {
            b"." => b"_",
            b".." => b"__",
            name => &name[..name.len().min(NAME_MAX)],
        };
        let numbered = (2..).map(|n: u32| [name, format!("-{n}").as_bytes()].concat());
        let mut names = std::iter::once(name.to_vec()).chain(numbered);
        if let Some(free) = names.find(|name| !self.0.contains_key(name)) {
            self.0.insert(free, child);
        }
    }

    fn sorted(self) -> Vec<(Vec<u8>, Child)> {
        let mut names: Vec<_> = self.0.into_iter().collect();
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        names
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use wingback::{Info, Key, Object};

    use super::*;

    fn archive(key: &str, label: &[u8], seconds: u64) -> StoredArchive {
        let mut info = Info::default();
        info.label = label.to_vec();
        info.made = Some(UNIX_EPOCH + Duration::from_secs(seconds));
        let object = Object::new(Key::new(key).unwrap(), 1000, None);
        StoredArchive::new(object, Some(info))
    }

    fn names(folders: &Folders, folder: usize) -> Vec<String> {
        let text = |(name, _): &(Vec<u8>, Child)| String::from_utf8_lossy(name).into_owned();
        folders.children(folder).iter().map(text).collect()
    }

    #[test]
    fn archives_are_at_their_label_and_time() {
        let folders = Folders::of(&[
            archive("d.tar.gz", b"lobby", 1_796_012_712),
            archive("c.tar.gz", b"lobby", 1_796_012_712),
            archive("b.tar.gz", b"survival", 0),
            archive("a/a.tar.gz", b"", 0),
        ]);
        assert_eq!(names(&folders, 0), ["a_a.tar.gz", "lobby", "survival"]);
        let Some(Child::Folder(lobby)) = folders.child(0, b"lobby") else { panic!("no folder") };
        assert_eq!(names(&folders, lobby), ["2026-11-30T04-25-12Z", "2026-11-30T04-25-12Z-2"]);
        assert_eq!(folders.child(lobby, b"2026-11-30T04-25-12Z"), Some(Child::Archive(1)));
        assert_eq!(folders.child(lobby, b"2026-11-30T04-25-12Z-2"), Some(Child::Archive(0)));
        assert_eq!(folders.child(0, b"a_a.tar.gz"), Some(Child::Archive(3)));
        assert_eq!(folders.child(0, b"lobb"), None);
    }

    #[test]
    fn every_label_has_a_folder_of_its_own_with_a_possible_name() {
        let labels = [&b"a/b"[..], b"a_b", b"a\0b", b".", b"..", &[b'x'; 255]];
        let archives: Vec<_> = labels.iter().map(|label| archive("a.tar.gz", label, 0)).collect();
        let folders = Folders::of(&archives);
        let long = "x".repeat(240);
        assert_eq!(names(&folders, 0), ["_", "__", "a_b", "a_b-2", "a_b-3", &long]);
    }
}
