//! The command line; `--help`, completions and the man page are all made from this.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;
use wingback::{IgnoreFile, Level, NameTemplate, Profile, Rules};

use crate::units;

/// Backups of game servers: ordinary .tar.gz archives, made fast, with an index inside.
#[derive(Debug, Parser)]
#[command(name = "wingback", version, long_version = long_version())]
#[command(propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Create(Box<Create>),
    Estimate(Estimate),
    Sweep(Sweep),
    /// Print shell completions
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the man page, in roff
    Man {
        /// Of a subcommand
        command: Option<String>,
    },
}

/// Back a directory up
///
/// Makes backup-{uuid}.tar.gz and prints where it is, its size and SHA-1, and what was skipped. The
/// file is there under its name only once it is whole.
///
/// Exit status: 0 done (also if files changed meanwhile), 1 failed, 2 usage, 3 done, but some files
/// could not be read.
#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    pub source: Source,

    /// Directory for the archive
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub to: PathBuf,

    /// UUID of the backup; a new one if left out
    #[arg(long)]
    pub uuid: Option<Uuid>,

    /// Name of the archive, with {uuid} in it
    #[arg(long, value_name = "TEMPLATE", default_value = "backup-{uuid}.tar.gz")]
    pub name: NameTemplate,

    /// How hard to compress
    #[arg(long, value_enum, default_value = "fast")]
    pub level: LevelArg,

    /// Threads that compress; one for each processor if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Write at most this many bytes a second (20M, 1.5GiB, …; 0 is without limit)
    #[arg(long, value_name = "RATE", value_parser = units::parse_size, default_value = "0")]
    pub write_limit: u64,

    /// Read at most this many bytes a second
    #[arg(long, value_name = "RATE", value_parser = units::parse_size, default_value = "0")]
    pub read_limit: u64,

    /// Give way to other work, at the lowest priority for processor and disk
    #[arg(long)]
    pub background: bool,

    /// Keep this much of the archive's file system free, or fail
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "0")]
    pub reserve: u64,

    /// Back up only the first N bytes of the file PATH
    #[arg(long, value_name = "PATH=N", value_parser = parse_max_len)]
    pub max_len: Vec<(String, u64)>,

    /// Leave ctimes and inode numbers out, so that copies of a tree give the same bytes
    #[arg(long)]
    pub reproducible: bool,

    #[command(flatten)]
    pub output: Output,
}

/// What is backed up.
#[derive(Debug, Args)]
pub struct Source {
    /// Directory to back up
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Leave out what this pattern matches; later patterns win
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,

    /// Leave out what the patterns in FILE match, one a line; they come before --exclude
    #[arg(long, value_name = "FILE")]
    pub exclude_from: Vec<PathBuf>,

    /// Language of the patterns
    #[arg(long, value_enum, default_value = "git")]
    pub rules: RulesArg,

    /// What the ignore file in DIR is used for
    #[arg(long, value_name = "MODE", value_enum, default_value = "merge")]
    pub ignore_file: IgnoreFileArg,

    /// Name of the ignore file
    #[arg(long, value_name = "NAME", default_value = ".pteroignore")]
    pub ignore_file_name: String,

    /// Fail on an odd pattern, before anything is written
    #[arg(long)]
    pub strict_patterns: bool,

    /// Do not enter other file systems
    #[arg(long)]
    pub one_file_system: bool,

    /// Which entries the tar has
    #[arg(long, value_enum, default_value = "full")]
    pub profile: ProfileArg,
}

/// Count a directory, and say how large its archive can become
#[derive(Debug, Args)]
pub struct Estimate {
    #[command(flatten)]
    pub source: Source,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Remove what killed backups left unfinished; never what is being written
#[derive(Debug, Args)]
pub struct Sweep {
    /// Directory of the archives
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,

    /// Name of the archives, with {uuid} in it
    #[arg(long, value_name = "TEMPLATE", default_value = "backup-{uuid}.tar.gz")]
    pub name: NameTemplate,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Output {
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    /// Print the report only
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RulesArg {
    /// Exactly gitignore
    Git,
    /// What Wings' own matcher answers
    Wings,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum IgnoreFileArg {
    /// Its patterns come first
    Merge,
    /// Used only if no pattern is given otherwise
    Replace,
    /// Not used
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ProfileArg {
    /// Files, symlinks and directories
    Full,
    /// Regular files only, for Wings' own restore; the rest is in the index
    Wings,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LevelArg {
    /// Not at all
    None,
    /// Fast, and small enough
    Fast,
    /// As small as deflate gets
    Best,
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

fn long_version() -> String {
    let wingback::Build { version, commit, target, encoder, .. } = wingback::BUILD;
    let commit = if commit.is_empty() { "unknown" } else { commit };
    format!("{version}\ncommit {commit}\ntarget {target}\nencoder {encoder}")
}

fn parse_max_len(text: &str) -> Result<(String, u64), String> {
    let (path, len) = text.rsplit_once('=').ok_or("it is not of the form PATH=N")?;
    let len = len.parse().map_err(|_| format!("{len:?} is not a number of bytes"))?;
    Ok((path.to_owned(), len))
}
