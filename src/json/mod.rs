//! The written form of results: `Serialize` for the types that programs read (feature `serde`).
//!
//! The command's `--json`, the worker's protocol and the daemon write these objects. `docs/command.md`
//! documents the fields. Fields are added, never changed.

mod archive;
mod backup;
mod diff;
mod fields;
mod find;
mod named_bytes;
mod retention;
mod verify_all;

pub use named_bytes::NamedBytes;
