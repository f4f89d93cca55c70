//! A backup to the part URLs of the Panel.

use std::{fs, time::Duration};

use crate::{
    daemon::{noise, sha1sum},
    node::{Node, with_each_fork},
    panel::Act,
    server::Server,
};

#[test]
fn the_parts_are_uploaded_and_the_panel_completes_the_upload() {
    with_each_fork(|fork| {
        let s3 = Server::shared();
        let node = Node::with_s3(fork, "");
        fs::write(node.dir().join("big"), noise(3, 12 << 20)).unwrap();
        let backup = node.begin("s3", "");
        let result = node.result(backup);
        assert_eq!(result["successful"], true, "{result}");
        assert_eq!(node.panel.known(backup).accepted, ["parts", "backup"]);
        let (bucket, key) = node.object(backup);
        let archive = s3.get(bucket, &key);
        assert_eq!(result["size"], archive.len());
        assert_eq!(result["parts"].as_array().unwrap().len(), archive.len().div_ceil(5 << 20));
        let file = node.daemon.tmp.path().join("archive");
        fs::write(&file, archive).unwrap();
        assert_eq!(result["checksum"], sha1sum(&file));
        assert!(s3.left_of(bucket, &key).is_empty() && node.daemon.files().is_empty());
    });
}

#[test]
fn a_panel_that_takes_long_to_complete_the_upload_is_asked_once() {
    with_each_fork(|fork| {
        let node = Node::with_s3(fork, "");
        // The first request is for part URLs.
        node.panel.act([2, 5].map(|seconds| Act::Delay(Duration::from_secs(seconds))));
        let backup = node.begin("s3", "");
        node.result(backup);
        assert_eq!(node.panel.known(backup).accepted, ["parts", "backup"]);
        assert_eq!(node.panel.notifications_received(), 1);
    });
}

#[test]
fn a_failed_backup_lets_the_panel_abort_its_upload() {
    with_each_fork(|fork| {
        let s3 = Server::shared();
        let node = Node::with_s3(fork, "  backup_write_limit: 4000000");
        fs::write(node.dir().join("big"), noise(3, 24 << 20)).unwrap();
        let backup = node.begin("s3", "");
        node.daemon.wait(node.server(), backup, |backup| {
            backup["progress"]["written"].as_u64() > Some(6 << 20)
        });
        let path = format!("{}/cancel", node.daemon.path(node.server(), backup));
        node.ask("POST", &path, None).expect(204);
        assert_eq!(node.result(backup)["successful"], false);
        assert_eq!(node.panel.known(backup).accepted, ["parts", "backup"]);
        let (bucket, key) = node.object(backup);
        assert!(s3.left_of(bucket, &key).is_empty() && s3.head(bucket, &key).is_none());
    });
}
