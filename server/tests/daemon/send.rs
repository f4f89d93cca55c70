//! A daemon sends the archives of a server to another daemon.

use std::{
    fs,
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::fetch,
    daemon::{Daemon, TOKEN, noise, sha1sum, until},
    listener::Listener,
    relay::Relay,
};

/// A node with a server, which has a file of `len` bytes that cannot be compressed.
fn source(len: usize) -> Daemon {
    let daemon = Daemon::with("  profile: wings");
    fs::write(daemon.dir(daemon.server()).join("big"), noise(3, len)).unwrap();
    daemon
}

/// A node without this server.
fn destination() -> Daemon {
    let mut daemon = Daemon::idle("", "");
    fs::remove_dir_all(daemon.dir(daemon.server())).unwrap();
    daemon.servers.clear();
    daemon.start();
    daemon
}

fn ask(from: &Daemon, url: &str, backups: Option<&[Uuid]>) -> crate::client::Reply {
    let mut body = json!({ "url": url, "token": TOKEN });
    if let Some(backups) = backups {
        body["backups"] = json!(backups);
    }
    from.post(&format!("/api/servers/{}/backups/send", from.server()), body)
}

/// Sends all archives, and returns what the record of one says about it in the end.
fn sent(from: &Daemon, url: &str, backup: Uuid) -> Value {
    let mut listener = Listener::new(from, from.server());
    until("the sending before has ended", || {
        let reply = ask(from, url, None);
        (reply.status != 409).then(|| reply.expect(202))
    });
    listener.until(&format!("backup sent:{backup}"));
    from.backup(from.server(), backup)["sent"].clone()
}

/// The bytes of an unfinished archive.
fn partial(daemon: &Daemon, backup: Uuid) -> u64 {
    let path = daemon.backups_dir().join(format!(".backup-{backup}.tar.gz.wingback-received"));
    fs::metadata(path).map_or(0, |meta| meta.len())
}

#[test]
fn the_archives_of_a_server_are_complete_backups_at_the_other_node() {
    let source = source(100_000);
    let mut destination = Daemon::idle("  compatibility: pelican", "");
    destination.start();
    let server = source.server();
    let backups = [source.made(), source.made()];
    fs::create_dir(destination.dir(server)).unwrap();
    let mut listeners = [Listener::new(&source, server), Listener::new(&destination, server)];
    let reply = ask(&source, &destination.url, None).expect(202);
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), json!({ "backups": 2 }));
    for backup in backups {
        let there = source.wait(server, backup, |backup| backup["sent"]["successful"] == true);
        assert_eq!(there["sent"]["to"], destination.url);
        assert!(source.archive(backup).exists());
        let here = destination.backup(server, backup);
        for key in ["state", "size", "checksum", "created_at", "files", "skipped", "partial"] {
            assert_eq!(here[key], there[key], "{key}");
        }
        let archive = destination.backups_dir().join(format!("{server}/{backup}.tar.gz"));
        assert_eq!(sha1sum(&archive), here["checksum"]);
        let files = destination.get(&format!("{}/files", destination.path(server, backup)));
        assert!(files["total"].as_u64() > Some(5), "{files}");
    }
    // The newest is sent first.
    for (listener, word) in listeners.iter_mut().zip(["sent", "received"]) {
        let events = listener.until(&format!("backup {word}:{}", backups[0]));
        let first = format!("backup {word}:{}", backups[1]);
        assert!(events.iter().any(|event| event["event"] == first), "{events:?}");
    }
    for (daemon, word) in [(&source, "sent"), (&destination, "received")] {
        let line = format!("wingback_archives_{word}_total{{outcome=\"success\"}} 2");
        assert!(daemon.metrics().contains(&line), "{}", daemon.metrics());
    }
    let body = json!({ "adapter": "wings", "truncate_directory": true });
    let path = destination.path(server, backups[0]);
    destination.post(&format!("{path}/restore"), body).expect(202);
    destination.wait(server, backups[0], |backup| backup["restored"]["successful"] == true);
    let big = |daemon: &Daemon| fs::read(daemon.dir(server).join("big")).unwrap();
    assert!(big(&source) == big(&destination));
    destination.send("DELETE", &path, b"").expect(204);
    destination.send("GET", &path, b"").expect(404);
}

#[test]
fn after_a_cut_connection_no_byte_is_sent_again() {
    let (source, destination) = (source(3 << 20), destination());
    let backup = source.made();
    let relay = Relay::to(&destination);
    relay.cut_after([1_000_000, 700_001, 0]);
    assert_eq!(sent(&source, &relay.url, backup)["successful"], true);
    let size = source.backup(source.server(), backup)["size"].as_u64().unwrap();
    let last = size - 1;
    let ranges = [0, 1_000_000, 1_700_001, 1_700_001].map(|at| format!("bytes {at}-{last}/{size}"));
    assert_eq!(relay.ranges(), ranges);
    assert_eq!(relay.forwarded(), size);
    assert_eq!(sha1sum(&destination.archive(backup)), sha1sum(&source.archive(backup)));
    // The other node has it.
    assert_eq!(sent(&source, &relay.url, backup)["successful"], true);
    assert_eq!(relay.ranges().len(), 4);
}

#[test]
fn a_killed_receiver_goes_on_where_its_bytes_end() {
    let (source, mut destination) = (source(24 << 20), destination());
    let (server, backup) = (source.server(), source.made());
    source.configure(TOKEN, "  backup_write_limit: 8000000");
    source.signal("HUP");
    let relay = Relay::to(&destination);
    ask(&source, &relay.url, None).expect(202);
    until("some bytes have arrived", || {
        Some(()).filter(|()| partial(&destination, backup) > 4 << 20)
    });
    ask(&source, &relay.url, None).expect(409);
    assert_eq!(source.backup(server, backup)["sending"], true);
    destination.kill();
    let kept = partial(&destination, backup);
    assert!(kept > 4 << 20 && destination.files().iter().all(|name| name.starts_with('.')));
    destination.start();
    relay.lead_to(&destination);
    source.wait(server, backup, |backup| backup["sent"]["successful"] == true);
    let ranges = relay.ranges();
    assert!(ranges[ranges.len() - 1].starts_with(&format!("bytes {kept}-")), "{kept}: {ranges:?}");
    assert_eq!(sha1sum(&destination.archive(backup)), sha1sum(&source.archive(backup)));
    assert_eq!(destination.files(), [format!("backup-{backup}.tar.gz")]);
}

#[test]
fn a_repeated_request_goes_on_after_the_sender_was_killed() {
    let (mut source, destination) = (source(24 << 20), destination());
    let (server, backup) = (source.server(), source.made());
    source.configure(TOKEN, "  backup_write_limit: 8000000");
    source.signal("HUP");
    let relay = Relay::to(&destination);
    ask(&source, &relay.url, Some(&[backup])).expect(202);
    until("some bytes have arrived", || {
        Some(()).filter(|()| partial(&destination, backup) > 4 << 20)
    });
    source.kill();
    source.configure(TOKEN, "");
    source.start();
    assert_eq!(source.backup(server, backup)["sent"], Value::Null);
    assert_eq!(sent(&source, &relay.url, backup)["successful"], true);
    let ranges = relay.ranges();
    assert!(!ranges[ranges.len() - 1].starts_with("bytes 0-"), "{ranges:?}");
    assert_eq!(sha1sum(&destination.archive(backup)), sha1sum(&source.archive(backup)));
}

#[test]
fn a_damaged_archive_is_sent_and_not_accepted() {
    let (source, destination) = (source(100_000), destination());
    let backup = source.made();
    let file = fs::OpenOptions::new().write(true).open(source.archive(backup)).unwrap();
    file.write_at(b"damage", 2000).unwrap();
    let failed = sent(&source, &destination.url, backup);
    assert_eq!((&failed["successful"], &failed["error_kind"]), (&json!(false), &json!("mismatch")));
    assert!(failed["error"].as_str().unwrap().contains("instead of"), "{failed}");
    assert!(destination.files().is_empty(), "{:?}", destination.files());
    let metric = "wingback_archives_received_total{outcome=\"failure\"}";
    assert!(destination.metrics().contains(metric));
    file.set_len(2000).unwrap();
    let failed = sent(&source, &destination.url, backup);
    assert_eq!(failed["error_kind"], "corrupt", "{failed}");
}

#[test]
fn bytes_of_another_archive_at_the_other_node_do_not_stop_the_sending() {
    let (source, destination) = (source(100_000), destination());
    let backup = source.made();
    let size = source.backup(source.server(), backup)["size"].as_u64().unwrap();
    fs::create_dir_all(destination.backups_dir()).unwrap();
    let path = destination.backups_dir().join(format!(".backup-{backup}.tar.gz.wingback-received"));
    for len in [1000, size, size + 1] {
        fs::write(&path, vec![b'x'; len as usize]).unwrap();
        assert_eq!(sent(&source, &destination.url, backup)["successful"], true);
        assert_eq!(destination.files(), [format!("backup-{backup}.tar.gz")]);
        destination.send("DELETE", &destination.path(source.server(), backup), b"").expect(204);
    }
}

#[test]
fn an_archive_without_a_record_is_taken_over_if_it_is_the_same() {
    let (source, destination) = (source(100_000), destination());
    let (server, backup) = (source.server(), source.made());
    let relay = Relay::to(&destination);
    fs::create_dir_all(destination.backups_dir()).unwrap();
    let there = destination.archive(backup);
    fs::copy(source.archive(backup), &there).unwrap();
    destination.send("GET", &destination.path(server, backup), b"").expect(404);
    assert_eq!(sent(&source, &relay.url, backup)["successful"], true);
    assert_eq!(relay.forwarded(), 0);
    assert_eq!(destination.backup(server, backup)["checksum"], sha1sum(&there));
    destination.send("DELETE", &destination.path(server, backup), b"").expect(204);
    let size = fs::metadata(source.archive(backup)).unwrap().len();
    for len in [10, size, size + 1] {
        fs::write(&there, vec![b'x'; len as usize]).unwrap();
        let failed = sent(&source, &relay.url, backup);
        assert_eq!(failed["error_kind"], "already-exists", "{failed}");
        assert!(fs::read(&there).unwrap().iter().all(|&byte| byte == b'x'));
    }
}

#[test]
fn what_cannot_be_sent_is_an_error_at_once() {
    let source = source(100_000);
    let (server, backup) = (source.server(), source.made());
    let path = format!("/api/servers/{server}/backups/send");
    let good = json!({ "url": source.url, "token": TOKEN, "backups": [backup] });
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    for (status, body) in [
        (400, json!({ "url": source.url })),
        (400, json!({ "token": TOKEN })),
        (400, with("url", json!("ftp://127.0.0.1"))),
        (400, with("url", json!("127.0.0.1:8080"))),
        (400, with("token", json!(""))),
        (400, with("token", json!("two words\r\nX: y"))),
        (400, with("backups", json!(["../x"]))),
        (404, with("backups", json!([backup, Uuid::new_v4()]))),
    ] {
        let reply = source.post(&path, body.clone());
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
    }
    fetch("POST", &format!("{}{path}", source.url), &[], good.to_string().as_bytes())
        .unwrap()
        .expect(401);
    source
        .post(
            &format!("/api/servers/{}/backups/send", Uuid::new_v4()),
            json!({ "url": source.url, "token": TOKEN }),
        )
        .expect(404);
    source.post(&format!("{path}/cancel"), json!({})).expect(409);
    // The other node says no.
    let destination = destination();
    let other = json!({ "url": destination.url, "token": "not-its-token" });
    source.post(&path, other).expect(202);
    let failed = source.wait(server, backup, |backup| backup["sent"].is_object());
    assert_eq!(failed["sent"]["error_kind"], "permission-denied", "{failed}");
    assert!(!source.log().contains("not-its-token"));
}

#[test]
fn the_sending_can_be_cancelled_and_gives_way_to_a_restore() {
    let source = source(100_000);
    let (server, first, second) = (source.server(), source.made(), source.made());
    // Nobody listens there.
    let url = "http://127.0.0.1:9";
    ask(&source, url, None).expect(202);
    source.wait(server, second, |backup| backup["sending"] == true);
    source.post(&format!("/api/servers/{server}/backups/send/cancel"), json!({})).expect(204);
    let cancelled = source.backup(server, second);
    assert_eq!(cancelled["sent"]["error_kind"], "cancelled", "{cancelled}");
    assert_eq!(
        (&cancelled["sending"], &source.backup(server, first)["sent"]),
        (&json!(false), &Value::Null)
    );

    ask(&source, url, Some(&[first])).expect(202);
    source.wait(server, first, |backup| backup["sending"] == true);
    source.post(&format!("{}/verify", source.path(server, first)), json!({})).expect(409);
    let body = json!({ "adapter": "wings", "truncate_directory": false });
    source.post(&format!("{}/restore", source.path(server, first)), body).expect(202);
    let restored = source.wait(server, first, |backup| backup["restored"]["successful"] == true);
    assert_eq!(restored["sent"]["error_kind"], "cancelled", "{restored}");
}

#[test]
fn a_large_archive_is_sent_with_little_memory() {
    let (mut source, destination) = (source(150 << 20), destination());
    let backup = source.made();
    // The backup itself has taken memory.
    source.kill();
    source.start();
    let relay = Relay::to(&destination);
    assert_eq!(sent(&source, &relay.url, backup)["successful"], true);
    let size = source.backup(source.server(), backup)["size"].as_u64().unwrap();
    let starts: Vec<_> = (0..size).step_by(64 << 20).map(|at| format!("bytes {at}-")).collect();
    let ranges = relay.ranges();
    assert!(
        ranges.iter().zip(&starts).all(|(range, start)| range.starts_with(start)),
        "{ranges:?}"
    );
    assert_eq!(ranges.len(), starts.len());
    for daemon in [&source, &destination] {
        let peak = daemon.peak_kb();
        assert!(peak < 40 << 10, "{peak} KiB");
    }
}

#[test]
fn the_limit_of_backups_also_limits_the_sending() {
    let (source, destination) = (source(3 << 20), destination());
    let backup = source.made();
    source.configure(TOKEN, "  backup_write_limit: 2000000");
    source.signal("HUP");
    until("the limit is there", || Some(()).filter(|()| source.log().contains("reloaded")));
    let began = Instant::now();
    assert_eq!(sent(&source, &destination.url, backup)["successful"], true);
    assert!(began.elapsed() > Duration::from_millis(1300), "{:?}", began.elapsed());
}
