//! Many clients at once, and misbehaving ones.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use uuid::Uuid;

use crate::{
    daemon::{Daemon, TOKEN, until},
    panel::Panel,
};

fn connect(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(daemon.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Reads until the daemon closes the connection.
fn rest(mut stream: &TcpStream) -> String {
    let mut text = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => text.extend_from_slice(&bytes[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("the connection stays open")
            }
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn two_hundred_concurrent_requests_are_answered_and_queued_in_order() {
    let panel = Panel::start();
    let mut daemon = Daemon::idle("  slots: 3", &panel.url());
    for _ in 0..19 {
        daemon.add_server();
    }
    daemon.start();
    let wanted: Vec<_> = (0..200).map(|n| (daemon.servers[n % 20], Uuid::new_v4())).collect();
    let began = Instant::now();
    thread::scope(|scope| {
        for &(server, backup) in &wanted {
            let daemon = &daemon;
            scope.spawn(move || daemon.ask(server, "wings", backup).expect(202));
        }
    });
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let mut most = 0;
    until("all are complete", || {
        let metrics = daemon.metrics();
        let running = metrics.lines().find_map(|l| l.strip_prefix("wingback_jobs_running "));
        most = most.max(running.unwrap().parse().unwrap());
        Some(()).filter(|()| metrics.contains("wingback_backups_total{outcome=\"success\"} 200"))
    });
    assert!((1..=3).contains(&most), "{most}");
    for &(server, backup) in &wanted {
        daemon.wait(server, backup, |backup| backup["panel"] == "delivered");
        assert_eq!(panel.known(backup).results.len(), 1);
    }
    assert_eq!(daemon.files().len(), 200);
}

#[test]
fn queued_backups_are_listed_in_order() {
    let mut daemon = Daemon::idle("  slots: 2", "");
    daemon.configure(TOKEN, "  backup_write_limit: 100000");
    let servers: Vec<_> = (0..20).map(|_| daemon.add_server()).collect();
    daemon.start();
    let backups: Vec<_> = servers.iter().map(|_| Uuid::new_v4()).collect();
    for (server, backup) in servers.iter().zip(&backups) {
        daemon.ask(*server, "wings", *backup).expect(202);
    }
    let look = |n: usize| daemon.backup(servers[n], backups[n]);
    daemon.wait_state(servers[1], backups[1], "running");
    for n in 2..20 {
        let waits = look(n);
        assert_eq!((&waits["state"], &waits["position"]), (&json!("queued"), &json!(n - 1)));
    }
    // After one is deleted, the others move up.
    daemon.send("DELETE", &daemon.path(servers[5], backups[5]), b"").expect(204);
    assert_eq!(look(6)["position"], 4);
    daemon.send("DELETE", &daemon.path(servers[0], backups[0]), b"").expect(204);
    daemon.wait_state(servers[2], backups[2], "running");
    assert_eq!(look(3)["position"], 1);
}

#[test]
fn a_full_queue_rejects_requests() {
    let mut daemon = Daemon::idle("  slots: 1\n  max_queued: 2", "");
    daemon.configure(TOKEN, "  backup_write_limit: 100000");
    daemon.start();
    let backups: Vec<_> = (0..4).map(|_| Uuid::new_v4()).collect();
    daemon.ask(daemon.server(), "wings", backups[0]).expect(202);
    daemon.wait_state(daemon.server(), backups[0], "running");
    daemon.ask(daemon.server(), "wings", backups[1]).expect(202);
    daemon.ask(daemon.server(), "wings", backups[2]).expect(202);
    daemon.ask(daemon.server(), "wings", backups[3]).expect(503);
}

#[test]
fn a_huge_body_is_rejected_before_it_is_read() {
    let daemon = Daemon::new();
    let head = format!(
        "POST /api/servers/{}/backup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n",
        daemon.server()
    );
    let stream = connect(&daemon);
    (&stream).write_all(format!("{head}Content-Length: 1000000000\r\n\r\n").as_bytes()).unwrap();
    assert!(rest(&stream).starts_with("HTTP/1.1 413 "));
    // A body without a declared length.
    let stream = connect(&daemon);
    (&stream).write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let mut sent = 0;
    while (&stream).write_all(&chunk).is_ok() {
        sent += chunk.len();
        assert!(sent < 64 << 20, "the daemon does not stop reading");
    }
    // Without a token no body is read.
    let stream = connect(&daemon);
    let head =
        "POST /api/servers/x/backup HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
    (&stream).write_all(head.as_bytes()).unwrap();
    let mut first = [0; 12];
    (&stream).read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 401");
}

#[test]
fn slow_and_half_open_clients_are_disconnected() {
    let daemon = Daemon::with("  request_timeout: 1\n  max_connections: 8");
    let server = daemon.server();
    // Nothing, a partial head, and a head without its body.
    let heads = [
        String::new(),
        "GET / HTTP/1.1\r\nHos".into(),
        format!(
            "POST /api/servers/{server}/backup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \
             {TOKEN}\r\nContent-Length: 100\r\n\r\n{{"
        ),
    ];
    let began = Instant::now();
    let streams: Vec<_> = (0..24)
        .map(|n| {
            let stream = connect(&daemon);
            (&stream).write_all(heads[n % 3].as_bytes()).unwrap();
            stream
        })
        .collect();
    daemon.made();
    assert!(began.elapsed() < Duration::from_secs(20));
    let replies: Vec<_> = streams.iter().map(rest).collect();
    assert!(replies.iter().any(|text| text.starts_with("HTTP/1.1 408 ")), "{replies:?}");
    drop(streams);
    daemon.made();
}

#[test]
fn endless_request_heads_are_rejected() {
    let daemon = Daemon::new();
    for line in ["X-Filler: y\r\n".to_owned(), format!("X-Long: {}\r\n", "y".repeat(8 << 10))] {
        let stream = connect(&daemon);
        (&stream).write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n").unwrap();
        let mut sent = 0;
        // More than the buffers of a connection can hold.
        while sent < 64 << 20 && (&stream).write_all(line.as_bytes()).is_ok() {
            sent += line.len();
        }
        assert!(sent < 64 << 20, "the daemon does not stop reading");
    }
    let stream = connect(&daemon);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1 << 20));
    let _ = (&stream).write_all(long.as_bytes());
    let reply = rest(&stream);
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4"), "{reply}");
    for invalid in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\x16\x03\x01\x02"]
    {
        let stream = connect(&daemon);
        (&stream).write_all(invalid.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        rest(&stream);
    }
    daemon.made();
}
