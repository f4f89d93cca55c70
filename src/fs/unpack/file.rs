//! A file that is being written.

use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use rustix::{fs::AtFlags, io::Errno};

use crate::{
    error::Result,
    fs::{
        beneath::{fail, split},
        unpack::{
            attributes::{Attributes, Deviations},
            options::{OverwritePolicy, Owner},
            parents::publish,
        },
    },
    throttle::Throttle,
};

/// Zeros are left out in whole pages of this many bytes.
const PAGE: usize = 4096;

/// The minimum length of a hole inside the data.
const HOLE: usize = 64 << 10;

/// A file that is being written, by one thread or several. If it is dropped before it is finished, it
/// is removed.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(super) file: OwnedFd,
    pub(super) dir: Arc<OwnedFd>,
    pub(super) path: Vec<u8>,
    /// Its name while it is written; empty after it is finished.
    pub(super) name: Vec<u8>,
    pub(super) policy: OverwritePolicy,
    pub(crate) size: u64,
    /// The end of the last byte that was written.
    pub(super) end: AtomicU64,
    pub(super) attributes: Attributes,
    pub(super) owner: Owner,
    pub(super) deviations: Arc<Deviations>,
    pub(super) writes: Throttle,
}

impl NewFile {
    /// Writes `bytes` at `offset`. Runs of zeros become holes.
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut at = 0;
        while at < bytes.len() {
            let data = zeros_end(bytes, at, offset);
            let zeros = data - at;
            // At an edge of `bytes`, the hole may go on in the bytes before or after them.
            let is_hole = zeros >= HOLE || zeros > 0 && (at == 0 || data == bytes.len());
            let end = data_end(bytes, data, offset);
            let start = if is_hole { data } else { at };
            self.write_all_at(offset + start as u64, &bytes[start..end])?;
            at = end;
        }
        Ok(())
    }

    fn write_all_at(&self, mut offset: u64, mut bytes: &[u8]) -> Result<()> {
        let mut granted = 0;
        while !bytes.is_empty() {
            if granted == 0 {
                granted = self.writes.take(bytes.len())?;
            }
            match rustix::io::pwrite(&self.file, &bytes[..granted], offset) {
                Ok(0) => return Err(fail("write", &self.path, Errno::IO)),
                Ok(n) => {
                    granted -= n;
                    bytes = &bytes[n..];
                    offset += n as u64;
                    self.end.fetch_max(offset, SeqCst);
                }
                Err(Errno::INTR) => {}
                Err(e) => return Err(fail("write", &self.path, e)),
            }
        }
        Ok(())
    }

    /// Sets length, owner, mode and time, and gives the file its own name.
    pub(crate) fn finish(mut self) -> Result<()> {
        // The file ends with a hole.
        if self.end.load(SeqCst) != self.size {
            rustix::fs::ftruncate(&self.file, self.size)
                .map_err(|e| fail("set the length of", &self.path, e))?;
        }
        self.attributes.set(&self.file, &self.path, self.owner, &self.deviations)?;
        let (_, own_name) = split(&self.path);
        publish(&self.dir, &self.name, own_name, self.policy)
            .map_err(|e| fail("rename to", &self.path, e))?;
        self.name.clear();
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = rustix::fs::unlinkat(&self.dir, &*self.name, AtFlags::empty());
        }
    }
}

/// Returns the end of the zeros that begin at `at`: a page boundary of the file, or the end of `bytes`.
/// The first of `bytes` is the byte `offset` of the file.
fn zeros_end(bytes: &[u8], mut at: usize, offset: u64) -> usize {
    while at < bytes.len() {
        let end = page_end(bytes, at, offset);
        if !is_zero(&bytes[at..end]) {
            break;
        }
        at = end;
    }
    at
}

/// Returns the end of the data that begins at `at`: the start of the next hole.
fn data_end(bytes: &[u8], mut at: usize, offset: u64) -> usize {
    while at < bytes.len() {
        let end = zeros_end(bytes, at, offset);
        if end - at >= HOLE || end > at && end == bytes.len() {
            break;
        }
        at = if end > at { end } else { page_end(bytes, at, offset) };
    }
    at
}

fn page_end(bytes: &[u8], at: usize, offset: u64) -> usize {
    let within = (offset % PAGE as u64) as usize + at;
    (at + PAGE - within % PAGE).min(bytes.len())
}

fn is_zero(page: &[u8]) -> bool {
    // The first bytes decide for nearly all data.
    page.iter().take(16).all(|&b| b == 0) && page.iter().all(|&b| b == 0)
}
