//! Snapshots of trees, compared in all attributes that a backup promises to preserve.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs::{self, File},
    ops::Range,
    os::unix::fs::MetadataExt,
    path::Path,
    rc::Rc,
};

use rustix::fs::{SeekFrom, seek};

use super::dir::Dir;

/// The smallest hole that a restore must preserve.
pub const HOLE: u64 = 64 << 10;

/// The entries of a tree without its root, by path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<Vec<u8>, Found>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub kind: char,
    mode: u32,
    mtime_ns: i64,
    /// Content of a file or target of a symlink.
    pub content: Vec<u8>,
    /// The first path of the same inode.
    first_name: Vec<u8>,
    /// Holes of at least `HOLE` bytes.
    pub holes: Vec<Range<u64>>,
}

impl Snapshot {
    pub fn of(root: &Path) -> Self {
        let mut all = BTreeMap::new();
        let mut firsts = BTreeMap::new();
        let mut dirs: Vec<(Rc<Dir>, Vec<u8>)> = Vec::new();
        let mut dir = Rc::new(Dir::root(root));
        loop {
            for name in dir.names() {
                let (found, inode) = Found::at(&dir.at(&name));
                match found.kind {
                    'd' => dirs.push((Rc::clone(&dir), name.clone())),
                    'f' => firsts.entry(inode).or_insert_with(Vec::new).push(dir.path(&name)),
                    _ => {}
                }
                all.insert(dir.path(&name), found);
            }
            let Some((parent, name)) = dirs.pop() else { break };
            dir = Rc::new(parent.open(&name));
        }
        let mut snapshot = Snapshot(all);
        snapshot.link(firsts.into_values());
        snapshot
    }

    /// Records each group of paths as hard links of one file.
    fn link(&mut self, groups: impl Iterator<Item = Vec<Vec<u8>>>) {
        for mut group in groups {
            group.sort();
            for path in &group {
                self.0.get_mut(path).unwrap().first_name.clone_from(&group[0]);
            }
        }
    }

    /// Panics with the first difference.
    #[track_caller]
    pub fn assert_is(&self, want: &Snapshot, what: impl Display) {
        for (path, want) in &want.0 {
            let name = path.escape_ascii();
            let found = self.0.get(path).unwrap_or_else(|| panic!("{what}: {name} is missing"));
            let short = |f: &Found| Found {
                content: f.content.iter().copied().take(40).collect(),
                ..f.clone()
            };
            assert_eq!(short(found), short(want), "{what}: {name}");
            let (found, want) = (&found.content, &want.content);
            let same = found.iter().zip(want).take_while(|(found, want)| found == want).count();
            let lens = (found.len(), want.len());
            assert!(found == want, "{what}: {name} differs at {same}; its lengths are {lens:?}");
        }
        for path in self.0.keys() {
            assert!(want.0.contains_key(path), "{what}: {} is too much", path.escape_ascii());
        }
    }

    pub fn get(&self, path: impl AsRef<[u8]>) -> &Found {
        &self.0[path.as_ref()]
    }

    /// All entries, sorted by path.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &Found)> {
        self.0.iter().map(|(path, found)| (&path[..], found))
    }

    /// Without the mode bits that no restore sets.
    pub fn without_special_bits(mut self) -> Self {
        self.0.values_mut().for_each(|found| found.mode &= 0o777);
        self
    }

    /// With times as plain tar stores them: whole seconds since 1970, not negative.
    pub fn in_seconds(mut self) -> Self {
        for found in self.0.values_mut() {
            found.mtime_ns = found.mtime_ns.div_euclid(1_000_000_000).max(0);
        }
        self
    }

    /// Treats hard links as separate files.
    pub fn without_hard_links(mut self) -> Self {
        self.0.values_mut().for_each(|found| found.first_name.clear());
        self
    }

    /// Long runs of zeros may come back as holes.
    pub fn without_holes(mut self) -> Self {
        self.0.values_mut().for_each(|found| found.holes.clear());
        self
    }

    pub fn has_hard_links(&self) -> bool {
        self.0.iter().any(|(path, found)| found.kind == 'f' && found.first_name != *path)
    }

    /// Times of symlinks in archives of other programs are not guaranteed.
    pub fn without_link_times(mut self) -> Self {
        self.0.values_mut().filter(|found| found.kind == 'l').for_each(|found| found.mtime_ns = 0);
        self
    }

    /// GNU tar changes the times of directories that it writes into again.
    pub fn without_directory_times(mut self) -> Self {
        self.0.values_mut().filter(|found| found.kind == 'd').for_each(|found| found.mtime_ns = 0);
        self
    }

    /// Without named pipes and devices.
    pub fn without_others(mut self) -> Self {
        self.0.retain(|_, found| found.kind != 'o');
        self
    }

    pub fn without(mut self, top: &str) -> Self {
        let below = format!("{top}/");
        self.0.retain(|path, _| path != top.as_bytes() && !path.starts_with(below.as_bytes()));
        self
    }

    /// Without directories and symlinks.
    pub fn only_files(mut self) -> Self {
        self.0.retain(|_, found| found.kind == 'f');
        self
    }

    pub fn without_directories(mut self) -> Self {
        self.0.retain(|_, found| found.kind != 'd');
        self
    }

    /// This tree after all of `over` has been copied over it.
    pub fn overlaid_with(mut self, over: &Snapshot) -> Self {
        self.0.retain(|path, _| !over.0.contains_key(path));
        let mut groups = BTreeMap::new();
        for (path, found) in self.0.iter().filter(|(_, found)| found.kind == 'f') {
            groups.entry(found.first_name.clone()).or_insert_with(Vec::new).push(path.clone());
        }
        self.link(groups.into_values());
        self.0.extend(over.0.clone());
        self
    }

    /// Whether one has a directory at a path where the other has another kind of file.
    pub fn contradicts(&self, other: &Snapshot) -> bool {
        let is_dir = |found: &Found| found.kind == 'd';
        self.0.iter().any(|(path, found)| {
            other.0.get(path).is_some_and(|other| is_dir(found) != is_dir(other))
        })
    }

    /// Paths and contents of all files.
    pub fn contents(&self) -> Vec<(String, &[u8])> {
        let files = self.0.iter().filter(|(_, found)| found.kind == 'f');
        files.map(|(path, f)| (path.escape_ascii().to_string(), &f.content[..])).collect()
    }

    /// The paths of all files.
    pub fn files(&self) -> Vec<String> {
        let files = self.0.iter().filter(|(_, found)| found.kind == 'f');
        files.map(|(path, _)| String::from_utf8_lossy(path).into_owned()).collect()
    }
}

impl Found {
    /// The entry at a path, and its inode.
    fn at(path: &Path) -> (Found, u64) {
        let meta = fs::symlink_metadata(path).unwrap();
        let kind = match meta.file_type() {
            kind if kind.is_dir() => 'd',
            kind if kind.is_symlink() => 'l',
            kind if kind.is_file() => 'f',
            _ => 'o',
        };
        let content = match kind {
            'f' => fs::read(path).unwrap(),
            'l' => fs::read_link(path).unwrap().into_os_string().into_encoded_bytes(),
            _ => Vec::new(),
        };
        let found = Found {
            kind,
            mode: if kind == 'l' { 0 } else { meta.mode() & 0o7777 },
            mtime_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
            content,
            first_name: Vec::new(),
            holes: if kind == 'f' { holes(path, meta.len()) } else { Vec::new() },
        };
        (found, meta.ino())
    }
}

fn holes(path: &Path, len: u64) -> Vec<Range<u64>> {
    let file = File::open(path).unwrap();
    let (mut holes, mut at) = (Vec::new(), 0);
    while at < len {
        let start = seek(&file, SeekFrom::Hole(at)).unwrap().min(len);
        // No further data up to the end.
        at = seek(&file, SeekFrom::Data(start)).unwrap_or(len);
        holes.push(start..at);
    }
    holes.retain(|hole| hole.end - hole.start >= HOLE);
    holes
}
