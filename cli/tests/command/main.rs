//! The command, as used by people and by programs.

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../tests/support/limited.rs"]
mod limited;

mod bedrock;
mod estimate;
mod file_systems;
mod hooks;
mod info;
mod installed;
mod java;
mod json;
mod limits;
mod look;
mod mounts;
mod options;
mod prune;
mod quiesce;
mod refused;
mod report;
mod restore;
mod scale;
mod settings;
mod signals;
mod sweep;
mod texts;
mod tree;
mod without;
mod written;
mod wrong;
