//! A backup daemon for the node of a game-server host: the documented endpoint, live.
//!
//! ```text
//! http ─► orders ─► backup, restore, verify ─► wingback
//!                   │        └► events ─► WebSockets
//!                   └► records ◄─ outbox ─► the Panel
//! ```
//!
//! A [`record`] per backup is on disk before anything happens, so that a restart knows what was
//! running, and whom to tell. It doubles as a model of how to embed the library: everything here runs
//! on smol, and the engine's tasks are polled like any other future.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod archives;
mod backup;
mod client;
mod config;
mod demo;
mod events;
mod http;
mod job;
mod listen;
mod metrics;
mod moment;
mod node;
mod orders;
mod outbox;
mod panel;
mod queue;
mod record;
mod records;
mod refusal;
mod restore;
mod startup;
mod tls;
mod token;
mod verify;

use std::{
    io::IsTerminal,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use async_signal::{Signal, Signals};
use clap::Parser;
use futures::StreamExt;
use tracing_subscriber::EnvFilter;

use crate::{config::Config, node::Node};

/// Serves the backup endpoint of a game-server node.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Wings' configuration, or one like it.
    #[arg(short, long, default_value = "/etc/pterodactyl/config.yml", env = "WINGBACK_CONFIG")]
    config: PathBuf,
    /// Listens here, whatever the configuration says.
    #[arg(short, long)]
    listen: Option<SocketAddr>,
    /// Serves a made-up server in a temporary directory, on loopback.
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// Reads the configuration, says what is wrong with it, and ends.
    #[arg(long)]
    check: bool,
    /// Writes the log as lines of JSON.
    #[arg(long)]
    log_json: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    log(args.log_json);
    match smol::block_on(run(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            tracing::error!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// To standard error; RUST_LOG says what.
fn log(as_json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if as_json { log.json().init() } else { log.init() }
}

async fn run(args: &Args) -> Result<(), String> {
    // Removed with everything in it when the daemon ends.
    let demo = if args.demo { Some(demo::Demo::new()?) } else { None };
    let path = demo.as_ref().map_or(&args.config, |demo| &demo.config);
    let config = Config::read(path)?;
    let tls = tls::acceptor(&config.api.ssl)?;
    if args.check {
        return Ok(());
    }
    warn_of(&config);
    // A write over RLIMIT_FSIZE would end the process; as long as somebody listens it is an error.
    let _listening = Signals::new([Signal::Xfsz]);
    let mut signals = Signals::new([Signal::Hup, Signal::Int, Signal::Term])
        .map_err(|e| format!("cannot wait for signals: {e}"))?;
    let address = args.listen.map_or_else(|| config.address(), Ok)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    // Before the state is touched: it is another daemon's where that has the address.
    let listener = listen::listen_at(address).await.map_err(|e| format!("{address}: {e}"))?;
    let node = Arc::new(Node::new(config)?);
    startup::recover(&node).await;
    smol::spawn(startup::keep_forgetting(node.clone())).detach();
    smol::spawn(startup::check_bucket(node.clone())).detach();
    let local = listener.local_addr().map_err(|e| e.to_string())?;
    tracing::info!("listening on {scheme}://{local}");
    if let Some(demo) = &demo {
        demo.greet(&format!("{scheme}://{local}/"));
    }
    let tls = Mutex::new(tls);
    let now = || tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let serving = async {
        http::serve(listener, now, node.clone()).await;
        Ok(())
    };
    let signals = async {
        while let Some(Ok(Signal::Hup)) = signals.next().await {
            match Config::read(path).and_then(|c| Ok((tls::acceptor(&c.api.ssl)?, c))) {
                Ok((acceptor, config)) => {
                    *tls.lock().unwrap_or_else(PoisonError::into_inner) = acceptor;
                    node.reload(&config);
                    tracing::info!("tokens, limits and certificates are read anew");
                }
                Err(problem) => tracing::error!("everything stays as it was: {problem}"),
            }
        }
        tracing::info!("stopping");
        orders::stop(&node).await;
        Ok(())
    };
    smol::future::or(signals, serving).await
}

/// What works, but not as somebody may believe.
fn warn_of(config: &Config) {
    if let Some(level) = config.unknown_level() {
        tracing::warn!(
            "system.backups.compression_level: {level:?} is unknown and means best_speed"
        );
    }
    if config.s3.is_some() && !config.remote.is_empty() {
        tracing::warn!(
            "the s3 block has credentials of its own: a Panel without changes cannot record such \
             backups as successful, since it knows no upload of theirs"
        );
    }
    let is_local = config.address().is_ok_and(|address| address.ip().is_loopback());
    if !is_local && !config.api.ssl.enabled {
        tracing::warn!("listening beyond this machine without TLS: tokens can be read on the way");
    }
}
