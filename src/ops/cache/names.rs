//! The names of the files in a cache: copies of archives, and a record beside each.

use std::{
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use blocking::unblock;

use crate::{error::Result, name::Key};

/// End of the names of copies.
const SUFFIX: &str = ".tar.gz";

/// End of the names of records, after the name of the copy.
const RECORD_SUFFIX: &str = ".key";

/// The part of a name that identifies the source of an archive: a hash of its path.
#[derive(Clone, Copy)]
pub(super) struct SourceName(u64);

impl SourceName {
    pub(super) async fn of(source: &Path) -> Self {
        let source = source.to_owned();
        unblock(move || {
            let path = source.canonicalize().unwrap_or(source);
            let hash = blake3::hash(path.as_os_str().as_bytes());
            let (first, _) = hash.as_bytes().split_first_chunk().expect("a hash has 32 bytes");
            SourceName(u64::from_be_bytes(*first))
        })
        .await
    }

    /// Returns a unique name of a copy with the current time.
    pub(super) fn now(self) -> Result<Key> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Key::new(format!("{:016x}-{:016x}{SUFFIX}", self.0, now.as_nanos() as u64))
    }

    /// Returns the source of a copy. `None` if the file is not a copy.
    pub(super) fn of_key(key: &Key) -> Option<Self> {
        let (name, nanoseconds) = key.as_str().strip_suffix(SUFFIX)?.split_once('-')?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16);
        number(nanoseconds).and(number(name)).map(SourceName)
    }

    pub(super) fn is_of(self, key: &Key) -> bool {
        SourceName::of_key(key).is_some_and(|name| name.0 == self.0)
    }
}

/// Returns the file beside a copy with the key that the archive has in its store. The record only says where the same
/// bytes may be: a store that copies from there compares them.
pub(super) fn record_of(copy: &Key) -> Result<Key> {
    Key::new(format!("{copy}{RECORD_SUFFIX}"))
}

/// Returns the copy that a record belongs to. `None` if the file is not a record.
pub(super) fn copy_of(key: &Key) -> Option<Key> {
    let copy = Key::new(key.as_str().strip_suffix(RECORD_SUFFIX)?).ok()?;
    SourceName::of_key(&copy).map(|_| copy)
}
