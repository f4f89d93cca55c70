//! The backup daemon of a game-server node.
//!
//! ```text
//! http ─► commands ─► backup, restore, verify ─► wingback
//!                   │        └► events ─► WebSockets
//!                   └► records ◄─ outbox ─► the Panel
//! ```
//!
//! Each backup has a [`record`] on disk before it begins. After a restart, the records show which jobs
//! ran and which notifications are pending. The daemon is also an example of how to embed the library:
//! it runs on smol, and polls the engine's tasks like other futures.
#![forbid(unsafe_code)]
#![warn(unreachable_pub, clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answer;
mod api_error;
mod archives;
mod backup;
mod cancel;
mod claims;
mod client;
mod commands;
mod config;
mod deadline;
mod demo;
mod denials;
mod events;
mod hooks;
mod http;
mod io;
mod job;
mod listen;
mod metrics;
mod node;
mod outbox;
mod panel;
mod pass;
mod progress;
mod queue;
mod record;
mod records;
mod restore;
mod server_store;
mod service_url;
mod startup;
mod timestamp;
mod tls;
mod token;
mod verify;

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use async_signal::{Signal, Signals};
use clap::Parser;
use futures::StreamExt;
use tracing_subscriber::EnvFilter;

use crate::{
    config::{Compatibility, Config},
    node::Node,
};

/// Serve the backup endpoint of a game-server node
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Path of the configuration: Wings' config.yml, or a similar file [default:
    /// /etc/pterodactyl/config.yml, or /etc/pelican/config.yml with --compatibility pelican]
    #[arg(short, long, env = "WINGBACK_CONFIG")]
    config: Option<PathBuf>,
    /// The program that the daemon stands in for, instead of the configured one
    #[arg(long, value_enum, env = "WINGBACK_COMPATIBILITY")]
    compatibility: Option<Compatibility>,
    /// Address to listen on, instead of the configured one
    #[arg(short, long)]
    listen: Option<SocketAddr>,
    /// Serve a sample server from a temporary directory, on loopback
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// Check the configuration, print its errors or the values that depend on its `compatibility`, and exit
    #[arg(long)]
    check: bool,
    /// Write the log as JSON, one object a line
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

/// Starts the log on standard error. `RUST_LOG` filters it.
fn log(as_json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    if as_json { log.json().init() } else { log.init() }
}

async fn run(args: &Args) -> Result<(), String> {
    // Dropping this at the end removes its directory.
    let demo = if args.demo { Some(demo::Demo::new()?) } else { None };
    let path: &Path = match (&demo, &args.config) {
        (Some(demo), _) => &demo.config,
        (None, Some(path)) => path,
        (None, None) => args.compatibility.unwrap_or_default().config_path(),
    };
    let config = Config::read(path, args.compatibility)?;
    let tls = tls::acceptor(&config.api.ssl)?;
    if args.check {
        let mut out = std::io::stdout();
        return out.write_all(config.summary().as_bytes()).map_err(|e| e.to_string());
    }
    warn_about(&config);
    // Without a handler, a write over RLIMIT_FSIZE ends the process. With one, the write fails.
    let _handler = Signals::new([Signal::Xfsz]);
    let mut signals = Signals::new([Signal::Hup, Signal::Int, Signal::Term])
        .map_err(|e| format!("cannot wait for signals: {e}"))?;
    let address = args.listen.map_or_else(|| config.address(), Ok)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    // Listen before the state is changed: if the address is in use, another daemon may own the state.
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
            let config = Config::read(path, args.compatibility);
            match config.and_then(|c| Ok((tls::acceptor(&c.api.ssl)?, c))) {
                Ok((acceptor, config)) => {
                    *tls.lock().unwrap_or_else(PoisonError::into_inner) = acceptor;
                    node.reload(&config);
                    tracing::info!("reloaded tokens, limits and certificates");
                }
                Err(problem) => tracing::error!(
                    "cannot reload the configuration, keeping the old one: {problem}"
                ),
            }
        }
        tracing::info!("stopping");
        commands::stop(&node).await;
        Ok(())
    };
    smol::future::or(signals, serving).await
}

/// Warns about settings with surprising effects.
fn warn_about(config: &Config) {
    if let Some(level) = config.unknown_level() {
        tracing::warn!("system.backups.compression_level: {level:?} is unknown, using best_speed");
    }
    if config.s3.is_some() && !config.remote.is_empty() {
        tracing::warn!(
            "the daemon uploads with the credentials of the s3 block: an unmodified Panel cannot \
             record such backups as successful, because it did not begin their uploads"
        );
    }
    let is_local = config.address().is_ok_and(|address| address.ip().is_loopback());
    if !is_local && !config.api.ssl.enabled {
        tracing::warn!(
            "listening without TLS on an address that is not loopback: the network can read tokens"
        );
    }
}
