//! A tree with all the kinds of names and files that readers treat differently.

#![allow(dead_code, reason = "each test uses some of it")]

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use sha1::{Digest, Sha1};

use crate::common::{hex, noise};

/// The tree as it was created.
pub struct Tree {
    /// In archive order.
    pub nodes: Vec<Node>,
}

/// A file, directory or symlink.
#[derive(Clone, Debug)]
pub struct Node {
    /// `f`, `d` or `l`.
    pub kind: char,
    pub path: Vec<u8>,
    mode: u32,
    mtime: i64,
    size: u64,
    sha1: String,
    target: Vec<u8>,
}

pub fn os(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// All paths below a directory.
pub fn paths(root: &Path) -> Vec<Vec<u8>> {
    fn add(dir: &Path, root: &Path, paths: &mut Vec<Vec<u8>>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let path = entry.expect("listed").path();
            let relative = path.strip_prefix(root).expect("below the root");
            paths.push(relative.as_os_str().as_bytes().to_vec());
            if fs::symlink_metadata(&path).expect("it exists").is_dir() {
                add(&path, root, paths);
            }
        }
    }
    let mut paths = Vec::new();
    add(root, root, &mut paths);
    paths
}

impl Tree {
    /// Creates the tree in an empty directory.
    pub fn make(root: &Path) -> Tree {
        let at = |path: &[u8]| root.join(os(path));
        let file = |path: &[u8], content: &[u8]| {
            let path = at(path);
            fs::create_dir_all(path.parent().expect("in the tree")).expect("created");
            fs::write(path, content).expect("written");
        };
        file(b"level.dat", b"seed");
        file(b"empty", b"");
        file(b"a/b/c/d/deep.txt", &b"all work and no play\n".repeat(200));
        file(b"big.log", &b"[12:00:01] [Server thread/INFO]: Done\n".repeat(40_000));
        file(b"noise.jar", &noise(1, 1_300_000));
        file(b"world/region/r.0.0.mca", &region());
        // Before and after `b/` in byte order.
        for name in [&b"order-"[..], b"order/within", b"order.txt", b"order0"] {
            file(name, name);
        }
        for name in [
            &b"caf\xe9"[..],
            b"\xff\xfe",
            "snow ☃ man".as_bytes(),
            b"line\nfeed",
            b"back\\slash",
            b" -rf *",
            b"\"quoted'",
        ] {
            file(&[b"names/", name].concat(), name);
        }
        for len in 101..=300 {
            file(&long_path(len), &len.to_string().into_bytes());
        }
        let sparse = fs::File::create(at(b"sparse")).expect("created");
        sparse.set_len(3 << 20).expect("as long as that");
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", 2 << 20).expect("written");
        fs::create_dir_all(at(b"hollow/within")).expect("created");
        for (name, target) in
            [("to-file", "level.dat"), ("to-nowhere", "../no/such//file"), ("to-dir", "/")]
        {
            symlink(target, root.join(name)).expect("created");
        }
        for len in [99, 100, 101, 255, 300, 600, 4000] {
            symlink(os(&b"t/".repeat(len)[..len]), root.join(format!("to-{len}")))
                .expect("created");
        }
        fs::create_dir(root.join("links")).expect("created");
        symlink(os(b"\xff\xfe"), root.join("links").join("l".repeat(200))).expect("created");
        fs::hard_link(at(b"level.dat"), at(b"level.dat_old")).expect("created");
        for (path, mode) in [
            ("level.dat", 0o600),
            ("empty", 0o444),
            ("big.log", 0o640),
            ("noise.jar", 0o4755),
            ("hollow", 0o1777),
            ("hollow/within", 0o2750),
            ("a/b", 0o700),
        ] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode))
                .expect("permitted");
        }
        let mut paths = paths(root);
        // Deepest first, because changes within a directory change its time.
        paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
        for (i, path) in paths.iter().enumerate() {
            let seconds = [0, 1, 1_000_000_000, 1_700_000_000 + i as i64, 1_100_000_000][i % 5];
            set_mtime(&at(path), seconds);
        }
        let mut nodes: Vec<_> = paths.into_iter().map(|path| Node::read(root, path)).collect();
        nodes.sort_by_key(Node::name_in_tar);
        Tree { nodes }
    }
}

/// Returns a path of `len` bytes with names of the maximal length.
fn long_path(len: usize) -> Vec<u8> {
    let mut path = b"long/".to_vec();
    if len > 255 {
        path.extend([b'd'; 120]);
        path.push(b'/');
    }
    path.resize(len, b'n');
    path
}

/// A Minecraft region: tables, then chunks aligned to sectors.
fn region() -> Vec<u8> {
    let mut region = vec![0; 8192];
    for i in 0..40 {
        let payload = noise(i, 3000 + 150 * i as usize);
        region[4 * i as usize + 3] = 2;
        region.extend((payload.len() as u32 + 3).to_be_bytes());
        region.extend([2, 0x78, 0x9c]);
        region.extend(payload);
        region.resize(region.len().next_multiple_of(4096), 0);
    }
    region
}

fn set_mtime(path: &Path, seconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("permitted");
}

impl Node {
    fn read(root: &Path, path: Vec<u8>) -> Node {
        let full: PathBuf = root.join(os(&path));
        let meta = fs::symlink_metadata(&full).expect("it exists");
        let kind = match meta.file_type() {
            kind if kind.is_dir() => 'd',
            kind if kind.is_symlink() => 'l',
            _ => 'f',
        };
        let content = if kind == 'f' { fs::read(&full).expect("readable") } else { Vec::new() };
        let target = match kind {
            'l' => fs::read_link(&full).expect("a link").into_os_string().into_encoded_bytes(),
            _ => Vec::new(),
        };
        Node {
            kind,
            path,
            mode: meta.mode() & 0o7777,
            mtime: meta.mtime(),
            size: content.len() as u64,
            sha1: hex(&Sha1::digest(&content)),
            target,
        }
    }

    /// The line that the test readers print for this entry.
    pub fn line(&self) -> String {
        let Node { kind, mode, mtime, size, sha1, .. } = self;
        let target = if self.target.is_empty() { "-".into() } else { hex(&self.target) };
        format!("{kind} {} {size} {mode:o} {mtime} {target} {sha1}", hex(&self.path))
    }

    /// The node as restores create it: without the setuid, setgid and sticky bits.
    pub fn without_special_bits(&self) -> Node {
        Node { mode: self.mode & 0o777, ..self.clone() }
    }

    /// Expects an equal node below another root.
    pub fn assert_is_in(&self, root: &Path) {
        let found = Node::read(root, self.path.clone());
        assert_eq!(found.line(), self.line(), "{self:?}");
    }

    pub fn assert_is_in_but_for_its_time(&self, root: &Path) {
        let found = Node { mtime: self.mtime, ..Node::read(root, self.path.clone()) };
        assert_eq!(found.line(), self.line(), "{self:?}");
    }

    fn name_in_tar(&self) -> Vec<u8> {
        let mut name = self.path.clone();
        if self.kind == 'd' {
            name.push(b'/');
        }
        name
    }
}
