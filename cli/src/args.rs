//! The command line; `--help`, completions and the man page are all made from this.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use uuid::Uuid;
use wingback::{IgnoreFile, Level, NameTemplate, Owner, Profile, Rules};

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
    List(List),
    Cat(Cat),
    Verify(Verify),
    Extract(Extract),
    Restore(Restore),
    Recover(Recover),
    Sweep(Sweep),
    Prune(Prune),
    /// Serve another program: jobs as JSON lines on standard input, events on standard output
    ///
    /// Descriptor 3 is a Unix socket, over which comes what jobs read and write in bytes. Ends when
    /// standard input does, and leaves nothing unfinished. The Go module runs it.
    Worker,
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

    /// Directory for the archive, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE", default_value = ".")]
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

    /// Copy what is unchanged from this archive of an earlier backup of DIR, or from the newest one
    /// where this one goes to (latest)
    #[arg(long, value_name = "FILE|latest")]
    pub previous: Option<PathBuf>,

    /// With --previous or --cache: what has to be as it was for a file to be unchanged
    #[arg(long, value_enum, default_value = "ctime")]
    pub trust: Trust,

    /// With --previous or --cache: also copy what another encoder or level has compressed
    #[arg(long)]
    pub reuse_any: bool,

    /// Keep a copy of the archive in this directory of your own, and copy what is unchanged from the
    /// one before: for archives that go to S3
    #[arg(long, value_name = "DIR", conflicts_with = "previous")]
    pub cache: Option<PathBuf>,

    /// With --cache: keep at most this much there, the archives of other sources included
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "20GiB")]
    pub cache_size: u64,

    #[command(flatten)]
    pub output: Output,

    #[command(flatten)]
    pub remote: Remote,

    /// Bytes of a part in S3: 5 MiB and more, held in memory for each part on its way
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "5MiB")]
    #[arg(help_heading = REMOTE)]
    pub part_size: u64,

    /// Storage class in S3, such as STANDARD_IA
    #[arg(long, value_name = "CLASS", help_heading = REMOTE)]
    pub storage_class: Option<String>,

    /// Have S3 encrypt the archive: AES256, aws:kms, or aws:kms=KEY-ID
    #[arg(long, value_name = "ALGORITHM", help_heading = REMOTE)]
    pub encryption: Option<String>,
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

    #[command(flatten)]
    pub state: State,

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

/// List what an archive holds
///
/// Mode, size, time (UTC) and path of each member. With the index inside, one read or two, whatever
/// the archive's size; any other .tar.gz is read from start to end.
#[derive(Debug, Args)]
pub struct List {
    /// The archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Only these: paths with all beneath them, or patterns as in gitignore
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,

    /// Fail if an archive without an index has more members than this. A higher number takes more
    /// memory
    #[arg(long, value_name = "N", default_value_t = wingback::MAX_MEMBERS)]
    pub max_members: u64,

    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,
}

/// Print one file of an archive
#[derive(Debug, Args)]
pub struct Cat {
    /// The archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// The file's path in it
    pub path: OsString,

    #[command(flatten)]
    pub remote: Remote,
}

/// Check every checksum of an archive
///
/// Says which segments are damaged, which files that costs, and which are whole.
///
/// Exit status: 0 whole, 1 damaged or not readable, 2 usage.
#[derive(Debug, Args)]
pub struct Verify {
    /// The archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Compare the SHA-1 of the whole file, too
    #[arg(long, value_name = "HEX")]
    pub sha1: Option<Sha1>,

    /// Threads that decode; one for each processor if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Give way to other work
    #[arg(long)]
    pub background: bool,

    #[command(flatten)]
    pub output: Output,

    #[command(flatten)]
    pub remote: Remote,
}

/// Remove archives that are not to be kept
///
/// Says what becomes of each archive in a directory, newest first, and removes nothing unless --apply
/// is given. An archive stays if one of the rules keeps it, as long as --max-size allows; days and weeks
/// are those of UTC. The newest whole one always stays; what is not whole is left alone.
///
/// Exit status: 0 done, 1 failed, 2 usage.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("rules").required(true).multiple(true))]
pub struct Prune {
    /// Directory of the archives
    pub dir: PathBuf,

    /// Keep the last N
    #[arg(long, value_name = "N", group = "rules", value_parser = at_least_one())]
    pub keep_last: Option<u32>,

    /// Keep the newest of each of the last N days that have one
    #[arg(long, value_name = "N", group = "rules", value_parser = at_least_one())]
    pub keep_daily: Option<u32>,

    /// Keep the newest of each of the last N weeks that have one
    #[arg(long, value_name = "N", group = "rules", value_parser = at_least_one())]
    pub keep_weekly: Option<u32>,

    /// Keep no more than this much, whatever else is to be kept
    #[arg(long, value_name = "SIZE", group = "rules", value_parser = units::parse_size)]
    pub max_size: Option<u64>,

    /// Remove what is not kept
    #[arg(long)]
    pub apply: bool,

    /// Check every checksum of the newest archive first, and remove nothing if it is damaged
    #[arg(long)]
    pub verify: bool,

    /// Name of the archives, with {uuid} in it
    #[arg(long, value_name = "TEMPLATE", default_value = "backup-{uuid}.tar.gz")]
    pub name: NameTemplate,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn at_least_one() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

/// Take members out of an archive, into a directory
///
/// Exit status: 0 done, 1 failed (or a pattern matched nothing), 2 usage, 3 done with --salvage or
/// --skip-refused, but not all could be had.
#[derive(Debug, Args)]
pub struct Extract {
    /// The archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Directory to extract into; made if it is not there
    pub dir: PathBuf,

    /// Only these: paths with all beneath them, or patterns as in gitignore
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<OsString>,

    /// Replace files that are there already
    #[arg(long)]
    pub overwrite: bool,

    /// Take what can be had from a damaged archive, and list what could not
    #[arg(long)]
    pub salvage: bool,

    #[command(flatten)]
    pub unpack: Unpack,

    #[command(flatten)]
    pub output: Output,

    #[command(flatten)]
    pub remote: Remote,
}

/// Bring a directory to an archive's state
///
/// Nothing in the directory is touched before the archive is known to be good: it is unpacked beside
/// the old files, checked and made durable, and then exchanged with them. After a kill or a power
/// cut the next restore (or `wingback recover`) finishes or undoes it.
#[derive(Debug, Args)]
pub struct Restore {
    /// The archive: a file, - for standard input, s3://bucket/name, or an http(s) link
    pub archive: PathBuf,

    /// Directory to restore; made if it is not there
    pub dir: PathBuf,

    /// End with exactly the archive's tree (this is the default)
    #[arg(long, conflicts_with = "merge")]
    pub replace: bool,

    /// Put the archive's files over what is there, and leave the rest alone
    #[arg(long)]
    pub merge: bool,

    /// Leave what matches as it is: a path with all beneath it, or a pattern as in gitignore
    #[arg(long, value_name = "PATTERN")]
    pub keep: Vec<OsString>,

    /// Remove the old files first, once the archive is verified: needs no room for both, but a
    /// failure on the way leaves a part of the tree
    #[arg(long)]
    pub in_place: bool,

    /// Unpack into DIR first, which must be on the same file system
    #[arg(long, value_name = "DIR", conflicts_with = "in_place")]
    pub staging: Option<PathBuf>,

    /// Fail, with nothing touched, unless the archive has this SHA-1
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

/// Where the records of restores are.
#[derive(Debug, Args)]
pub struct State {
    /// Directory of the records of restores, which nobody else may write to; by default
    /// $WINGBACK_STATE_DIR, /var/lib/wingback (root), or ~/.local/state/wingback
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// How members are written.
#[derive(Debug, Args)]
pub struct Unpack {
    /// Whose the files will be: UID:GID, or `archive` for what the archive says; yours if left out
    #[arg(long, value_name = "OWNER", value_parser = parse_owner, default_value = "keep", hide_default_value = true)]
    pub owner: Owner,

    /// Threads that decode and write; one for each processor if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,

    /// Give way to other work, at the lowest priority for processor and disk
    #[arg(long)]
    pub background: bool,

    /// Keep this much of the file system free, or fail
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size, default_value = "0")]
    pub reserve: u64,

    /// Fail if the content is larger than this
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    pub max_size: Option<u64>,

    /// Fail if there are more members than this. Something is remembered of each, so a higher number
    /// takes more memory
    #[arg(long, value_name = "N", default_value_t = wingback::MAX_MEMBERS)]
    pub max_members: u64,

    /// Fail if the content is more than so many times as large as the archive
    #[arg(long, value_name = "N")]
    pub max_ratio: Option<u64>,

    /// Leave out members that cannot be used, such as a path that leads outside, and list them
    #[arg(long)]
    pub skip_refused: bool,
}

/// Finish or undo a restore that was interrupted
#[derive(Debug, Args)]
pub struct Recover {
    /// The directory that was being restored
    pub dir: PathBuf,

    #[command(flatten)]
    pub state: State,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Remove what killed backups left unfinished; never what is being written
#[derive(Debug, Args)]
pub struct Sweep {
    /// Directory of the archives, or s3://bucket/prefix
    #[arg(value_name = "PLACE")]
    pub place: PathBuf,

    /// Name of the archives, with {uuid} in it
    #[arg(long, value_name = "TEMPLATE", default_value = "backup-{uuid}.tar.gz")]
    pub name: NameTemplate,

    /// Print JSON
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub remote: Remote,

    /// In S3, uploads that were begun at least so many hours ago: longer than any backup takes
    #[arg(long, value_name = "HOURS", default_value = "24", help_heading = REMOTE)]
    pub older_than: u64,
}

const REMOTE: &str = "S3 and links";

/// Services elsewhere. Keys come from the environment or a profile, never from here.
#[derive(Debug, Args)]
#[command(next_help_heading = REMOTE)]
pub struct Remote {
    /// The S3 service, such as https://s3.example.com; Amazon's if left out
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_S3")]
    pub endpoint: Option<String>,

    /// Its region; us-east-1 if left out
    #[arg(long, value_name = "NAME", env = "AWS_REGION")]
    pub region: Option<String>,

    /// Take the keys from this profile of ~/.aws/credentials, not from AWS_ACCESS_KEY_ID and
    /// AWS_SECRET_ACCESS_KEY
    #[arg(long, value_name = "NAME")]
    pub aws_profile: Option<String>,

    /// Put the bucket into the path of URLs, not before the host
    #[arg(long)]
    pub path_style: bool,

    /// Trust the certificates in this PEM file, too
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Requests that are on their way at once
    #[arg(long, value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,
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

/// What says that a file is unchanged, beside its size and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Trust {
    /// Its mtime and its ctime, which nobody can set
    Ctime,
    /// Its mtime and its mode and owner: for trees that are chowned again and again
    Mtime,
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

/// A SHA-1, as forty hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Sha1(pub [u8; 20]);

impl std::str::FromStr for Sha1 {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        wingback_worker::hex::sha1(text).map(Sha1).ok_or("it is not forty hexadecimal digits")
    }
}

fn parse_owner(text: &str) -> Result<Owner, String> {
    match text {
        "keep" => Ok(Owner::Keep),
        "archive" => Ok(Owner::FromArchive),
        _ => {
            let ids = text
                .split_once(':')
                .and_then(|(uid, gid)| Some(Owner::Fixed(uid.parse().ok()?, gid.parse().ok()?)));
            ids.ok_or_else(|| format!("{text:?} is not UID:GID"))
        }
    }
}

fn parse_max_len(text: &str) -> Result<(String, u64), String> {
    let (path, len) = text.rsplit_once('=').ok_or("it is not of the form PATH=N")?;
    let len = len.parse().map_err(|_| format!("{len:?} is not a number of bytes"))?;
    Ok((path.to_owned(), len))
}
