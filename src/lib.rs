//! A backup engine for game servers.
//!
//! A [`Backup`] of a directory is an ordinary `.tar.gz`. All processors make it in one pass over the
//! files, and it has an index inside that other tools ignore. With the index, a [`List`] takes an instant,
//! [`Archive::copy_file`] reads one file without the others, and [`Verify`], [`Extract`] and [`Restore`] use
//! all processors. An archive of another program is read as well, in sequence.
//!
//! ```text
//! directory ─ walk ─ tar, cut into segments ─ deflate, on all threads ─ SHA-1 ─ pipe ─ Store
//!             └──────────── threads of the engine ─────────────────────────┘   └ your executor
//! ```
//!
//! # The main types
//!
//! - An operation ([`Backup`], [`List`], [`Verify`], [`Extract`], [`Restore`]) has methods for its options,
//!   and a `start` that returns a [`Task`].
//! - A [`Task`] is a future with a [`Handle`] for progress and cancel. It resolves with a report, such as
//!   [`Report`] or [`Restored`]. Without an executor, [`Task::wait`] blocks until then.
//! - A [`Store`] holds archives under [`Key`]s. [`LocalStore`] is a directory, and `S3Store` (feature `s3`)
//!   a bucket.
//! - An [`Archive`] is an archive to read: in a store, a file, a stream or behind a link.
//! - An [`Error`] has a kind, the operation, the path, the cause, and whether a retry may help.
//!
//! # Back up, with progress and cancel
//!
//! ```
//! use futures::{StreamExt, executor::block_on, future::join};
//! use wingback::{Backup, LocalStore, Report};
//!
//! # let tmp = tempfile::tempdir().unwrap();
//! # let (server, backups) = (tmp.path().join("server"), tmp.path().join("backups"));
//! # std::fs::create_dir(&server).unwrap();
//! # std::fs::create_dir(&backups).unwrap();
//! # std::fs::write(server.join("level.dat"), "level").unwrap();
//! # fn button_pressed() -> bool { false }
//! let store = LocalStore::new(&backups);
//! let key = store.key(uuid::Uuid::new_v4());
//! let task = Backup::new(&server).exclude("*.log\ncache/**").start(store, key);
//!
//! let handle = task.handle(); // Clones of it may go to any thread.
//! let mut updates = handle.updates();
//! let watch = async {
//!     while let Some(progress) = updates.next().await {
//!         println!("{}: {} files, {} bytes", progress.phase.code(), progress.files, progress.bytes);
//!         if button_pressed() {
//!             handle.cancel(); // The task then resolves with `ErrorKind::Cancelled`.
//!         }
//!     }
//! };
//! let (report, ()) = block_on(join(task, watch));
//!
//! let report: Report = report?;
//! println!("{} bytes, SHA-1 {}", report.size, report.sha1);
//! for skipped in &report.skipped {
//!     println!("{}: {}", String::from_utf8_lossy(&skipped.path), skipped.reason);
//! }
//! # assert_eq!(report.files, 1);
//! # Ok::<(), wingback::Error>(())
//! ```
//!
//! # List an archive, and read one file
//!
//! ```
//! use wingback::{Archive, List};
//! # use wingback::{Backup, LocalStore};
//!
//! # let tmp = tempfile::tempdir().unwrap();
//! # let server = tmp.path().join("server");
//! # std::fs::create_dir(&server).unwrap();
//! # std::fs::write(server.join("server.properties"), "motd=hello\n").unwrap();
//! # let store = LocalStore::new(tmp.path().join("backups")).mkdir(true);
//! # let key = store.key(uuid::Uuid::new_v4());
//! # let path = store.path(&key);
//! # Backup::new(&server).start(store, key).wait()?;
//! let listing = List::new().select("*.properties").start(Archive::file(&path)).wait()?;
//! for member in listing.members() {
//!     println!("{:>10} {}", member.size, String::from_utf8_lossy(&member.path));
//! }
//!
//! let mut content = Vec::new();
//! Archive::file(&path).copy_file("server.properties", &mut content).wait()?;
//! assert_eq!(content, b"motd=hello\n");
//! # Ok::<(), wingback::Error>(())
//! ```
//!
//! # Restore
//!
//! The directory changes only after the whole archive was read and checked. After a kill or a power cut
//! the next restore, or [`Restore::recover`], finishes or undoes an interrupted one.
//!
//! ```
//! use wingback::{Archive, LocalStore, Restore};
//! # use wingback::Backup;
//!
//! # let tmp = tempfile::tempdir().unwrap();
//! # let (server, backups, state) =
//! #     (tmp.path().join("server"), tmp.path().join("backups"), tmp.path().join("state"));
//! # std::fs::create_dir(&server).unwrap();
//! # std::fs::create_dir(&backups).unwrap();
//! # std::fs::write(server.join("level.dat"), "old").unwrap();
//! # let key = LocalStore::new(&backups).key(uuid::Uuid::new_v4());
//! # Backup::new(&server).start(LocalStore::new(&backups), key.clone()).wait()?;
//! # std::fs::write(server.join("level.dat"), "new").unwrap();
//! let archive = Archive::in_store(LocalStore::new(&backups), key);
//! let restored = Restore::new(&server).state_dir(&state).start(archive).wait()?;
//! println!("{} files in {:?}", restored.unpacked.files, restored.duration);
//! # assert_eq!(std::fs::read(server.join("level.dat")).unwrap(), b"old");
//! # Ok::<(), wingback::Error>(())
//! ```
//!
//! # S3
//!
//! With the feature `s3`, parts of an archive are uploaded while it is made. Nothing is staged on disk.
//!
//! ```no_run
//! # #[cfg(feature = "s3")]
//! # async fn back_up() -> wingback::Result<()> {
//! use wingback::{Archive, Backup, List, S3Config, S3Store};
//!
//! let mut config = S3Config::new("backups");
//! config.endpoint = Some("https://s3.example.com".into());
//! config.region = Some("eu-central-1".into());
//! config.prefix = "servers/".into();
//! let store = S3Store::new(config)?;
//! let key = store.key(uuid::Uuid::new_v4());
//! Backup::new("/srv/minecraft").start(store.clone(), key.clone()).await?;
//!
//! let listing = List::new().start(Archive::in_store(store, key)).await?; // Reads only the index.
//! println!("{} members", listing.members().count());
//! # Ok(()) }
//! ```
//!
//! # A store of your own
//!
//! A [`Store`] has five methods that it must implement, and an [`Upload`] two. This store passes them on to
//! another, except for one:
//!
//! ```
//! use futures::{FutureExt, future::{BoxFuture, ready}};
//! use wingback::{
//!     Error, ErrorKind, Key, MemoryStore, Object, ReadRange, Result, Store, Upload, bytes::Bytes,
//! };
//!
//! /// Archives that nobody can delete.
//! struct Keep(MemoryStore);
//!
//! impl Store for Keep {
//!     fn create<'a>(
//!         &'a self,
//!         key: &'a Key,
//!         at_most: Option<u64>,
//!     ) -> BoxFuture<'a, Result<Box<dyn Upload>>> {
//!         self.0.create(key, at_most)
//!     }
//!     fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Object>>> {
//!         self.0.head(key)
//!     }
//!     fn read<'a>(&'a self, key: &'a Key, range: ReadRange) -> BoxFuture<'a, Result<Bytes>> {
//!         self.0.read(key, range)
//!     }
//!     fn list(&self) -> BoxFuture<'_, Result<Vec<Object>>> {
//!         self.0.list()
//!     }
//!     fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
//!         ready(Err(Error::new(ErrorKind::PermissionDenied, "delete").at(key))).boxed()
//!     }
//! }
//!
//! let (store, key) = (Keep(MemoryStore::new()), "monday.tar.gz".parse()?);
//! let error = futures::executor::block_on(store.delete(&key)).unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::PermissionDenied);
//! # Ok::<(), wingback::Error>(())
//! ```
//!
//! With the feature `testing`, `testing::store_conformance` checks that a store fulfills the contract.
//!
//! For a destination without names, such as a socket, use [`Backup::write_to`] or [`Backup::send_to`].
//!
//! # Crates in the interface
//!
//! [`bytes`], [`futures`] and [`uuid`] are re-exported, so that a caller uses the same versions.
//!
//! # Results for other programs
//!
//! With the feature `serde`, reports, progress, members and errors implement `Serialize`. The command, the
//! worker and the daemon write this form; `docs/command.md` documents the fields. `NamedBytes` writes a path.
//!
//! # Threads and executors
//!
//! The crate needs no particular runtime and spawns onto none. A task runs on threads of the engine, which
//! end with it. [`join_threads`] waits for the last of them. The `blocking` crate keeps a pool of threads
//! for the whole process; local files use it. With the feature `s3`, each connected `S3Store` has one more
//! thread, for the network.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, unnameable_types)]
// A panic in the engine is a bug, so each place that could panic says why it cannot.
#![warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod build;
mod checksum;
mod compression;
mod entry;
mod error;
mod format;
mod fs;
#[cfg(feature = "serde")]
mod json;
#[cfg(test)]
#[path = "../tests/support/left_out.rs"]
mod left_out;
mod limiter;
mod listed;
mod memory_limit;
mod meter;
mod name;
#[cfg(feature = "s3")]
mod net;
mod ops;
mod progress;
mod read;
mod report;
mod rt;
mod size;
mod source;
mod store;
mod task;
mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod throttle;
mod utc;
mod wakers;
mod warning;
mod write;

/// Durable files and directories, for stores and records of other programs.
pub mod durable {
    pub use crate::fs::durable::{make_dirs, sync};
}

#[cfg(fuzzing)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzzing;

/// The crate of [`Bytes`](bytes::Bytes), which [`Store`] and [`Upload`] pass on.
pub use bytes;
/// The crate of the traits [`Stream`](futures::Stream), [`AsyncRead`](futures::AsyncRead) and
/// [`AsyncWrite`](futures::AsyncWrite), and of [`BoxFuture`](futures::future::BoxFuture).
pub use futures;
/// The crate of [`Uuid`](uuid::Uuid), which names archives.
pub use uuid;

pub use build::{BUILD, Build};
pub use checksum::Sha1;
pub use compression::{ArchiveEncoder, Encoder, Level};
pub use entry::{Member, MemberKind};
pub use error::{Error, ErrorKind, Result};
pub use format::{
    Profile,
    info::{EXCLUDES_MAX, Info, LABEL_MAX, TAG_VALUE_MAX, TAGS_MAX},
};
pub use fs::{
    ignore::{Excludes, PatternMatch, Rules, file::IgnoreFile},
    replace::{Recovered, default_state_dir},
    unpack::Owner,
    walk::OwnFiles,
};
#[cfg(feature = "serde")]
pub use json::NamedBytes;
pub use limiter::Limiter;
pub use listed::{LISTED_MAX, Listed};
pub use memory_limit::set_memory_limit;
pub use name::Key;
#[cfg(feature = "s3")]
pub use net::Transfer;
pub use ops::{
    archives::{Archives, StoredArchive},
    backup::Backup,
    cache::Cache,
    diff::{Aspect, Compared, Diff, DiffStream, Difference, DifferenceKind},
    entries::Entries,
    estimate::Estimate,
    extract::{Extract, Extracted},
    find::{FileVersion, Find, Found, Unsearched},
    list::{List, Listing},
    member_stream::MemberStream,
    preview::{Preview, PreviewEntry, PreviewStream},
    previous::Previous,
    reader::{ArchiveFile, ArchiveReader},
    restore::{Restore, Restored},
    retention::{ArchiveGroup, GroupBy, PlannedArchive, Reason, Retention, Verdict},
    unpacked::{MEMBERS_MAX, NotExtracted, NotExtractedReason, UnpackOptions, Unpacked},
    verify::{Verified, Verify},
    verify_all::{ArchiveCheck, VerifiedAll, VerifyAll, VerifyAllStream},
};
pub use progress::{Confirmed, Expected, Phase, Progress, Updates};
pub use read::damage::{Damage, NoIndex, ReadMethod};
pub use report::{Change, Changed, Report, SkipReason, Skipped};
pub use rt::threads::join_threads;
pub use source::Archive;
pub use store::{
    Object, Opened, ReadRange, Sent, Store, Upload, local::LocalStore, memory::MemoryStore,
};
#[cfg(feature = "s3")]
pub use store::{
    presigned::{PartUpload, PartUrls, UploadedPart, UploadedParts},
    s3::{Credentials, S3Config, S3Store},
};
pub use task::{Handle, Task};
pub use template::{NameFields, NameTemplate};
pub use warning::{PatternOrigin, PatternProblem, PatternWarning, Warning};
