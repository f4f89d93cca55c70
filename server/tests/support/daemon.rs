//! A daemon for each test, with servers, and helpers for its clients.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;
use uuid::Uuid;

use crate::client::{Reply, fetch};
pub use crate::{noise::noise, wait::until};

pub const TOKEN: &str = "the-token-of-this-node";
pub const TOKEN_ID: &str = "abcdefgh";

pub struct Daemon {
    pub tmp: TempDir,
    pub servers: Vec<Uuid>,
    pub url: String,
    more: String,
    remote: String,
    child: Option<Child>,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    /// Starts a daemon with one server and without a Panel.
    pub fn new() -> Self {
        Daemon::with("")
    }

    /// Like [`Daemon::new`], with additional lines for the block `wingback`, or with blocks that follow it.
    pub fn with(more: &str) -> Self {
        let mut daemon = Daemon::idle(more, "");
        daemon.start();
        daemon
    }

    /// Like [`Daemon::with`], with a Panel.
    pub fn with_panel(url: &str, more: &str) -> Self {
        let mut daemon = Daemon::idle(more, url);
        daemon.start();
        daemon
    }

    /// Creates a daemon without starting it.
    pub fn idle(more: &str, remote: &str) -> Self {
        let mut daemon = Daemon {
            tmp: TempDir::new().unwrap(),
            servers: Vec::new(),
            url: String::new(),
            more: more.into(),
            remote: remote.into(),
            child: None,
            log: Arc::default(),
        };
        fs::create_dir(daemon.tmp.path().join("volumes")).unwrap();
        daemon.add_server();
        daemon.configure(TOKEN, "");
        daemon
    }

    /// Writes the configuration, with additional lines for `system`.
    pub fn configure(&self, token: &str, system: &str) {
        let root = self.tmp.path().display();
        let Daemon { remote, more, .. } = self;
        let reserve = if more.contains("reserve_mib") { "" } else { "  reserve_mib: 0\n" };
        let text = format!(
            "token_id: {TOKEN_ID}\ntoken: {token}\nremote: '{remote}'\n\
             system:\n  root_directory: {root}\n{system}\n\
             wingback:\n  listen: 127.0.0.1:0\n{reserve}  panel_retry_max: 1\n{more}\n",
        );
        fs::write(self.config(), text).unwrap();
    }

    /// Adds lines to the block `wingback`.
    pub fn append(&self, lines: &str) {
        let text = fs::read_to_string(self.config()).unwrap();
        fs::write(self.config(), text + lines).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.tmp.path().join("config.yml")
    }

    /// Adds a server with a few files.
    pub fn add_server(&mut self) -> Uuid {
        let server = Uuid::new_v4();
        self.servers.push(server);
        let dir = self.dir(server);
        fs::create_dir_all(dir.join("world/region")).unwrap();
        fs::create_dir_all(dir.join("empty")).unwrap();
        fs::write(dir.join("server.properties"), "motd=x\n").unwrap();
        fs::write(dir.join(".pteroignore"), "*.log\n").unwrap();
        fs::write(dir.join("latest.log"), "x\n").unwrap();
        fs::write(dir.join("world/level.dat"), noise(1, 4096)).unwrap();
        fs::write(dir.join("world/region/r.0.0.mca"), noise(2, 1 << 20)).unwrap();
        server
    }

    /// Returns the first server.
    pub fn server(&self) -> Uuid {
        self.servers[0]
    }

    pub fn dir(&self, server: Uuid) -> PathBuf {
        self.tmp.path().join("volumes").join(server.to_string())
    }

    pub fn backups_dir(&self) -> PathBuf {
        self.tmp.path().join("backups")
    }

    pub fn archive(&self, backup: Uuid) -> PathBuf {
        self.backups_dir().join(format!("backup-{backup}.tar.gz"))
    }

    /// All names in the backup directory.
    pub fn files(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.backups_dir()) else { return Vec::new() };
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    pub fn start(&mut self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wingback-server"))
            .arg("--config")
            .arg(self.config())
            .env("RUST_LOG", "debug")
            .env_remove("WINGS_TOKEN")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let mut head = String::new();
        self.url = loop {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "the daemon exited: {head}");
            head += &line;
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.trim().to_owned();
            }
        };
        let log = self.log.clone();
        log.lock().unwrap().push_str(&head);
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                *log += &line;
                log.push('\n');
            }
        });
        self.child = Some(child);
    }

    /// Kills the daemon with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    /// Peak resident memory in KiB.
    pub fn peak_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the exit of a daemon that was asked to stop. Returns whether it succeeded.
    pub fn ended(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        until("the daemon exits", || child.try_wait().unwrap()).success()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
        fetch(method, &format!("{}{path}", self.url), &headers, body).unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let reply = self.send("GET", path, b"").expect(200);
        serde_json::from_slice(&reply.body).unwrap()
    }

    pub fn metrics(&self) -> String {
        self.send("GET", "/metrics", b"").expect(200).text()
    }

    pub fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, body.to_string().as_bytes())
    }

    pub fn path(&self, server: Uuid, backup: Uuid) -> String {
        format!("/api/servers/{server}/backup/{backup}")
    }

    pub fn ask(&self, server: Uuid, adapter: &str, backup: Uuid) -> Reply {
        let body = json!({ "adapter": adapter, "uuid": backup, "ignore": "" });
        self.post(&format!("/api/servers/{server}/backup"), body)
    }

    pub fn backup(&self, server: Uuid, backup: Uuid) -> Value {
        self.get(&self.path(server, backup))
    }

    /// Waits until the backup satisfies `is`.
    pub fn wait(&self, server: Uuid, backup: Uuid, is: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{backup} is so"), || {
            Some(self.backup(server, backup)).filter(|backup| is(backup))
        })
    }

    pub fn wait_state(&self, server: Uuid, backup: Uuid, state: &str) -> Value {
        self.wait(server, backup, |backup| {
            let is = backup["state"].as_str().unwrap();
            let is_wrong = is == "failed" && state == "complete";
            assert!(!is_wrong, "{backup}\n{}", self.log());
            is == state
        })
    }

    /// Makes a complete backup of the first server with the adapter `wings`.
    pub fn made(&self) -> Uuid {
        let backup = Uuid::new_v4();
        self.ask(self.server(), "wings", backup).expect(202);
        self.wait_state(self.server(), backup, "complete");
        backup
    }

    /// Returns a link for one download.
    pub fn link(&self, backup: Uuid, body: Value) -> String {
        let reply = self.post(&format!("{}/link", self.path(self.server(), backup)), body);
        let link: Value = serde_json::from_slice(&reply.expect(200).body).unwrap();
        format!("{}{}", self.url, link["url"].as_str().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        let log = self.log();
        if thread::panicking() {
            eprintln!("the daemon's log:\n{log}");
            return;
        }
        for secret in [TOKEN, "X-Amz-Signature", "token=e", "panicked"] {
            assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
        }
    }
}

/// The member names that GNU tar lists.
pub fn tar_list(archive: &Path) -> Vec<String> {
    let listed = Command::new("tar").arg("tzf").arg(archive).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let mut names: Vec<_> =
        String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
    names.sort();
    names
}

pub fn sha1sum(path: &Path) -> String {
    let summed = Command::new("sha1sum").arg(path).output().unwrap();
    String::from_utf8(summed.stdout).unwrap()[..40].to_owned()
}

/// Signs a token as the Panel does.
pub fn jwt(key: &str, claims: &Value) -> String {
    let header = BASE64_URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
    let signed = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().chain_update(&signed);
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

pub fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Runs a command. Returns whether it succeeded, and its output.
pub fn output(command: &mut Command) -> (bool, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().success(), text)
}
