//! `wingback worker`, driven by another program.

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use serde_json::{Value, json};

const UUID: &str = "11111111-1111-4111-8111-111111111111";

struct Worker {
    child: Child,
    requests: Option<ChildStdin>,
    events: BufReader<ChildStdout>,
    socket: OwnedFd,
}

impl Worker {
    fn start() -> Self {
        let (socket, its) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let mut command = common::wingback();
        command.arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped());
        let fd = its.as_raw_fd();
        // SAFETY: dup2 is safe to call between fork and exec (signal-safety(7)).
        unsafe {
            command.pre_exec(move || match libc::dup2(fd, 3) {
                3 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let mut child = command.spawn().unwrap();
        let requests = child.stdin.take();
        let events = BufReader::new(child.stdout.take().unwrap());
        let mut worker = Worker { child, requests, events, socket };
        let hello = worker.event();
        assert_eq!(hello["event"], "hello");
        assert_eq!(hello["protocol"], 1);
        assert_eq!(hello["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(hello["encoders"][0], "wingback");
        worker
    }

    fn say(&mut self, line: &str) {
        writeln!(self.requests.as_mut().unwrap(), "{line}").unwrap();
    }

    fn event(&mut self) -> Value {
        let mut line = String::new();
        self.events.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    /// The next event other than progress.
    fn end(&mut self) -> Value {
        loop {
            let event = self.event();
            if event["event"] != "progress" {
                return event;
            }
        }
    }

    fn run(&mut self, id: u64, op: &str, args: Value) -> Value {
        self.say(&json!({ "id": id, "op": op, "args": args }).to_string());
        let end = self.end();
        assert_eq!(end["id"], id, "{end}");
        end
    }

    /// Opens a stream of a job and returns our end of it.
    fn stream(&self, id: u64, number: u64) -> UnixStream {
        let (ours, its) = UnixStream::pair().unwrap();
        let message = [id.to_le_bytes(), number.to_le_bytes()].concat();
        let fds = [its.as_fd()];
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        let parts = [std::io::IoSlice::new(&message)];
        sendmsg(&self.socket, &parts, &mut control, SendFlags::empty()).unwrap();
        ours
    }

    /// Closes the request stream and returns the worker's exit status.
    fn close(mut self) -> i32 {
        drop(self.requests.take());
        self.child.wait().unwrap().code().unwrap()
    }
}

fn source(dir: &Path) -> String {
    let source = dir.join("source");
    fs::create_dir_all(source.join("world")).unwrap();
    fs::write(source.join("world/level.dat"), "level").unwrap();
    source.to_str().unwrap().to_owned()
}

fn text(event: &Value) -> String {
    event["error"]["message"].as_str().unwrap_or_else(|| panic!("{event}")).to_owned()
}

#[test]
fn a_job_ends_with_one_event_and_sends_its_bytes_on_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let store = json!({ "local": { "dir": dir.path().join("backups"), "mkdir": true } });
    let mut worker = Worker::start();
    let to = json!({ "store": [store, { "uuid": UUID }] });
    let args = json!({ "source": { "dir": source(dir.path()) }, "to": to });
    let made = worker.run(1, "backup", args.clone());
    assert_eq!(made["result"]["files"], 1, "{made}");
    let archive = json!({ "file": made["result"]["location"] });

    let mut stream = worker.stream(2, 1);
    let args = json!({ "archive": archive, "path": "world/level.dat", "to": 1 });
    let copied = worker.run(2, "copy", args);
    assert_eq!(copied["result"]["size"], 5, "{copied}");
    let mut content = String::new();
    stream.read_to_string(&mut content).unwrap();
    assert_eq!(content, "level");

    let mut stream = worker.stream(3, 7);
    let listed = worker.run(3, "list", json!({ "archive": archive, "to": 7 }));
    assert_eq!(listed["result"]["members"], 2, "{listed}");
    let mut lines = String::new();
    stream.read_to_string(&mut lines).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");

    let mut stream = worker.stream(4, 1);
    let args =
        json!({ "source": { "dir": source(dir.path()), "exclude": ["level.dat"] }, "to": 1 });
    let preview = worker.run(4, "preview", args);
    let result = &preview["result"];
    assert_eq!((&result["files"], &result["excluded"]), (&json!(0), &json!(1)), "{preview}");
    let mut lines = String::new();
    stream.read_to_string(&mut lines).unwrap();
    let lines = common::json_lines(&lines);
    assert_eq!(lines[1]["path"], "world/level.dat");
    assert_eq!(lines[1]["pattern"]["pattern"], "level.dat");
    assert_eq!(worker.close(), 0);
}

#[test]
fn a_job_labels_an_archive_and_another_reads_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let store = json!({ "local": { "dir": dir.path().join("backups"), "mkdir": true } });
    let tags = json!([{ "key": "plan", "value": "gold" }]);
    let args = json!({
        "source": { "dir": source(dir.path()) }, "to": { "store": [store, { "uuid": UUID }] },
        "label": { "b64": "Y2Fm6Q==" }, "tags": tags,
    });
    let mut worker = Worker::start();
    let made = worker.run(1, "backup", args);
    let archive = json!({ "file": made["result"]["location"] });
    let info = worker.run(2, "info", json!({ "archive": archive }));
    let info = &info["result"];
    assert_eq!((&info["label_b64"], &info["tags"]), (&json!("Y2Fm6Q=="), &tags), "{info}");
    assert_eq!((&info["files"], &info["size"]), (&json!(1), &made["result"]["size"]), "{info}");
    let other = json!({ "file": dir.path().join("source/world/level.dat") });
    let without = worker.run(3, "info", json!({ "archive": other }));
    assert_eq!((&without["event"], &without["result"]), (&json!("done"), &Value::Null));
    assert_eq!(worker.close(), 0);
}

#[test]
fn an_invalid_request_is_reported_and_affects_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path());
    let mut worker = Worker::start();
    worker.say("no JSON");
    let event = worker.end();
    assert_eq!((&event["event"], &event["id"]), (&json!("error"), &Value::Null));
    for (op, args, message) in [
        ("juggle", json!({}), "juggle"),
        ("estimate", json!({}), "dir"),
        ("estimate", json!({ "dir": source, "speed": 1 }), "speed"),
        ("estimate", json!({ "dir": source, "rules": "hg" }), "hg"),
        ("estimate", json!({ "dir": { "b64": "?" } }), "Invalid symbol"),
        ("verify", json!({ "archive": { "file": "/" }, "sha1": "12" }), "SHA-1"),
        ("verify", json!({ "archive": { "stream": 4 } }), "no stream with the number 4"),
        (
            "backup",
            json!({ "source": { "dir": source }, "to": { "stream": 1 }, "read_limit": 3 }),
            "number 3",
        ),
        ("verify", json!({ "archive": { "file": "/" }, "read_limit": 5 }), "number 5"),
        (
            "extract",
            json!({ "archive": { "file": "/" }, "dir": "/nowhere", "write_limit": 6 }),
            "number 6",
        ),
    ] {
        // Its stream is closed although nobody accepted it.
        let mut stream = worker.stream(9, 1);
        let event = worker.run(9, op, args);
        assert!(text(&event).contains(message), "{message}: {event}");
        assert_eq!(event["error"]["kind"], "invalid-input", "{event}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    let estimate = worker.run(10, "estimate", json!({ "dir": source }));
    assert_eq!(estimate["result"]["files"], 1, "{estimate}");
    assert_eq!(worker.close(), 0);
}

#[test]
fn an_unknown_field_of_a_request_is_rejected_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    let args = json!({ "dir": source(dir.path()) });
    for line in [
        json!({ "id": 4, "op": "estimate", "args": args, "timeout": 5 }).to_string(),
        r#"{"id":4,"timeout":1,"op":"cancel"}"#.to_owned(),
        r#"{"id":4,"op":"recover","args":{"dir":"/nowhere"},"timeout":{}}"#.to_owned(),
    ] {
        worker.say(&line);
        let event = worker.end();
        assert!(text(&event).contains("unknown field `timeout`"), "{event}");
        assert_eq!((&event["id"], &event["error"]["kind"]), (&json!(4), &json!("invalid-input")));
    }
    worker.say(r#"{"id":4,"id":5,"op":"cancel"}"#);
    assert!(text(&worker.end()).contains("duplicate field `id`"));
    assert_eq!(worker.close(), 0);
}

#[test]
fn a_request_over_64_mib_is_rejected_and_the_next_one_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    let large =
        format!(r#"{{"id": 7, "op": "estimate", "args": {{"dir": "{}"}}}}"#, "x".repeat(70 << 20));
    worker.say(&large);
    let event = worker.end();
    assert!(text(&event).contains("it is larger than 64 MiB"), "{event}");
    assert_eq!((&event["id"], &event["error"]["kind"]), (&json!(7), &json!("invalid-input")));
    let estimate = worker.run(8, "estimate", json!({ "dir": source(dir.path()) }));
    assert_eq!(estimate["result"]["files"], 1, "{estimate}");
    assert_eq!(worker.close(), 0);
}

#[test]
fn progress_has_the_rate_and_a_backup_is_counted_by_default() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path());
    for name in ["a", "b", "c", "d", "e", "f"] {
        fs::write(dir.path().join("source").join(name), common::noise(1, 10_000)).unwrap();
    }
    let mut worker = Worker::start();
    let limit = json!({ "limit": 1, "bytes_per_second": 60_000 });
    worker.say(&json!({ "id": 0, "op": "limit", "args": limit }).to_string());
    for (id, count, expected) in [(1, Value::Null, json!(60_005)), (2, json!(false), Value::Null)] {
        let to = json!({ "store": [{ "local": { "dir": dir.path().join("to"), "mkdir": true } },
            { "key": format!("{id}.tar.gz") }] });
        let args = json!({ "source": { "dir": source }, "to": to, "read_limit": 1,
            "count_first": count });
        worker.say(&json!({ "id": id, "op": "backup", "args": args }).to_string());
        let mut progress = Vec::new();
        let end = loop {
            match worker.event() {
                event if event["event"] == "progress" => progress.push(event),
                end => break end,
            }
        };
        assert_eq!(end["result"]["key"], format!("{id}.tar.gz"), "{end}");
        let is_midway = |now: &&Value| (1..60_005).contains(&now["bytes"].as_u64().unwrap());
        let now = progress.iter().rfind(is_midway).expect("a second of reading");
        assert!(now["rate"].as_u64() > Some(0) && now["id"] == id, "{now}");
        assert_eq!((&now["expected_bytes"], now["time_left_ms"].is_u64()), (&expected, id == 1));
    }
    assert_eq!(worker.close(), 0);
}

#[test]
fn parts_beyond_the_memory_limit_are_staged() {
    let dir = tempfile::tempdir().unwrap();
    let mut worker = Worker::start();
    worker.say(r#"{"id": 0, "op": "memory-limit", "args": {"bytes": 1000}}"#);
    let urls = json!({ "urls": ["http://127.0.0.1:9/1"], "part_size": 1001, "staging": "/proc" });
    let args = json!({ "source": { "dir": source(dir.path()) }, "to": { "part-urls": urls } });
    let end = worker.run(1, "backup", args);
    assert!(text(&end).contains("temporary file in /proc"), "{end}");
    assert_eq!(worker.close(), 0);
}

#[test]
fn jobs_are_cancelled_cleanly_when_the_requests_end() {
    let dir = tempfile::tempdir().unwrap();
    let (source, backups) = (source(dir.path()), dir.path().join("backups"));
    fs::write(dir.path().join("source/large"), vec![b'x'; 4 << 20]).unwrap();
    let mut worker = Worker::start();
    let limit = json!({ "limit": 1, "bytes_per_second": 1024 });
    worker.say(&json!({ "id": 0, "op": "limit", "args": limit }).to_string());
    let store = json!({ "local": { "dir": backups, "mkdir": true } });
    let to = json!({ "store": [store, { "uuid": UUID }] });
    let args = json!({ "source": { "dir": source }, "to": to, "read_limit": 1 });
    worker.say(&json!({ "id": 1, "op": "backup", "args": args }).to_string());
    // A second request with the same ID.
    worker.say(&json!({ "id": 1, "op": "estimate", "args": { "dir": source } }).to_string());
    let twice = worker.end();
    assert!(text(&twice).contains("the job 1 is running"), "{twice}");
    // The first job goes on, so the error does not carry its ID.
    assert_eq!(twice.get("id"), None, "{twice}");
    common::wait_until("the first file of the backup", || !common::names(&backups).is_empty());
    let begun = Instant::now();
    drop(worker.requests.take());
    let end = worker.end();
    assert_eq!(end["error"]["kind"], "cancelled", "{end}");
    assert_eq!(worker.close(), 0);
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 0);
}

#[test]
fn a_backup_waits_for_the_answer_of_the_client_after_it_has_read_the_source() {
    let dir = tempfile::tempdir().unwrap();
    let backups = dir.path().join("backups");
    fs::create_dir(&backups).unwrap();
    let archive = backups.join(format!("backup-{UUID}.tar.gz"));
    let store = json!({ "local": { "dir": backups } });
    let to = json!({ "store": [store, { "uuid": UUID }] });
    let args = json!({ "source": { "dir": source(dir.path()) }, "to": to, "source_read": true });
    let mut worker = Worker::start();

    let asked = worker.run(1, "backup", args.clone());
    assert_eq!(asked, json!({ "id": 1, "event": "source-read" }));
    assert!(!archive.exists());
    worker.say(r#"{"id":1,"op":"cancel"}"#);
    assert_eq!(worker.end()["error"]["kind"], "cancelled");
    // The answer comes too late, and has no event.
    worker.say(r#"{"id":1,"op":"answer","args":{}}"#);
    assert_eq!(common::names(&backups).len(), 0);

    assert_eq!(worker.run(2, "backup", args)["event"], "source-read");
    let made = worker.run(2, "answer", json!({ "failure": "the server does not answer" }));
    let expected = json!([{ "code": "hook", "message": "the server does not answer" }]);
    assert_eq!(made["result"]["warnings"], expected, "{made}");
    assert!(archive.exists());
    assert_eq!(worker.close(), 0);
}

#[test]
fn an_answer_without_a_question_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("backups")).unwrap();
    let mut worker = Worker::start();
    let limit = json!({ "limit": 1, "bytes_per_second": 1 });
    worker.say(&json!({ "id": 0, "op": "limit", "args": limit }).to_string());
    let store = json!({ "local": { "dir": dir.path().join("backups") } });
    let to = json!({ "store": [store, { "uuid": UUID }] });
    let args = json!({
        "source": { "dir": source(dir.path()) }, "to": to, "source_read": true, "read_limit": 1,
    });
    worker.say(&json!({ "id": 1, "op": "backup", "args": args }).to_string());
    worker.say(r#"{"id":1,"op":"answer","args":{}}"#);
    let wrong = worker.end();
    assert!(text(&wrong).contains("it has not asked"), "{wrong}");
    worker.say(r#"{"id":1,"op":"cancel"}"#);
    assert_eq!(worker.end()["error"]["kind"], "cancelled");
    assert_eq!(worker.close(), 0);
}

#[test]
fn a_worker_without_a_socket_names_the_missing_descriptor() {
    let output = common::wingback().arg("worker").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("descriptor 3 is not a socket"), "{message}");
}

#[test]
fn a_backup_has_only_the_selected_paths() {
    let dir = tempfile::tempdir().unwrap();
    let source = source(dir.path());
    fs::write(dir.path().join("source/other"), "x").unwrap();
    let mut worker = Worker::start();
    for (id, select, files) in [
        (1, Value::Null, 2),
        (2, json!(["world"]), 1),
        (3, json!([{ "b64": "b3RoZXI=" }]), 1),
        (4, json!([]), 0),
    ] {
        let estimate =
            worker.run(id, "estimate", json!({ "dir": source, "select": select.clone() }));
        assert_eq!(estimate["result"]["files"], files, "{estimate}");
    }
    let mut stream = worker.stream(5, 1);
    let args = json!({ "dir": source, "select": ["world/level.dat", "none"] });
    let made = worker.run(5, "backup", json!({ "source": args, "to": { "stream": 1 } }));
    let result = &made["result"];
    assert_eq!((&result["files"], &result["partial"]), (&json!(1), &json!(true)), "{made}");
    assert_eq!(result["skipped"][0]["reason"], "missing", "{made}");
    assert!(stream.read_to_end(&mut Vec::new()).unwrap() > 0);
    let wrong = worker.run(6, "estimate", json!({ "dir": source, "select": ["../x"] }));
    assert_eq!(wrong["error"]["kind"], "invalid-input", "{wrong}");
    assert_eq!(worker.close(), 0);
}

#[test]
fn a_plan_has_the_lines_of_the_command_and_an_archive_with_a_lock_is_not_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = json!({ "local": { "dir": dir.path().join("backups"), "mkdir": true } });
    let mut worker = Worker::start();
    for key in ["1", "2", "3"] {
        let to = json!({ "store": [store, { "key": key }] });
        let args = json!({ "source": { "dir": source(dir.path()) }, "to": to, "label": "lobby" });
        worker.run(1, "backup", args);
    }
    let plan = |worker: &mut Worker| {
        let mut stream = worker.stream(2, 1);
        let args = json!({ "store": store, "last": 1, "label": "lobby", "group_by": "label",
            "keep_tags": [{ "key": "a", "value": "b" }], "to": 1 });
        let planned = worker.run(2, "plan", args);
        assert_eq!(planned["result"], json!({ "groups": 1 }), "{planned}");
        let mut lines = String::new();
        stream.read_to_string(&mut lines).unwrap();
        common::json_lines(&lines)
    };
    let lines = plan(&mut worker);
    let mut command = common::wingback();
    command.args(["prune", "--keep-last", "1", "--group-by", "label", "--json"]);
    let printed = command.arg(dir.path().join("backups")).output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let printed = common::json_lines(&printed).into_iter().map(|mut line| {
        line.as_object_mut().unwrap().remove("removed");
        line
    });
    assert_eq!(lines, printed.collect::<Vec<_>>());
    let verdicts = |lines: &[Value]| {
        let verdicts = lines[1..].iter().map(|line| format!("{} {}", line["key"], line["verdict"]));
        verdicts.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(verdicts(&lines), r#""3" "keep", "2" "remove", "1" "remove""#);

    let archive = |key: &str| json!({ "archive": { "store": [store, { "key": key }] } });
    worker.run(3, "lock", archive("1"));
    for (id, key, removed) in [(4, "1", false), (5, "2", true), (6, "2", true)] {
        let done = worker.run(id, "remove", archive(key));
        assert_eq!(done["result"], json!({ "removed": removed }), "{key}: {done}");
    }
    assert_eq!(verdicts(&plan(&mut worker)), r#""3" "keep", "1" "keep""#);
    let wrong = worker.run(7, "plan", json!({ "store": store, "group_by": "host", "to": 1 }));
    assert!(text(&wrong).contains("host"), "{wrong}");
    assert_eq!(worker.close(), 0);
}
