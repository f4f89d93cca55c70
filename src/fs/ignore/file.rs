//! The ignore file in the source's root.

use std::{io::Read, os::fd::AsFd};

use rustix::{
    fs::{FileType, Mode},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::root::{FILE, Root},
};

/// The largest ignore file that is used: it is written by the server's owner, not the operator's.
const MAX: u64 = 32 << 10;

/// What the ignore file in the source's root is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IgnoreFile {
    /// Its patterns come first, the caller's after them.
    #[default]
    Merge,
    /// It is used only if the caller gave no patterns, as Wings does.
    Replace,
    /// It is not used.
    None,
}

impl IgnoreFile {
    pub(crate) fn is_used(self, is_list_empty: bool) -> bool {
        match self {
            IgnoreFile::Merge => true,
            IgnoreFile::Replace => is_list_empty,
            IgnoreFile::None => false,
        }
    }
}

pub(crate) enum Found {
    Text(Vec<u8>),
    Nothing,
    /// There is one, and this is why it is not used.
    Unusable(String),
}

/// Reads the ignore file if it is a regular file of a sane size. A link is not followed: it could
/// lead out of the source.
pub(crate) fn read(root: &Root, name: &str) -> Result<Found> {
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(Error::new(ErrorKind::InvalidInput, "use the ignore file's name")
            .at(name)
            .caused_by("it is not the name of a file"));
    }
    let unusable = |why: &str| Ok(Found::Unusable(format!("{name} is not used: {why}")));
    let file = match rustix::fs::openat(root.as_fd(), name, FILE, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(Errno::LOOP) => return unusable("it is a link"),
        Err(Errno::NXIO) => return unusable("it is not a regular file"),
        Err(e @ (Errno::ACCESS | Errno::PERM)) => return unusable(&e.to_string()),
        Err(e) => return Err(Error::io("open", e).at(root.path().join(name))),
    };
    let fail = |e: std::io::Error| Error::io("read", e).at(root.path().join(name));
    let stat = rustix::fs::fstat(&file).map_err(|e| fail(e.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return unusable("it is not a regular file");
    }
    let mut text = Vec::new();
    std::fs::File::from(file).take(MAX + 1).read_to_end(&mut text).map_err(fail)?;
    if text.len() as u64 > MAX {
        return unusable("it is over 32 KiB");
    }
    Ok(Found::Text(text))
}
