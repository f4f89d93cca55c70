//! The file of a member. It is compared with the old file of its path, and written only if they differ.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{os, split},
        unpack::{
            attributes::Attributes, file::NewFile, old_tree::OldFile, options::OverwritePolicy,
            unpacker::Unpacker,
        },
    },
};

/// The file of a member, whose content comes in parts, in any order and from several threads.
#[derive(Debug)]
pub(crate) struct MemberFile {
    unpacker: Arc<Unpacker>,
    path: Vec<u8>,
    size: u64,
    attributes: Attributes,
    policy: OverwritePolicy,
    /// The file of the old tree that is equal so far. `None` if there is no candidate.
    old: Option<OldFile>,
    /// Parts of the old file that are equal.
    equal: Mutex<Ranges>,
    /// The file that is written, after a part has differed.
    new: OnceLock<NewFile>,
}

impl MemberFile {
    /// Begins the file of a member. Only the first member of a path in a new tree is compared.
    pub(crate) fn begin(
        unpacker: &Arc<Unpacker>,
        path: &[u8],
        size: u64,
        attributes: &Attributes,
        policy: OverwritePolicy,
    ) -> Result<MemberFile> {
        let old = unpacker.old.as_ref().filter(|_| policy == OverwritePolicy::NewTree);
        let file = MemberFile {
            unpacker: unpacker.clone(),
            path: path.to_vec(),
            size,
            attributes: *attributes,
            policy,
            old: old.and_then(|old| old.open(path, size, attributes)),
            equal: Mutex::default(),
            new: OnceLock::new(),
        };
        if file.old.is_none() {
            file.begun()?;
        }
        Ok(file)
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Takes the content from `hole` on: zeros up to `offset`, and then `bytes`.
    pub(crate) fn write_at(&self, hole: u64, offset: u64, bytes: &[u8]) -> Result<()> {
        if let (Some(old), None) = (&self.old, self.new.get())
            && old.has(hole, offset, bytes)
        {
            let mut equal = self.equal.lock().unwrap_or_else(PoisonError::into_inner);
            // Another thread may have begun the new file.
            if self.new.get().is_none() {
                equal.add(hole, offset + bytes.len() as u64);
                return Ok(());
            }
        }
        self.begun()?.write_at(offset, bytes)
    }

    /// Ends the file. From `hole` to its end it has zeros.
    pub(crate) fn finish(mut self, hole: u64) -> Result<()> {
        self.write_at(hole, self.size, &[])?;
        if let (Some(old), None) = (&self.old, self.new.get()) {
            let (_, name) = split(&self.path);
            let dir = self.unpacker.parent(&self.path)?;
            if old.link(&dir, name) {
                return Ok(());
            }
            self.begun()?;
        }
        self.new.take().map_or(Ok(()), NewFile::finish)
    }

    /// Returns the new file. The first call makes it, and copies the equal parts of the old file.
    fn begun(&self) -> Result<&NewFile> {
        let mut equal = self.equal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(new) = self.new.get() {
            return Ok(new);
        }
        let new = self.unpacker.file(&self.path, self.size, &self.attributes, self.policy)?;
        if let Some(old) = &self.old {
            for (start, end) in std::mem::take(&mut *equal).0 {
                old.copy(start, end, &new)?;
            }
            if !old.is_untouched() {
                return Err(Error::new(ErrorKind::Busy, "restore")
                    .at(os(&self.path))
                    .caused_by("another process changed the file while the restore compared it"));
            }
        }
        Ok(self.new.get_or_init(|| new))
    }
}

/// Ranges that are joined as soon as they meet: their starts and ends.
#[derive(Debug, Default)]
struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    fn add(&mut self, mut start: u64, mut end: u64) {
        if let Some((&before, &until)) = self.0.range(..=start).next_back()
            && until == start
        {
            self.0.remove(&before);
            start = before;
        }
        if let Some(after) = self.0.remove(&end) {
            end = after;
        }
        self.0.insert(start, end);
    }
}
