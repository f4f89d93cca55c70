//! `POST /api/servers/{server}/backup`, as documented, and related endpoints.

use std::{fs, time::Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::fetch,
    daemon::{Daemon, TOKEN, sha1sum, tar_list, until},
    listener::Listener,
    panel::Panel,
};

fn error_of(reply: &crate::client::Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(body.as_object().unwrap().keys().eq(["error"]), "{body}");
    body["error"].as_str().unwrap().to_owned()
}

#[test]
fn a_backup_follows_the_documentation_and_notifies_the_panel() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    let asked = Instant::now();
    let body = json!({ "adapter": "wings", "uuid": backup, "ignore": "*.dat\n!level.dat\nempty/" });
    let reply = daemon.post(&format!("/api/servers/{server}/backup"), body).expect(202);
    assert!(reply.body.is_empty() && asked.elapsed().as_secs() < 2);
    let made = daemon.wait(server, backup, |backup| backup["panel"] == "delivered");
    assert_eq!(made["state"], "complete");
    let archive = daemon.archive(backup);
    // The patterns of the ignore file are added to those of the request.
    let names = [
        ".pteroignore",
        "server.properties",
        "world/",
        "world/level.dat",
        "world/region/",
        "world/region/r.0.0.mca",
    ];
    assert_eq!(tar_list(&archive), names);
    let results = panel.known(backup).results;
    assert_eq!(results.len(), 1);
    assert_eq!(results[0]["checksum"], sha1sum(&archive));
    assert_eq!(results[0]["size"], fs::metadata(&archive).unwrap().len());
    assert_eq!(made["checksum"], results[0]["checksum"]);
    assert_eq!(daemon.files(), [format!("backup-{backup}.tar.gz")]);
}

#[test]
fn a_megabyte_of_hostile_patterns_takes_little_memory_and_time() {
    let daemon = Daemon::new();
    let server = daemon.server();
    for i in 0..400 {
        fs::write(daemon.dir(server).join(format!("{i:03}{}", "ab".repeat(126))), "").unwrap();
    }
    let ask = |ignore: String| {
        let (backup, asked) = (Uuid::new_v4(), Instant::now());
        let body = json!({ "adapter": "wings", "uuid": backup, "ignore": ignore });
        daemon.post(&format!("/api/servers/{server}/backup"), body).expect(202);
        let ended = |backup: &Value| backup["state"] == "complete" || backup["state"] == "failed";
        let backup = daemon.wait(server, backup, ended);
        assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
        backup
    };
    let lines = |count, line: fn(usize) -> String| (0..count).map(line).collect::<String>();
    let question_marks = |i| format!("*a{}{i}\n", "?".repeat(40));
    let made = ask(lines(21_000, question_marks));
    assert_eq!(made["state"], "complete", "{made}");
    // More than the limits allow.
    let refused = ask(lines(80_000, |i| format!("*a*b*{i}\n")));
    assert_eq!(refused["state"], "failed");
    let text = refused.to_string();
    assert!(text.contains("those with several stars are over 64 KiB in total"), "{text}");
    let peak = daemon.peak_kb();
    assert!(peak < 64 << 10, "{peak} KiB");
}

#[test]
fn each_invalid_request_is_rejected_and_leaves_nothing() {
    let daemon = Daemon::new();
    let (server, there) = (daemon.server(), daemon.made());
    let path = format!("/api/servers/{server}/backup");
    let new = Uuid::new_v4();
    for (body, word) in [
        ("", "body"),
        ("{", "body"),
        ("[]", "body"),
        (r#"{"uuid":"X"}"#, "adapter"),
        (r#"{"adapter":"ftp","uuid":"X"}"#, "adapter"),
        (r#"{"adapter":"s3","uuid":"X"}"#, "s3"),
        (r#"{"adapter":1,"uuid":"X"}"#, "body"),
        (r#"{"adapter":"wings"}"#, "uuid"),
        (r#"{"adapter":"wings","uuid":null}"#, "uuid"),
        (r#"{"adapter":"wings","uuid":"../../x"}"#, "uuid"),
        (r#"{"adapter":"wings","uuid":"{X}"}"#, "uuid"),
        (r#"{"adapter":"wings","uuid":"X","ignore":1}"#, "body"),
    ] {
        let body = body.replace('X', &new.to_string());
        let reply = daemon.send("POST", &path, body.as_bytes()).expect(400);
        assert!(error_of(&reply).contains(word), "{body}: {}", error_of(&reply));
    }
    let simple = json!({ "adapter": "wings", "uuid": new.simple().to_string() });
    daemon.post(&path, simple).expect(400);
    // UUIDs are compared without regard to case.
    let again = json!({ "adapter": "wings", "uuid": there.to_string().to_uppercase() });
    assert!(error_of(&daemon.post(&path, again).expect(409)).contains("UUID"));

    let body = json!({ "adapter": "wings", "uuid": new }).to_string();
    let unknown = Uuid::new_v4();
    let reply = daemon.send("POST", &format!("/api/servers/{unknown}/backup"), body.as_bytes());
    assert!(error_of(&reply.expect(404)).contains("server"));
    for header in ["", "Bearer wrong", "Bearer ", TOKEN, &format!("Basic {TOKEN}")] {
        let headers = [("Authorization", header)];
        let url = format!("{}{path}", daemon.url);
        let reply = fetch("POST", &url, &headers, body.as_bytes()).unwrap().expect(401);
        error_of(&reply);
    }
    assert_eq!(daemon.files(), [format!("backup-{there}.tar.gz")]);
}

#[test]
fn a_request_is_rejected_early_if_its_destination_cannot_work() {
    let mut daemon = Daemon::idle("", "");
    daemon.configure(TOKEN, "  backup_directory: /dev/null/backups");
    daemon.start();
    let reply = daemon.ask(daemon.server(), "wings", Uuid::new_v4()).expect(500);
    assert!(error_of(&reply).contains("/dev/null/backups"), "{}", reply.text());

    let daemon = Daemon::with("  reserve_mib: 99999999999");
    let reply = daemon.ask(daemon.server(), "wings", Uuid::new_v4());
    assert!(error_of(&reply.expect(500)).contains("not enough free space"));
}

#[test]
fn no_path_parameter_escapes_the_configured_directories() {
    let daemon = Daemon::new();
    let (server, backup) = (daemon.server(), daemon.made());
    let secret = daemon.tmp.path().join("volumes/secret");
    fs::create_dir(&secret).unwrap();
    for name in
        ["..", "%2e%2e", "..%2f..", "secret", "%00", ".", "", "%ff", "%2F", "*", "{}", "a b"]
    {
        let name = name.replace(' ', "%20");
        for path in [
            format!("/api/servers/{name}/backups"),
            format!("/api/servers/{name}/backup/{backup}"),
            format!("/api/servers/{server}/backup/{name}/files"),
            format!("/api/servers/{server}/backup/..%2f{name}/file?path=x"),
        ] {
            let status = daemon.send("GET", &path, b"").status;
            assert!(status == 404 || status == 405, "{path}: {status}");
        }
        daemon.send("DELETE", &format!("/api/servers/{server}/backup/{name}"), b"").expect(404);
        let file = format!("{}/file?path=..%2F..%2F{name}", daemon.path(server, backup));
        daemon.send("GET", &file, b"").expect(404);
    }
    // A server has no access to backups of another one.
    let mut daemon = daemon;
    let other = daemon.add_server();
    for (method, rest) in [
        ("GET", ""),
        ("GET", "/files"),
        ("GET", "/file?path=server.properties"),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/verify"),
    ] {
        let path = format!("{}{rest}", daemon.path(other, backup));
        daemon.send(method, &path, b"").expect(404);
    }
    let body = json!({ "adapter": "wings", "truncate_directory": true });
    daemon.post(&format!("{}/restore", daemon.path(other, backup)), body).expect(404);
    daemon.post(&format!("{}/link", daemon.path(other, backup)), json!({})).expect(404);
    assert!(daemon.archive(backup).exists());
}

#[test]
fn a_backup_can_be_cancelled_and_deleted_at_any_time() {
    let panel = Panel::start();
    let mut daemon = Daemon::idle("  slots: 1", &panel.url());
    daemon.configure(TOKEN, "  backup_write_limit: 100000");
    let other = daemon.add_server();
    daemon.start();
    let server = daemon.server();
    let (running, queued, deleted) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    daemon.ask(server, "wings", running).expect(202);
    daemon.wait_state(server, running, "running");
    daemon.ask(other, "wings", queued).expect(202);
    daemon.ask(server, "wings", deleted).expect(202);
    assert_eq!(daemon.backup(other, queued)["position"], 1);
    assert_eq!(daemon.backup(server, deleted)["position"], 2);
    daemon.ask(server, "wings", running).expect(409);
    daemon.ask(other, "wings", queued).expect(409);

    daemon.send("DELETE", &daemon.path(server, deleted), b"").expect(204);
    daemon.send("GET", &daemon.path(server, deleted), b"").expect(404);
    daemon.post(&format!("{}/cancel", daemon.path(other, queued)), json!({})).expect(204);
    assert_eq!(daemon.backup(other, queued)["state"], "failed");
    daemon.wait(server, running, |backup| backup["progress"]["written"].as_u64() > Some(0));
    daemon.post(&format!("{}/cancel", daemon.path(server, running)), json!({})).expect(204);
    let cancelled = daemon.backup(server, running);
    assert_eq!(cancelled["state"], "failed");
    assert!(cancelled["error"].as_str().unwrap().contains("cancel"), "{cancelled}");
    assert_eq!(cancelled["error_kind"], "cancelled");
    daemon.post(&format!("{}/cancel", daemon.path(server, running)), json!({})).expect(409);
    assert!(daemon.files().is_empty(), "{:?}", daemon.files());
    for backup in [running, queued, deleted] {
        let results = until("the Panel is notified", || {
            Some(panel.known(backup).results).filter(|results| !results.is_empty())
        });
        assert_eq!((results.len(), &results[0]["successful"]), (1, &json!(false)));
    }
    // Deleting a failed backup removes its record, and its UUID is free again.
    daemon.send("DELETE", &daemon.path(server, running), b"").expect(204);
    daemon.send("DELETE", &daemon.path(server, running), b"").expect(404);

    let daemon = Daemon::new();
    let made = daemon.made();
    daemon.send("DELETE", &daemon.path(daemon.server(), made), b"").expect(204);
    assert!(daemon.files().is_empty());
    daemon.send("DELETE", &daemon.path(daemon.server(), made), b"").expect(404);
}

#[test]
fn a_backup_of_an_empty_server_has_a_warning_in_its_record_event_and_metric() {
    let daemon = Daemon::new();
    let (server, backup) = (Uuid::new_v4(), Uuid::new_v4());
    fs::create_dir(daemon.dir(server)).unwrap();
    let mut listener = Listener::new(&daemon, server);
    daemon.ask(server, "wings", backup).expect(202);
    let record = daemon.wait_state(server, backup, "complete");
    let warning = json!({ "code": "empty", "message": "the archive is empty" });
    assert_eq!(record["warnings"], json!([warning]));
    let events = listener.until(&format!("backup completed:{backup}"));
    let result = events[events.len() - 1]["args"][0].as_str().unwrap();
    let result: Value = serde_json::from_str(result).unwrap();
    assert_eq!(result["warnings"], json!([warning]));
    let metrics = daemon.metrics();
    assert!(metrics.contains("wingback_backup_warnings_total{code=\"empty\"} 1"), "{metrics}");
}

#[test]
fn the_backup_directory_is_not_made_again_once_it_has_archives() {
    let daemon = Daemon::new();
    daemon.made();
    fs::rename(daemon.backups_dir(), daemon.tmp.path().join("unmounted")).unwrap();
    let reply = daemon.ask(daemon.server(), "wings", Uuid::new_v4()).expect(500);
    assert!(error_of(&reply).contains("is its disk mounted?"), "{}", reply.text());
    assert!(!daemon.backups_dir().exists());
}

#[test]
fn a_locked_backup_is_not_deleted() {
    let daemon = Daemon::new();
    let made = daemon.made();
    let path = daemon.path(daemon.server(), made);
    let set = |word: &str| {
        let reply = daemon.send("POST", &format!("{path}/{word}"), b"").expect(200);
        serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()
    };
    let is_locked = || daemon.get(&format!("{path}/info"))["locked"].clone();
    for changed in [true, false] {
        assert_eq!(set("lock"), json!({ "locked": true, "changed": changed }));
    }
    assert_eq!(is_locked(), true);
    assert!(wingback::Archive::file(daemon.archive(made)).is_locked().wait().unwrap());
    let refused = daemon.send("DELETE", &path, b"").expect(409);
    assert!(String::from_utf8_lossy(&refused.body).contains("locked"));
    assert!(daemon.archive(made).exists());
    assert_eq!(daemon.backup(daemon.server(), made)["state"], "complete");
    assert_eq!(set("unlock"), json!({ "locked": false, "changed": true }));
    assert_eq!(is_locked(), false);
    daemon.send("DELETE", &path, b"").expect(204);
    daemon.send("POST", &format!("{path}/lock"), b"").expect(404);
    assert!(daemon.files().is_empty());
}
