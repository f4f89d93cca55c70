//! Arguments of `info`, `list`, `cat` and `verify`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;
use wingback::Sha1;

use super::shared::{Output, Remote};

/// Print what an archive says about itself
///
/// Prints label, source, host, time (UTC), size, content, tags and exclude patterns, as the backup wrote
/// them. Only the last 64 KiB of the archive are read, or more if it has many patterns.
///
/// Exit status: 0 done, 1 the archive has no index or cannot be read, 2 usage.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback info backup.tar.gz
  wingback info s3://backups/lobby/backup.tar.gz --json")]
pub struct Info {
    /// Archive: a file, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,
}

/// List the members of an archive
///
/// Prints mode, size, time (UTC) and path of each member. The index of a wingback archive needs one or
/// two reads. Any other .tar.gz is read from start to end.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback list backup.tar.gz
  wingback list backup.tar.gz world '*.json' --json
  wingback list - < other.tar.gz")]
pub struct List {
    /// Archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// List only these members: paths with everything below them, or gitignore patterns
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,

    /// Fail if an archive without an index has more members; a higher number needs more memory
    #[arg(long, value_name = "N", default_value_t = wingback::MEMBERS_MAX)]
    pub max_members: u64,

    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,
}

/// Print one file of an archive
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback cat backup.tar.gz server.properties
  wingback cat s3://backups/lobby/backup.tar.gz world/level.dat > level.dat")]
pub struct Cat {
    /// Archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Path of the file in the archive
    pub path: OsString,

    #[command(flatten)]
    pub remote: Remote,
}

/// Check all checksums of an archive
///
/// Prints the damaged segments, the files that are lost with them, and the undamaged files.
///
/// Exit status: 0 undamaged, 1 damaged or not readable, 2 usage.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback verify backup.tar.gz
  wingback verify s3://backups/lobby/backup.tar.gz --sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709")]
pub struct Verify {
    /// Archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Also compare the SHA-1 of the whole archive
    #[arg(long, value_name = "HEX")]
    pub sha1: Option<Sha1>,

    /// Number of threads that decode [default: one for each processor]
    #[arg(long, short = 'T', value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Use the lowest priority for processor and disk
    #[arg(long)]
    pub background: bool,

    #[command(flatten)]
    pub output: Output,

    #[command(flatten)]
    pub remote: Remote,
}
