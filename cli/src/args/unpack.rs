//! Arguments of `extract`, `restore` and `recover`.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;
use wingback::{Owner, Sha1};

use super::shared::{Limits, Output, Remote, State, local_path};
use crate::units;

/// Extract members of an archive into a directory
///
/// Exit status: 0 done, 1 failed (or a pattern matched nothing), 2 usage, 3 done with --salvage or
/// --skip-refused, but some members are missing.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback extract backup.tar.gz copy
  wingback extract backup.tar.gz copy world '*.json'
  wingback extract damaged.tar.gz copy --salvage")]
pub struct Extract {
    /// Archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Directory to extract into; created if it does not exist
    #[arg(value_parser = local_path())]
    pub dir: PathBuf,

    /// Extract only these members: paths with everything below them, or gitignore patterns
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,

    /// Replace existing files
    #[arg(long)]
    pub overwrite: bool,

    /// Extract the readable members of a damaged archive, and list the others
    #[arg(long)]
    pub salvage: bool,

    /// Verify the archive first, and write nothing if it is damaged or its SHA-1 is different
    #[arg(long, value_name = "HEX", conflicts_with = "salvage")]
    pub sha1: Option<Sha1>,

    #[command(flatten)]
    pub unpack: Unpack,

    #[command(flatten)]
    pub output: Output,

    #[command(flatten)]
    pub remote: Remote,
}

/// Restore the files of an archive into a directory
///
/// Files of the archive replace those of the directory. Files that the archive does not have stay;
/// --delete removes them. The archive is extracted next to the old files, checked and made durable. Then
/// new and old files are exchanged. If the archive is damaged, nothing in the directory changes. After a
/// kill or a power cut, the next restore (or `wingback recover`) finishes or undoes the exchange.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback restore backup.tar.gz /srv/minecraft
  wingback restore s3://backups/lobby/backup.tar.gz /srv/minecraft --keep logs --keep cache")]
pub struct Restore {
    /// Archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Directory to restore; created if it does not exist
    #[arg(value_parser = local_path())]
    pub dir: PathBuf,

    /// Restore only these members: paths with everything below them, or gitignore patterns
    #[arg(value_name = "PATH")]
    pub paths: Vec<OsString>,

    /// Remove files that the archive does not have, except archives and those that the backup had excluded
    #[arg(long)]
    pub delete: bool,

    /// With --delete, remove also archives of wingback, and files that the patterns of the backup had excluded
    #[arg(long, requires = "delete")]
    pub delete_excluded: bool,

    /// Print what would be added, replaced and removed, and change nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,

    /// Keep these files as they are: a path with everything below it, or a gitignore pattern; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub keep: Vec<OsString>,

    /// Verify the archive, then write over the old files: needs less space, but a failure loses files
    #[arg(long)]
    pub in_place: bool,

    /// Extract into DIR first; it must be on the same file system
    #[arg(long, value_name = "DIR", conflicts_with = "in_place", value_parser = local_path())]
    pub staging: Option<PathBuf>,

    /// Fail without any change if the SHA-1 of the archive is different
    #[arg(long, value_name = "HEX")]
    pub sha1: Option<Sha1>,

    #[command(flatten)]
    pub state: State,

    #[command(flatten)]
    pub unpack: Unpack,

    #[command(flatten)]
    pub output: Output,

    #[command(flatten)]
    pub remote: Remote,
}

/// How members are extracted.
#[derive(Debug, Args)]
pub struct Unpack {
    /// Owner of the extracted files: UID:GID, `archive` for the recorded owners, or `keep` for you
    /// [default: archive for root, otherwise keep]
    #[arg(long, value_name = "OWNER", value_parser = parse_owner)]
    pub owner: Option<Owner>,

    /// Number of threads that decode and write [default: one for each processor]
    #[arg(long, short = 'T', value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Use the lowest priority for processor and disk
    #[arg(long)]
    pub background: bool,

    #[command(flatten)]
    pub limits: Limits,

    /// Fail if less than this would stay free on the file system
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "0")]
    pub reserve: u64,

    /// Fail if the content is larger than this
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    pub max_size: Option<u64>,

    /// Fail if the archive has more members; a higher number needs more memory
    #[arg(long, value_name = "N", default_value_t = wingback::MEMBERS_MAX)]
    pub max_members: u64,

    /// Fail if the content is more than N times as large as the archive
    #[arg(long, value_name = "N")]
    pub max_ratio: Option<u64>,

    /// Skip and list unsafe members, such as a path that leads outside the directory
    #[arg(long)]
    pub skip_refused: bool,
}

/// Finish or undo an interrupted restore
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback recover /srv/minecraft")]
pub struct Recover {
    /// Directory of the interrupted restore
    #[arg(value_parser = local_path())]
    pub dir: PathBuf,

    #[command(flatten)]
    pub state: State,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn parse_owner(text: &str) -> Result<Owner, String> {
    match text {
        "keep" => Ok(Owner::Keep),
        "archive" => Ok(Owner::FromArchive),
        _ => {
            let fixed = |(uid, gid): (&str, &str)| {
                Some(Owner::Fixed { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
            };
            let owner = text.split_once(':').and_then(fixed);
            owner.ok_or_else(|| format!("{text:?} is not UID:GID, archive or keep"))
        }
    }
}
