//! The ignore file in the root of the source.

use std::{io::Read, os::fd::AsFd};

use rustix::{
    fs::{FileType, Mode},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{open_flags::FILE, root::Root},
};

/// The largest ignore file that is used, in bytes. The owner of the server writes the file, so the operator
/// cannot trust its size.
const MAX_LEN: u64 = 32 << 10;

/// Use of the ignore file in the root of the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IgnoreFile {
    /// Its patterns come before those of the caller, which override them.
    #[default]
    Merge,
    /// It is used only if the caller gives no patterns, as in Wings.
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

/// The result of reading an ignore file.
pub(crate) enum IgnoreText {
    Text(Vec<u8>),
    Missing,
    /// There is a file, and it is not used for this reason.
    Unusable(String),
}

/// Reads the ignore file if it is a regular file of at most 32 KiB. A link is not followed, since it
/// could lead out of the source.
pub(crate) fn read(root: &Root, name: &str) -> Result<IgnoreText> {
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(Error::new(ErrorKind::InvalidInput, "use the name of the ignore file")
            .at(name)
            .caused_by("it is not the name of a file"));
    }
    let unusable = |why: &str| Ok(IgnoreText::Unusable(format!("{name} is not used: {why}")));
    let file = match rustix::fs::openat(root.as_fd(), name, FILE, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(IgnoreText::Missing),
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
    std::fs::File::from(file).take(MAX_LEN + 1).read_to_end(&mut text).map_err(fail)?;
    if text.len() as u64 > MAX_LEN {
        return unusable("it is over 32 KiB");
    }
    Ok(IgnoreText::Text(text))
}
