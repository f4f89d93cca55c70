//! A part of an upload while it is filled: in memory if there is room, otherwise in a file without a name.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use blocking::unblock;
use bytes::{Bytes, BytesMut};

use crate::{
    error::{Error, Result},
    fs::spill::unnamed_file,
    memory_limit::Reserved,
    net::http::RequestBody,
    rt::background::Background,
};

/// A part that is not full yet.
#[derive(Debug)]
pub(super) enum PartBuffer {
    Memory { bytes: BytesMut, reserved: Reserved },
    File { file: Arc<Background<File>>, dir: PathBuf, len: u64 },
}

impl PartBuffer {
    /// Returns a buffer in memory. `None` if there is no room for a part of this size.
    pub(super) fn in_memory(part_size: u64) -> Option<Self> {
        let reserved = Reserved::new(part_size)?;
        Some(PartBuffer::Memory { bytes: BytesMut::with_capacity(part_size as usize), reserved })
    }

    /// Returns a buffer that is a file in this directory.
    pub(super) async fn in_file(dir: &Path) -> Result<Self> {
        let dir = dir.to_owned();
        let made = dir.clone();
        let file = Arc::new(Background::new(unblock(move || unnamed_file(&made)).await?));
        Ok(PartBuffer::File { file, dir, len: 0 })
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            PartBuffer::Memory { bytes, .. } => bytes.len() as u64,
            PartBuffer::File { len, .. } => *len,
        }
    }

    /// Appends bytes.
    pub(super) async fn push(&mut self, more: Bytes) -> Result<()> {
        match self {
            PartBuffer::Memory { bytes, .. } => bytes.extend_from_slice(&more),
            PartBuffer::File { file, dir, len } => {
                let (file, at) = (file.clone(), *len);
                *len += more.len() as u64;
                unblock(move || file.write_all_at(&more, at))
                    .await
                    .map_err(|e| Error::io("write to a file in", e).at(&*dir))?;
            }
        }
        Ok(())
    }

    /// Returns the bytes, and the memory that they take.
    pub(super) fn finish(self) -> (RequestBody, Option<Reserved>) {
        match self {
            PartBuffer::Memory { bytes, reserved } => {
                (RequestBody::Bytes(bytes.freeze()), Some(reserved))
            }
            PartBuffer::File { file, len, .. } => (RequestBody::File(file, 0..len), None),
        }
    }
}
