//! The daemon, tested through its API, with a Panel and as its operator runs it.

#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/client.rs"]
mod client;
#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/http.rs"]
mod http;
#[allow(dead_code, reason = "the library's tests use the rest")]
#[path = "../../../tests/s3/server.rs"]
mod server;

mod answers;
mod bucket;
mod contents;
#[path = "../support/daemon.rs"]
mod daemon;
mod endpoint;
mod events;
mod hooks;
mod interface;
#[allow(dead_code, reason = "the command's tests use the rest")]
#[path = "../../../cli/tests/command/java.rs"]
mod java;
#[path = "../../../tests/support/left_out.rs"]
mod left_out;
#[path = "../support/listener.rs"]
mod listener;
mod load;
mod next;
#[path = "../../../tests/support/noise.rs"]
mod noise;
mod notifications;
mod operator;
mod page;
#[allow(dead_code, reason = "the tests of the protocol use the rest")]
#[path = "../support/panel.rs"]
mod panel;
mod restart;
mod restore;
mod search;
#[path = "../../../tests/support/wait.rs"]
mod wait;
