//! Arguments of `info`, `list`, `diff`, `find`, `cat` and `verify`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;
use wingback::Sha1;

use super::shared::{Limits, Output, ReadLimit, Remote, local_path};
use crate::units;

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

    #[command(flatten)]
    pub limit: ReadLimit,

    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,
}

/// Compare an archive with another archive, or with a directory
///
/// Prints each path that was added, removed or changed, with its size. "metadata" means that only mode,
/// owner or time differ. Two archives are compared by the hashes in their indexes. Of a directory, files
/// whose size and time are equal count as equal, and paths that the archive's own patterns exclude are
/// left out.
///
/// Exit status: 0 equal, 1 different, 2 failed, some paths could not be compared, or usage.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback diff monday.tar.gz friday.tar.gz
  wingback diff backup.tar.gz /srv/minecraft world '*.jar'
  wingback diff s3://backups/lobby/backup.tar.gz /srv/minecraft --content --json")]
pub struct Diff {
    /// Archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Directory, or another archive
    pub other: PathBuf,

    /// Compare only these paths: with everything below them, or gitignore patterns
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,

    /// Compare contents even if size and time are equal; reads every such file of a directory
    #[arg(long)]
    pub content: bool,

    /// Also compare the paths of a directory that the archive's own patterns exclude
    #[arg(long)]
    pub excluded: bool,

    /// Fail if an archive without an index has more members; a higher number needs more memory
    #[arg(long, value_name = "N", default_value_t = wingback::MEMBERS_MAX)]
    pub max_members: u64,

    #[command(flatten)]
    pub limit: ReadLimit,

    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,
}

/// Find the versions of a file in all archives of a place
///
/// Prints each path that matches, and its different versions: time (UTC), size, number, labels and times of
/// the archives that contain it, and a command that extracts it into the current directory. Only the indexes
/// are read. Versions are told apart by the hashes in the indexes.
///
/// Exit status: 0 found, 1 nothing found or failed, 2 usage, 3 found, but some archives could not be
/// searched.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback find world/level.dat /backups
  wingback find '*.yml' s3://backups/lobby --label lobby --json")]
pub struct Find {
    /// Path with everything below it, or gitignore pattern
    pub pattern: OsString,

    /// Directory of the archives, or s3://bucket/prefix
    pub place: PathBuf,

    /// Search only the archives with this label
    #[arg(long, value_name = "TEXT")]
    pub label: Option<OsString>,

    #[command(flatten)]
    pub limit: ReadLimit,

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
    pub limits: Limits,

    #[command(flatten)]
    pub remote: Remote,
}

/// Check all checksums of an archive, or of all archives of a place
///
/// Prints the damaged segments, the files that are lost with them, and the undamaged files. Of a place, it
/// prints a line for each archive. A record keeps the time of the last check of each archive. If a pass over
/// all archives is interrupted, the next call continues it.
///
/// Exit status: 0 undamaged, 1 damaged or not readable, 2 usage. Of a place, 1 also if an earlier check found
/// damage in an archive that is still there.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback verify backup.tar.gz
  wingback verify s3://backups/lobby/backup.tar.gz --sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709
  wingback verify /backups
  wingback verify s3://backups/lobby/ --sample 10%")]
pub struct Verify {
    /// Archive: a file, - for standard input, s3://bucket/name, or an http(s) link; or a place: a directory,
    /// or s3://bucket/prefix/ with a slash at its end
    #[arg(value_name = "ARCHIVE|PLACE")]
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
    pub limit: ReadLimit,

    #[command(flatten)]
    pub output: Output,

    #[command(flatten)]
    pub all: VerifyAll,

    #[command(flatten)]
    pub remote: Remote,
}

/// Options of `verify` for a place.
#[derive(Debug, Args)]
#[command(next_help_heading = "All archives of a place")]
pub struct VerifyAll {
    /// Verify about this share of all bytes: the archives whose last check is the oldest
    #[arg(long, value_name = "PERCENT", value_parser = units::parse_percent)]
    pub sample: Option<f64>,

    /// Verify only the archives with this label
    #[arg(long, value_name = "TEXT")]
    pub label: Option<OsString>,

    /// Verify all archives, also those that an interrupted pass has verified
    #[arg(long, conflicts_with = "sample")]
    pub restart: bool,

    /// Private directory for the record of checks [default: as of restore]
    #[arg(long, value_name = "DIR", value_parser = local_path())]
    pub state_dir: Option<PathBuf>,
}
