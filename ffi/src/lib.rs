//! libwingback: the engine for C, and for whatever speaks C.
//!
//! Each file has one object of `include/wingback.h`, which a test generates from here. The header's
//! own words, in `cbindgen.toml`, say what every caller may rely on and must keep to; `SAFETY: as
//! the header says` refers to the latter: pointers are NULL or point to what their type says, and
//! nothing is used after it was freed.
//!
//! Two files keep the promises of the others: [`opaque`] ties each type that C knows by name only to
//! the Rust type behind it, and [`guard`] turns errors and panics into a status.
#![allow(non_camel_case_types, reason = "the names are those of the header")]
#![allow(clippy::missing_safety_doc, reason = "the header says it once for all")]
#![warn(clippy::undocumented_unsafe_blocks, clippy::unwrap_used)]

// In the order of the header; between blank lines, since rustfmt sorts what stands together.

mod version;

mod error;

mod bytes;

mod task;

mod notes;

mod limiter;

mod store;

mod s3;

mod objects;

mod backup;

mod estimate;

mod report;

mod part_urls;

mod parts;

mod archive;

mod listing;

mod verify;

mod entries;

mod restore;

mod extract;

mod unpack;

mod worker;

mod log;

mod descriptor;
mod enums;
mod etags;
mod failure;
mod from_c;
mod guard;
#[cfg(feature = "s3")]
mod hidden;
mod opaque;
mod options;
mod panics;
mod record;
mod running;
mod signals;
