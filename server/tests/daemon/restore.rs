//! Restores.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;
use uuid::Uuid;

use crate::{
    daemon::{Daemon, TOKEN, output, until},
    left_out::left_out,
    listener::Listener,
    panel::Panel,
    server::Server,
};

fn restore(daemon: &Daemon, backup: Uuid, truncate: bool) -> crate::client::Reply {
    let body = json!({ "adapter": "wings", "truncate_directory": truncate, "download_url": "" });
    daemon.post(&format!("{}/restore", daemon.path(daemon.server(), backup)), body)
}

#[test]
fn a_restore_writes_files_and_notifies_panel_and_clients() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    let (dir, backup) = (daemon.dir(daemon.server()), daemon.made());
    let level = fs::read(dir.join("world/level.dat")).unwrap();
    fs::write(dir.join("world/level.dat"), "broken").unwrap();
    fs::write(dir.join("new"), "new").unwrap();
    let mut listener = Listener::new(&daemon, daemon.server());
    restore(&daemon, backup, false).expect(202);
    let events = listener.until("backup restore completed");
    assert!(
        events
            .iter()
            .any(|e| e["args"][0].as_str().is_some_and(|t| t.contains("must stay stopped")))
    );
    assert!(fs::read(dir.join("world/level.dat")).unwrap() == level);
    assert!(dir.join("new").exists() && dir.join("latest.log").exists());

    restore(&daemon, backup, true).expect(202);
    listener.until("backup restore completed");
    assert!(!dir.join("new").exists() && !dir.join("latest.log").exists());
    assert!(dir.join("empty").is_dir());
    until("the Panel is notified", || {
        Some(()).filter(|()| panel.known(backup).restores.len() == 2)
    });
    assert_eq!(panel.known(backup).restores, [true, true]);
    let shown = daemon.backup(daemon.server(), backup);
    assert_eq!(shown["restored"]["successful"], true);
}

#[test]
fn a_damaged_archive_changes_nothing() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    let (dir, backup) = (daemon.dir(daemon.server()), daemon.made());
    let mut bytes = fs::read(daemon.archive(backup)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(daemon.archive(backup), bytes).unwrap();
    fs::write(dir.join("world/level.dat"), "played on").unwrap();
    let mut listener = Listener::new(&daemon, daemon.server());
    restore(&daemon, backup, true).expect(202);
    listener.until_text("The restore failed");
    // The Panel's page waits for this event.
    assert_eq!(listener.next().unwrap()["event"], "backup restore completed");
    assert_eq!(fs::read(dir.join("world/level.dat")).unwrap(), b"played on");
    assert!(dir.join("latest.log").exists());
    until("the Panel is notified", || {
        Some(()).filter(|()| panel.known(backup).restores == [false])
    });
    let shown = daemon.backup(daemon.server(), backup);
    assert_eq!(shown["restored"]["successful"], false);
}

#[test]
fn an_invalid_restore_request_is_rejected() {
    let daemon = Daemon::new();
    let (server, backup) = (daemon.server(), daemon.made());
    let path = format!("{}/restore", daemon.path(server, backup));
    restore(&daemon, Uuid::new_v4(), false).expect(404);
    daemon.post(&path, json!({ "truncate_directory": true })).expect(400);
    daemon.post(&path, json!({ "adapter": "ftp" })).expect(400);
    daemon.post(&path, json!({ "adapter": "s3" })).expect(400);
    daemon.post(&path, json!({ "adapter": "s3", "download_url": "" })).expect(400);
    let link = json!({ "adapter": "s3", "download_url": "file:///etc/passwd" });
    daemon.post(&path, link).expect(400);
    let unknown = daemon.path(Uuid::new_v4(), backup);
    daemon.post(&format!("{unknown}/restore"), json!({ "adapter": "wings" })).expect(404);
}

#[test]
fn an_s3_backup_is_restored_from_its_download_url() {
    let s3 = Server::shared();
    let daemon = Daemon::new();
    let (dir, backup) = (daemon.dir(daemon.server()), daemon.made());
    let bucket = s3.bucket();
    s3.put(&bucket, "a", &fs::read(daemon.archive(backup)).unwrap());
    fs::write(dir.join("new"), "new").unwrap();
    let url = s3.presign_get(&bucket, "a", 300);
    let mut listener = Listener::new(&daemon, daemon.server());
    let body = json!({ "adapter": "s3", "truncate_directory": true, "download_url": url });
    daemon.post(&format!("{}/restore", daemon.path(daemon.server(), backup)), body).expect(202);
    listener.until("backup restore completed");
    assert!(!dir.join("new").exists());
    // An expired link.
    let body =
        json!({ "adapter": "s3", "truncate_directory": true, "download_url": format!("{url}x") });
    daemon.post(&format!("{}/restore", daemon.path(daemon.server(), backup)), body).expect(202);
    listener.until_text("The restore failed");
    assert!(dir.join("server.properties").exists());
}

#[test]
fn an_archive_of_wings_can_be_restored_downloaded_and_deleted() {
    let daemon = Daemon::new();
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    fs::create_dir(daemon.backups_dir()).unwrap();
    let archive = daemon.backups_dir().join(format!("{backup}.tar.gz"));
    let packed = output(
        Command::new("tar")
            .arg("czf")
            .arg(&archive)
            .arg("-C")
            .arg(daemon.dir(server))
            .arg("server.properties"),
    );
    assert!(packed.0, "{}", packed.1);
    daemon.ask(server, "wings", backup).expect(409);
    let mut listener = Listener::new(&daemon, server);
    restore(&daemon, backup, true).expect(202);
    listener.until("backup restore completed");
    let left: Vec<_> =
        fs::read_dir(daemon.dir(server)).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["server.properties"]);
    let files = daemon.get(&format!("{}/files", daemon.path(server, backup)));
    assert_eq!(files["total"], 1);
    let link = daemon.link(backup, json!({}));
    let got =
        crate::client::fetch("GET", &link, &[("Range", "bytes=0-1")], b"").unwrap().expect(206);
    assert_eq!(got.body, [0x1f, 0x8b]);
    daemon.send("DELETE", &daemon.path(server, backup), b"").expect(204);
    assert!(!archive.exists());
}

#[test]
fn files_get_the_configured_owner() {
    if !rustix::process::geteuid().is_root() {
        left_out("the configured owner of restored files: only root can change owners");
        return;
    }
    let mut daemon = Daemon::idle("", "");
    daemon.configure(TOKEN, "  user: {uid: 12345, gid: 12346}");
    daemon.start();
    let (dir, backup) = (daemon.dir(daemon.server()), daemon.made());
    let mut listener = Listener::new(&daemon, daemon.server());
    restore(&daemon, backup, true).expect(202);
    listener.until("backup restore completed");
    for path in ["server.properties", "world", "world/level.dat"] {
        let meta = fs::metadata(Path::new(&dir).join(path)).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (12345, 12346), "{path}");
    }
}

#[test]
fn the_write_limit_slows_a_restore() {
    let daemon = Daemon::new();
    let (dir, backup) = (daemon.dir(daemon.server()), daemon.made());
    fs::remove_file(dir.join("world/region/r.0.0.mca")).unwrap();
    daemon.configure(TOKEN, "  backup_write_limit: 500000");
    daemon.signal("HUP");
    until("the limit is reloaded", || {
        Some(()).filter(|()| daemon.log().contains("reloaded tokens"))
    });
    let mut listener = Listener::new(&daemon, daemon.server());
    let start = Instant::now();
    restore(&daemon, backup, false).expect(202);
    listener.until("backup restore completed");
    // The removed file has 1 MiB.
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(fs::metadata(dir.join("world/region/r.0.0.mca")).unwrap().len(), 1 << 20);
}
