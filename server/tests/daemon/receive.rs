//! `HEAD` and `PUT …/archive`: pieces of an archive, sent by hand.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    net::TcpStream,
    time::{Duration, SystemTime},
};

use uuid::Uuid;

use crate::{
    client::{Reply, fetch},
    daemon::{Daemon, TOKEN, noise, sha1sum, until},
};

/// An archive that arrives at a daemon.
struct Arriving {
    daemon: Daemon,
    bytes: Vec<u8>,
    sha1: String,
    backup: Uuid,
}

impl Arriving {
    fn new(len: usize) -> Self {
        let daemon = Daemon::new();
        let bytes = noise(5, len);
        let file = daemon.tmp.path().join("sent");
        fs::write(&file, &bytes).unwrap();
        let sha1 = sha1sum(&file);
        Arriving { daemon, bytes, sha1, backup: Uuid::new_v4() }
    }

    fn path(&self) -> String {
        format!("{}/archive", self.daemon.path(self.daemon.server(), self.backup))
    }

    fn send(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [&[("Authorization", &*bearer)], headers].concat();
        fetch(method, &format!("{}{}", self.daemon.url, self.path()), &headers, body).unwrap()
    }

    /// Sends the bytes of a range, with a given `Content-Range`.
    fn put(&self, range: &str, body: &[u8]) -> Reply {
        self.send("PUT", &[("Content-Range", range), ("X-Checksum-Sha1", &self.sha1)], body)
    }

    /// The state as `HEAD` answers it.
    fn state(&self) -> (u64, bool) {
        state(&self.send("HEAD", &[], b"").expect(200).headers)
    }

    fn partial(&self) -> std::path::PathBuf {
        let name = format!(".backup-{}.tar.gz.wingback-received", self.backup);
        self.daemon.backups_dir().join(name)
    }
}

fn state(headers: &BTreeMap<String, String>) -> (u64, bool) {
    (headers["upload-offset"].parse().unwrap(), headers["upload-complete"] == "?1")
}

#[test]
fn an_archive_arrives_in_pieces_and_is_then_a_backup() {
    let arriving = Arriving::new(1_000_000);
    let (daemon, bytes) = (&arriving.daemon, &arriving.bytes);
    assert_eq!(arriving.state(), (0, false));
    assert!(daemon.files().is_empty());
    let reply = arriving.put("bytes 0-99999/1000000", &bytes[..100_000]).expect(204);
    assert_eq!(state(&reply.headers), (100_000, false));
    assert_eq!(arriving.state(), (100_000, false));
    daemon.send("GET", &daemon.path(daemon.server(), arriving.backup), b"").expect(404);
    // Each piece begins where the last one has ended.
    for (range, body) in [
        ("bytes 0-9/1000000", &bytes[..10]),
        ("bytes 100001-999999/1000000", &bytes[100_001..]),
        ("bytes */1000000", b""),
    ] {
        let reply = arriving.put(range, body).expect(409);
        assert_eq!(reply.headers["upload-offset"], "100000");
        assert!(reply.text().contains("100000"), "{}", reply.text());
    }
    let reply = arriving.put("bytes 100000-999999/1000000", &bytes[100_000..]).expect(204);
    assert_eq!(state(&reply.headers), (1_000_000, true));
    assert_eq!(arriving.state(), (1_000_000, true));
    let head = arriving.send("HEAD", &[], b"").expect(200);
    assert_eq!(head.headers["x-checksum-sha1"], arriving.sha1);
    assert!(fs::read(daemon.archive(arriving.backup)).unwrap() == *bytes);
    let backup = daemon.backup(daemon.server(), arriving.backup);
    assert_eq!((&backup["state"], &backup["panel"]), (&"complete".into(), &"none".into()));
    assert_eq!(backup["checksum"], *arriving.sha1);
    let reply = fetch("GET", &daemon.link(arriving.backup, serde_json::json!({})), &[], b"");
    assert!(reply.unwrap().expect(200).body == *bytes);
    // It is never overwritten.
    arriving.put("bytes 0-999999/1000000", &bytes[..]).expect(409);
    arriving.put("bytes */1000000", b"").expect(409);
    daemon.ask(daemon.server(), "wings", arriving.backup).expect(409);
    daemon.send("DELETE", &daemon.path(daemon.server(), arriving.backup), b"").expect(204);
    assert_eq!(arriving.state(), (0, false));
}

#[test]
fn an_archive_with_another_checksum_leaves_nothing() {
    let mut arriving = Arriving::new(1000);
    arriving.sha1 = "0".repeat(40);
    let bytes = arriving.bytes.clone();
    let reply = arriving.put("bytes 0-999/1000", &bytes).expect(422);
    assert!(reply.text().contains(&arriving.sha1), "{}", reply.text());
    assert!(arriving.daemon.files().is_empty());
    assert_eq!(arriving.state(), (0, false));
    let path = arriving.daemon.path(arriving.daemon.server(), arriving.backup);
    arriving.daemon.send("GET", &path, b"").expect(404);
}

#[test]
fn each_wrong_piece_is_refused() {
    let arriving = Arriving::new(1000);
    let bytes = &arriving.bytes[..];
    for range in [
        "",
        "bytes",
        "1-2/3",
        "bytes 0-1000/1000",
        "bytes 0-999/*",
        "bytes 5-4/1000",
        "bytes */0",
        "bytes -1-9/1000",
        "bytes 0-99999999999999999999/99999999999999999999",
        "pages 0-999/1000",
    ] {
        let reply = arriving.put(range, bytes).expect(400);
        assert!(reply.text().contains("Content-Range"), "{range}: {}", reply.text());
    }
    arriving.send("PUT", &[("X-Checksum-Sha1", &arriving.sha1)], bytes).expect(400);
    arriving.send("PUT", &[("Content-Range", "bytes 0-999/1000")], bytes).expect(400);
    let short = [("Content-Range", "bytes 0-999/1000"), ("X-Checksum-Sha1", "abc")];
    arriving.send("PUT", &short, bytes).expect(400);
    // The body and the range have different lengths.
    arriving.put("bytes 0-998/1000", bytes).expect(400);
    arriving.put("bytes 0-999/1000", &bytes[1..]).expect(400);
    let full = arriving.put("bytes 0-999/1000000000000000000", bytes).expect(507);
    assert!(full.text().contains("free"), "{}", full.text());
    arriving.send("GET", &[], b"").expect(405);
    arriving.send("POST", &[], b"").expect(405);

    let url = format!("{}{}", arriving.daemon.url, arriving.path());
    let good = [("Content-Range", "bytes 0-999/1000"), ("X-Checksum-Sha1", &*arriving.sha1)];
    for token in ["", "Bearer wrong"] {
        let headers = [&[("Authorization", token)], &good[..]].concat();
        fetch("PUT", &url, &headers, bytes).unwrap().expect(401);
        fetch("HEAD", &url, &headers[..1], b"").unwrap().expect(401);
    }
    for name in ["x", "..%2fx", &arriving.backup.simple().to_string()] {
        let path = format!("/api/servers/{}/backup/{name}/archive", arriving.daemon.server());
        arriving.daemon.send("PUT", &path, bytes).expect(404);
        arriving.daemon.send("HEAD", &path, b"").expect(404);
    }
    assert_eq!(arriving.state(), (0, false));
    arriving.put("bytes 0-999/1000", bytes).expect(204);
}

#[test]
fn one_piece_of_an_archive_arrives_at_a_time_and_a_cut_one_is_kept() {
    let arriving = Arriving::new(1000);
    let (daemon, path) = (&arriving.daemon, arriving.path());
    let stream = TcpStream::connect(daemon.url.trim_start_matches("http://")).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\
         Content-Range: bytes 0-999/1000\r\nX-Checksum-Sha1: {}\r\n\r\n",
        arriving.sha1
    );
    (&stream).write_all(head.as_bytes()).unwrap();
    (&stream).write_all(&arriving.bytes[..400]).unwrap();
    until("the bytes have arrived", || Some(()).filter(|()| arriving.state().0 == 400));
    let busy = arriving.put("bytes 400-999/1000", &arriving.bytes[400..]).expect(409);
    assert_eq!((&*busy.headers["retry-after"], busy.headers.get("upload-offset")), ("1", None));
    daemon.ask(daemon.server(), "wings", arriving.backup).expect(409);
    drop(stream);
    until("the job ends", || {
        let reply = arriving.put("bytes 400-999/1000", &arriving.bytes[400..]);
        (reply.status != 409).then(|| reply.expect(204))
    });
    assert_eq!(arriving.state(), (1000, true));
}

#[test]
fn a_cancel_and_a_stop_end_a_transfer_and_keep_its_bytes() {
    let mut arriving = Arriving::new(1000);
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\
         Content-Range: bytes 0-999/1000\r\nX-Checksum-Sha1: {}\r\n\r\n",
        arriving.path(),
        arriving.sha1
    );
    let stream = TcpStream::connect(arriving.daemon.url.trim_start_matches("http://")).unwrap();
    (&stream).write_all(head.as_bytes()).unwrap();
    (&stream).write_all(&arriving.bytes[..300]).unwrap();
    until("the bytes have arrived", || Some(()).filter(|()| arriving.state().0 == 300));
    let cancel = arriving.path().replace("/archive", "/cancel");
    arriving.daemon.send("POST", &cancel, b"").expect(204);
    assert_eq!(arriving.state(), (300, false));

    let stream = TcpStream::connect(arriving.daemon.url.trim_start_matches("http://")).unwrap();
    let head = head.replace("bytes 0-", "bytes 300-").replace("Length: 1000", "Length: 700");
    (&stream).write_all(head.as_bytes()).unwrap();
    (&stream).write_all(&arriving.bytes[300..500]).unwrap();
    until("the bytes have arrived", || Some(()).filter(|()| arriving.state().0 == 500));
    arriving.daemon.signal("TERM");
    assert!(arriving.daemon.ended());
    arriving.daemon.start();
    assert_eq!(arriving.state(), (500, false));
}

#[test]
fn an_unfinished_archive_is_removed_one_day_after_its_last_piece() {
    let mut arriving = Arriving::new(1000);
    arriving.put("bytes 0-9/1000", &arriving.bytes[..10]).expect(204);
    for (hours, stays) in [(23, true), (25, false)] {
        let time = SystemTime::now() - Duration::from_secs(hours * 3600);
        let file = File::options().write(true).open(arriving.partial()).unwrap();
        file.set_modified(time).unwrap();
        // A part of a killed backup is removed at once.
        let part = arriving.daemon.backups_dir().join(".backup-x.tar.gz.wingback-part");
        fs::write(&part, "x").unwrap();
        arriving.daemon.kill();
        arriving.daemon.start();
        until("the start has cleaned up", || Some(()).filter(|()| !part.exists()));
        until("the archive is as expected", || {
            Some(()).filter(|()| arriving.partial().exists() == stays)
        });
    }
}
