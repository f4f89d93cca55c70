//! Arguments of `prune` and `sweep`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use wingback::{GroupBy, NameTemplate};

use super::shared::{REMOTE, ReadLimit, Remote};
use crate::{times, units};

/// Remove old archives
///
/// Prints for each archive in a directory or bucket whether it is kept, newest first. Removes nothing without
/// --apply. The archives are divided into groups by label and host, and the rules apply to each group. An
/// archive is kept if a rule keeps it, and --max-size allows it. Days and other periods are in UTC.
///
/// The newest good archive of each group is always kept: it is whole, has members, and its content is at least a
/// tenth of the content before it. So are archives with a lock. Archives that are not whole or have no label
/// are left alone.
///
/// Exit status: 0 done, 1 failed, 2 usage.
#[derive(Debug, Args)]
#[command(override_usage = "wingback prune [OPTIONS] <RULE>... <PLACE>")]
#[command(after_long_help = "Examples:
  wingback prune /backups --keep-daily 7 --keep-weekly 4
  wingback prune s3://backups/servers --label lobby --keep-within 14d --max-size 200G --apply")]
pub struct Prune {
    /// Directory of the archives, or s3://bucket/prefix
    #[arg(value_name = "PLACE")]
    pub place: PathBuf,

    /// Attributes that the archives of one group have in common
    #[arg(long, value_enum, default_value = "label,host")]
    pub group_by: GroupByArg,

    /// Consider only archives with this label
    #[arg(long, value_name = "TEXT")]
    pub label: Option<OsString>,

    /// Also apply the rules to archives without a label, as one more group
    #[arg(long, conflicts_with = "label")]
    pub unidentified: bool,

    /// Remove the archives that no rule keeps
    #[arg(long)]
    pub apply: bool,

    /// Check the newest good archive of each group first, and remove nothing if one is damaged
    #[arg(long)]
    pub verify: bool,

    #[command(flatten)]
    pub limit: ReadLimit,

    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub rules: Rules,

    #[command(flatten)]
    pub remote: Remote,
}

/// Rules for the archives to keep.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
#[group(id = "rules", required = true, multiple = true)]
pub struct Rules {
    /// Keep the last N archives
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub keep_last: Option<u32>,

    /// Keep the newest archive of each of the last N hours that have one
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub keep_hourly: Option<u32>,

    /// Keep the newest archive of each of the last N days that have one
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub keep_daily: Option<u32>,

    /// Keep the newest archive of each of the last N weeks that have one
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub keep_weekly: Option<u32>,

    /// Keep the newest archive of each of the last N months that have one
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub keep_monthly: Option<u32>,

    /// Keep the newest archive of each of the last N years that have one
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub keep_yearly: Option<u32>,

    /// Keep archives that are at most this much older than the newest good one, such as 12h, 7d or 4w
    #[arg(long, value_name = "AGE", value_parser = times::parse_age)]
    pub keep_within: Option<Duration>,

    /// Keep archives with this tag, such as plan=gold; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::create::parse_tag)]
    pub keep_tag: Vec<(String, String)>,

    /// Keep at most this much in total; overrides the other rules
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    pub max_size: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum GroupByArg {
    /// All archives are one group
    None,
    /// The label
    Label,
    /// The label and the host
    #[value(name = "label,host")]
    LabelAndHost,
}

impl From<GroupByArg> for GroupBy {
    fn from(group_by: GroupByArg) -> Self {
        match group_by {
            GroupByArg::None => GroupBy::None,
            GroupByArg::Label => GroupBy::Label,
            GroupByArg::LabelAndHost => GroupBy::LabelAndHost,
        }
    }
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

    /// In S3: name of the archives, as for create
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
