//! A backup on the node's own disk.

use std::{fs, process::Command};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    daemon::{output, sha1sum, tar_list},
    node::{Node, with_each_fork},
    panel::Fork,
};

#[test]
fn the_archive_is_where_wings_looks_for_it_and_the_panel_gets_its_details_once() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let mut page = node.socket(json!({}));
        let backup = node.begin("wings", "");
        let result = node.result(backup);
        let archive = node.archive(backup);
        let (sha1, size) = (sha1sum(&archive), fs::metadata(&archive).unwrap().len());
        let expected = json!({ "checksum": sha1, "checksum_type": "sha1", "size": size,
            "successful": true, "parts": [] });
        assert_eq!(result, expected);
        assert_eq!(node.panel.known(backup).accepted, ["backup"]);
        // The page updates by this event.
        let events = page.until(&format!("backup completed:{backup}"));
        let text = events[events.len() - 1]["args"][0].as_str().unwrap().to_owned();
        let event: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&event["is_successful"], &event["checksum"]), (&json!(true), &json!(sha1)));
        assert_eq!((&event["file_size"], &event["checksum_type"]), (&json!(size), &json!("sha1")));
        // Nothing else is in the backup directory.
        let top = match fork {
            Fork::Pterodactyl => format!("{backup}.tar.gz"),
            Fork::Pelican => node.server().to_string(),
        };
        assert_eq!(node.daemon.files(), [top]);
        assert_eq!(fs::read_dir(archive.parent().unwrap()).unwrap().count(), 1);
    });
}

#[test]
fn the_ignore_file_of_the_fork_counts_only_without_patterns_in_the_request() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let names = |backup: Uuid| {
            node.result(backup);
            tar_list(&node.archive(backup))
        };
        // `.pteroignore` excludes `*.log`, and `.pelicanignore` excludes `*.dat`.
        let has = |names: &[String]| {
            ["latest.log", "world/level.dat"].map(|name| names.iter().any(|other| other == name))
        };
        let expected = match fork {
            Fork::Pterodactyl => [false, true],
            Fork::Pelican => [true, false],
        };
        assert_eq!(has(&names(node.begin("wings", ""))), expected);
        assert_eq!(has(&names(node.begin("wings", "*.jar"))), [true, true]);
        // By Wings' rules the second pattern includes a file in an excluded directory.
        let some = names(node.begin("wings", "*\n!world/level.dat"));
        assert_eq!(has(&some), [false, true], "{some:?}");
    });
}

#[test]
fn the_daemon_finds_archives_with_the_names_of_each_program() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let folder = format!("{}/", node.server());
        for before in ["", "backup-", &folder] {
            let backup = Uuid::new_v4();
            let archive = node.daemon.backups_dir().join(format!("{before}{backup}.tar.gz"));
            fs::create_dir_all(archive.parent().unwrap()).unwrap();
            let mut tar = Command::new("tar");
            tar.arg("czf").arg(&archive).arg("-C").arg(node.dir()).arg("server.properties");
            assert!(output(&mut tar).0);
            node.panel.add(backup, node.server(), "wings");
            fs::remove_file(node.dir().join("server.properties")).unwrap();
            node.restore("wings", backup, false, "").expect(202);
            node.restores(backup, &[true]);
            assert!(node.dir().join("server.properties").exists());
            let path = node.daemon.path(node.server(), backup);
            node.ask("DELETE", &path, None).expect(204);
            assert!(node.daemon.files().is_empty(), "{:?}", node.daemon.files());
        }
    });
}

#[test]
fn a_request_that_wings_refuses_is_refused_with_the_same_status() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let path = format!("/api/servers/{}/backup", node.server());
        let backup = Uuid::new_v4();
        for (status, body) in [
            (500, json!({ "adapter": "ftp", "uuid": backup, "ignore": "" })),
            (500, json!({ "uuid": backup, "ignore": "" })),
            (400, json!({ "adapter": "wings", "uuid": "../x", "ignore": "" })),
            (400, json!({ "adapter": 1 })),
        ] {
            node.ask("POST", &path, Some(body)).expect(status);
        }
        let body = json!({ "adapter": "wings", "uuid": backup, "ignore": "" });
        let unknown = format!("/api/servers/{}/backup", Uuid::new_v4());
        node.ask("POST", &unknown, Some(body)).expect(404);
        assert!(node.daemon.files().is_empty());
    });
}
