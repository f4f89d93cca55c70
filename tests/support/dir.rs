//! An open directory. The paths of its entries are short, independent of the length of its own path.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub struct Dir {
    file: File,
    /// Relative to the root of its tree.
    path: Vec<u8>,
}

impl Dir {
    pub fn root(path: &Path) -> Self {
        Dir { file: File::open(path).unwrap(), path: Vec::new() }
    }

    /// Opens the parent directory of `path`. Returns it and the last component.
    pub fn holding<'a>(root: &Path, path: &'a [u8]) -> (Self, &'a [u8]) {
        let mut names = path.split(|&byte| byte == b'/');
        let last = names.next_back().unwrap();
        (names.fold(Dir::root(root), |dir, name| dir.open(name)), last)
    }

    pub fn open(&self, name: &[u8]) -> Self {
        Dir { file: File::open(self.at(name)).unwrap(), path: self.path(name) }
    }

    /// Creates and opens a subdirectory.
    pub fn make(&self, name: &[u8]) -> Self {
        fs::create_dir(self.at(name)).unwrap();
        self.open(name)
    }

    /// A short path of an entry, for system calls.
    pub fn at(&self, name: &[u8]) -> PathBuf {
        Path::new("/proc/self/fd")
            .join(self.file.as_raw_fd().to_string())
            .join(OsStr::from_bytes(name))
    }

    /// The path of an entry, relative to the root of its tree.
    pub fn path(&self, name: &[u8]) -> Vec<u8> {
        match &self.path[..] {
            [] => name.to_vec(),
            path => [path, b"/", name].concat(),
        }
    }

    /// The names of its entries, sorted.
    pub fn names(&self) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(self.at(b"")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_encoded_bytes()).collect();
        names.sort();
        names
    }
}
