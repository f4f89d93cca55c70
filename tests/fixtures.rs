//! Fixtures of every format version. Every later version must read them.
//!
//! `WINGBACK_MAKE_FIXTURES=1 cargo test -p wingback --test fixtures` rewrites those of this version.
//! This is not needed while the version stays the same.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::Read,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    sync::Once,
};

use flate2::read::{GzDecoder, MultiGzDecoder};
use futures::executor::block_on;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use wingback::{Backup, Level, LocalStore, NameTemplate, Profile, Store};

#[path = "support/forge.rs"]
mod forge;

use forge::{Footer, Index};

/// The kinds of entries.
const FILE: u8 = 0;
const SYMLINK: u8 = 1;
const DIRECTORY: u8 = 2;

const FIXTURES: [Fixture; 4] = [
    Fixture { name: "v1-full", profile: Profile::Full, level: Level::Fast, is_small: false },
    Fixture { name: "v1-wings", profile: Profile::Wings, level: Level::Fast, is_small: false },
    Fixture { name: "v1-best", profile: Profile::Full, level: Level::Best, is_small: false },
    Fixture { name: "v1-none", profile: Profile::Full, level: Level::None, is_small: true },
];

struct Fixture {
    name: &'static str,
    profile: Profile,
    level: Level,
    /// Without the files that are large before compression.
    is_small: bool,
}

#[test]
fn the_fixtures_exist_and_are_small() {
    for fixture in &FIXTURES {
        let size = fixture.read().len();
        assert!((1000..60_000).contains(&size), "{}: {size} bytes", fixture.name);
    }
}

#[test]
fn an_ordinary_tar_reader_reads_every_fixture() {
    for fixture in &FIXTURES {
        let bytes = fixture.read();
        let mut archive = tar::Archive::new(GzDecoder::new(&bytes[..]));
        let mut entries = archive.entries().unwrap();
        for (path, node) in fixture.tree_in_order(true) {
            let mut entry = entries.next().expect("another entry").unwrap();
            let kind = match entry.header().entry_type() {
                tar::EntryType::Regular => FILE,
                tar::EntryType::Symlink => SYMLINK,
                tar::EntryType::Directory => DIRECTORY,
                other => panic!("{other:?}"),
            };
            let found = (entry.path_bytes().into_owned(), kind, entry.header().mode().unwrap());
            assert_eq!(found, (path, node.kind(), node.mode), "{}", fixture.name);
            let mtime = entry.header().mtime().unwrap();
            assert_eq!(mtime, node.mtime.0.max(0).unsigned_abs(), "{:?}", found.0);
            let target = entry.link_name_bytes().map(|target| target.into_owned());
            assert_eq!(target.as_deref(), node.target(), "{:?}", found.0);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert!(content == node.content(), "{:?}", found.0);
        }
        assert!(entries.next().is_none(), "nothing more");
    }
}

#[test]
fn the_index_agrees_with_the_tar() {
    for fixture in &FIXTURES {
        let (footer, index) = fixture.index();
        let is_wings = fixture.profile == Profile::Wings;
        assert_eq!(footer.flags >> 16, u32::from(is_wings));
        let mut entries = index.entries.iter();
        for (path, node) in fixture.tree_in_order(false) {
            let mtime_ns = node.mtime.0 * 1_000_000_000 + node.mtime.1;
            let path = path.strip_suffix(b"/").unwrap_or(&path);
            let found = entries.next().expect("another entry");
            assert_eq!((&found.path[..], found.kind), (path, node.kind()));
            assert_eq!((found.mode, found.mtime_ns), (node.mode.into(), mtime_ns), "{path:?}");
            assert_eq!(found.header_len == 0, is_wings && node.kind() != FILE, "{path:?}");
            assert_eq!(found.size, node.content().len() as u64);
            assert_eq!((found.ctime_ns, found.inode), (0, 0), "reproducible");
            assert!(!found.is_changed && !found.is_recent, "reproducible");
            let first_name: &[u8] = if path == b"link-b" { b"link-a" } else { b"" };
            assert_eq!(found.target, node.target().unwrap_or(first_name));
        }
        assert!(entries.next().is_none(), "nothing more");
    }
}

#[test]
fn each_segment_can_be_decoded_alone() {
    for fixture in &FIXTURES {
        let bytes = fixture.read();
        let (footer, index) = fixture.index();
        let mut tar = Vec::new();
        let mut at = 10;
        for segment in &index.segments {
            let compressed = &bytes[at..at + segment.compressed_len as usize];
            assert_eq!(crc32fast::hash(compressed), segment.compressed_crc32);
            let mut raw = vec![0; segment.raw_len as usize];
            flate2::read::DeflateDecoder::new(compressed).read_exact(&mut raw).unwrap();
            assert_eq!(crc32fast::hash(&raw), segment.raw_crc32);
            assert_eq!(twox_hash::XxHash3_128::oneshot(&raw).to_be_bytes(), segment.key);
            tar.extend(raw);
            at += compressed.len();
        }
        assert_eq!((at as u64, tar.len() as u64), (footer.data_end, footer.tar_len));
        let mut whole = Vec::new();
        MultiGzDecoder::new(&bytes[..]).read_to_end(&mut whole).unwrap();
        assert!(tar == whole, "{}: all members make the same tar", fixture.name);
    }
}

impl Fixture {
    fn path(&self) -> PathBuf {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        dir.join(self.name).with_extension("tar.gz")
    }

    fn read(&self) -> Vec<u8> {
        static MAKE: Once = Once::new();
        if std::env::var_os("WINGBACK_MAKE_FIXTURES").is_some() {
            MAKE.call_once(|| FIXTURES.iter().for_each(Fixture::make));
        }
        fs::read(self.path()).expect("a committed fixture")
    }

    fn index(&self) -> (Footer, Index) {
        forge::read(&self.read())
    }

    /// The tree by the names in the tar. With `in_tar`, only the entries that the tar contains.
    fn tree_in_order(&self, in_tar: bool) -> impl Iterator<Item = (Vec<u8>, Node)> {
        let files_only = in_tar && self.profile == Profile::Wings;
        let nodes = tree(self.is_small).into_iter();
        nodes.filter(move |(_, node)| !files_only || node.kind() == FILE)
    }

    fn make(&self) {
        let tmp = tempfile::tempdir().expect("a temporary directory");
        let source = tmp.path().join("source");
        write(&source, tree(self.is_small));
        let names: NameTemplate = "{uuid}.tar.gz".parse().expect("a template");
        let store = LocalStore::new(tmp.path()).names(names);
        let key = store.key(uuid::Uuid::nil());
        let backup = Backup::new(&source).profile(self.profile).level(self.level);
        let report = block_on(backup.reproducible(true).start(store.clone(), key.clone()));
        assert!(report.expect("a backup").skipped.is_empty());
        let bytes = fs::read(store.location(&key)).expect("an archive");
        fs::write(self.path(), bytes).expect("written");
    }
}

struct Node {
    what: What,
    mode: u32,
    /// Seconds and nanoseconds.
    mtime: (i64, i64),
}

enum What {
    File(Vec<u8>),
    Symlink(Vec<u8>),
    Directory,
}

impl Node {
    fn kind(&self) -> u8 {
        match self.what {
            What::File(_) => FILE,
            What::Symlink(_) => SYMLINK,
            What::Directory => DIRECTORY,
        }
    }

    fn content(&self) -> &[u8] {
        if let What::File(content) = &self.what { content } else { b"" }
    }

    fn target(&self) -> Option<&[u8]> {
        if let What::Symlink(target) = &self.what { Some(target) } else { None }
    }
}

/// The backed-up tree, by the names in the tar. It must not change, because the fixtures contain it.
fn tree(is_small: bool) -> BTreeMap<Vec<u8>, Node> {
    let mut tree = BTreeMap::new();
    let mut add = |path: &[u8], what: What, mode, mtime| {
        tree.insert(path.to_vec(), Node { what, mode, mtime });
    };
    let file = |content: &[u8]| What::File(content.to_vec());
    let link = |target: &[u8]| What::Symlink(target.to_vec());
    add(b"server.properties", file(b"motd=A Minecraft Server\n"), 0o644, (1_700_000_000, 123));
    add(b"empty", file(b""), 0o400, (0, 0));
    add(b"before-1970", file(b"old"), 0o600, (-1_000, 500_000_000));
    add(b"start.sh", file(b"#!/bin/sh\nexec java\n"), 0o755, (1_600_000_000, 999_999_999));
    add(b"link-a", file(b"one file"), 0o640, (5, 0));
    add(b"link-b", file(b"one file"), 0o640, (5, 0));
    add(b"caf\xe9", file(b"no UTF-8"), 0o644, (1, 0));
    add(b"logs/", What::Directory, 0o700, (1_650_000_000, 7));
    add(b"logs-", file(b"sorts before the directory"), 0o644, (1, 0));
    add(b"logs0", file(b"sorts behind it"), 0o644, (1, 0));
    add(b"logs/latest.log", file(b"[12:00:01] [Server thread/INFO]: Done\n"), 0o644, (3, 0));
    add(b"nothing/", What::Directory, 0o1777, (1_650_000_001, 0));
    add(b"to-logs", link(b"logs/latest.log"), 0o777, (1_650_000_002, 0));
    add(b"to-nowhere", link(&b"../far/".repeat(40)), 0o777, (1_650_000_003, 0));
    add(b"not-utf8", link(b"\xff\xfe"), 0o777, (1_650_000_004, 0));
    let dir = [&b"d"[..].repeat(90), &b"/"[..]].concat();
    add(&dir, What::Directory, 0o755, (8, 0));
    for len in [100, 101, 155, 240, 255] {
        add(&b"n".repeat(len), file(&[b'n'; 3]), 0o644, (9, 0));
        add(&[&dir[..], &b"n".repeat(len)].concat(), file(&[b'd'; 600]), 0o644, (9, 0));
    }
    add(&b"l".repeat(200), link(&b"t".repeat(200)), 0o777, (10, 0));
    if !is_small {
        add(b"large.log", file(&log(1_100_000)), 0o644, (11, 0));
        add(b"r.0.0.mca", file(&region()), 0o644, (12, 0));
        add(b"zeros.db", file(&[0; 200_000]), 0o644, (13, 0));
    }
    tree
}

/// Similar lines that are not equal.
fn log(len: usize) -> Vec<u8> {
    let lines =
        (0..).map(|i| format!("[12:{:02}:01] [Server thread/INFO]: Saved {}\n", i % 6, i / 60));
    let mut log: Vec<u8> = lines.take(len / 40).flat_map(String::into_bytes).collect();
    log.resize(len, b'\n');
    log
}

/// A region file of one compressed chunk, with space for more.
fn region() -> Vec<u8> {
    let mut region = vec![0; 8192];
    region[2..4].copy_from_slice(&[2, 2]);
    let mut seed = 1u32;
    let payload: Vec<u8> = std::iter::repeat_with(|| {
        // Xorshift, written out, because no crate guarantees stable numbers.
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        (seed >> 8) as u8
    })
    .take(6000)
    .collect();
    region.extend((payload.len() as u32 + 3).to_be_bytes());
    region.extend([2, 0x78, 0x9c]);
    region.extend(payload);
    region.resize(150 << 10, 0);
    region
}

/// Sets attributes deepest first, because new entries change the time of their directory.
fn write(root: &Path, tree: BTreeMap<Vec<u8>, Node>) {
    fs::create_dir(root).expect("created");
    let at = |path: &[u8]| root.join(OsStr::from_bytes(path));
    for (path, node) in &tree {
        let full = at(path);
        match &node.what {
            What::Directory => fs::create_dir(full),
            What::Symlink(target) => symlink(OsStr::from_bytes(target), full),
            What::File(_) if path == b"link-b" => fs::hard_link(root.join("link-a"), full),
            What::File(content) => fs::write(full, content),
        }
        .expect("created");
    }
    for (path, node) in tree.iter().rev() {
        let full = at(path);
        if node.kind() != SYMLINK {
            fs::set_permissions(&full, fs::Permissions::from_mode(node.mode)).expect("permitted");
        }
        let time = Timespec { tv_sec: node.mtime.0, tv_nsec: node.mtime.1 };
        let times = Timestamps { last_access: time, last_modification: time };
        let path = Path::new(OsStr::from_bytes(path.strip_suffix(b"/").unwrap_or(path)));
        utimensat(CWD, root.join(path), &times, AtFlags::SYMLINK_NOFOLLOW).expect("permitted");
    }
}
