//! The steps of an exchange, written down before it begins.

use serde::{Deserialize, Serialize};

use crate::fs::unpack::check_path;

/// All steps, in their order, then the attributes of directories.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    pub(crate) steps: Vec<Step>,
    pub(crate) attributes: Vec<DirChange>,
}

/// One step; paths are relative to the target, to `new` and to `old`. Whether a step is done can be
/// told from what the trees hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// `target/path` → `new/path`: the restore keeps it.
    Keep(#[serde(with = "serde_bytes")] Vec<u8>),
    /// `target/path` → `old/number`.
    MoveOut(#[serde(with = "serde_bytes")] Vec<u8>, u32),
    /// `old/number` becomes another name of `target/path`, which the next step replaces at once.
    Save(#[serde(with = "serde_bytes")] Vec<u8>, u32),
    /// `new/path` → `target/path`.
    Put(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// A directory whose attributes the steps change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirChange {
    #[serde(with = "serde_bytes")]
    pub(crate) path: Vec<u8>,
    /// In the old tree; `None` if that does not have the directory.
    pub(crate) old: Option<DirAttributes>,
    /// In the new tree.
    pub(crate) new: Option<DirAttributes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirAttributes {
    pub(crate) mode: u32,
    pub(crate) mtime_ns: i64,
}

impl Step {
    pub(crate) fn path(&self) -> &[u8] {
        match self {
            Step::Keep(path) | Step::MoveOut(path, _) | Step::Save(path, _) | Step::Put(path) => {
                path
            }
        }
    }
}

impl Journal {
    /// Whether every path stays beneath the trees: lookups rely on that.
    pub(crate) fn check(&self) -> Result<(), String> {
        let steps = self.steps.iter().map(Step::path);
        let mut paths = steps.chain(self.attributes.iter().map(|change| &*change.path));
        paths.try_for_each(|path| check_path(path).map_err(|e| e.to_string()))
    }
}
