//! The command, as used by people and by programs.

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../tests/support/limited.rs"]
mod limited;

mod archives;
mod bedrock;
mod diff;
mod estimate;
mod file_systems;
mod find;
mod hooks;
mod info;
mod installed;
mod java;
mod json;
mod limits;
mod look;
mod mounts;
mod options;
mod preview;
mod progress;
mod prune;
mod quiesce;
mod refused;
mod report;
mod restore;
mod safe;
mod scale;
mod settings;
mod shared_blocks;
mod signals;
mod sweep;
mod texts;
mod tree;
mod variables;
mod verify_all;
mod without;
mod written;
mod wrong;
