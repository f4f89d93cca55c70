//! The results of decoding.

use crate::{
    error::Result,
    format::index::{FOOTER_LEN, begins_index},
    fs::spill::Spill,
    read::{index::Index, worker_pool::SharedBuffer},
};

/// The next result of decoding.
pub(crate) enum Event {
    /// Bytes of the tar stream: whole blocks, except before the end or damage.
    Data(SharedBuffer),
    /// The file is damaged from here on, with the reason.
    Damaged(String),
    /// The file has ended without damage.
    End(Ending),
}

/// Information that is known at the end of the file.
#[derive(Debug)]
pub(crate) struct Ending {
    /// The empty members with an extra field at the end of the file, which may be an index.
    pub(super) tail: Tail,
    /// Length of the file.
    pub(super) len: u64,
}

impl Ending {
    /// Returns whether the file has something like an index at its end.
    pub(in crate::read) fn begins_index(&self) -> bool {
        begins_index(&self.tail.first)
    }

    /// Returns the index at the end of the file, if it is one.
    pub(in crate::read) fn index(self) -> Result<Option<Index>> {
        let Tail { members, last, .. } = self.tail;
        match last.first_chunk::<FOOTER_LEN>() {
            Some(footer) if last.len() == FOOTER_LEN => Index::in_tail(members, footer, self.len),
            _ => Ok(None),
        }
    }
}

/// Members that may be an index, and one that may be its footer.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The first bytes.
    first: Vec<u8>,
    members: Spill,
    last: Vec<u8>,
}

impl Tail {
    pub(super) fn add(&mut self, member: Vec<u8>) -> Result<()> {
        if self.first.is_empty() {
            self.first = member[..member.len().min(16)].to_vec();
        }
        let before = std::mem::replace(&mut self.last, member);
        self.members.write(&before)
    }

    pub(super) fn len(&self) -> u64 {
        self.members.len() + self.last.len() as u64
    }
}
