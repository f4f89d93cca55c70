//! Arguments of `mount`.

use std::path::PathBuf;

use clap::Args;

use super::shared::{ReadLimit, Remote, local_path};

/// Mount archives as a read-only file system
///
/// Shows the archives of a place as directories: LABEL/2026-11-30T04-25-12Z, with the time in UTC. An archive
/// without a label is at its name. One archive is mounted as its tree. Files are read when a program reads them,
/// by the index. Archives without an index are left out. Archives that are made later do not appear.
///
/// Runs until Ctrl-C, SIGTERM, or fusermount3 -u MOUNTPOINT. A damaged file gives an I/O error, and a line on
/// standard error. If an archive was removed meanwhile, the error is a stale file handle.
///
/// Exit status: 0 unmounted by fusermount3 or umount, 1 failed, 2 usage.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  wingback mount /backups /mnt/backups
  wingback mount s3://backups/lobby/ /mnt/backups
  wingback mount backup.tar.gz /mnt/backup --allow-other")]
pub struct Mount {
    /// Place: a directory, or s3://bucket/prefix/ with a slash at its end; or an archive: a file,
    /// s3://bucket/name, or an http(s) link
    #[arg(value_name = "PLACE|ARCHIVE")]
    pub place: PathBuf,

    /// Directory at which the archives appear
    #[arg(value_parser = local_path())]
    pub mountpoint: PathBuf,

    /// Let other users see the files that their owners and modes allow
    ///
    /// If you are not root, /etc/fuse.conf must have the line user_allow_other.
    #[arg(long)]
    pub allow_other: bool,

    #[command(flatten)]
    pub limit: ReadLimit,

    #[command(flatten)]
    pub remote: Remote,
}
