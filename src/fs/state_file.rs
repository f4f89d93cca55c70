//! A small file in the operator's state directory, replaced as a whole.

use std::{
    io::{Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        durable::make_dirs,
        open_flags::{DIRECTORY, FILE},
        sys,
    },
};

/// A file and its directory. Other users may not write to the directory.
#[derive(Clone, Debug)]
pub(crate) struct StateFile {
    dir: PathBuf,
    name: String,
}

impl StateFile {
    pub(crate) fn new(dir: PathBuf, name: String) -> Self {
        StateFile { dir, name }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// Returns the content. `None` if there is no such file. More than `max` bytes are an error.
    pub(crate) fn read(&self, max: u64) -> Result<Option<Vec<u8>>> {
        let Some(dir) = self.open_dir()? else { return Ok(None) };
        let file = match rustix::fs::openat(&dir, &*self.name, FILE, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(self.fail("read", e)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| self.fail("read", e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.corrupt("it is not a regular file"));
        }
        let mut content = Vec::new();
        let read = std::fs::File::from(file).take(max + 1).read_to_end(&mut content);
        read.map_err(|e| Error::io("read", e).at(self.path()))?;
        match content.len() as u64 > max {
            true => Err(self.corrupt("it is too long")),
            false => Ok(Some(content)),
        }
    }

    /// Replaces the file by one rename, and makes the change durable. Makes missing directories.
    pub(crate) fn replace(&self, content: &[u8]) -> Result<()> {
        make_dirs(&self.dir, 0o700).map_err(|e| Error::io("make", e).at(&self.dir))?;
        let dir = self.open_dir()?.ok_or_else(|| self.fail("open", Errno::NOENT))?;
        // Two processes do not write to one draft.
        let draft = format!("{}.{}", self.name, std::process::id());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let write = || -> std::io::Result<()> {
            let file = rustix::fs::openat(&dir, &*draft, flags, Mode::RUSR | Mode::WUSR)?;
            let mut file = std::fs::File::from(file);
            file.write_all(content)?;
            sys::sync(&file)?;
            rustix::fs::renameat(&dir, &*draft, &dir, &*self.name)?;
            Ok(sys::sync(&dir)?)
        };
        write().map_err(|e| {
            let _ = rustix::fs::unlinkat(&dir, &*draft, rustix::fs::AtFlags::empty());
            Error::io("write", e).at(self.path())
        })
    }

    /// Returns the error for a content that cannot be used.
    pub(crate) fn corrupt(&self, why: &str) -> Error {
        let why = format!("{why}; remove it to begin a new one");
        Error::new(ErrorKind::Corrupt, "use the record").at(self.path()).caused_by(why)
    }

    /// Opens the directory. `None` if it does not exist.
    fn open_dir(&self) -> Result<Option<OwnedFd>> {
        match rustix::fs::open(&self.dir, DIRECTORY, Mode::empty()) {
            Ok(dir) => check_owner(&dir, &self.dir).map(|()| Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::io("open", e).at(&self.dir)),
        }
    }

    fn fail(&self, operation: &'static str, errno: Errno) -> Error {
        Error::io(operation, errno).at(self.path())
    }
}

/// Fails if another user can write to the directory: that user could control what is done with its files.
pub(crate) fn check_owner(dir: impl AsFd, path: &Path) -> Result<()> {
    let operation = "use the state directory";
    let stat = rustix::fs::fstat(dir).map_err(|e| Error::io(operation, e).at(path))?;
    let user = rustix::process::geteuid().as_raw();
    let why = if stat.st_uid != user && stat.st_uid != 0 {
        "it belongs to another user"
    } else if stat.st_mode & 0o022 != 0 {
        "other users may write to it"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::PermissionDenied, operation).at(path).caused_by(why))
}
