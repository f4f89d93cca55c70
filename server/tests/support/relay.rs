//! Forwards requests to a daemon, counts the bytes of their bodies, and cuts connections.

use std::{
    collections::VecDeque,
    io::{self, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use crate::{daemon::Daemon, http::Head};

/// A listener with a fixed URL, before a daemon that may change.
pub struct Relay {
    pub url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    target: String,
    cuts: VecDeque<u64>,
    ranges: Vec<String>,
    forwarded: u64,
}

impl Relay {
    pub fn to(daemon: &Daemon) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let relay = Relay { url, state: Arc::default() };
        relay.lead_to(daemon);
        let state = relay.state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, state) = (client.unwrap(), state.clone());
                thread::spawn(move || drop(forward(&client, &state)));
            }
        });
        relay
    }

    /// Forwards to this daemon from now on.
    pub fn lead_to(&self, daemon: &Daemon) {
        self.state.lock().unwrap().target = daemon.url.trim_start_matches("http://").to_owned();
    }

    /// Cuts the connections of the next uploads after so many bytes of their bodies.
    pub fn cut_after(&self, cuts: impl Into<VecDeque<u64>>) {
        self.state.lock().unwrap().cuts = cuts.into();
    }

    /// The `Content-Range` of each upload until now.
    pub fn ranges(&self) -> Vec<String> {
        self.state.lock().unwrap().ranges.clone()
    }

    /// The bytes of all bodies until now.
    pub fn forwarded(&self) -> u64 {
        self.state.lock().unwrap().forwarded
    }
}

/// Forwards the request of a connection and its response.
fn forward(client: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut from = BufReader::new(client);
    let Some(head) = Head::read(&mut from)? else { return Ok(()) };
    let (target, cut) = {
        let mut state = state.lock().unwrap();
        let range = head.get("content-range");
        let cut = range.as_ref().and_then(|_| state.cuts.pop_front());
        state.ranges.extend(range);
        (state.target.clone(), cut)
    };
    let daemon = TcpStream::connect(target)?;
    let mut bytes = head.bytes();
    bytes.truncate(bytes.len() - 2);
    bytes.extend_from_slice(b"connection: close\r\n\r\n");
    (&daemon).write_all(&bytes)?;
    let len = head.get("content-length").map_or(0, |len| len.parse().unwrap());
    let mut left = cut.unwrap_or(len).min(len);
    while left > 0 {
        let mut piece = vec![0; left.min(16 << 10) as usize];
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (&daemon).write_all(&piece[..read])?;
        state.lock().unwrap().forwarded += read as u64;
        left -= read as u64;
    }
    if cut.is_some() {
        daemon.shutdown(Shutdown::Write)?;
        io::copy(&mut &daemon, &mut io::sink())?;
        return client.shutdown(Shutdown::Both);
    }
    io::copy(&mut &daemon, &mut &*client).map(drop)
}
