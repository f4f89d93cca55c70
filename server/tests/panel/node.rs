//! A node with a fork's Panel, and the requests that the Panel sends to it.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::Reply,
    daemon::{Daemon, TOKEN, jwt, now, until},
    listener::Listener,
    panel::{Fork, Panel},
    server::Server,
};

/// How long both Panels wait for an answer of the daemon.
const PATIENCE: Duration = Duration::from_secs(15);

/// The user of the Panel.
pub const USER: &str = "6b1d1e3e-7b7f-4a7d-9a55-1a0c7cbd7b11";

pub struct Node {
    pub fork: Fork,
    pub panel: Panel,
    pub daemon: Daemon,
    bucket: Option<String>,
}

/// Runs a flow with each fork.
pub fn with_each_fork(flow: impl Fn(Fork)) {
    for fork in [Fork::Pterodactyl, Fork::Pelican] {
        eprintln!("{fork:?}");
        flow(fork);
    }
}

impl Node {
    /// Starts a daemon that stands in for the fork's Wings.
    pub fn start(fork: Fork) -> Self {
        Node::with(fork, "", "")
    }

    /// Like [`Node::start`], with additional lines for the block `wingback`, and for `system`.
    pub fn with(fork: Fork, wingback: &str, system: &str) -> Self {
        Node::of(fork, Panel::start(), None, wingback, system)
    }

    /// Like [`Node::with`], with a Panel that keeps its backups in a bucket.
    pub fn with_s3(fork: Fork, system: &str) -> Self {
        let s3 = Server::shared();
        let bucket = s3.bucket();
        let panel = Panel::with_s3(s3, &bucket);
        Node::of(fork, panel, Some(bucket), "", system)
    }

    fn of(fork: Fork, panel: Panel, bucket: Option<String>, wingback: &str, system: &str) -> Self {
        panel.set_fork(fork);
        let compatibility = match fork {
            Fork::Pterodactyl => "pterodactyl",
            Fork::Pelican => "pelican",
        };
        let more = format!("  compatibility: {compatibility}\n{wingback}");
        let mut daemon = Daemon::idle(&more, &panel.url());
        let system = match (fork, &bucket) {
            // The service of the tests has no public address.
            (Fork::Pelican, Some(_)) => {
                format!("  backups:\n    restore_host_allowlist: [127.0.0.1]\n{system}")
            }
            _ => system.to_owned(),
        };
        daemon.configure(TOKEN, &system);
        let ignored = daemon.dir(daemon.server()).join(".pelicanignore");
        fs::write(ignored, "*.dat\n").unwrap();
        daemon.start();
        Node { fork, panel, daemon, bucket }
    }

    pub fn server(&self) -> Uuid {
        self.daemon.server()
    }

    /// The directory of the first server.
    pub fn dir(&self) -> PathBuf {
        self.daemon.dir(self.server())
    }

    /// The path at which the fork's Wings looks for a local archive.
    pub fn archive(&self, backup: Uuid) -> PathBuf {
        let folder = match self.fork {
            Fork::Pterodactyl => self.daemon.backups_dir(),
            Fork::Pelican => self.daemon.backups_dir().join(self.server().to_string()),
        };
        folder.join(format!("{backup}.tar.gz"))
    }

    /// The bucket, and the key of an archive in it.
    pub fn object(&self, backup: Uuid) -> (&str, String) {
        let bucket = self.bucket.as_deref().unwrap();
        (bucket, format!("{}/{backup}.tar.gz", self.server()))
    }

    /// Sends a request, which must be answered in time.
    pub fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let began = Instant::now();
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let reply = self.daemon.send(method, path, body.as_bytes());
        assert!(began.elapsed() < PATIENCE, "{method} {path}: {:?}", began.elapsed());
        // Pelican's Panel takes an error without this header for a connection that failed.
        assert!(!reply.headers["user-agent"].is_empty(), "{method} {path}");
        Uuid::try_parse(&reply.headers["x-request-id"]).unwrap();
        reply
    }

    /// Begins a backup. The Panel commits its row after the answer.
    pub fn begin(&self, adapter: &str, ignore: &str) -> Uuid {
        let backup = Uuid::new_v4();
        let body = json!({ "adapter": adapter, "uuid": backup, "ignore": ignore });
        let path = format!("/api/servers/{}/backup", self.server());
        let reply = self.ask("POST", &path, Some(body)).expect(202);
        assert!(reply.body.is_empty());
        self.panel.add(backup, self.server(), adapter);
        backup
    }

    /// Waits for the result of a backup.
    pub fn result(&self, backup: Uuid) -> Value {
        let results = || Some(self.panel.known(backup).results).filter(|all| !all.is_empty());
        let results = until("the Panel is notified of a backup", results);
        assert_eq!(results.len(), 1, "{results:?}");
        results[0].clone()
    }

    /// Makes a complete backup.
    pub fn made(&self, adapter: &str) -> Uuid {
        let backup = self.begin(adapter, "");
        assert_eq!(self.result(backup)["successful"], true, "{}", self.daemon.log());
        backup
    }

    pub fn restore(&self, adapter: &str, backup: Uuid, truncate: bool, url: &str) -> Reply {
        let body =
            json!({ "adapter": adapter, "truncate_directory": truncate, "download_url": url });
        let path = format!("{}/restore", self.daemon.path(self.server(), backup));
        self.ask("POST", &path, Some(body))
    }

    /// Waits until the Panel has these results of restores.
    pub fn restores(&self, backup: Uuid, expected: &[bool]) {
        until("the Panel is notified of a restore", || {
            Some(()).filter(|()| self.panel.known(backup).restores.len() == expected.len())
        });
        assert_eq!(self.panel.known(backup).restores, expected);
    }

    /// The claims of the fork's tokens, for a purpose, with further claims.
    pub fn claims(&self, scope: &str, more: Value) -> Value {
        let mut claims = json!({ "iss": "https://panel.example", "aud": self.daemon.url,
            "jti": "of-this-user-and-server", "iat": now(), "nbf": now() - 300, "exp": now() + 600,
            "server_uuid": self.server(), "user_uuid": USER, "unique_id": Uuid::new_v4() });
        match self.fork {
            Fork::Pterodactyl => claims["user_id"] = json!(1),
            Fork::Pelican => claims["scope"] = json!(scope),
        }
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    /// Opens a WebSocket as a page of the Panel does.
    pub fn socket(&self, more: Value) -> Listener {
        let mut claims = self.claims("websocket", json!({ "permissions": ["*"] }));
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let origin = self.panel.url();
        let origin = origin.trim_end_matches('/');
        let mut listener = Listener::open(&self.daemon, self.server(), Some(origin)).unwrap();
        listener.auth(&jwt(TOKEN, &claims));
        assert_eq!(listener.next().unwrap()["event"], "auth success");
        listener
    }
}
