//! The operator's state directory: one record for each restore that is running or was interrupted.
//!
//! ```text
//! STATE/restores/                    locked while a record is searched for or made
//!     {inode}-{hash of the path}/    locked while its restore runs
//!         record                     target, staging directory and phase
//!         journal                    the steps of the exchange, after it has begun
//! ```
//!
//! The name of a record contains the inode of the target and a hash of its path. A record is found if
//! either is the same: after the path was written differently, the target was moved, or the device
//! number changed. A record that may belong to the target and cannot be read is an error.

use std::{
    os::{fd::OwnedFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Dir, Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Error, ErrorKind, Result},
    fs::{
        beneath::{Beneath, os},
        durable::make_dirs,
        open_flags::DIRECTORY,
        replace::{
            claim::{self, Claim, LockedDir, NewClaim, NewOrInterrupted},
            ops,
            record::{Phase, Record, Stored},
            staging::{self, StagingDir},
            target::{RecordName, Target},
        },
        state_file::check_owner,
    },
};

/// The environment variable for the state directory. An option overrides it.
const VARIABLE: &str = "WINGBACK_STATE_DIR";

/// The most records in a state directory. There is one for each restore that is running or was interrupted,
/// so more than this were not made by the engine.
const RECORDS_MAX: usize = 100_000;

/// Returns the state directory that restores and backups use if none is given:
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
    // A daemon that runs as another user than its starter may have the starter's home in its environment.
    let home = variable("HOME").map(PathBuf::from);
    let is_own = |home: &PathBuf| home.metadata().is_ok_and(|meta| meta.uid() == user.as_raw());
    match home.filter(is_own) {
        Some(home) => home.join(".local/state/wingback"),
        None => format!("/var/tmp/wingback-{}", user.as_raw()).into(),
    }
}

/// A state directory, not opened yet.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// Whether the path may be a link. A path that the operator gave may be one. The default path may not,
    /// since it can be in a directory that others write to.
    follow: bool,
}

impl StateDir {
    pub(crate) fn new(path: Option<&Path>) -> StateDir {
        match path {
            Some(path) => StateDir { path: path.to_owned(), follow: true },
            None => StateDir { path: default_state_dir(), follow: false },
        }
    }

    /// Returns the record of a restore of `target` that is running, in any process, or was interrupted.
    pub(crate) fn pending(&self, target: &Target) -> Result<Option<Record>> {
        let Some(restores) = self.open()? else {
            return Ok(None);
        };
        for name in candidates(&restores, target).map_err(|e| self.fail(e))? {
            let Some(dir) = self.open_record(&restores, &name)? else {
                continue;
            };
            let stored = Record::read(&dir)?;
            if let Some(record) = self.select(stored, &name, target)? {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    /// Locks the record of an interrupted restore of `target`, if there is one.
    pub(crate) fn claim_interrupted(&self, target: &Target) -> Result<Option<Claim>> {
        let Some(restores) = self.open()? else {
            return Ok(None);
        };
        let lock = lock(&restores).map_err(|e| self.fail(e))?;
        self.interrupted(&restores, target, &lock)
    }

    /// Locks the record of an interrupted restore of `target`, or else makes one.
    pub(crate) fn claim(&self, target: &Target) -> Result<NewOrInterrupted> {
        self.check_outside(target)?;
        let restores = self.make()?;
        let lock = lock(&restores).map_err(|e| self.fail(e))?;
        if let Some(claim) = self.interrupted(&restores, target, &lock)? {
            return Ok(NewOrInterrupted::Interrupted(claim));
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
        Ok(NewOrInterrupted::New(NewClaim { dir, restores, name, path, _lock: lock }))
    }

    fn interrupted(
        &self,
        restores: &Beneath,
        target: &Target,
        _lock: &LockedDir,
    ) -> Result<Option<Claim>> {
        for name in candidates(restores, target).map_err(|e| self.fail(e))? {
            let Some(dir) = self.open_record(restores, &name)? else {
                continue;
            };
            let dir = LockedDir::try_lock(dir).map_err(|e| self.fail(e))?;
            let stored = Record::read(&dir)?;
            if dir.is_held && stored == Stored::Missing {
                // A process was killed before it wrote the record, or after it removed it.
                let _ = claim::remove(restores, &name, &dir);
                continue;
            }
            let Some(record) = self.select(stored, &name, target)? else {
                continue;
            };
            if !dir.is_held {
                return Err(busy(target));
            }
            // Its restore may have removed the directory since it was opened.
            if !claim::leads_to(restores, &name, &dir).map_err(|e| self.fail(e))? {
                continue;
            }
            let path = self.record_path(&name);
            let restores = restores.reopen().map_err(|e| self.fail(e))?;
            return Ok(Some(Claim { dir, restores, name, path, record }));
        }
        Ok(None)
    }

    /// Returns the record if it belongs to the target.
    fn select(
        &self,
        stored: Stored<Record>,
        name: &RecordName,
        target: &Target,
    ) -> Result<Option<Record>> {
        let record = match stored {
            Stored::Missing => return Ok(None),
            Stored::Valid(record) => record,
            Stored::Unreadable(why) => return Err(self.unusable(name, target, &why)),
        };
        let is_same_path = record.target == target.path_bytes();
        let is_same_inode = record.inode == target.id.ino;
        match (is_same_path, is_same_inode) {
            (true, true) => Ok(Some(record)),
            // The target was moved, or this is another directory with the same inode number.
            (false, true) => {
                let staging = StagingDir::find(target, &record.staging)?;
                Ok(staging.is_some().then_some(record))
            }
            // The file system is not mounted, or the directory was made again.
            (true, false) if matches!(record.phase, Phase::Exchanging(_)) => {
                let why = "the directory at this path is not the one that was being restored: is a file \
                    system not mounted?";
                Err(self.unusable(name, target, why))
            }
            _ => Ok(None),
        }
    }

    /// Returns the error for a record that cannot be used. It says what the operator can do.
    fn unusable(&self, name: &RecordName, target: &Target, why: &str) -> Error {
        let record = self.record_path(name);
        Error::new(ErrorKind::Corrupt, "use the record of an interrupted restore")
            .at(&record)
            .caused_by(format!(
                "{why}. Nothing was removed. If {} was being restored, files that the restore had \
                 moved out may be in a directory {}* in it: move them back by hand, then remove {}",
                target.path.display(),
                staging::PREFIX,
                record.display(),
            ))
    }

    /// Fails if the state directory is in the target: the tenant could change the records.
    fn check_outside(&self, target: &Target) -> Result<()> {
        let fail = |e| Error::io("find the state directory", e).at(&self.path);
        // If the directory does not exist yet, the deepest parent that exists decides.
        let path = std::path::absolute(&self.path).map_err(fail)?;
        let mut existing = path.ancestors().filter_map(|path| std::fs::canonicalize(path).ok());
        match existing.next().is_some_and(|dir| dir.starts_with(&target.canonical)) {
            false => Ok(()),
            true => Err(Error::new(ErrorKind::InvalidInput, "use the state directory")
                .at(&self.path)
                .caused_by("it is in the directory that is restored: choose another one")),
        }
    }

    /// Opens the directory of records. Returns `None` if there is none.
    fn open(&self) -> Result<Option<Beneath>> {
        let flags = if self.follow { DIRECTORY - OFlags::NOFOLLOW } else { DIRECTORY };
        let state = match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(state) => state,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(self.fail(e)),
        };
        check_owner(&state, &self.path)?;
        match rustix::fs::openat(&state, RESTORES, DIRECTORY, Mode::empty()) {
            Ok(dir) => check_owner(&dir, &self.path).map(|()| Some(Beneath::from_fd(dir))),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.fail(e)),
        }
    }

    /// Opens the directory of records, after making it and its parents if they are missing.
    fn make(&self) -> Result<Beneath> {
        make_dirs(self.path.join(RESTORES), 0o700).map_err(|e| {
            Error::io("make the state directory (another one can be chosen)", e).at(&self.path)
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

fn busy(target: &Target) -> Error {
    Error::new(ErrorKind::Busy, "restore")
        .at(&target.path)
        .caused_by("another restore of this directory is running")
}

/// Returns the names of the records that may belong to the target.
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

/// Returns the target of a record, for messages.
pub(crate) fn target_of(record: &Record) -> String {
    os(&record.target).display().to_string()
}
