//! Trees that can be compared in all that a backup promises, and random ones.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt::Display,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use fastrand::Rng;

/// A tree without its root: by path, what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<Vec<u8>, Found>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    kind: char,
    mode: u32,
    mtime_ns: i64,
    /// Content of a file, target of a link.
    content: Vec<u8>,
    /// The first path of the same file.
    first_name: Vec<u8>,
    /// Whether it has a hole of 64 KiB or more.
    has_hole: bool,
}

impl Snapshot {
    pub fn of(root: &Path) -> Self {
        let mut found = BTreeMap::new();
        let mut dirs = vec![root.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
                let meta = fs::symlink_metadata(&path).unwrap();
                let kind = if meta.is_dir() {
                    'd'
                } else if meta.is_symlink() {
                    'l'
                } else if meta.is_file() {
                    'f'
                } else {
                    'o'
                };
                let content = match kind {
                    'f' => fs::read(&path).unwrap(),
                    'l' => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                    _ => Vec::new(),
                };
                let inode = meta.ino().to_le_bytes().to_vec();
                found.insert(
                    name,
                    Found {
                        kind,
                        mode: if kind == 'l' { 0 } else { meta.mode() & 0o777 },
                        mtime_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
                        has_hole: kind == 'f' && meta.blocks() * 512 + (64 << 10) <= meta.len(),
                        content,
                        first_name: if kind == 'f' { inode } else { Vec::new() },
                    },
                );
                if kind == 'd' {
                    dirs.push(path);
                }
            }
        }
        let mut firsts = BTreeMap::new();
        for (path, found) in &mut found {
            let inode = std::mem::take(&mut found.first_name);
            if found.kind == 'f' {
                found.first_name = firsts.entry(inode).or_insert_with(|| path.clone()).clone();
            }
        }
        Snapshot(found)
    }

    /// Names the first difference.
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
            assert!(found.content == want.content, "{what}: the content of {name}");
        }
        for path in self.0.keys() {
            assert!(want.0.contains_key(path), "{what}: {} is too much", path.escape_ascii());
        }
    }

    /// As tar alone can tell it: whole seconds since 1970.
    pub fn in_seconds(mut self) -> Self {
        for found in self.0.values_mut() {
            found.mtime_ns = found.mtime_ns.div_euclid(1_000_000_000).max(0);
        }
        self
    }

    /// Nobody promises those of other programs' links.
    pub fn without_link_times(mut self) -> Self {
        self.0.values_mut().filter(|found| found.kind == 'l').for_each(|found| found.mtime_ns = 0);
        self
    }

    pub fn without(mut self, top: &str) -> Self {
        let beneath = format!("{top}/");
        self.0.retain(|path, _| path != top.as_bytes() && !path.starts_with(beneath.as_bytes()));
        self
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

/// Fills a directory with all that a backup promises to give back.
pub fn random_tree(root: &Path, rng: &mut Rng, is_large: bool) {
    let mut dirs = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    for _ in 0..rng.usize(5..if is_large { 200 } else { 40 }) {
        let dir = dirs[rng.usize(..dirs.len())].clone();
        let path = dir.join(OsStr::from_bytes(&name(rng)));
        if fs::symlink_metadata(&path).is_ok() || path.as_os_str().len() > 3000 {
            continue;
        }
        match rng.u8(..10) {
            0..=2 => {
                fs::create_dir(&path).unwrap();
                dirs.push(path);
            }
            3 => {
                let len = if rng.u8(..4) == 0 { rng.usize(1..=4095) } else { rng.usize(1..30) };
                let target: Vec<u8> = (0..len).map(|_| rng.u8(1..)).collect();
                symlink(OsStr::from_bytes(&target), &path).unwrap();
            }
            4 if !files.is_empty() => {
                fs::hard_link(&files[rng.usize(..files.len())], &path).unwrap();
            }
            _ => {
                file(&path, rng, is_large);
                files.push(path);
            }
        }
    }
    let mut all: Vec<_> = Snapshot::of(root).0.into_iter().collect();
    all.reverse();
    for (path, found) in all {
        let path = root.join(OsStr::from_bytes(&path));
        if found.kind == 'l' {
            continue;
        }
        let time = match rng.u8(..8) {
            0 => UNIX_EPOCH - Duration::new(rng.u64(1..2_000_000_000), 1),
            1 => UNIX_EPOCH + Duration::from_nanos(rng.u64(..2)),
            _ => UNIX_EPOCH + Duration::from_nanos(rng.u64(..4_000_000_000_000_000_000)),
        };
        File::open(&path).unwrap().set_modified(time).unwrap();
        // Only root reads what it may not: then every mode is tried.
        let must = if is_root() {
            0
        } else if found.kind == 'd' {
            0o700
        } else {
            0o400
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(rng.u32(..0o1000) | must)).unwrap();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn name(rng: &mut Rng) -> Vec<u8> {
    let len = match rng.u8(..10) {
        0 => 255,
        1 => rng.usize(90..255),
        _ => rng.usize(1..20),
    };
    let byte = |rng: &mut Rng| match rng.u8(..8) {
        0 => rng.u8(1..),
        _ => rng.alphanumeric() as u8,
    };
    let name: Vec<u8> =
        std::iter::repeat_with(|| byte(rng)).filter(|&b| b != b'/').take(len).collect();
    let end: &[u8] = [&b""[..], b".mca", b".db", b".txt"][rng.usize(..4)];
    let mut name = [&name[..len.saturating_sub(end.len())], end].concat();
    if name.is_empty() || name == b"." || name == b".." {
        name = b"x".to_vec();
    }
    name
}

fn file(path: &Path, rng: &mut Rng, is_large: bool) {
    let near = [0, 512, 4096, 128 << 10, 1 << 20, 2 << 20];
    let size = match rng.u8(..3) {
        0 => rng.usize(..3000),
        1 if is_large => near[rng.usize(..near.len())] + rng.usize(..3),
        1 => near[rng.usize(..4)] + rng.usize(..3),
        _ => rng.usize(..if is_large { 3 << 20 } else { 20_000 }),
    };
    match rng.u8(..4) {
        // A hole with data around it, or nothing else.
        0 if is_large => {
            let file = File::create(path).unwrap();
            file.set_len((256 << 10) + size as u64).unwrap();
            if rng.bool() {
                file.write_all_at(b"data", rng.u64(..200 << 10)).unwrap();
            }
        }
        1 => fs::write(path, super::text(size)).unwrap(),
        _ => fs::write(path, super::noise(size)).unwrap(),
    }
}
