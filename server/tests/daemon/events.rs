//! Events on the WebSocket.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tungstenite::Message;
use uuid::Uuid;

use crate::{
    daemon::{Daemon, TOKEN, jwt, noise, now, until},
    listener::Listener,
};

fn slow() -> Daemon {
    let mut daemon = Daemon::idle("", "");
    daemon.configure(TOKEN, "  backup_write_limit: 1500000");
    let big = daemon.dir(daemon.server()).join("big");
    fs::write(big, noise(7, 2 << 20)).unwrap();
    daemon.start();
    daemon
}

#[test]
fn events_follow_a_running_backup() {
    let daemon = slow();
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    let mut listener = Listener::new(&daemon, server);
    let began = Instant::now();
    daemon.ask(server, "wings", backup).expect(202);
    let events = listener.until(&format!("backup completed:{backup}"));
    let seconds = began.elapsed().as_secs_f64();
    assert_eq!(
        events[0],
        json!({ "event": "backup progress", "args": ["Creating backup archive..."] })
    );
    let complete = &events[events.len() - 2];
    assert_eq!(*complete, json!({ "event": "backup complete", "args": [backup] }));
    let progress: Vec<Value> = events[1..events.len() - 2]
        .iter()
        .map(|event| {
            assert_eq!(
                (&event["event"], &event["args"][0]),
                (&json!("backup progress"), &json!("Creating backup archive..."))
            );
            serde_json::from_str(event["args"][1].as_str().unwrap()).unwrap()
        })
        .collect();
    assert!(progress.len() >= 3, "{progress:?}");
    assert!(progress.len() as f64 <= 4.0 * seconds + 2.0, "{} in {seconds} s", progress.len());
    for two in progress.windows(2) {
        assert!(two[0]["bytes"].as_u64() <= two[1]["bytes"].as_u64());
        assert!(two[0]["percent"].as_f64() <= two[1]["percent"].as_f64());
    }
    let last = &progress[progress.len() - 1];
    assert_eq!(last["uuid"], json!(backup));
    assert!(last["rate"].is_u64() && last["expected_bytes"].is_u64(), "{last}");
    // The fields are those of the engine. After the source is read, there is no time left to estimate.
    let read =
        progress.iter().rfind(|now| now["phase"] == "source-read").expect("it writes slowly");
    assert_eq!((&read["type"], &read["percent"]), (&json!("progress"), &json!(100.0)));
    assert_eq!(read.get("time_left_ms"), Some(&Value::Null));
    let over: Value =
        serde_json::from_str(events[events.len() - 1]["args"][0].as_str().unwrap()).unwrap();
    let made = daemon.backup(server, backup);
    assert_eq!(
        over,
        json!({ "uuid": backup, "is_successful": true, "checksum": made["checksum"],
            "checksum_type": "sha1", "file_size": made["size"], "warnings": [] })
    );
}

#[test]
fn a_failed_backup_sends_no_completion_event() {
    let daemon = slow();
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    let mut listener = Listener::new(&daemon, server);
    daemon.ask(server, "wings", backup).expect(202);
    daemon.wait_state(server, backup, "running");
    daemon.send("DELETE", &daemon.path(server, backup), b"").expect(204);
    let events = listener.until(&format!("backup completed:{backup}"));
    assert!(events.iter().all(|event| event["event"] != "backup complete"));
    let over: Value =
        serde_json::from_str(events[events.len() - 1]["args"][0].as_str().unwrap()).unwrap();
    assert_eq!((&over["is_successful"], &over["file_size"]), (&json!(false), &json!(0)));
}

#[test]
fn a_token_limits_the_events_that_a_client_receives() {
    let mut daemon = Daemon::new();
    let other = daemon.add_server();
    let server = daemon.server();
    let claims = |server: Uuid, permissions: &[&str]| {
        json!({ "server_uuid": server, "user_id": 1, "user_uuid": "x", "unique_id": "x", "jti": "x",
            "permissions": permissions, "iat": now(), "nbf": now() - 300, "exp": now() + 600 })
    };
    let refused = |token: &str| {
        let mut listener = Listener::open(&daemon, server, None).unwrap();
        listener.auth(token);
        assert_eq!(listener.next().unwrap()["event"], "jwt error");
        listener
    };
    refused(&jwt("guess", &claims(server, &["*"])));
    refused(&jwt(TOKEN, &claims(other, &["*"])));
    refused(&jwt(TOKEN, &claims(server, &["backup.read"])));
    refused(TOKEN);
    // A rejected client may try again.
    let mut all = refused("x");
    all.auth(&jwt(TOKEN, &claims(server, &["*"])));
    assert_eq!(all.next().unwrap()["event"], "auth success");

    let mut limited = Listener::open(&daemon, server, None).unwrap();
    limited.auth(&jwt(TOKEN, &claims(server, &["websocket.connect"])));
    assert_eq!(limited.next().unwrap()["event"], "auth success");
    let backup = daemon.made();
    let body = json!({ "adapter": "wings" });
    daemon.post(&format!("{}/restore", daemon.path(server, backup)), body).expect(202);
    all.until(&format!("backup completed:{backup}"));
    all.until("backup restore completed");
    let received = limited.until_text("The backup is restored");
    assert!(received.iter().all(|event| event["event"] == "daemon message"), "{received:?}");
}

#[test]
fn a_client_is_warned_before_its_token_expires() {
    let daemon = Daemon::new();
    let token = |seconds: u64| {
        let claims = json!({ "server_uuid": daemon.server(), "permissions": ["*"],
            "iat": now(), "exp": now() + seconds });
        jwt(TOKEN, &claims)
    };
    let mut listener = Listener::open(&daemon, daemon.server(), None).unwrap();
    listener.auth(&token(3));
    for event in ["auth success", "token expiring", "token expired"] {
        assert_eq!(listener.next().unwrap()["event"], event);
    }
    // The client may send a new token, and has missed nothing.
    let backup = daemon.made();
    listener.auth(&token(5));
    assert_eq!(listener.next().unwrap()["event"], "auth success");
    listener.until(&format!("backup completed:{backup}"));
    // Without a new token, the daemon closes the socket.
    listener.until("token expired");
    let began = Instant::now();
    daemon.made();
    assert_eq!(listener.next(), None);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn pages_of_other_origins_are_rejected() {
    let mut daemon =
        Daemon::idle("allowed_origins: ['https://friend.example']", "https://panel.example/");
    daemon.start();
    let server = daemon.server();
    let own = daemon.url.clone();
    for origin in ["https://friend.example", "https://panel.example", &own] {
        Listener::open(&daemon, server, Some(origin)).unwrap();
    }
    for origin in ["https://evil.example", "null", "https://panel.example.evil.example"] {
        let refused = Listener::open(&daemon, server, Some(origin)).err().unwrap();
        assert!(refused.contains("403"), "{refused}");
    }
    assert!(Listener::open(&daemon, Uuid::new_v4(), None).err().unwrap().contains("404"));
    daemon.send("GET", &format!("/api/servers/{server}/ws"), b"").expect(400);
}

#[test]
fn a_client_that_sends_too_much_is_disconnected() {
    let daemon = Daemon::new();
    let mut listener = Listener::open(&daemon, daemon.server(), None).unwrap();
    let _ = listener.socket.send(Message::text("x".repeat(64 << 10)));
    assert_eq!(listener.next(), None);
    let mut listener = Listener::new(&daemon, daemon.server());
    for invalid in
        ["", "{", "[]", r#"{"event":"set state","args":["kill"]}"#, r#"{"event":"auth"}"#]
    {
        listener.say(invalid);
    }
    assert_eq!(listener.next().unwrap()["event"], "jwt error");
}

#[test]
fn a_client_that_does_not_read_delays_no_other() {
    let daemon = Daemon::new();
    let server = daemon.server();
    let _idle: Vec<_> = (0..20).map(|_| Listener::new(&daemon, server)).collect();
    // More events than the daemon buffers for one client.
    let began = Instant::now();
    for _ in 0..120 {
        daemon.made();
    }
    assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
    let mut reading = Listener::new(&daemon, server);
    let backup = daemon.made();
    reading.until(&format!("backup completed:{backup}"));
    drop(reading);
    let metrics = || daemon.metrics();
    until("the reading client is gone", || {
        Some(()).filter(|()| !metrics().contains("wingback_websocket_clients 21"))
    });
}
