//! A Panel that checks and records every field of each request, and responds by a script. With a fork, it
//! keeps a row for each backup and answers as that fork does.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::Client,
    daemon::{TOKEN, TOKEN_ID},
    http::Head,
};

pub struct Panel {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The next behaviors. If it is empty, the Panel behaves normally.
    script: VecDeque<Act>,
    backups: BTreeMap<Uuid, Known>,
    part_url_requests: usize,
    notifications: usize,
    /// Arrival time of each request.
    requests: Vec<Instant>,
    problems: Vec<String>,
    s3: Option<(Client, String)>,
    part_size: u64,
    fork: Option<Fork>,
}

/// A Panel of 2026.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    Pterodactyl,
    Pelican,
}

/// Data that the Panel has about one backup.
#[derive(Clone, Default)]
pub struct Known {
    /// The server, if the Panel made the backup.
    server: Option<Uuid>,
    is_s3: bool,
    /// The accepted requests, in order: `parts`, `backup` and `restore`.
    pub accepted: Vec<&'static str>,
    /// Accepted results, in order.
    pub results: Vec<Value>,
    pub restores: Vec<bool>,
    upload: Option<String>,
}

#[derive(Clone)]
pub enum Act {
    /// Responds with this text and does nothing. The content type is JSON if the text looks like JSON.
    Say(u16, &'static str),
    /// Responds with these header lines and this body, and does nothing.
    Answer(u16, Vec<String>, String),
    /// Handles the request and closes the connection without a response.
    LoseResponse,
    /// Closes the connection without handling the request.
    HangUp,
    /// Handles the request after this time.
    Delay(Duration),
}

/// Response of the Panel about a backup that it does not have.
pub const MISSING: &str = r#"{"errors":[{"code":"NotFoundHttpException","status":"404","detail":"The requested resource could not be found on the server."}]}"#;

const ALREADY: &str = r#"{"errors":[{"detail":"Cannot update the status of a backup that is already marked as completed."}]}"#;

impl Panel {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State { part_size: 5 << 20, ..State::default() }));
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), shared.clone());
                thread::spawn(move || drop(answer(&stream, &state)));
            }
        });
        Panel { address, state }
    }

    /// Starts a Panel that issues part URLs for this bucket.
    pub fn with_s3(client: &Client, bucket: &str) -> Self {
        let panel = Panel::start();
        panel.state.lock().unwrap().s3 = Some((client.clone(), bucket.to_owned()));
        panel
    }

    /// Lets the Panel answer as a fork does, only about backups that it [made](Panel::add).
    pub fn set_fork(&self, fork: Fork) {
        self.state.lock().unwrap().fork = Some(fork);
    }

    /// Adds the row of a backup. The Panel does so after the daemon has accepted the backup.
    pub fn add(&self, backup: Uuid, server: Uuid, adapter: &str) {
        let row = Known { server: Some(server), is_s3: adapter == "s3", ..Known::default() };
        let old = self.state.lock().unwrap().backups.insert(backup, row);
        assert!(old.is_none());
    }

    /// Removes the row of a backup.
    pub fn remove(&self, backup: Uuid) {
        self.state.lock().unwrap().backups.remove(&backup).unwrap();
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    pub fn act(&self, acts: impl IntoIterator<Item = Act>) {
        self.state.lock().unwrap().script.extend(acts);
    }

    /// Number of script entries that are left. It is 0 after the last one has received a whole request.
    pub fn script_left(&self) -> usize {
        self.state.lock().unwrap().script.len()
    }

    /// Clears the script, so that the Panel behaves normally.
    pub fn clear_script(&self) {
        self.state.lock().unwrap().script.clear();
    }

    pub fn known(&self, backup: Uuid) -> Known {
        self.state.lock().unwrap().backups.get(&backup).cloned().unwrap_or_default()
    }

    /// Number of requests for part URLs.
    pub fn part_url_requests(&self) -> usize {
        self.state.lock().unwrap().part_url_requests
    }

    /// Arrival times of all requests, with any response.
    pub fn requests(&self) -> Vec<Instant> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Number of notifications, with any result.
    pub fn notifications_received(&self) -> usize {
        self.state.lock().unwrap().notifications
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        let problems = std::mem::take(&mut self.state.lock().unwrap().problems);
        assert!(thread::panicking() || problems.is_empty(), "{problems:#?}");
    }
}

fn answer(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut from = BufReader::new(stream);
    let Some(head) = Head::read(&mut from)? else { return Ok(()) };
    let mut body = Vec::new();
    head.request_body().read(&mut from, &mut |bytes, payload| {
        body.extend_from_slice(if payload { bytes } else { b"" });
        Ok(())
    })?;
    let act = {
        let mut state = state.lock().unwrap();
        check_head(&head, &mut state.problems);
        state.requests.push(Instant::now());
        state.script.pop_front()
    };
    if let Some(Act::Delay(time)) = act {
        // Simulates a slow service.
        thread::sleep(time);
    }
    let (status, mut lines, text) = match act {
        Some(Act::HangUp) => return Ok(()),
        Some(Act::Say(status, text)) => (status, Vec::new(), text.to_owned()),
        Some(Act::Answer(status, lines, text)) => (status, lines, text),
        Some(Act::LoseResponse) => {
            react(&head, &body, &mut state.lock().unwrap());
            return Ok(());
        }
        None | Some(Act::Delay(_)) => {
            let (status, text) = react(&head, &body, &mut state.lock().unwrap());
            (status, Vec::new(), text)
        }
    };
    if lines.is_empty() && status != 204 {
        let kind = if text.starts_with(['{', '[']) { "application/json" } else { "text/html" };
        lines.push(format!("Content-Type: {kind}"));
    }
    if status != 204 {
        lines.push(format!("Content-Length: {}", text.len()));
    }
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let reply = format!("HTTP/1.1 {status} x\r\n{lines}\r\n{text}");
    (&*stream).write_all(reply.as_bytes())
}

fn check_head(head: &Head, problems: &mut Vec<String>) {
    for (name, value) in [
        ("authorization", format!("Bearer {TOKEN_ID}.{TOKEN}")),
        ("content-type", "application/json".into()),
        ("accept", "application/vnd.pterodactyl.v1+json".into()),
    ] {
        if head.get(name).as_deref() != Some(&value) {
            problems.push(format!("{name}: {:?}", head.get(name)));
        }
    }
}

impl State {
    /// Returns the row of a backup; `None` if the Panel does not have it.
    fn row(&mut self, backup: Uuid) -> Option<&mut Known> {
        match self.fork {
            None => Some(self.backups.entry(backup).or_default()),
            Some(_) => self.backups.get_mut(&backup),
        }
    }
}

impl Known {
    /// Returns the key of the archive in the bucket.
    fn key(&self, backup: Uuid) -> String {
        let folder = self.server.map(|server| format!("{server}/")).unwrap_or_default();
        format!("{folder}{backup}.tar.gz")
    }
}

/// The Panel's normal behavior.
fn react(head: &Head, body: &[u8], state: &mut State) -> (u16, String) {
    let target = head.word(1).to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let segments: Vec<_> = path.split('/').skip(1).collect();
    let uuid = segments.get(3).and_then(|uuid| Uuid::parse_str(uuid).ok());
    let (kind, answer) = match (head.word(0), &*segments, uuid) {
        ("GET", ["api", "remote", "backups", _], Some(uuid)) => {
            ("parts", parts(uuid, query, state))
        }
        ("POST", ["api", "remote", "backups", _], Some(uuid)) => {
            ("backup", complete(uuid, body, state))
        }
        ("POST", ["api", "remote", "backups", _, "restore"], Some(uuid)) => {
            ("restore", restored(uuid, body, state))
        }
        _ => {
            state.problems.push(format!("{} {target}", head.word(0)));
            ("", (404, String::new()))
        }
    };
    if answer.0 < 300 {
        state.row(uuid.unwrap()).unwrap().accepted.push(kind);
    }
    answer
}

/// Begins an upload for each request.
fn parts(uuid: Uuid, query: &str, state: &mut State) -> (u16, String) {
    state.part_url_requests += 1;
    let size: u64 = query.strip_prefix("size=").unwrap().parse().unwrap();
    assert!(size > 0);
    let (fork, s3, part_size) = (state.fork, state.s3.clone(), state.part_size);
    let Some(row) = state.row(uuid) else { return (404, MISSING.into()) };
    if fork.is_some() && !row.results.is_empty() {
        return error(409, "ConflictHttpException", "This backup is already in a completed state.");
    }
    if fork.is_some() && !row.is_s3 {
        return error(400, "BadRequestHttpException", "The backup adapter is not S3 compatible.");
    }
    let (client, bucket) = s3.unwrap();
    let key = row.key(uuid);
    let id = client.create_upload(&bucket, &key);
    let sign = |n| client.presign_part(&bucket, &key, &id, n as u32, 3600);
    let urls: Vec<_> = (1..=size.div_ceil(part_size)).map(sign).collect();
    row.upload = Some(id);
    let mut answer = json!({ "parts": urls, "part_size": part_size });
    if fork == Some(Fork::Pelican) {
        answer["max_concurrent_uploads"] = json!(10);
    }
    (200, answer.to_string())
}

fn complete(uuid: Uuid, body: &[u8], state: &mut State) -> (u16, String) {
    state.notifications += 1;
    let (fork, s3) = (state.fork, state.s3.clone());
    let result: Value = serde_json::from_slice(body).unwrap();
    let Some(is_s3) = state.row(uuid).map(|row| row.is_s3) else { return (404, MISSING.into()) };
    let has_parts = result["parts"].as_array().is_some_and(|parts| !parts.is_empty());
    let is_wrong = fork.is_some() && has_parts != (is_s3 && result["successful"] == true);
    if let Some(problem) = problem_of(&result).or(is_wrong.then_some("parts for this adapter")) {
        state.problems.push(format!("a backup's end: {problem}: {result}"));
        return (422, String::new());
    }
    let row = state.row(uuid).unwrap();
    if row.results.iter().any(|result| result["successful"] == true) {
        return (400, ALREADY.into());
    }
    if let (Some((client, bucket)), Some(id)) = (&s3, row.upload.take()) {
        let key = row.key(uuid);
        if result["successful"] == true {
            let parts = result["parts"].as_array().unwrap().iter().map(|part| {
                let etag = part["etag"].as_str().unwrap().to_owned();
                (part["part_number"].as_u64().unwrap() as u32, etag)
            });
            client.complete_upload(bucket, &key, &id, &parts.collect::<Vec<_>>());
        } else {
            client.abort_upload(bucket, &key, &id);
        }
    }
    row.results.push(result);
    (204, String::new())
}

fn restored(uuid: Uuid, body: &[u8], state: &mut State) -> (u16, String) {
    state.notifications += 1;
    let body = match serde_json::from_slice::<BTreeMap<String, bool>>(body) {
        Ok(body) if body.keys().eq(["successful"]) => body,
        other => {
            state.problems.push(format!("a restore's end: {other:?}"));
            return (422, String::new());
        }
    };
    let Some(row) = state.row(uuid) else { return (404, MISSING.into()) };
    row.restores.push(body["successful"]);
    (204, String::new())
}

/// An error in the form of both Panels.
pub fn error(status: u16, code: &str, detail: &str) -> (u16, String) {
    let status_text = status.to_string();
    let error = json!({ "code": code, "status": status_text, "detail": detail });
    (status, json!({ "errors": [error] }).to_string())
}

fn problem_of(result: &Value) -> Option<&'static str> {
    let fields = result.as_object()?;
    let names = ["checksum", "checksum_type", "parts", "size", "successful"];
    let Some(successful) = result["successful"].as_bool() else { return Some("successful") };
    let (Some(checksum), Some(size)) = (result["checksum"].as_str(), result["size"].as_u64())
    else {
        return Some("checksum or size");
    };
    let is_sha1 = checksum.len() == 40 && checksum.bytes().all(|b| b.is_ascii_hexdigit());
    let is_part = |(part, number): (&Value, u64)| {
        part["part_number"] == number && part["etag"].as_str().is_some_and(|etag| !etag.is_empty())
    };
    match result["parts"].as_array() {
        None => Some("parts"),
        Some(parts) if !parts.iter().zip(1..).all(is_part) => Some("parts"),
        _ if !fields.keys().eq(names) => Some("fields"),
        _ if result["checksum_type"] != "sha1" => Some("checksum_type"),
        _ if successful != is_sha1 || successful != (size > 0) => Some("checksum or size"),
        _ => None,
    }
}
