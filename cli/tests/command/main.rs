//! The command, as a person and a program meet it.

#[path = "../common/mod.rs"]
mod common;

mod estimate;
mod file_systems;
mod json;
mod limits;
mod look;
mod options;
mod prune;
mod report;
mod restore;
mod signals;
mod sweep;
mod texts;
mod written;
mod wrong;
