//! Arguments that several subcommands have.

use std::path::PathBuf;

use clap::Args;

/// Heading of the options for archives on other machines.
pub const REMOTE: &str = "S3 and links";

/// Options for S3 and links. Keys come from the environment or a profile, never from the command line.
#[derive(Debug, Args)]
#[command(next_help_heading = REMOTE)]
pub struct Remote {
    /// URL of the S3 service, such as https://s3.example.com [default: Amazon S3]
    #[arg(long, value_name = "URL", env = "AWS_ENDPOINT_URL_S3")]
    pub endpoint: Option<String>,

    /// Region of the S3 service [default: us-east-1]
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

/// The directory of the restore records.
#[derive(Debug, Args)]
pub struct State {
    /// Private directory for restore records [default: see --help]
    ///
    /// No other user may write to it. The default is $WINGBACK_STATE_DIR, /var/lib/wingback (root), or
    /// ~/.local/state/wingback.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}
