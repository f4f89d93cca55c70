//! The record of one restore: its target, its staging directory, and its phase.
//!
//! Records are in the operator's state directory (see [`state`](crate::fs::replace::state)), never in
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
        open_flags::FILE,
        replace::{journal::Journal, ops},
    },
};

const RECORD: &[u8] = b"record";
const JOURNAL: &[u8] = b"journal";
const DRAFT: &[u8] = b"draft";

/// The largest record: it contains two paths and a few numbers.
const RECORD_MAX: u64 = 64 << 10;

/// The largest journal: it contains about 50 bytes for each entry that the exchange moves.
const JOURNAL_MAX: u64 = 1 << 30;

const MAGIC: &[u8] = b"wingback restore 3\n";
const HASH: usize = 32;

/// The state of a restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The path of the target when the restore began, absolute and without links.
    #[serde(with = "serde_bytes")]
    pub(crate) target: Vec<u8>,
    /// The inode of the target. The device number is not stored, since it may change after a reboot.
    pub(crate) inode: u64,
    pub(crate) staging: StagingRecord,
    pub(crate) phase: Phase,
}

/// The staging directory in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StagingRecord {
    /// The external directory that contains it; `None` for the target itself.
    pub(crate) external: Option<serde_bytes::ByteBuf>,
    /// Its name, which nobody can guess.
    #[serde(with = "serde_bytes")]
    pub(crate) name: Vec<u8>,
    /// `None` until the directory is made.
    pub(crate) identity: Option<Identity>,
}

/// The properties by which a staging directory is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) inode: u64,
    pub(crate) owner: u32,
    pub(crate) mode: u32,
    /// When it was made, in nanoseconds since 1970. A later directory may have the same inode. `None` if the
    /// file system does not store it.
    pub(crate) born: Option<i128>,
}

/// The phase of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// The archive is being unpacked into the staging directory. The target is untouched.
    Unpacking,
    /// The exchange has begun. The journal with this hash has its steps.
    Exchanging([u8; HASH]),
    /// The target is the new tree. Only the staging directory has to be removed.
    Finished,
    /// The target is the old tree again. Only the staging directory has to be removed.
    Undone,
}

/// The result of reading a file that may be missing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stored<T> {
    Missing,
    Valid(T),
    /// The file exists, and cannot be used for this reason.
    Unreadable(String),
}

impl Record {
    /// Reads the record from its directory.
    pub(crate) fn read(dir: impl AsFd) -> Result<Stored<Record>> {
        let (fail, dir) = (|e| Error::io("read the record of the restore", e), dir.as_fd());
        Ok(match read(dir, RECORD, RECORD_MAX).map_err(fail)? {
            Stored::Valid(bytes) => decode(&bytes).map_or_else(Stored::Unreadable, Stored::Valid),
            Stored::Missing => Stored::Missing,
            Stored::Unreadable(why) => Stored::Unreadable(why),
        })
    }

    /// Writes this record into its directory, in place of the previous one.
    pub(crate) fn write(&self, dir: impl AsFd) -> Result<()> {
        write(dir, RECORD, &encode(self)?)
    }
}

impl Journal {
    /// Writes the journal next to the record, and returns its hash.
    pub(crate) fn write(&self, dir: impl AsFd) -> Result<[u8; HASH]> {
        let bytes = encode(self)?;
        if bytes.len() as u64 > JOURNAL_MAX {
            let error = Error::new(ErrorKind::InvalidInput, "restore");
            return Err(
                error.caused_by("its exchange would move more entries than a journal can hold")
            );
        }
        write(dir, JOURNAL, &bytes)?;
        Ok(*blake3::hash(&bytes).as_bytes())
    }

    /// Reads the journal with this hash. The inner error says why it is unusable: the record says that there
    /// is a journal, so a missing one is unusable as well.
    pub(crate) fn read(dir: impl AsFd, hash: &[u8; HASH]) -> Result<Result<Journal, String>> {
        let (fail, dir) = (|e| Error::io("read the journal of the restore", e), dir.as_fd());
        let bytes = match read(dir, JOURNAL, JOURNAL_MAX).map_err(fail)? {
            Stored::Valid(bytes) => bytes,
            Stored::Missing => return Ok(Err("the journal is missing".to_owned())),
            Stored::Unreadable(why) => return Ok(Err(why)),
        };
        if blake3::hash(&bytes).as_bytes() != hash {
            return Ok(Err("the journal is not the one that the record names".to_owned()));
        }
        let journal = decode::<Journal>(&bytes);
        Ok(journal.and_then(|journal| journal.check().map(|()| journal)))
    }
}

/// Removes record and journal. After that, there is nothing to finish.
pub(crate) fn remove(dir: impl AsFd) -> Result<(), Errno> {
    let dir = dir.as_fd();
    // The record comes first: a journal without a record has no meaning.
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
    let body = postcard::to_stdvec(value).map_err(|e| {
        Error::new(ErrorKind::Internal, "write the record of the restore").caused_by(e)
    })?;
    Ok([MAGIC, blake3::hash(&body).as_bytes(), &body].concat())
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        let is_ours = bytes.starts_with(&MAGIC[..MAGIC.len() - 2]);
        return Err(match is_ours {
            true => "another version of wingback wrote it".to_owned(),
            false => "it does not start like a record".to_owned(),
        });
    };
    let body = rest.split_at_checked(HASH);
    let body = body.filter(|(hash, body)| blake3::hash(body).as_bytes() == hash);
    let (_, body) = body.ok_or_else(|| "its checksum is wrong".to_owned())?;
    postcard::from_bytes(body).map_err(|e| format!("its content is not valid: {e}"))
}

/// Replaces a file by one rename, and makes the change durable.
fn write(dir: impl AsFd, name: &[u8], bytes: &[u8]) -> Result<()> {
    let fail = |e: Errno| Error::io("write the record of the restore", e);
    let dir = dir.as_fd();
    ops::write_file(dir, DRAFT, bytes).map_err(fail)?;
    ops::rename_in(dir, DRAFT, name).map_err(fail)?;
    ops::sync(dir).map_err(fail)
}

/// Reads a regular file of at most `max` bytes. Anything else in its place is unreadable.
fn read(dir: impl AsFd, name: &[u8], max: u64) -> Result<Stored<Vec<u8>>, Errno> {
    let unreadable = |why: &str| Ok(Stored::Unreadable(why.to_owned()));
    let file = match rustix::fs::openat(dir, name, FILE, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Stored::Missing),
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
        Ok(()) => Ok(Stored::Valid(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => unreadable("it was cut short"),
        Err(e) => Err(Errno::from_io_error(&e).unwrap_or(Errno::IO)),
    }
}
