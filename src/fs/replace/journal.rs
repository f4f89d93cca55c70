//! The journal: the steps of an exchange, written before the exchange begins.

use serde::{Deserialize, Serialize};

use crate::fs::beneath::check_path;

/// All steps in their order, and then the attributes of directories.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) steps: Vec<Step>,
    pub(crate) attributes: Vec<DirChange>,
}

/// One step. Paths are relative to the target, to `new` and to `old`. The contents of the trees tell
/// whether a step is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// `target/path` → `old/number`.
    MoveOut(#[serde(with = "serde_bytes")] Vec<u8>, u32),
    /// `old/number` becomes another name of `target/path`. The next step replaces `target/path` by one
    /// rename.
    Save(#[serde(with = "serde_bytes")] Vec<u8>, u32),
    /// `new/path` → `target/path`.
    Put(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// A directory whose attributes the steps change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirChange {
    #[serde(with = "serde_bytes")]
    pub(crate) path: Vec<u8>,
    /// The attributes in the old tree; `None` if it does not have the directory.
    pub(crate) old: Option<DirAttributes>,
    /// The attributes in the new tree; `None` if it does not have the directory.
    pub(crate) new: Option<DirAttributes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirAttributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime_ns: i64,
}

impl Step {
    pub(crate) fn path(&self) -> &[u8] {
        match self {
            Step::MoveOut(path, _) | Step::Save(path, _) | Step::Put(path) => path,
        }
    }
}

impl Journal {
    /// Checks that every path stays beneath the trees. Lookups rely on this.
    pub(crate) fn check(&self) -> Result<(), String> {
        let steps = self.steps.iter().map(Step::path);
        let mut paths = steps.chain(self.attributes.iter().map(|change| &*change.path));
        paths.try_for_each(|path| check_path(path).map_err(|e| e.to_string()))
    }
}
