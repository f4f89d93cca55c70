//! The operator's state directory: one record for each restore that is under way or was interrupted.
//!
//! ```text
//! STATE/restores/                    locked while a record is looked for or begun
//!     {inode}-{hash of the path}/    locked for as long as its restore lives
//!         record                     which target, where the staging tree is, how far it has come
//!         journal                    the steps of the exchange, once that has begun
//! ```
//!
//! A record's name has the target's inode and a hash of its path, so a record is found where either
//! is the same: after the path was spelled differently, the target was moved, or the device got
//! another number. A record that may be the target's and cannot be read is an error.

use std::{
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Dir, FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{
    durable::make_dirs,
    error::{Error, ErrorKind, Result},
    replace::{
        journal::Journal,
        ops::{self, At},
        record::{self, Found, Phase, Record, Staging},
        staging,
    },
    unpack::beneath::{Beneath, os},
    walk::root::{DIRECTORY, FileId},
};

/// Names the state directory where no option does.
const VARIABLE: &str = "WINGBACK_STATE_DIR";

/// One for each restore that is under way or was interrupted: so many were not begun by us.
const RECORDS_MAX: usize = 100_000;

/// Returns the state directory that restores and backups use where none is given:
/// `$WINGBACK_STATE_DIR`; else `/var/lib/wingback` for root; else `$XDG_STATE_HOME/wingback`, else
/// `~/.local/state/wingback` where `$HOME` belongs to the user; else `/var/tmp/wingback-{uid}`.
pub fn default_state_dir() -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(dir) = variable(VARIABLE) {
        return dir.into();
    }
    let user = rustix::process::geteuid();
    if user.is_root() {
        return "/var/lib/wingback".into();
    }
    if let Some(dir) = variable("XDG_STATE_HOME") {
        return PathBuf::from(dir).join("wingback");
    }
    // A daemon that was started for another user may still have that one's home in its environment.
    let home = variable("HOME").map(PathBuf::from);
    let is_own = |home: &PathBuf| home.metadata().is_ok_and(|meta| meta.uid() == user.as_raw());
    match home.filter(is_own) {
        Some(home) => home.join(".local/state/wingback"),
        None => format!("/var/tmp/wingback-{}", user.as_raw()).into(),
    }
}

/// A directory whose content restores replace, open.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) dir: Beneath,
    pub(crate) id: FileId,
    /// As the caller spelled it, for messages.
    pub(crate) path: PathBuf,
    /// Absolute and without links.
    canonical: PathBuf,
}

impl Target {
    pub(crate) fn open(path: &Path) -> Result<Target> {
        let dir = Beneath::open(path)?;
        Target::of(dir.as_fd(), path)
    }

    /// The same of a directory that is open.
    pub(crate) fn of(dir: impl AsFd, path: &Path) -> Result<Target> {
        let fail = |e: Errno| Error::io("look at the directory", e).at(path);
        let dir = rustix::fs::openat(dir, c".", DIRECTORY, Mode::empty()).map_err(fail)?;
        let id = FileId::of(&rustix::fs::fstat(&dir).map_err(fail)?);
        let canonical = std::fs::canonicalize(path)
            .map_err(|e| Error::io("look at the directory", e).at(path))?;
        Ok(Target { dir: Beneath::from_fd(dir), id, path: path.to_owned(), canonical })
    }

    fn path_bytes(&self) -> &[u8] {
        self.canonical.as_os_str().as_bytes()
    }

    fn record_name(&self) -> RecordName {
        let hash = blake3::hash(self.path_bytes()).to_hex();
        RecordName { inode: self.id.ino, path: hash[..32].to_owned() }
    }
}

/// The name of a record's directory.
#[derive(Debug, PartialEq, Eq)]
struct RecordName {
    inode: u64,
    path: String,
}

impl RecordName {
    fn parse(name: &[u8]) -> Option<RecordName> {
        let (inode, path) = std::str::from_utf8(name).ok()?.split_once('-')?;
        let inode = u64::from_str_radix(inode, 16).ok()?;
        let parsed = RecordName { inode, path: path.to_owned() };
        (parsed.format().as_bytes() == name).then_some(parsed)
    }

    fn format(&self) -> String {
        format!("{:016x}-{}", self.inode, self.path)
    }
}

/// A state directory, not opened yet.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// The operator's own path may be a link; one in a directory that others write to may not.
    follow: bool,
}

impl StateDir {
    pub(crate) fn new(path: Option<&Path>) -> StateDir {
        match path {
            Some(path) => StateDir { path: path.to_owned(), follow: true },
            None => StateDir { path: default_state_dir(), follow: false },
        }
    }

    /// The record of a restore of `target` that has begun and is not over, whoever runs it.
    pub(crate) fn pending(&self, target: &Target) -> Result<Option<Record>> {
        let Some(restores) = self.open()? else {
            return Ok(None);
        };
        for name in candidates(&restores, target).map_err(|e| self.fail(e))? {
            let Some(dir) = self.open_record(&restores, &name)? else {
                continue;
            };
            let found = Record::read(&dir)?;
            if let Some(record) = self.accept(found, &name, target)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Locks the record of an interrupted restore of `target`, if there is one.
    pub(crate) fn find(&self, target: &Target) -> Result<Option<Claim>> {
        let Some(restores) = self.open()? else {
            return Ok(None);
        };
        let guard = lock(&restores).map_err(|e| self.fail(e))?;
        self.interrupted(&restores, target, &guard)
    }

    /// Locks the record of an interrupted restore of `target`, or else begins a record.
    pub(crate) fn claim(&self, target: &Target) -> Result<Claimed> {
        let restores = self.make()?;
        self.check_outside(target)?;
        let guard = lock(&restores).map_err(|e| self.fail(e))?;
        if let Some(claim) = self.interrupted(&restores, target, &guard)? {
            return Ok(Claimed::Interrupted(claim));
        }
        let name = target.record_name();
        match ops::make_dir(&restores, name.format().as_bytes()) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(self.fail(e)),
        }
        ops::sync(&restores).map_err(|e| self.fail(e))?;
        let dir = self.open_record(&restores, &name)?.ok_or_else(|| self.fail(Errno::NOENT))?;
        let dir = LockedDir::try_lock(dir).map_err(|e| self.fail(e))?;
        if !dir.is_held {
            return Err(busy(target));
        }
        let path = self.record_path(&name);
        Ok(Claimed::New(NewClaim { dir, restores, name, path, _guard: guard }))
    }

    fn interrupted(
        &self,
        restores: &Beneath,
        target: &Target,
        _guard: &LockedDir,
    ) -> Result<Option<Claim>> {
        for name in candidates(restores, target).map_err(|e| self.fail(e))? {
            let Some(dir) = self.open_record(restores, &name)? else {
                continue;
            };
            let dir = LockedDir::try_lock(dir).map_err(|e| self.fail(e))?;
            let found = Record::read(&dir)?;
            if dir.is_held && found == Found::Nothing {
                // A crash came before its record was written, or after that was removed.
                let _ = remove(restores, &name, &dir);
                continue;
            }
            let Some(record) = self.accept(found, &name, target)? else {
                continue;
            };
            if !dir.is_held {
                return Err(busy(target));
            }
            // Its restore may have removed it since it was opened.
            if !leads_to(restores, &name, &dir).map_err(|e| self.fail(e))? {
                continue;
            }
            let path = self.record_path(&name);
            let restores = restores.reopen().map_err(|e| self.fail(e))?;
            return Ok(Some(Claim { dir, restores, name, path, record }));
        }
        Ok(None)
    }

    /// Decides whether a record that was found is the target's.
    fn accept(
        &self,
        found: Found<Record>,
        name: &RecordName,
        target: &Target,
    ) -> Result<Option<Record>> {
        let record = match found {
            Found::Nothing => return Ok(None),
            Found::Valid(record) => record,
            Found::Unreadable(why) => return Err(self.unusable(name, target, &why)),
        };
        let is_same_path = record.target == target.path_bytes();
        let is_same_inode = record.inode == target.id.ino;
        match (is_same_path, is_same_inode) {
            (true, true) => Ok(Some(record)),
            // It was moved; or this is another directory with an equal number.
            (false, true) => {
                let staging = staging::StagingDir::find(target, &record.staging)?;
                Ok(staging.is_some().then_some(record))
            }
            // The volume is not mounted, or the directory was made anew.
            (true, false) if matches!(record.phase, Phase::Exchanging(_)) => {
                let why = "the directory that was being restored is not the one that stands there \
                    now: is a file system not mounted?";
                Err(self.unusable(name, target, why))
            }
            _ => Ok(None),
        }
    }

    /// Nothing is removed then, and the operator is told what to do.
    fn unusable(&self, name: &RecordName, target: &Target, why: &str) -> Error {
        let record = self.record_path(name);
        Error::new(ErrorKind::Corrupt, "use the record of an interrupted restore")
            .at(&record)
            .caused_by(format!(
                "{why}. Nothing was removed. If {} was being restored, files that the restore had \
                 moved out may lie in a directory {}* in it: move them back by hand, then remove {}",
                target.path.display(),
                staging::PREFIX,
                record.display(),
            ))
    }

    /// A tenant could change records that lie in its own directory.
    fn check_outside(&self, target: &Target) -> Result<()> {
        let fail = |e| Error::io("look at the state directory", e).at(&self.path);
        match std::fs::canonicalize(&self.path).map_err(fail)?.starts_with(&target.canonical) {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::InvalidInput, "use the state directory")
                .at(&self.path)
                .caused_by("it lies in the directory that is restored: give another one")),
        }
    }

    /// Opens the directory of records; `None` if there is none.
    fn open(&self) -> Result<Option<Beneath>> {
        let flags = if self.follow { DIRECTORY - OFlags::NOFOLLOW } else { DIRECTORY };
        let state = match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(state) => state,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(self.fail(e)),
        };
        self.check_owner(&state)?;
        match rustix::fs::openat(&state, RESTORES, DIRECTORY, Mode::empty()) {
            Ok(dir) => self.check_owner(&dir).map(|()| Some(Beneath::from_fd(dir))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.fail(e)),
        }
    }

    /// Who can write to it decides what restores and recovery do.
    fn check_owner(&self, dir: &OwnedFd) -> Result<()> {
        let stat = rustix::fs::fstat(dir).map_err(|e| self.fail(e))?;
        let user = rustix::process::geteuid().as_raw();
        let why = if stat.st_uid != user && stat.st_uid != 0 {
            "it belongs to another user"
        } else if stat.st_mode & 0o022 != 0 {
            "other users may write to it"
        } else {
            return Ok(());
        };
        let error = Error::new(ErrorKind::PermissionDenied, "use the state directory");
        Err(error.at(&self.path).caused_by(why))
    }

    /// Opens the directory of records, after making what is missing of it.
    fn make(&self) -> Result<Beneath> {
        make_dirs(&self.path.join(RESTORES), 0o700).map_err(|e| {
            Error::io("make the state directory (another one can be given)", e).at(&self.path)
        })?;
        self.open()?.ok_or_else(|| self.fail(Errno::NOENT))
    }

    fn open_record(&self, restores: &Beneath, name: &RecordName) -> Result<Option<OwnedFd>> {
        match rustix::fs::openat(restores, name.format(), DIRECTORY, Mode::empty()) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.fail(e)),
        }
    }

    fn record_path(&self, name: &RecordName) -> PathBuf {
        self.path.join(RESTORES).join(name.format())
    }

    fn fail(&self, errno: Errno) -> Error {
        Error::io("use the state directory", errno).at(&self.path)
    }
}

const RESTORES: &str = "restores";

/// What [`StateDir::claim`] came to.
pub(crate) enum Claimed {
    New(NewClaim),
    Interrupted(Claim),
}

/// A directory that this process has locked, or has tried to.
#[derive(Debug)]
struct LockedDir {
    fd: OwnedFd,
    is_held: bool,
}

impl LockedDir {
    /// Waits for the lock.
    fn lock(fd: OwnedFd) -> Result<LockedDir, Errno> {
        rustix::io::retry_on_intr(|| rustix::fs::flock(&fd, FlockOperation::LockExclusive))?;
        Ok(LockedDir { fd, is_held: true })
    }

    fn try_lock(fd: OwnedFd) -> Result<LockedDir, Errno> {
        let is_held = match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => true,
            Err(Errno::WOULDBLOCK) => false,
            Err(e) => return Err(e),
        };
        Ok(LockedDir { fd, is_held })
    }
}

impl AsFd for LockedDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for LockedDir {
    fn drop(&mut self) {
        if self.is_held {
            // A child that was just forked has the handle too until it runs its own program.
            let _ = rustix::fs::flock(&self.fd, FlockOperation::Unlock);
        }
    }
}

/// A record's directory that has no record yet. The directory of records stays locked, so that
/// nobody finds it without.
pub(crate) struct NewClaim {
    dir: LockedDir,
    restores: Beneath,
    name: RecordName,
    path: PathBuf,
    _guard: LockedDir,
}

impl NewClaim {
    /// Writes the first record, before anything is made that it names.
    pub(crate) fn begin(self, target: &Target, staging: Staging) -> Result<Claim> {
        let record = Record {
            target: target.path_bytes().to_vec(),
            inode: target.id.ino,
            staging,
            phase: Phase::Unpacking,
        };
        record.write(&self.dir).map_err(|e| e.at(&self.path))?;
        let NewClaim { dir, restores, name, path, _guard } = self;
        Ok(Claim { dir, restores, name, path, record })
    }
}

/// The locked record of one restore.
#[derive(Debug)]
pub(crate) struct Claim {
    dir: LockedDir,
    restores: Beneath,
    name: RecordName,
    path: PathBuf,
    record: Record,
}

impl Claim {
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// The record's directory, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Changes the record, durably.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut Record)) -> Result<()> {
        let mut record = self.record.clone();
        change(&mut record);
        record.write(&self.dir).map_err(|e| e.at(&self.path))?;
        self.record = record;
        Ok(())
    }

    /// Writes the journal, then the record that names it: from its end on, the exchange is finished
    /// or undone whatever happens.
    pub(crate) fn begin_exchange(&mut self, journal: &Journal) -> Result<()> {
        let hash = journal.write(&self.dir).map_err(|e| e.at(&self.path))?;
        self.update(|record| record.phase = Phase::Exchanging(hash))
    }

    /// Reads the journal of that hash.
    pub(crate) fn journal(&self, hash: &[u8; 32]) -> Result<Result<Journal, String>> {
        Journal::read(&self.dir, hash).map_err(|e| e.at(&self.path))
    }

    /// Removes the record: there is nothing to finish any more.
    pub(crate) fn remove(self) -> Result<()> {
        let fail = |e: Errno| Error::io("remove the restore's record", e).at(&self.path);
        remove(&self.restores, &self.name, &self.dir).map_err(fail)
    }
}

fn remove(restores: &Beneath, name: &RecordName, dir: impl AsFd) -> Result<(), Errno> {
    record::remove(dir)?;
    ops::remove_dir(restores, name.format().as_bytes())
}

fn busy(target: &Target) -> Error {
    Error::new(ErrorKind::Busy, "restore")
        .at(&target.path)
        .caused_by("another restore of it is running")
}

/// The records that may be the target's.
fn candidates(restores: &Beneath, target: &Target) -> Result<Vec<RecordName>, Errno> {
    let own = target.record_name();
    let mut found = Vec::new();
    for (i, entry) in Dir::read_from(restores)?.enumerate() {
        if i > RECORDS_MAX {
            return Err(Errno::TOOMANYREFS);
        }
        let name = RecordName::parse(entry?.file_name().to_bytes());
        found.extend(name.filter(|name| name.inode == own.inode || name.path == own.path));
    }
    Ok(found)
}

fn lock(restores: &Beneath) -> Result<LockedDir, Errno> {
    LockedDir::lock(restores.dir(b"")?)
}

fn leads_to(restores: &Beneath, name: &RecordName, dir: impl AsFd) -> Result<bool, Errno> {
    let open = FileId::of(&rustix::fs::fstat(dir)?);
    match At(restores, name.format().as_bytes()).stat() {
        Ok(named) => Ok(FileId::of(&named) == open),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

/// The target as a message names it.
pub(crate) fn shown(record: &Record) -> String {
    os(&record.target).display().to_string()
}
