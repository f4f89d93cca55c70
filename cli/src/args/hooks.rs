//! Arguments of `create` for what happens around a backup.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::Args;
use wingback_hooks::Target;

/// Commands around a backup, and game servers that it pauses.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hooks")]
pub struct Hooks {
    /// Let a running game server not save while its files are read; may be repeated
    ///
    /// SERVER is rcon://HOST:PORT for Minecraft Java, or bedrock-console:FIFO,LOG for Minecraft Bedrock: the
    /// named pipe that is the server's standard input, and the file that gets its output.
    #[arg(long, value_name = "SERVER")]
    pub quiesce: Vec<Target>,

    /// Read the password for rcon:// from this file [default: $WINGBACK_RCON_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub rcon_password_file: Option<PathBuf>,

    /// Run this shell command before opening the source; no backup is made if the command fails
    #[arg(long, value_name = "CMD")]
    pub before: Option<OsString>,

    /// Run this shell command as soon as the source has been read, and also after a failure or a signal
    #[arg(long, value_name = "CMD")]
    pub after_read: Option<OsString>,

    /// Run this shell command at the end, with the report or the error as JSON on its standard input
    #[arg(long, value_name = "CMD")]
    pub after: Option<OsString>,

    /// Kill a hook that runs for longer than this, such as 30s, 5m or 1h
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "5m")]
    pub hook_timeout: Duration,
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let invalid = || format!("{text:?} is not a time such as 30s, 5m or 1h");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| invalid())?;
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        _ => return Err(invalid()),
    };
    match number.checked_mul(unit) {
        Some(seconds @ 1..) => Ok(Duration::from_secs(seconds)),
        _ => Err(invalid()),
    }
}
