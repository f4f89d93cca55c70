//! The daemon with the Panels of both forks. Each file is one flow. A Panel checks each request of the
//! daemon, and sends the requests that its own code sends.

#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/client.rs"]
mod client;
#[allow(dead_code, reason = "the daemon's other tests use the rest")]
#[path = "../support/daemon.rs"]
mod daemon;
#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/http.rs"]
mod http;
#[allow(dead_code, reason = "the daemon's other tests use the rest")]
#[path = "../support/listener.rs"]
mod listener;
#[path = "../../../tests/support/noise.rs"]
mod noise;
#[allow(dead_code, reason = "the daemon's other tests use the rest")]
#[path = "../support/panel.rs"]
mod panel;
#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/server.rs"]
mod server;
#[path = "../../../tests/support/wait.rs"]
mod wait;

mod access;
mod backup_local;
mod backup_s3;
mod delete;
mod download;
mod node;
mod panel_down;
mod panel_refuses;
mod restart;
mod restore_local;
mod restore_s3;
