//! What an exchange is to do, written down before it begins.

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result},
    swap::ops,
};

const NAME: &[u8] = b"journal";
const DRAFT: &[u8] = b"journal.part";
const MAGIC: &[u8] = b"wingback restore 1\n";
const HASH: usize = 32;

/// All steps, in their order, then what directories are to look like.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) steps: Vec<Step>,
    pub(crate) dresses: Vec<Dress>,
}

/// One step; paths are relative to the target, to `new` and to `old`. Each can be told to be done
/// from what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// `target/path` → `new/path`: what is to survive.
    Keep(#[serde(with = "serde_bytes")] Vec<u8>),
    /// `target/path` → `old/number`.
    Aside(#[serde(with = "serde_bytes")] Vec<u8>, u32),
    /// `old/number` becomes another name of `target/path`, which the next step replaces at once.
    Save(#[serde(with = "serde_bytes")] Vec<u8>, u32),
    /// `new/path` → `target/path`.
    Put(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// A directory whose looks the steps change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dress {
    #[serde(with = "serde_bytes")]
    pub(crate) path: Vec<u8>,
    /// In the old tree; `None` if it is not there.
    pub(crate) old: Option<Looks>,
    /// In the new tree.
    pub(crate) new: Option<Looks>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looks {
    pub(crate) mode: u32,
    pub(crate) mtime_ns: i64,
}

impl Journal {
    /// Writes it into the staging place: from its end on, the exchange is to be finished.
    pub(crate) fn commit(&self, place: impl std::os::fd::AsFd) -> Result<()> {
        let fail = |e: Errno| Error::io("write the restore's journal", e);
        let body = postcard::to_stdvec(self)
            .map_err(|e| Error::new(ErrorKind::Internal, "write the journal").caused_by(e))?;
        let bytes = [MAGIC, blake3::hash(&body).as_bytes(), &body].concat();
        let place = place.as_fd();
        ops::write_file(place, DRAFT, &bytes).map_err(fail)?;
        ops::rename_in(place, DRAFT, NAME).map_err(fail)?;
        ops::sync(place).map_err(fail)
    }

    /// The journal in a staging place. One that is not whole was never committed.
    pub(crate) fn read(place: impl std::os::fd::AsFd) -> Result<Option<Journal>> {
        let fail = |e: Errno| Error::io("read the restore's journal", e);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(place, NAME, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut bytes)
            .map_err(|e| Error::io("read the restore's journal", e))?;
        let body = (bytes.strip_prefix(MAGIC)).and_then(|rest| rest.split_at_checked(HASH));
        let body = body.filter(|(hash, body)| blake3::hash(body).as_bytes() == hash);
        Ok(body.and_then(|(_, body)| postcard::from_bytes(body).ok()))
    }

    /// Removes it: from here on there is nothing to finish.
    pub(crate) fn remove(place: impl std::os::fd::AsFd) -> Result<(), Errno> {
        let place = place.as_fd();
        match ops::remove_file(place, NAME) {
            Ok(()) | Err(Errno::NOENT) => ops::sync(place),
            Err(e) => Err(e),
        }
    }
}
