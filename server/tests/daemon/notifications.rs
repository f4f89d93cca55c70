//! Notifications to the Panel, with all kinds of responses.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::json;
use uuid::Uuid;

use crate::{
    daemon::{Daemon, TOKEN, noise, until},
    panel::{Act, MISSING, Panel},
    server::Server,
};

fn results_of(panel: &Panel, backup: Uuid) -> Vec<serde_json::Value> {
    until("the Panel is notified", || {
        Some(panel.known(backup).results).filter(|results| !results.is_empty())
    })
}

#[test]
fn a_panel_is_notified_after_temporary_failures() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    panel.act([
        Act::HangUp,
        Act::Say(500, "oops"),
        Act::Say(429, ""),
        Act::Say(401, ""),
        Act::Say(404, MISSING),
        Act::Say(302, ""),
    ]);
    let backup = daemon.made();
    assert_eq!(results_of(&panel, backup).len(), 1);
    daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "delivered");
    assert!(daemon.archive(backup).exists());
}

#[test]
fn a_lost_answer_is_not_a_lost_notification() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    panel.act([Act::LoseResponse]);
    let backup = daemon.made();
    // The Panel accepted the notification, and reports this at the second attempt.
    daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "delivered");
    assert_eq!((panel.notifications_received(), panel.known(backup).results.len()), (2, 1));
}

#[test]
fn a_backup_that_another_process_completed_is_refused() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    panel.act([Act::Say(400, r#"{"errors":[{"detail":"already marked as completed"}]}"#)]);
    let backup = daemon.made();
    daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "refused");
    assert!(daemon.archive(backup).exists() && panel.known(backup).results.is_empty());
    panel.act([Act::Say(422, r#"{"errors":[{"detail":"no"}]}"#)]);
    let backup = daemon.made();
    daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "refused");
    assert!(daemon.archive(backup).exists());
}

#[test]
fn a_backup_that_was_deleted_in_the_panel_is_kept_as_an_orphan() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "  panel_missing_timeout: 2");
    panel.act(vec![Act::Say(404, MISSING); 50]);
    let began = Instant::now();
    let backup = daemon.made();
    let orphan = daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "orphan");
    assert!(began.elapsed() >= Duration::from_secs(2));
    assert_eq!((&orphan["state"], &orphan["readable"]), (&json!("complete"), &json!(true)));
    assert!(daemon.archive(backup).exists());
    let listed = daemon.get(&format!("/api/servers/{}/backups", daemon.server()));
    assert_eq!(listed["backups"][0]["panel"], "orphan");
}

#[test]
fn a_pending_notification_is_sent_after_a_restart() {
    let panel = Panel::start();
    let mut daemon = Daemon::with_panel(&panel.url(), "");
    // The Panel does not respond, also not after a restart.
    panel.act(vec![Act::Say(503, ""); 1000]);
    let backup = daemon.made();
    until("a notification was attempted", || {
        Some(()).filter(|()| daemon.log().contains("cannot notify the Panel yet"))
    });
    daemon.kill();
    daemon.start();
    assert_eq!(daemon.backup(daemon.server(), backup)["panel"], "pending");
    let metrics = daemon.metrics();
    assert!(metrics.contains("wingback_panel_notifications_pending 1"), "{metrics}");
    daemon.kill();
    panel.clear_script();
    daemon.start();
    assert_eq!(results_of(&panel, backup).len(), 1);
    daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "delivered");
    // Nothing is pending, and the next notification is about another backup.
    assert!(daemon.metrics().contains("wingback_panel_notifications_pending 0"));
    let next = daemon.made();
    daemon.wait(daemon.server(), next, |backup| backup["panel"] == "delivered");
    assert_eq!((panel.known(backup).results.len(), panel.known(next).results.len()), (1, 1));
}

#[test]
fn a_slow_panel_delays_no_other_backup() {
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), "");
    panel.act([Act::Delay(Duration::from_secs(4))]);
    let slow = daemon.made();
    let quick = daemon.made();
    daemon.wait(daemon.server(), quick, |backup| backup["panel"] == "delivered");
    assert_eq!(daemon.backup(daemon.server(), slow)["panel"], "pending");
    daemon.wait(daemon.server(), slow, |backup| backup["panel"] == "delivered");
    assert_eq!(panel.notifications_received(), 2);
}

#[test]
fn an_s3_backup_goes_to_the_panels_part_urls() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::with_s3(s3, &bucket);
    let daemon = Daemon::with_panel(&panel.url(), "");
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    fs::write(daemon.dir(server).join("big"), noise(3, 12 << 20)).unwrap();
    // The Panel's database row is not committed yet.
    panel.act([Act::Say(404, MISSING)]);
    daemon.ask(server, "s3", backup).expect(202);
    let made = daemon.wait(server, backup, |backup| backup["panel"] == "delivered");
    assert_eq!((panel.part_url_requests(), &made["readable"]), (1, &json!(false)));
    let results = results_of(&panel, backup);
    assert!(results[0]["parts"].as_array().unwrap().len() >= 3);
    let archive = s3.get(&bucket, &format!("{backup}.tar.gz"));
    assert_eq!(archive.len() as u64, made["size"].as_u64().unwrap());
    let file = daemon.tmp.path().join("archive");
    fs::write(&file, archive).unwrap();
    assert_eq!(crate::daemon::sha1sum(&file), made["checksum"]);
    assert!(
        s3.left_of(&bucket, &format!("{backup}.tar.gz")).is_empty() && daemon.files().is_empty()
    );
    let path = daemon.path(server, backup);
    daemon.send("GET", &format!("{path}/files"), b"").expect(409);
    daemon.send("DELETE", &path, b"").expect(204);
}

#[test]
fn the_panel_is_asked_for_part_urls_once() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::with_s3(s3, &bucket);
    let daemon = Daemon::with_panel(&panel.url(), "  panel_missing_timeout: 2");
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    // The Panel has begun an upload, and its response is lost.
    panel.act([Act::LoseResponse]);
    daemon.ask(server, "s3", backup).expect(202);
    daemon.wait_state(server, backup, "failed");
    assert_eq!(panel.part_url_requests(), 1);
    assert_eq!(results_of(&panel, backup)[0]["successful"], false);
    assert!(s3.left_of(&bucket, &format!("{backup}.tar.gz")).is_empty());
    // The Panel does not know this backup.
    panel.act(vec![Act::Say(404, MISSING); 20]);
    let unknown = Uuid::new_v4();
    daemon.ask(server, "s3", unknown).expect(202);
    daemon
        .wait(server, unknown, |backup| backup["panel"] == "orphan" && backup["state"] == "failed");
}

#[test]
fn a_cancelled_upload_is_aborted_by_the_panel() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::with_s3(s3, &bucket);
    let mut daemon = Daemon::idle("", &panel.url());
    daemon.configure(TOKEN, "  backup_write_limit: 4000000");
    fs::write(daemon.dir(daemon.server()).join("big"), noise(3, 24 << 20)).unwrap();
    daemon.start();
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    daemon.ask(server, "s3", backup).expect(202);
    daemon.wait(server, backup, |backup| backup["progress"]["written"].as_u64() > Some(6 << 20));
    daemon.send("POST", &format!("{}/cancel", daemon.path(server, backup)), b"").expect(204);
    assert_eq!(results_of(&panel, backup)[0]["successful"], false);
    assert!(s3.left_of(&bucket, &format!("{backup}.tar.gz")).is_empty());
}

#[test]
fn a_daemon_with_credentials_uploads_without_part_urls() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::start();
    let block = s3_block(s3, &bucket);
    let daemon = Daemon::with_panel(&panel.url(), &block);
    assert!(daemon.log().contains("cannot record"), "a warning is missing: {}", daemon.log());
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    daemon.ask(server, "s3", backup).expect(202);
    let made = daemon.wait(server, backup, |backup| backup["panel"] == "delivered");
    let key = format!("servers/{server}/backup-{backup}.tar.gz");
    assert_eq!(s3.objects(&bucket), [(key.clone(), made["size"].as_u64().unwrap())]);
    assert_eq!((panel.part_url_requests(), &made["adapter"]), (0, &json!("s3")));
    // The daemon can read its own upload.
    let path = daemon.path(server, backup);
    assert!(daemon.get(&format!("{path}/files"))["total"].as_u64() > Some(5));
    let file = daemon.send("GET", &format!("{path}/file?path=server.properties"), b"");
    assert_eq!(file.expect(200).text(), "motd=x\n");
    let link = daemon.link(backup, json!({}));
    let all = crate::client::fetch("GET", &link, &[], b"").unwrap().expect(200);
    assert!(all.body == s3.get(&bucket, &key));
    let body = json!({ "adapter": "s3", "truncate_directory": true });
    daemon.post(&format!("{path}/restore"), body).expect(202);
    until("the backup is restored", || {
        Some(()).filter(|()| panel.known(backup).restores == [true])
    });
    daemon.send("POST", &format!("{path}/verify"), b"").expect(202);
    let verified = daemon.wait(server, backup, |backup| backup["verified"].is_object());
    assert_eq!(verified["verified"]["whole"], true);
    daemon.send("DELETE", &path, b"").expect(204);
    assert!(s3.objects(&bucket).is_empty());
}

/// Returns the block `s3` for a bucket of the server.
pub fn s3_block(s3: &Server, bucket: &str) -> String {
    format!(
        "s3:\n  endpoint: {}\n  region: us-east-1\n  bucket: {bucket}\n  prefix: servers\n  \
         path_style: true\n  credentials:\n    access_key: {}\n    secret_key: {}\n",
        s3.endpoint(),
        s3.access_key(),
        s3.secret_key()
    )
}
