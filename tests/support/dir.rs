//! A directory held open: what lies in it has a short path then, however long its own is.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub struct Dir {
    file: File,
    /// From the root of its tree.
    path: Vec<u8>,
}

impl Dir {
    pub fn root(path: &Path) -> Self {
        Dir { file: File::open(path).unwrap(), path: Vec::new() }
    }

    /// The directory that has the last name of `path`, and that name.
    pub fn holding<'a>(root: &Path, path: &'a [u8]) -> (Self, &'a [u8]) {
        let mut names = path.split(|&byte| byte == b'/');
        let last = names.next_back().unwrap();
        (names.fold(Dir::root(root), |dir, name| dir.open(name)), last)
    }

    pub fn open(&self, name: &[u8]) -> Self {
        Dir { file: File::open(self.at(name)).unwrap(), path: self.path(name) }
    }

    /// Makes it.
    pub fn make(&self, name: &[u8]) -> Self {
        fs::create_dir(self.at(name)).unwrap();
        self.open(name)
    }

    /// By which the system finds what lies in it.
    pub fn at(&self, name: &[u8]) -> PathBuf {
        Path::new("/proc/self/fd")
            .join(self.file.as_raw_fd().to_string())
            .join(OsStr::from_bytes(name))
    }

    /// Of what lies in it, from the root of its tree.
    pub fn path(&self, name: &[u8]) -> Vec<u8> {
        match &self.path[..] {
            [] => name.to_vec(),
            path => [path, b"/", name].concat(),
        }
    }

    /// The names in it, sorted.
    pub fn names(&self) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(self.at(b"")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_encoded_bytes()).collect();
        names.sort();
        names
    }
}
