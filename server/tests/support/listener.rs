//! A client of the daemon's WebSocket.

use std::{net::TcpStream, time::Duration};

use serde_json::{Value, json};
use tungstenite::{
    ClientRequestBuilder, Message, WebSocket,
    client::{IntoClientRequest, client},
    http::Uri,
};
use uuid::Uuid;

use crate::daemon::Daemon;

/// A client that receives the events of a server.
pub struct Listener {
    pub socket: WebSocket<TcpStream>,
}

impl Listener {
    /// Connects with a token issued by the daemon.
    pub fn new(daemon: &Daemon, server: Uuid) -> Self {
        let reply = daemon.post(&format!("/api/servers/{server}/websocket"), json!({})).expect(200);
        let made: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(made["socket"], format!("/api/servers/{server}/ws"));
        let mut listener = Listener::open(daemon, server, None).unwrap();
        listener.auth(made["token"].as_str().unwrap());
        assert_eq!(listener.next().unwrap()["event"], "auth success");
        listener
    }

    /// Connects without authenticating.
    pub fn open(daemon: &Daemon, server: Uuid, origin: Option<&str>) -> Result<Self, String> {
        let address = daemon.url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let uri: Uri = format!("ws://{address}/api/servers/{server}/ws").parse().unwrap();
        let mut request = ClientRequestBuilder::new(uri);
        if let Some(origin) = origin {
            request = request.with_header("Origin", origin);
        }
        let (socket, _) =
            client(request.into_client_request().unwrap(), stream).map_err(|e| e.to_string())?;
        Ok(Listener { socket })
    }

    pub fn auth(&mut self, token: &str) {
        self.say(&json!({ "event": "auth", "args": [token] }).to_string());
    }

    pub fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// The next event. `None` after the daemon has closed the socket.
    pub fn next(&mut self) -> Option<Value> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) => return None,
                Ok(_) => {}
                Err(e) if matches!(&e, tungstenite::Error::Io(e) if e.kind() == std::io::ErrorKind::WouldBlock) =>
                {
                    panic!("no event arrived")
                }
                Err(_) => return None,
            }
        }
    }

    /// All events up to the first with this name.
    pub fn until(&mut self, name: &str) -> Vec<Value> {
        self.until_one(|event| event["event"] == name)
    }

    /// All events up to the first whose text starts with `text`.
    pub fn until_text(&mut self, text: &str) -> Vec<Value> {
        self.until_one(|event| event["args"][0].as_str().is_some_and(|t| t.starts_with(text)))
    }

    fn until_one(&mut self, is: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            seen.push(self.next().unwrap_or_else(|| panic!("closed after {seen:?}")));
            if is(&seen[seen.len() - 1]) {
                return seen;
            }
        }
    }
}
