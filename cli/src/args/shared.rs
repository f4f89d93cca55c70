//! Arguments that several subcommands have.

use std::path::PathBuf;

use clap::{
    Args,
    builder::{PathBufValueParser, TypedValueParser},
};
use wingback::{Archive, Limiter};

use crate::{units, url};

/// Parses a path of this machine. A URL is an error, because a directory of that name would be made.
pub fn local_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match url::scheme(&path) {
        Some(_) => Err("it is a URL, and must be a path of this machine"),
        None => Ok(path),
    })
}

/// Heading of the options for archives on other machines.
pub const REMOTE: &str = "S3 and links";

/// Options for S3 and links. Keys come from the environment or a profile, never from the command line.
#[derive(Debug, Args)]
#[command(next_help_heading = REMOTE)]
pub struct Remote {
    /// URL of the S3 service, such as https://s3.example.com [default: Amazon S3]
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_S3")]
    pub endpoint: Option<String>,

    /// Region of the S3 service [default: the one in an endpoint of Amazon, otherwise us-east-1]
    #[arg(long, value_name = "NAME", env = "AWS_REGION")]
    pub region: Option<String>,

    /// Use the keys of this profile in ~/.aws/credentials, not those of the environment
    #[arg(long, value_name = "NAME")]
    pub aws_profile: Option<String>,

    /// Put the bucket name into the path of URLs instead of the host name
    #[arg(long)]
    pub path_style: bool,

    /// Also trust the certificates in this PEM file
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Number of requests at the same time
    #[arg(long, value_name = "N", default_value = "4")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,
}

#[derive(Debug, Args)]
pub struct Output {
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,

    /// Print only the report
    #[arg(long, short)]
    pub quiet: bool,
}

/// Limits of a command that also writes many bytes.
#[derive(Debug, Args)]
pub struct Limits {
    /// Write at most this many bytes per second, such as 20M or 1.5GiB; 0 means no limit
    #[arg(long, value_name = "RATE", value_parser = units::parse_size, default_value = "0")]
    write_limit: u64,

    #[command(flatten)]
    read: ReadLimit,
}

/// Limit of a command that reads many bytes.
#[derive(Debug, Args)]
pub struct ReadLimit {
    /// Read at most this many bytes per second; 0 means no limit
    #[arg(long, value_name = "RATE", value_parser = units::parse_size, default_value = "0")]
    read_limit: u64,
}

impl Limits {
    pub fn write(&self) -> Limiter {
        Limiter::new(self.write_limit)
    }

    pub fn read(&self) -> Limiter {
        self.read.limiter()
    }

    /// Sets the limits of an archive that is read.
    pub fn on(&self, archive: Archive<'static>) -> Archive<'static> {
        self.read.on(archive).write_limit(self.write())
    }
}

impl ReadLimit {
    pub fn limiter(&self) -> Limiter {
        Limiter::new(self.read_limit)
    }

    /// Sets the limit of an archive.
    pub fn on(&self, archive: Archive<'static>) -> Archive<'static> {
        archive.read_limit(self.limiter())
    }
}

/// The directory of the restore records.
#[derive(Debug, Args)]
pub struct State {
    /// Private directory for restore records [default: see --help]
    ///
    /// No other user may write to it. The default is $WINGBACK_STATE_DIR, /var/lib/wingback (root), or
    /// ~/.local/state/wingback.
    #[arg(long, value_name = "DIR", value_parser = local_path())]
    pub state_dir: Option<PathBuf>,
}
