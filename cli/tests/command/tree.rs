//! Comparable trees.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::common::names;

/// Mode, modification time (0 for symlinks) and content, by path.
pub(crate) type Tree = BTreeMap<PathBuf, (u32, i64, Vec<u8>)>;

pub(crate) fn tree(root: &Path) -> Tree {
    fn walk(dir: &Path, root: &Path, found: &mut Tree) {
        for name in names(dir) {
            let path = dir.join(name);
            let meta = fs::symlink_metadata(&path).expect("it exists");
            let content = if meta.is_symlink() {
                fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else if meta.is_file() {
                fs::read(&path).expect("a file")
            } else {
                walk(&path, root, found);
                b"/".to_vec()
            };
            let time = meta.mtime() * 1_000_000_000 + meta.mtime_nsec();
            let time = if meta.is_symlink() { 0 } else { time };
            let relative = path.strip_prefix(root).expect("below the root").to_owned();
            found.insert(relative, (meta.mode(), time, content));
        }
    }
    let mut found = Tree::new();
    walk(root, root, &mut found);
    found
}
