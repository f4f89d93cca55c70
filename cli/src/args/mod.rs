//! The command line. Help texts, completions and man pages are generated from it.

mod archives;
mod create;
mod hooks;
mod inspect;
mod maintain;
#[cfg(feature = "mount")]
mod mount;
mod shared;
mod unpack;

use clap::{Parser, Subcommand};

pub use self::{
    archives::{Archives, Lock, Locked, Unlock},
    create::{Create, Estimate, PathList, Source, Trust},
    hooks::Hooks,
    inspect::{Cat, Diff, Find, Info, List, Verify},
    maintain::{Prune, Sweep},
    shared::{Output, REMOTE, Remote},
    unpack::{Extract, Recover, Restore, Unpack},
};

#[cfg(feature = "mount")]
pub use self::mount::Mount;

/// Fast backups of game servers: ordinary .tar.gz archives with an index inside
///
/// Options have variables: WINGBACK_EXCLUDE_FROM is that of --exclude-from. Options that could lose data, such
/// as --delete and the rules of prune, have none. `wingback create @NAME` uses the table `[NAME.create]` of
/// wingback.toml, which is in ~/.config/wingback or /etc/wingback. The keys are the long options. The command
/// line counts first, then the variables, then the table.
#[derive(Debug, Parser)]
#[command(name = "wingback", version, long_version = long_version())]
#[command(propagate_version = true, max_term_width = 100)]
#[command(after_long_help = "Examples:
  wingback create /srv/minecraft --to /backups
  wingback list /backups/backup-UUID.tar.gz
  wingback restore /backups/backup-UUID.tar.gz /srv/minecraft")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Create(Box<Create>),
    Estimate(Estimate),
    Archives(Archives),
    Info(Info),
    List(List),
    Diff(Diff),
    Find(Find),
    Cat(Cat),
    #[cfg(feature = "mount")]
    Mount(Mount),
    Verify(Verify),
    Extract(Extract),
    Restore(Restore),
    Recover(Recover),
    Sweep(Sweep),
    Prune(Box<Prune>),
    Lock(Lock),
    Unlock(Unlock),
    /// Serve another program: JSON requests on standard input, JSON events on standard output
    ///
    /// Descriptor 3 must be a Unix socket of type SEQPACKET. The other program sends descriptors over
    /// it, through which jobs read and write bytes. The worker ends after standard input ends, and
    /// leaves nothing unfinished. The Go module uses this command.
    Worker,
    /// Print shell completions
    Completions {
        /// Name of the shell
        shell: clap_complete::Shell,
    },
    /// Print the man page in roff format
    Man {
        /// Subcommand to print the page of
        command: Option<String>,
    },
}

fn long_version() -> String {
    let wingback::Build { version, commit, target, encoders, .. } = wingback::BUILD;
    let commit = if commit.is_empty() { "unknown" } else { commit };
    let encoders: Vec<_> = encoders.iter().map(|encoder| encoder.code()).collect();
    format!("{version}\ncommit {commit}\ntarget {target}\nencoders {}", encoders.join(" "))
}
