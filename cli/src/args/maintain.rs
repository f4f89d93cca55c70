//! Arguments of `prune` and `sweep`.

use std::path::PathBuf;

use clap::Args;
use wingback::NameTemplate;

use super::shared::{REMOTE, Remote};
use crate::units;

/// Remove old archives
///
/// Prints for each archive in a directory whether it is kept, newest first. Removes nothing without
/// --apply. An archive is kept if a rule keeps it, and --max-size allows it. Days and weeks are in UTC.
/// The newest complete archive is always kept. Incomplete archives are ignored.
///
/// Exit status: 0 done, 1 failed, 2 usage.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("rules").required(true).multiple(true))]
#[command(after_long_help = "Examples:
  wingback prune /backups --keep-last 7 --keep-weekly 4
  wingback prune /backups --keep-last 7 --keep-weekly 4 --apply")]
pub struct Prune {
    /// Directory of the archives
    pub dir: PathBuf,

    /// Keep the last N archives
    #[arg(long, value_name = "N", group = "rules", value_parser = at_least_one())]
    pub keep_last: Option<u32>,

    /// Keep the newest archive of each of the last N days that have one
    #[arg(long, value_name = "N", group = "rules", value_parser = at_least_one())]
    pub keep_daily: Option<u32>,

    /// Keep the newest archive of each of the last N weeks that have one
    #[arg(long, value_name = "N", group = "rules", value_parser = at_least_one())]
    pub keep_weekly: Option<u32>,

    /// Keep at most this much in total; overrides the other rules
    #[arg(long, value_name = "SIZE", group = "rules", value_parser = units::parse_size)]
    pub max_size: Option<u64>,

    /// Remove the archives that no rule keeps
    #[arg(long)]
    pub apply: bool,

    /// Check the newest archive first, and remove nothing if it is damaged
    #[arg(long)]
    pub verify: bool,

    /// Name of the archives; must contain {uuid}
    #[arg(long, value_name = "TEMPLATE", default_value = "backup-{uuid}.tar.gz")]
    pub name: NameTemplate,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn at_least_one() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

/// Remove unfinished files of killed backups; files of running backups stay
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback sweep /backups
  wingback sweep s3://backups/lobby --older-than 48")]
pub struct Sweep {
    /// Directory of the archives, or s3://bucket/prefix
    #[arg(value_name = "PLACE")]
    pub place: PathBuf,

    /// Name of the archives; must contain {uuid}
    #[arg(long, value_name = "TEMPLATE", default_value = "backup-{uuid}.tar.gz")]
    pub name: NameTemplate,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,

    /// In S3: remove uploads that began at least this long ago; choose more than any backup takes
    #[arg(long, value_name = "HOURS", default_value = "24", help_heading = REMOTE)]
    pub older_than: u64,
}
