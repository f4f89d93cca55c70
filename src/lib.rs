//! A backup engine for game servers.
//!
//! A [`Backup`] of a directory is an ordinary `.tar.gz`, made by all processors in one pass over
//! the files, with an index inside that other tools do not notice.
//!
//! ```text
//! directory ─ walk ─ tar, cut into segments ─ deflate, on all threads ─ SHA-1 ─ pipe ─ Store
//!             └──────────── threads of the engine ─────────────────────────┘   └ your executor
//! ```
//!
//! [`Backup::start`] returns a [`Task`]: a future that any executor can poll, with a [`Handle`] for
//! progress and cancel. Archives live in a [`Store`]; [`LocalStore`] keeps them in a directory.
//! When a task resolves, a [`Report`] says what the archive is, and what of the source is not in
//! it. [`Error`] says what went wrong, with what, and whether it is worth another try.
//!
//! Nothing here needs a particular runtime, spawns onto one or keeps threads of its own once its
//! tasks and stores are gone ([`join_threads`] waits for the last). (The `blocking` crate keeps a
//! pool for the process; local files go through it.)
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
// A panic in the engine is a bug, so each place that could panic says why it cannot.
#![warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod build;
mod entry;
mod error;
mod format;
mod fs;
#[cfg(test)]
#[path = "../tests/support/left_out.rs"]
mod left_out;
mod limiter;
mod listed;
mod name;
#[cfg(feature = "s3")]
mod net;
mod ops;
mod progress;
mod read;
mod report;
mod rt;
mod source;
mod store;
mod task;
mod warning;
mod write;

#[cfg(fuzzing)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzzing;

pub use build::{BUILD, Build};
pub use entry::{Entry, EntryKind, Member, MemberKind, Unlisted};
pub use error::{Error, ErrorKind, Result};
pub use format::{
    Level, Profile,
    index::{FOOTER_LEN, Footer, Index, Segment},
};
#[doc(hidden)]
pub use fs::durable::{make_dirs, sync};
pub use fs::{
    ignore::{Excludes, Rules, file::IgnoreFile},
    replace::{Recovered, default_state_dir},
    unpack::Owner,
};
pub use limiter::Limiter;
pub use listed::{LISTED_MAX, Listed};
pub use name::{Key, NameTemplate};
#[cfg(feature = "s3")]
pub use net::Transfer;
pub use ops::{
    backup::Backup,
    cache::Cache,
    entries::Entries,
    estimate::Estimate,
    extract::{Extract, Extracted},
    list::{List, Listing},
    previous::Previous,
    restore::{Restore, Restored},
    retention::{Aged, Reason, Retention, Verdict},
    unpacked::{MAX_MEMBERS, NotExtracted, NotExtractedReason, UnpackOptions, Unpacked},
    verify::{Verified, Verify},
};
pub use progress::{Expected, Phase, Progress, Updates};
pub use read::damage::{Damage, NoIndex, ReadMethod};
pub use report::{Change, Changed, Report, SkipReason, Skipped};
pub use rt::threads::join_threads;
pub use source::Archive;
pub use store::{
    Object, Opened, ReadRange, Sent, Store, Upload,
    local::LocalStore,
    memory::{Fault, MemoryStore},
};
#[cfg(feature = "s3")]
pub use store::{
    presigned::{PartUrls, UploadedPart, UploadedParts},
    s3::{Credentials, S3Store},
};
pub use task::{Handle, Task};
pub use warning::{PatternOrigin, PatternProblem, PatternWarning, Warning};
