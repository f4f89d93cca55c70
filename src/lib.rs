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

mod archive;
mod background;
mod backup;
mod build;
mod cache;
mod copy_file;
mod damage;
mod durable;
mod entries;
mod entry;
mod error;
mod estimate;
mod extract;
mod extractor;
mod input;
mod inspect;
#[cfg(test)]
#[path = "../tests/support/left_out.rs"]
mod left_out;
mod limit;
mod listed;
mod name;
#[cfg(feature = "s3")]
mod net;
mod page_cache;
mod pipe;
mod previous;
mod progress;
mod remote;
mod replace;
mod report;
mod restore;
mod retention;
mod select;
mod store;
mod sys;
mod task;
mod threads;
mod unpack;
mod unpacked;
mod verify;
mod walk;
mod warning;

#[cfg(fuzzing)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzzing;

pub use archive::{
    Level, Profile,
    index::{FOOTER_LEN, Footer, Index, Segment},
};
pub use backup::Backup;
pub use build::{BUILD, Build};
pub use cache::Cache;
pub use damage::{Damage, NoIndex, Way};
#[doc(hidden)]
pub use durable::{make_dirs, sync};
pub use entries::Entries;
pub use entry::{Entry, EntryKind, Member, MemberKind, Unlisted};
pub use error::{Error, ErrorKind, Result};
pub use estimate::Estimate;
pub use extract::{Extract, Extracted};
pub use input::Archive;
pub use inspect::{List, Listing};
pub use limit::Limiter;
pub use listed::{LISTED_MAX, Listed};
pub use name::{Key, NameTemplate};
#[cfg(feature = "s3")]
pub use net::Transfer;
pub use previous::Previous;
pub use progress::{Expected, Phase, Progress, Updates};
pub use replace::{Recovered, default_state_dir};
pub use report::{Change, Changed, Report, SkipReason, Skipped};
pub use restore::{Restore, Restored};
pub use retention::{Aged, Reason, Retention, Verdict};
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
pub use threads::join_threads;
pub use unpack::Owner;
pub use unpacked::{MAX_MEMBERS, NotExtracted, NotExtractedReason, UnpackOptions, Unpacked};
pub use verify::{Verified, Verify};
pub use walk::{
    exclude::{Excludes, Rules},
    ignore_file::IgnoreFile,
};
pub use warning::{PatternOrigin, PatternProblem, PatternWarning, Warning};
