//! Random trees with everything that a backup promises to preserve.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use fastrand::Rng;

use super::{dir::Dir, is_root};

/// The longest path that a backup accepts.
const PATH: usize = 4096;

/// Fills a directory. With `is_large`, large files have some megabytes.
pub fn random_tree(root: &Path, rng: &mut Rng, is_large: bool) {
    let mut tree = Making { rng, is_large, dirs: vec![Rc::new(Dir::root(root))], files: vec![] };
    let count = tree.rng.usize(5..if is_large { 200 } else { 40 });
    let mut made = Vec::new();
    for _ in 0..count {
        made.extend(tree.make());
    }
    if is_large {
        made.extend(tree.deep());
    }
    // Deepest first, because new entries change the time of their directory.
    for path in made.into_iter().rev() {
        dress(&path, tree.rng);
    }
}

struct Making<'a> {
    rng: &'a mut Rng,
    is_large: bool,
    dirs: Vec<Rc<Dir>>,
    files: Vec<PathBuf>,
}

impl Making<'_> {
    /// Creates one more entry, unless its name exists or its path is too long.
    fn make(&mut self) -> Option<PathBuf> {
        // Half of them in the newest directory, so that some are deep.
        let at =
            if self.rng.bool() { self.dirs.len() - 1 } else { self.rng.usize(..self.dirs.len()) };
        let dir = Rc::clone(&self.dirs[at]);
        let name = name(self.rng);
        let path = dir.at(&name);
        if fs::symlink_metadata(&path).is_ok() || dir.path(&name).len() > PATH {
            return None;
        }
        match self.rng.u8(..10) {
            0..=2 => self.dirs.push(Rc::new(dir.make(&name))),
            3 => symlink(OsStr::from_bytes(&target(self.rng)), &path).unwrap(),
            4 if !self.files.is_empty() => {
                fs::hard_link(&self.files[self.rng.usize(..self.files.len())], &path).unwrap();
            }
            _ => {
                file(&path, self.rng, self.is_large);
                self.files.push(path.clone());
            }
        }
        Some(path)
    }

    /// Creates nested directories down to files with paths of the maximal length.
    fn deep(&mut self) -> Vec<PathBuf> {
        let mut made = Vec::new();
        let mut dir = Rc::clone(&self.dirs[0]);
        while dir.path(&[b'd'; 200]).len() < PATH {
            made.push(dir.at(&[b'd'; 200]));
            dir = Rc::new(dir.make(&[b'd'; 200]));
            self.dirs.push(Rc::clone(&dir));
        }
        let longest = PATH - dir.path(b"").len();
        for len in [longest - 1, longest] {
            let path = dir.at(&vec![b'f'; len]);
            fs::write(&path, len.to_string()).unwrap();
            made.push(path);
        }
        made
    }
}

fn name(rng: &mut Rng) -> Vec<u8> {
    let len = match rng.u8(..10) {
        0 => 255,
        1 => rng.usize(90..255),
        _ => rng.usize(1..20),
    };
    let end: &[u8] = [&b""[..], b".mca", b".db", b".txt"][rng.usize(..4)];
    let byte = |rng: &mut Rng| match rng.u8(..8) {
        0 => [b'\n', b' ', 0xff, b'\\', rng.u8(1..)][rng.usize(..5)],
        _ => rng.alphanumeric() as u8,
    };
    let bytes = std::iter::repeat_with(|| byte(rng)).filter(|&b| b != b'/');
    let mut name: Vec<u8> = bytes.take(len.saturating_sub(end.len())).collect();
    name.extend_from_slice(end);
    if matches!(&name[..], b"" | b"." | b"..") { b"x".to_vec() } else { name }
}

fn target(rng: &mut Rng) -> Vec<u8> {
    let len = if rng.u8(..4) == 0 { rng.usize(1..=4095) } else { rng.usize(1..30) };
    let mut target: Vec<u8> = match rng.u8(..4) {
        0 => return b"/etc/passwd".to_vec(),
        1 => b"../".repeat(len / 3 + 1),
        _ => std::iter::repeat_with(|| rng.u8(1..)).take(len).collect(),
    };
    target.truncate(4095);
    target
}

fn file(path: &Path, rng: &mut Rng, is_large: bool) {
    let largest = if is_large { 3 << 20 } else { 300 << 10 };
    let near = [512, 4096, 128 << 10, 1 << 20][rng.usize(..if is_large { 4 } else { 3 })];
    let size = match rng.u8(..3) {
        0 => rng.usize(..3000),
        1 => (near * rng.usize(..4) + rng.usize(..3)).saturating_sub(1),
        _ => rng.usize(..largest / 10),
    };
    match rng.u8(..5) {
        0 => sparse(path, rng, largest as u64),
        1 => fs::write(path, super::text(size)).unwrap(),
        2 => fs::write(path, region(rng)).unwrap(),
        _ => fs::write(path, super::noise(size)).unwrap(),
    }
}

/// Data at some offsets, with holes of all lengths around the minimum that a restore preserves.
fn sparse(path: &Path, rng: &mut Rng, largest: u64) {
    let file = File::create(path).unwrap();
    let mut len = 0;
    while rng.u8(..4) > 0 && len < largest {
        let gap = [0, 4 << 10, 60 << 10, 64 << 10, 68 << 10, 128 << 10][rng.usize(..6)];
        let data = super::noise(rng.usize(1..20_000));
        let at = if rng.bool() { len + gap } else { len.next_multiple_of(4096) + gap };
        file.write_all_at(&data, at).unwrap();
        len = at + data.len() as u64;
    }
    file.set_len(len + [0, 1, 64 << 10, 100_000][rng.usize(..4)]).unwrap();
}

/// A Minecraft region: tables, then chunks aligned to sectors.
fn region(rng: &mut Rng) -> Vec<u8> {
    let mut region = super::noise(8192);
    for _ in 0..rng.usize(..40) {
        let chunk = super::noise(rng.usize(100..9000));
        region.extend((chunk.len() as u32 + 3).to_be_bytes());
        region.extend([2, 0x78, 0x9c]);
        region.extend(chunk);
        region.resize(region.len().next_multiple_of(4096), 0);
    }
    region
}

/// Sets a random time and mode. Symlinks keep their mode.
fn dress(path: &Path, rng: &mut Rng) {
    let meta = fs::symlink_metadata(path).unwrap();
    if meta.is_symlink() {
        return;
    }
    File::open(path).unwrap().set_modified(time(rng)).unwrap();
    // Modes that keep the owner out are used only by root.
    let must = match meta.is_dir() {
        _ if is_root() => 0,
        true => 0o500,
        false => 0o400,
    };
    let mode = [0, 0o555, rng.u32(..0o1000), rng.u32(..0o10000)][rng.usize(..4)];
    fs::set_permissions(path, fs::Permissions::from_mode(mode | must)).unwrap();
}

fn time(rng: &mut Rng) -> SystemTime {
    match rng.u8(..8) {
        0 => UNIX_EPOCH - Duration::new(rng.u64(1..2_000_000_000), 1),
        1 => UNIX_EPOCH + Duration::from_nanos(rng.u64(..2)),
        _ => UNIX_EPOCH + Duration::from_nanos(rng.u64(..4_000_000_000_000_000_000)),
    }
}
