//! Arguments of `archives`, `lock` and `unlock`.

use std::{ffi::OsString, path::PathBuf, time::SystemTime};

use clap::Args;

use super::shared::Remote;
use crate::times;

/// List the archives in a directory or bucket
///
/// Prints the time (UTC), label, size, content, number of files, change and state of each archive, newest
/// first. The change is the bytes of content more or fewer than in the archive before it with the same label
/// and host. The state is `whole` or `not whole`, and `locked`. Archives are recognized by their content,
/// whatever their names are. Only the last 64 KiB of each archive are read.
///
/// Exit status: 0 done, 1 failed, 2 usage.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback archives /backups
  wingback archives s3://backups/servers --label lobby --since 7d --json")]
pub struct Archives {
    /// Directory of the archives, or s3://bucket/prefix
    #[arg(value_name = "PLACE")]
    pub place: PathBuf,

    /// List only archives with this label
    #[arg(long, value_name = "TEXT")]
    pub label: Option<OsString>,

    /// List only archives made since this time: 2026-11-30, 2026-11-30T04:25:12 (UTC), or an age such as 7d
    #[arg(long, value_name = "TIME", value_parser = times::parse_since)]
    pub since: Option<SystemTime>,

    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,
}

/// Lock an archive, so that prune and the daemon do not remove it
///
/// The lock is a file or object beside the archive, with the name of the archive and .lock.
///
/// Exit status: 0 it is locked, 1 failed, 2 usage.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback lock /backups/before-the-update.tar.gz
  wingback lock s3://backups/lobby/backup.tar.gz")]
pub struct Lock {
    #[command(flatten)]
    pub archive: Locked,
}

/// Remove the lock of an archive
///
/// Exit status: 0 it is not locked, 1 failed, 2 usage.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback unlock /backups/before-the-update.tar.gz")]
pub struct Unlock {
    #[command(flatten)]
    pub archive: Locked,
}

/// The archive of `lock` and `unlock`.
#[derive(Debug, Args)]
pub struct Locked {
    /// Archive: a file, or s3://bucket/name
    pub archive: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,
}
