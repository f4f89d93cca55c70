//! Symlinks and hard links.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    entry::Metadata,
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{fail, os, split},
        sys::lacks_links,
        unpack::{
            attributes::Attributes,
            file::NewFile,
            options::OverwritePolicy,
            parents::publish,
            same_file::{check_same, is_same, open_file},
            unpacker::Unpacker,
        },
    },
};

/// The longest target that Linux accepts, without its NUL.
const TARGET_MAX: usize = 4095;

/// Checks the target of a symlink. Returns an error if Linux cannot store it.
pub(crate) fn check_target(path: &[u8], target: &[u8]) -> Result<()> {
    let problem = if target.is_empty() {
        "its target is empty"
    } else if target.len() > TARGET_MAX {
        "its target is over 4,095 bytes"
    } else if target.contains(&0) {
        "its target contains a NUL byte"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidInput, "make the link").at(os(path)).caused_by(problem))
}

impl Unpacker {
    /// Makes a symlink to `target`. The target is stored as it is and not looked up.
    pub(crate) fn symlink(
        &self,
        path: &[u8],
        target: &[u8],
        attributes: &Attributes,
        policy: OverwritePolicy,
    ) -> Result<()> {
        let (parent, _) = split(path);
        let dir = self.parents.open(parent).map_err(|e| fail("make the link", path, e))?;
        let make = |name: &[u8]| rustix::fs::symlinkat(target, &dir, name);
        let set = |name: &[u8]| {
            attributes.set_on_symlink(&dir, name, path, self.options.owner, &self.deviations)
        };
        self.make_link(&dir, path, policy, make, set)
    }

    /// Makes `path` another name of the file or symlink `to`. If the file system cannot give the file
    /// another name, a copy is made.
    pub(crate) fn hard_link(&self, path: &[u8], to: &[u8], policy: OverwritePolicy) -> Result<()> {
        let fail = |e| fail("make the hard link", path, e);
        let (to_parent, to_name) = split(to);
        let to_dir = self.parents.open(to_parent).map_err(fail)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(&to_dir, to_name, flags, Mode::empty()).map_err(fail)?;
        let stat = rustix::fs::fstat(&source).map_err(fail)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if !matches!(kind, FileType::RegularFile | FileType::Symlink) {
            return Err(fail(Errno::NXIO));
        }
        let (parent, own) = split(path);
        let dir = self.parents.open(parent).map_err(fail)?;
        // A rename onto another name of the same file does nothing, and would leave the temporary name.
        if policy == OverwritePolicy::Overwrite && is_same(&dir, own, &source).map_err(fail)? {
            return Ok(());
        }
        let link = |name: &[u8]| rustix::fs::linkat(&to_dir, to_name, &dir, name, AtFlags::empty());
        let check = |name: &[u8]| check_same(&dir, name, &source, path);
        match self.make_link(&dir, path, policy, link, check) {
            Err(e) if is_link_refused(&e) => {}
            result => return result,
        }
        let meta = Metadata::of(&stat);
        let (mode, mtime_ns) = (meta.mode, meta.mtime_ns);
        let attributes = Attributes { mode, uid: meta.uid.into(), gid: meta.gid.into(), mtime_ns };
        if kind == FileType::Symlink {
            let target = rustix::fs::readlinkat(&to_dir, to_name, Vec::new()).map_err(fail)?;
            return self.symlink(path, target.as_bytes(), &attributes, policy);
        }
        let source = open_file(to_dir.as_fd(), to_name).map_err(fail)?;
        copy(source, to, self.file(path, meta.size, &attributes, policy)?)
    }

    /// Makes a link, completes it with `finish`, and gives it its own name. Both closures get the name
    /// under which the link is made.
    fn make_link(
        &self,
        dir: &OwnedFd,
        path: &[u8],
        policy: OverwritePolicy,
        make: impl Fn(&[u8]) -> Result<(), Errno>,
        finish: impl Fn(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let fail = |e| fail("make the link", path, e);
        let (_, own) = split(path);
        let name = self.parents.creation_name(own, policy);
        make(&name).map_err(fail)?;
        let published = finish(&name).and_then(|()| publish(dir, &name, own, policy).map_err(fail));
        if published.is_err() {
            let _ = rustix::fs::unlinkat(dir, &*name, AtFlags::empty());
        }
        published
    }
}

fn copy(mut source: File, from: &[u8], copy: NewFile) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    loop {
        let n = source.read(&mut buffer).map_err(|e| Error::io("read", e).at(os(from)))?;
        if n == 0 {
            return copy.finish();
        }
        copy.write_at(offset, &buffer[..n])?;
        offset += n as u64;
    }
}

/// Returns whether the file system could not give a file another name.
fn is_link_refused(error: &Error) -> bool {
    use std::error::Error as _;
    let errno = error.source().and_then(|e| e.downcast_ref::<std::io::Error>());
    errno.and_then(Errno::from_io_error).is_some_and(lacks_links)
}
