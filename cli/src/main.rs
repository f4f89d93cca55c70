//! The `wingback` command.
#![warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod archives;
mod args;
mod create;
mod diff;
mod find;
mod hooks;
mod info;
mod inspect;
mod man;
#[cfg(feature = "mount")]
mod mount;
mod output;
mod preview;
mod progress;
mod prune;
mod restore;
mod settings;
mod signals;
mod status;
mod stdout;
mod stored;
mod sweep;
mod times;
mod units;
mod url;
mod verify_all;
mod worker;

use std::process::ExitCode;

use async_signal::{Signal, Signals};
use clap::CommandFactory;

use crate::{
    args::{Cli, Command},
    output::{complain, say},
    status::Status,
};

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let line = std::env::args_os().collect();
    let cli = match settings::parse(line, &|name| std::env::var_os(name)) {
        Ok(cli) => cli,
        Err(e) if e.use_stderr() => e.exit(),
        // The user asked for help or the version.
        Err(e) => {
            output::written(e.print());
            return output::finish(Status::Done);
        }
    };
    // Without a handler, a write over RLIMIT_FSIZE ends the process. With one, the write fails.
    let _handler = Signals::new([Signal::Xfsz]);
    output::finish(run(cli.command))
}

fn run(command: Command) -> Status {
    match command {
        Command::Create(args) if args.dry_run => smol::block_on(preview::preview(&args)),
        Command::Create(args) => smol::block_on(create::create(&args)),
        Command::Estimate(args) => smol::block_on(create::estimate(&args)),
        Command::Archives(args) => smol::block_on(stored::archives(&args)),
        Command::Info(args) => smol::block_on(info::info(&args)),
        Command::List(args) => smol::block_on(inspect::list(&args)),
        Command::Diff(args) => smol::block_on(diff::diff(&args)),
        Command::Find(args) => smol::block_on(find::find(&args)),
        Command::Cat(args) => smol::block_on(inspect::cat(&args)),
        #[cfg(feature = "mount")]
        Command::Mount(args) => smol::block_on(mount::mount(args)),
        Command::Verify(args) => smol::block_on(inspect::verify(&args)),
        Command::Extract(args) => smol::block_on(restore::extract(&args)),
        Command::Restore(args) => smol::block_on(restore::restore(&args)),
        Command::Recover(args) => smol::block_on(restore::recover(&args)),
        Command::Sweep(args) => smol::block_on(sweep::sweep(&args)),
        Command::Prune(args) => smol::block_on(prune::prune(&args)),
        Command::Lock(args) => smol::block_on(stored::lock(&args)),
        Command::Unlock(args) => smol::block_on(stored::unlock(&args)),
        Command::Worker => worker::worker(),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "wingback", &mut text);
            say(String::from_utf8_lossy(&text).trim_end());
            Status::Done
        }
        Command::Man { command } => man(command.as_deref()),
    }
}

fn man(name: Option<&str>) -> Status {
    match man::page(name) {
        Some(Ok(page)) => {
            say(&page);
            Status::Done
        }
        Some(Err(e)) => {
            complain(&e.to_string());
            Status::Failed
        }
        None => {
            complain(&format!("there is no subcommand {:?}", name.unwrap_or_default()));
            Status::Usage
        }
    }
}
