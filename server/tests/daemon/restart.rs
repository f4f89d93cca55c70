//! The daemon is killed in every phase and started again.

use std::{env, fs, thread, time::Duration};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::fetch,
    daemon::{Daemon, TOKEN, noise, sha1sum, until},
    notifications::s3_block,
    panel::{Act, Panel},
    server::Server,
};

/// Number of kills; `make daemon-campaign` raises it.
fn kills() -> usize {
    env::var("WINGBACK_DAEMON_KILLS").map_or(6, |kills| kills.parse().unwrap())
}

/// Returns the only result that the Panel has received for the backup.
fn notified_once(panel: &Panel, backup: Uuid) -> Value {
    let results = panel.known(backup).results;
    assert_eq!(results.len(), 1, "{results:?}");
    results[0].clone()
}

/// A daemon whose backups take some seconds.
fn slow(panel: &Panel, more: &str) -> Daemon {
    let mut daemon = Daemon::idle(&format!("  slots: 1\n{more}"), &panel.url());
    daemon.configure(TOKEN, "  backup_write_limit: 4000000");
    fs::write(daemon.dir(daemon.server()).join("big"), noise(9, 24 << 20)).unwrap();
    daemon.start();
    daemon
}

/// Kills the daemon during one backup while another one is queued, and checks the next daemon.
fn killed_midway(daemon: &mut Daemon, adapter: &str, panel: &Panel) -> Uuid {
    let server = daemon.server();
    let (running, queued) = (Uuid::new_v4(), Uuid::new_v4());
    daemon.ask(server, adapter, running).expect(202);
    daemon.ask(server, adapter, queued).expect(202);
    daemon.wait(server, running, |b| b["progress"]["written"].as_u64() > Some(7 << 20));
    assert_eq!(daemon.backup(server, queued)["state"], "queued");
    daemon.kill();
    daemon.start();
    for backup in [running, queued] {
        let failed = daemon.wait(server, backup, |b| b["panel"] == "delivered");
        assert_eq!(failed["state"], "failed");
        assert!(failed["error"].as_str().unwrap().contains("the daemon ended"), "{failed}");
    }
    // No notification is pending.
    assert!(daemon.metrics().contains("wingback_panel_notifications_pending 0"));
    for backup in [running, queued] {
        assert_eq!(notified_once(panel, backup)["successful"], false);
    }
    assert!(daemon.files().is_empty(), "{:?}", daemon.files());
    running
}

#[test]
fn interrupted_local_backups_are_marked_as_failed() {
    let panel = Panel::start();
    let mut daemon = slow(&panel, "");
    killed_midway(&mut daemon, "wings", &panel);
    // The server can be backed up again immediately.
    daemon.configure(TOKEN, "");
    daemon.signal("HUP");
    daemon.made();
}

#[test]
fn interrupted_uploads_are_aborted() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::start();
    let mut daemon = slow(&panel, &s3_block(s3, &bucket));
    let backup = killed_midway(&mut daemon, "s3", &panel);
    let key = format!("servers/{}/backup-{backup}.tar.gz", daemon.server());
    assert!(s3.left_of(&bucket, &key).is_empty() && s3.objects(&bucket).is_empty());
}

#[test]
fn the_panel_aborts_interrupted_uploads_to_part_urls() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::with_s3(s3, &bucket);
    let mut daemon = slow(&panel, "");
    let backup = killed_midway(&mut daemon, "s3", &panel);
    let key = format!("{backup}.tar.gz");
    assert!(s3.left_of(&bucket, &key).is_empty() && s3.objects(&bucket).is_empty());
}

#[test]
fn an_interrupted_notification_counts_as_an_attempt() {
    let panel = Panel::start();
    let mut daemon = Daemon::with_panel(&panel.url(), "");
    // The Panel accepts the notification, and the daemon is killed before it reads the response.
    panel.act([Act::Delay(Duration::from_secs(2))]);
    let backup = daemon.made();
    until("the Panel handles the request", || Some(()).filter(|()| panel.script_left() == 0));
    daemon.kill();
    until("the Panel accepted it", || Some(()).filter(|()| panel.known(backup).results.len() == 1));
    daemon.start();
    daemon.wait(daemon.server(), backup, |backup| backup["panel"] == "delivered");
    assert_eq!((panel.known(backup).results.len(), panel.notifications_received()), (1, 2));
    assert!(daemon.archive(backup).exists());
}

#[test]
fn an_interrupted_restore_leaves_either_the_old_or_the_new_tree() {
    let panel = Panel::start();
    let mut daemon = Daemon::idle("", &panel.url());
    let dir = daemon.dir(daemon.server());
    fs::write(dir.join("big"), noise(9, 48 << 20)).unwrap();
    daemon.start();
    let backup = daemon.made();
    for _ in 0..kills() {
        fs::write(dir.join("big"), "smaller").unwrap();
        fs::write(dir.join("new"), "new").unwrap();
        let before = panel.known(backup).restores.len();
        let body = json!({ "adapter": "wings", "truncate_directory": true });
        let path = format!("{}/restore", daemon.path(daemon.server(), backup));
        daemon.post(&path, body).expect(202);
        // A random time.
        thread::sleep(Duration::from_millis(fastrand::u64(0..150)));
        daemon.kill();
        daemon.start();
        let results = until("the Panel is notified", || {
            let is_over = daemon.backup(daemon.server(), backup)["restoring"] == false
                && daemon.metrics().contains("wingback_panel_notifications_pending 0");
            let results = panel.known(backup).restores[before..].to_vec();
            Some(results).filter(|results| is_over && !results.is_empty())
        });
        let is_new = fs::metadata(dir.join("big")).unwrap().len() == 48 << 20;
        // Twice if the daemon was killed between the Panel's acceptance and its response.
        assert!(
            results.len() <= 2 && results.iter().all(|&result| result == is_new),
            "{results:?} {is_new}"
        );
        assert_eq!(dir.join("new").exists(), !is_new);
        let names = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name());
        let leftovers: Vec<_> =
            names.filter(|n| n.to_string_lossy().contains("wingback")).collect();
        assert!(leftovers.is_empty(), "{leftovers:?}");
    }
}

#[test]
fn each_job_is_notified_once_whenever_the_daemon_is_killed() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::with_s3(s3, &bucket);
    let mut daemon = Daemon::idle("  slots: 2", &panel.url());
    let other = daemon.add_server();
    let server = daemon.server();
    fs::write(daemon.dir(server).join("big"), noise(9, 12 << 20)).unwrap();
    fs::write(daemon.dir(other).join("big"), noise(10, 12 << 20)).unwrap();
    daemon.start();
    let mut ends = Vec::new();
    for _ in 0..kills() {
        let wanted = [(server, "wings"), (other, "s3"), (server, "s3"), (other, "wings")];
        let wanted = wanted.map(|(server, adapter)| (server, adapter, Uuid::new_v4()));
        let url = daemon.url.clone();
        let asking = thread::spawn(move || {
            let ask = |(server, adapter, backup): (Uuid, &str, Uuid)| {
                let body = json!({ "adapter": adapter, "uuid": backup }).to_string();
                let bearer = format!("Bearer {TOKEN}");
                let headers = [("Authorization", &*bearer)];
                let url = format!("{url}/api/servers/{server}/backup");
                let reply = fetch("POST", &url, &headers, body.as_bytes());
                reply.is_ok_and(|reply| reply.status == 202)
            };
            wanted.map(ask)
        });
        // A random time.
        thread::sleep(Duration::from_millis(fastrand::u64(0..700)));
        daemon.kill();
        let accepted = asking.join().unwrap();
        daemon.start();
        for ((server, adapter, backup), accepted) in wanted.into_iter().zip(accepted) {
            if !accepted {
                continue;
            }
            let known = daemon.wait(server, backup, |b| b["panel"] == "delivered");
            let results = notified_once(&panel, backup);
            ends.push(backup);
            assert_eq!(known["state"] == "complete", results["successful"] == true, "{known}");
            let key = format!("{backup}.tar.gz");
            match (adapter, results["successful"] == true) {
                ("wings", true) => {
                    assert_eq!(sha1sum(&daemon.archive(backup)), results["checksum"]);
                }
                ("wings", false) => assert!(!daemon.archive(backup).exists()),
                (_, complete) => {
                    assert!(s3.left_of(&bucket, &key).is_empty());
                    assert_eq!(s3.head(&bucket, &key).is_some(), complete);
                }
            }
            daemon.send("DELETE", &daemon.path(server, backup), b"").expect(204);
        }
        // A backup whose response was on its way exists or not, but never a part of it.
        let parts = daemon.files().into_iter().filter(|name| name.starts_with('.'));
        assert_eq!(parts.collect::<Vec<_>>(), [""; 0]);
    }
    // No notification was repeated since.
    ends.into_iter().for_each(|backup| drop(notified_once(&panel, backup)));
}

/// The restore that had begun is reported with its own result, not with that of the queued one.
#[test]
fn each_of_two_interrupted_restores_is_reported_with_its_own_result() {
    let panel = Panel::start();
    let mut daemon = Daemon::with_panel(&panel.url(), "");
    let server = daemon.server();
    let which = daemon.dir(server).join("which");
    let backups = ["1", "2"].map(|n| {
        fs::write(daemon.dir(server).join("big"), noise(7, 24 << 20)).unwrap();
        fs::write(&which, n).unwrap();
        daemon.made()
    });
    for _ in 0..kills() {
        fs::write(&which, "0").unwrap();
        let before = backups.map(|backup| panel.known(backup).restores.len());
        for backup in backups {
            let body = json!({ "adapter": "wings", "truncate_directory": true });
            daemon.post(&format!("{}/restore", daemon.path(server, backup)), body).expect(202);
        }
        // A random time.
        thread::sleep(Duration::from_millis(fastrand::u64(0..250)));
        daemon.kill();
        daemon.start();
        let results = until("the Panel is notified of both", || {
            let is_over = daemon.metrics().contains("wingback_panel_notifications_pending 0")
                && backups.iter().all(|&b| daemon.backup(server, b)["restoring"] == false);
            let results = [0, 1].map(|i| panel.known(backups[i]).restores[before[i]..].to_vec());
            Some(results)
                .filter(|results| is_over && results.iter().all(|results| !results.is_empty()))
        });
        let is_done = results.each_ref().map(|results| results.contains(&true));
        assert!(
            results.iter().all(|results| results.iter().all(|result| *result == results[0])),
            "{results:?}"
        );
        let expected = match is_done {
            [_, true] => "2",
            [true, false] => "1",
            [false, false] => "0",
        };
        assert_eq!(fs::read_to_string(&which).unwrap(), expected, "{results:?}");
    }
}
