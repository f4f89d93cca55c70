//! The command, as used by people and by programs.

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../tests/support/limited.rs"]
mod limited;

mod archives;
mod diff;
mod estimate;
mod file_systems;
mod find;
mod info;
mod json;
mod limits;
mod look;
mod mounts;
mod options;
mod progress;
mod prune;
mod refused;
mod report;
mod restore;
mod scale;
mod shared_blocks;
mod signals;
mod sweep;
mod texts;
mod tree;
mod verify_all;
mod without;
mod written;
mod wrong;
