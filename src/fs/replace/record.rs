//! The record of one restore: which directory it replaces, where its staging tree is, and how far
//! it has come.
//!
//! Records lie in the operator's state directory (see [`state`](crate::fs::replace::state)), never in
//! the target. Each change of a record is durable before the change that it announces.

use std::os::{fd::AsFd, unix::fs::FileExt};

use rustix::{
    fs::{FileType, Mode},
    io::Errno,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        replace::{journal::Journal, ops},
        root::FILE,
    },
};

const RECORD: &[u8] = b"record";
const JOURNAL: &[u8] = b"journal";
const DRAFT: &[u8] = b"draft";

/// A record holds two paths and a few numbers.
const RECORD_MAX: u64 = 64 << 10;
/// A journal holds some 50 bytes for each entry that the exchange moves.
const JOURNAL_MAX: u64 = 1 << 30;

const MAGIC: &[u8] = b"wingback restore 2\n";
const HASH: usize = 32;

/// What is known of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The target's path, absolute and without links, when the restore began.
    #[serde(with = "serde_bytes")]
    pub(crate) target: Vec<u8>,
    /// The target's inode. Device numbers may change when the system starts again.
    pub(crate) inode: u64,
    pub(crate) staging: Staging,
    pub(crate) phase: Phase,
}

/// Where the staging tree is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Staging {
    /// The directory that holds it; `None` for the target itself.
    pub(crate) outside: Option<serde_bytes::ByteBuf>,
    /// Its name there, which nobody can guess.
    #[serde(with = "serde_bytes")]
    pub(crate) name: Vec<u8>,
    /// `None` until the directory is made.
    pub(crate) identity: Option<Identity>,
}

/// By which a staging directory is accepted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) inode: u64,
    pub(crate) owner: u32,
    pub(crate) mode: u32,
}

/// How far a restore has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// The archive is unpacked into the staging tree. The target is untouched.
    Unpacking,
    /// The exchange has begun; the journal of this hash says what it does.
    Exchanging([u8; HASH]),
    /// The target is the new tree. The staging tree is to be removed.
    Finished,
    /// The target is the old tree again. The staging tree is to be removed.
    Undone,
}

/// What became of reading something that may be absent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    Nothing,
    Valid(T),
    /// It is there, and why it cannot be used.
    Unreadable(String),
}

impl Record {
    /// Reads the record in a record's directory.
    pub(crate) fn read(dir: impl AsFd) -> Result<Found<Record>> {
        let (fail, dir) = (|e| Error::io("read the restore's record", e), dir.as_fd());
        Ok(match read(dir, RECORD, RECORD_MAX).map_err(fail)? {
            Found::Valid(bytes) => decode(&bytes).map_or_else(Found::Unreadable, Found::Valid),
            Found::Nothing => Found::Nothing,
            Found::Unreadable(why) => Found::Unreadable(why),
        })
    }

    /// Puts this record into a record's directory, in place of the one there.
    pub(crate) fn write(&self, dir: impl AsFd) -> Result<()> {
        put(dir, RECORD, &encode(self)?)
    }
}

impl Journal {
    /// Puts the journal beside the record, and returns its hash.
    pub(crate) fn write(&self, dir: impl AsFd) -> Result<[u8; HASH]> {
        let bytes = encode(self)?;
        if bytes.len() as u64 > JOURNAL_MAX {
            let error = Error::new(ErrorKind::InvalidInput, "restore");
            return Err(
                error.caused_by("its exchange would move more entries than a journal holds")
            );
        }
        put(dir, JOURNAL, &bytes)?;
        Ok(*blake3::hash(&bytes).as_bytes())
    }

    /// Reads the journal of that hash beside a record. An absent one is unreadable as well: the
    /// record says that there is one.
    pub(crate) fn read(dir: impl AsFd, hash: &[u8; HASH]) -> Result<Result<Journal, String>> {
        let (fail, dir) = (|e| Error::io("read the restore's journal", e), dir.as_fd());
        let bytes = match read(dir, JOURNAL, JOURNAL_MAX).map_err(fail)? {
            Found::Valid(bytes) => bytes,
            Found::Nothing => return Ok(Err("the journal is gone".to_owned())),
            Found::Unreadable(why) => return Ok(Err(why)),
        };
        if blake3::hash(&bytes).as_bytes() != hash {
            return Ok(Err("the journal is not the one that the record names".to_owned()));
        }
        let journal = decode::<Journal>(&bytes);
        Ok(journal.and_then(|journal| journal.check().map(|()| journal)))
    }
}

/// Removes record and journal: from here on there is nothing to finish.
pub(crate) fn remove(dir: impl AsFd) -> Result<(), Errno> {
    let dir = dir.as_fd();
    // The record first: a journal without one says nothing.
    for name in [RECORD, JOURNAL, DRAFT] {
        match ops::remove_file(dir, name) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => return Err(e),
        }
        if name == RECORD {
            ops::sync(dir)?;
        }
    }
    Ok(())
}

fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    let body = postcard::to_stdvec(value)
        .map_err(|e| Error::new(ErrorKind::Internal, "write the restore's record").caused_by(e))?;
    Ok([MAGIC, blake3::hash(&body).as_bytes(), &body].concat())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let is_ours = bytes.starts_with(&MAGIC[..MAGIC.len() - 2]);
        return Err(match is_ours {
            true => "another version of wingback wrote it".to_owned(),
            false => "it does not begin as a record does".to_owned(),
        });
    };
    let body = rest.split_at_checked(HASH);
    let body = body.filter(|(hash, body)| blake3::hash(body).as_bytes() == hash);
    let (_, body) = body.ok_or_else(|| "its checksum is wrong".to_owned())?;
    postcard::from_bytes(body).map_err(|e| format!("its content is not a record's: {e}"))
}

fn put(dir: impl AsFd, name: &[u8], bytes: &[u8]) -> Result<()> {
    let fail = |e: Errno| Error::io("write the restore's record", e);
    let dir = dir.as_fd();
    ops::write_file(dir, DRAFT, bytes).map_err(fail)?;
    ops::rename_in(dir, DRAFT, name).map_err(fail)?;
    ops::sync(dir).map_err(fail)
}

/// Reads a regular file of at most `max` bytes; anything else in its place is unreadable.
fn read(dir: impl AsFd, name: &[u8], max: u64) -> Result<Found<Vec<u8>>, Errno> {
    let unreadable = |why: &str| Ok(Found::Unreadable(why.to_owned()));
    let file = match rustix::fs::openat(dir, name, FILE, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(Errno::LOOP | Errno::NXIO) => return unreadable("it is not a regular file"),
        Err(e) => return Err(e),
    };
    let stat = rustix::fs::fstat(&file)?;
    let len = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return unreadable("it is not a regular file");
    }
    if len > max {
        return unreadable("it is larger than a record can be");
    }
    let mut bytes = vec![0; len as usize];
    match std::fs::File::from(file).read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(Found::Valid(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => unreadable("it was cut short"),
        Err(e) => Err(Errno::from_io_error(&e).unwrap_or(Errno::IO)),
    }
}
