//! The S3 store, with real servers.
#![allow(dead_code, reason = "each test uses a part of what they share")]

mod answers;
mod cancel;
mod client;
mod copies;
mod fault;
mod faults;
mod harness;
mod hostile;
mod http;
mod memory;
mod mishaps;
mod moments;
mod names;
mod panel;
mod plain;
mod proxy;
mod reads;
mod server;
mod store;
#[path = "../support/mod.rs"]
mod support;
