//! Arguments of `create` and `estimate`.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, ValueEnum};
use uuid::Uuid;
use wingback::{BUILD, Encoder, IgnoreFile, Level, NameTemplate, Profile, Rules};

use super::{
    hooks::Hooks,
    shared::{Limits, Output, REMOTE, Remote, State, local_path},
};
use crate::units;

/// Back up a directory
///
/// Creates backup-{uuid}.tar.gz. Prints its location, its size, its SHA-1 and the skipped files. The
/// file gets its name only after it is complete.
///
/// Exit status: 0 done (even if files changed during the backup), 1 failed, 2 usage, 3 done, but some
/// files could not be read, or a hook after the source was read failed.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback create /srv/minecraft --to /backups -e 'cache/**' -e '*.log'
  wingback create /srv/minecraft --to s3://backups/lobby --label lobby --tag plan=gold
  wingback create /srv/minecraft --to /backups --name 'mc-{date}-{uuid}.tar.gz'
  wingback create /srv/minecraft --to /backups --quiesce rcon://localhost:25575
  wingback create /srv/minecraft --dry-run --list excluded -v
  wingback create @lobby")]
pub struct Create {
    #[command(flatten)]
    pub source: Source,

    /// Destination of the archive: a directory, s3://bucket/prefix, or - for standard output
    ///
    /// With -, the report goes to standard error. The archive is complete only if the exit status is 0
    /// or 3.
    #[arg(long, short = 't', value_name = "PLACE", default_value = ".")]
    pub to: PathBuf,

    /// Make the destination directory if it does not exist
    #[arg(long)]
    pub mkdir: bool,

    /// Make an archive also if it has no members
    #[arg(long)]
    pub allow_empty: bool,

    /// Back up archives of wingback in DIR as well
    #[arg(long)]
    pub include_archives: bool,

    /// UUID of the backup [default: a new one]
    #[arg(long)]
    pub uuid: Option<Uuid>,

    /// Name of the archive; has {uuid} or {date}, and may have {time}, {label} and {host}
    #[arg(long, value_name = "TEMPLATE", default_value = "backup-{uuid}.tar.gz")]
    pub name: NameTemplate,

    /// Label of the archive, such as the server's name [default: the name of DIR]
    #[arg(long, value_name = "TEXT")]
    pub label: Option<OsString>,

    /// Add a key with a value to the archive's identity, such as plan=gold; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_tag)]
    pub tag: Vec<(String, String)>,

    /// Compression level
    #[arg(long, value_enum, default_value = "fast")]
    pub level: LevelArg,

    #[arg(long, value_enum, default_value = "wingback", help = encoder_help())]
    pub encoder: EncoderArg,

    /// Number of threads that compress [default: one for each processor]
    #[arg(long, short = 'T', value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    #[command(flatten)]
    pub limits: Limits,

    /// Use the lowest priority for processor and disk
    #[arg(long)]
    pub background: bool,

    /// Fail if less than this would stay free on the archive's file system
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "0")]
    pub reserve: u64,

    /// Back up only the first N bytes of the file PATH
    #[arg(long, value_name = "PATH=N", value_parser = parse_max_len)]
    pub max_len: Vec<(String, u64)>,

    /// Leave out ctimes, inode numbers, host, path and time, so that copies of a tree give identical
    /// archives
    #[arg(long)]
    pub reproducible: bool,

    /// Align parts of the archive with the blocks of the file system, so that it can share those of
    /// two archives; 0.3 % larger
    #[arg(long)]
    pub align: bool,

    /// Copy unchanged files from this earlier archive, or from the latest one at the destination
    #[arg(long, value_name = "FILE|latest", value_parser = local_path())]
    pub previous: Option<PathBuf>,

    /// With --previous or --cache: the attribute that shows whether a file has changed
    #[arg(long, value_enum, default_value = "ctime")]
    pub trust: Trust,

    /// With --previous or --cache: also copy data that another encoder or level has compressed
    #[arg(long)]
    pub reuse_any: bool,

    /// For archives in S3: keep a copy in this private directory, and copy unchanged files from it
    #[arg(long, value_name = "DIR", conflicts_with = "previous", value_parser = local_path())]
    pub cache: Option<PathBuf>,

    /// With --cache: maximum size of the directory, including archives of other sources
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "20GiB")]
    pub cache_size: u64,

    /// Show what would be backed up, and write nothing
    ///
    /// No hook runs, and no destination is needed.
    #[arg(long, short = 'n')]
    pub dry_run: bool,

    /// With --dry-run: print the paths that would be in the archive, or the others, one a line
    #[arg(long, value_name = "PATHS", value_enum, requires = "dry_run")]
    pub list: Option<PathList>,

    /// With --list: also print the pattern that decides about a path, or the reason to skip it
    #[arg(long, short, requires = "list")]
    pub verbose: bool,

    #[command(flatten)]
    pub output: Output,

    #[command(flatten)]
    pub hooks: Hooks,

    #[command(flatten)]
    pub remote: Remote,

    /// Size of a part in S3, at least 5 MiB; parts are kept during their upload
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "5MiB")]
    #[arg(help_heading = REMOTE)]
    pub part_size: u64,

    /// Memory for the parts that are kept; parts beyond it are kept in files in $TMPDIR or /var/tmp
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "256MiB")]
    #[arg(help_heading = REMOTE)]
    pub memory_limit: u64,

    /// Storage class in S3, such as STANDARD_IA
    #[arg(long, value_name = "CLASS", help_heading = REMOTE)]
    pub storage_class: Option<String>,

    /// Let S3 encrypt the archive with AES256, aws:kms, or aws:kms=KEY-ID
    #[arg(long, value_name = "ALGORITHM", help_heading = REMOTE)]
    pub encryption: Option<String>,
}

/// The directory of a backup, and the files to leave out.
#[derive(Debug, Args)]
pub struct Source {
    /// Directory to back up
    #[arg(value_name = "DIR", value_parser = local_path())]
    pub dir: PathBuf,

    /// Back up only the paths that FILE lists, one a line; - for standard input; may be repeated
    ///
    /// Paths are relative to DIR. Each one is backed up with everything beneath it.
    #[arg(long, value_name = "FILE")]
    pub files_from: Vec<PathBuf>,

    /// The paths of --files-from end with NUL, as find -print0 writes them
    #[arg(short = '0', long, requires = "files_from")]
    pub null: bool,

    /// Leave out files that match this pattern; may be repeated, and a later pattern overrides an earlier one
    #[arg(long, short = 'e', value_name = "PATTERN")]
    pub exclude: Vec<String>,

    /// Leave out files that match the patterns in FILE, one a line; --exclude overrides them; may be repeated
    #[arg(long, short = 'X', visible_alias = "exclude-file", value_name = "FILE")]
    pub exclude_from: Vec<PathBuf>,

    /// Syntax of the patterns
    #[arg(long, value_enum, default_value = "git")]
    pub rules: RulesArg,

    /// How to use the ignore file in DIR
    #[arg(long, value_name = "MODE", value_enum, default_value = "merge")]
    pub ignore_file: IgnoreFileArg,

    /// Name of the ignore file
    #[arg(long, value_name = "NAME", default_value = ".pteroignore")]
    pub ignore_file_name: String,

    /// Fail on a suspicious pattern, before anything is written
    #[arg(long)]
    pub strict_patterns: bool,

    /// Stay on the file system of DIR
    #[arg(long, short = 'x')]
    pub one_file_system: bool,

    #[command(flatten)]
    pub state: State,

    /// Entries that the tar contains
    #[arg(long, value_enum, default_value = "full")]
    pub profile: ProfileArg,
}

/// Count the files of a directory, and print the maximum size of its archive
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback estimate /srv/minecraft -e 'cache/**'")]
pub struct Estimate {
    #[command(flatten)]
    pub source: Source,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RulesArg {
    /// The rules of gitignore
    Git,
    /// The rules of Wings
    Wings,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum IgnoreFileArg {
    /// Use its patterns before all others
    Merge,
    /// Use its patterns only if no other pattern is given
    Replace,
    /// Do not use it
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ProfileArg {
    /// Files, symlinks and directories
    Full,
    /// Only regular files, for the restore of Wings; the index contains the rest
    Wings,
}

/// The attributes, besides size and inode, that show whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Trust {
    /// Mtime and ctime; programs cannot set a ctime
    Ctime,
    /// Mtime, mode and owner; for trees whose owner is set again and again
    Mtime,
}

/// The paths that `--list` prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PathList {
    /// Paths that would be in the archive
    Included,
    /// Paths that a pattern excludes, or that would be skipped
    Excluded,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LevelArg {
    /// No compression
    None,
    /// Fast compression
    Fast,
    /// Smallest archive
    Best,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum EncoderArg {
    /// For every level; a tree always gives the same archive
    Wingback,
    /// ISA-L of Intel, only for the level fast; less processor time, and bytes that differ between processors
    IsaL,
}

impl From<RulesArg> for Rules {
    fn from(rules: RulesArg) -> Self {
        match rules {
            RulesArg::Git => Rules::Git,
            RulesArg::Wings => Rules::Wings,
        }
    }
}

impl From<IgnoreFileArg> for IgnoreFile {
    fn from(mode: IgnoreFileArg) -> Self {
        match mode {
            IgnoreFileArg::Merge => IgnoreFile::Merge,
            IgnoreFileArg::Replace => IgnoreFile::Replace,
            IgnoreFileArg::None => IgnoreFile::None,
        }
    }
}

impl From<ProfileArg> for Profile {
    fn from(profile: ProfileArg) -> Self {
        match profile {
            ProfileArg::Full => Profile::Full,
            ProfileArg::Wings => Profile::Wings,
        }
    }
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::None => Level::None,
            LevelArg::Fast => Level::Fast,
            LevelArg::Best => Level::Best,
        }
    }
}

impl From<EncoderArg> for Encoder {
    fn from(encoder: EncoderArg) -> Self {
        match encoder {
            EncoderArg::Wingback => Encoder::Wingback,
            EncoderArg::IsaL => Encoder::IsaL,
        }
    }
}

fn encoder_help() -> String {
    let available: Vec<_> = BUILD.encoders.iter().map(|encoder| encoder.code()).collect();
    format!("Code that compresses; this build has {}", available.join(" and "))
}

fn parse_max_len(text: &str) -> Result<(String, u64), String> {
    let (path, len) = text.rsplit_once('=').ok_or("it must have the form PATH=N")?;
    let len = len.parse().map_err(|_| format!("{len:?} is not a number of bytes"))?;
    Ok((path.to_owned(), len))
}

pub(super) fn parse_tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must have the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
