//! The names in one directory.

use std::{ffi::CStr, os::fd::OwnedFd};

use rustix::{
    fs::{AtFlags, Dir, FileType},
    io::Errno,
};

/// The most bytes of the names in one directory. They are sorted in memory.
const NAMES_MAX: usize = 512 << 20;

/// The names in one directory, in the order of the archive. The layout saves memory.
pub(super) struct Names {
    /// The names, each with a NUL after it.
    bytes: Vec<u8>,
    order: Vec<Name>,
}

#[derive(Clone, Copy)]
struct Name {
    start: u32,
    len: u16,
    kind: FileType,
}

impl Names {
    /// Lists a directory.
    pub(super) fn read(dir: &OwnedFd) -> Result<Self, Errno> {
        let mut bytes = Vec::new();
        let mut order = Vec::new();
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
                {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    // The error comes when it is opened.
                    Err(_) => FileType::RegularFile,
                },
                kind => kind,
            };
            order.push(Name {
                start: u32::try_from(bytes.len()).map_err(|_| Errno::FBIG)?,
                len: u16::try_from(name.count_bytes()).map_err(|_| Errno::NAMETOOLONG)?,
                kind,
            });
            bytes.extend_from_slice(name.to_bytes_with_nul());
            if bytes.len() > NAMES_MAX {
                return Err(Errno::FBIG);
            }
        }
        let name = |n: &Name| &bytes[n.start as usize..][..usize::from(n.len)];
        order.sort_unstable_by(|a, b| {
            let (x, y) = (name(a), name(b));
            let common = x.len().min(y.len());
            let after = |s: &[u8], n: &Name| match s.get(common) {
                Some(&byte) => Some(byte),
                None => (n.kind == FileType::Directory).then_some(b'/'),
            };
            x[..common].cmp(&y[..common]).then_with(|| after(x, a).cmp(&after(y, b)))
        });
        Ok(Names { bytes, order })
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Returns a name and its file type.
    pub(super) fn get(&self, i: usize) -> (&CStr, FileType) {
        let name = &self.order[i];
        let bytes = &self.bytes[name.start as usize..][..usize::from(name.len) + 1];
        (CStr::from_bytes_with_nul(bytes).unwrap_or_default(), name.kind)
    }
}
