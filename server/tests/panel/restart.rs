//! The daemon is killed in the middle of a job, and started again.

use std::fs;

use serde_json::json;

use crate::{
    daemon::noise,
    node::{Node, with_each_fork},
    panel::Act,
    server::Server,
};

const SLOW: &str = "  backup_write_limit: 4000000";

fn kill_in_the_middle(adapter: &str, node: &mut Node) -> uuid::Uuid {
    fs::write(node.dir().join("big"), noise(9, 24 << 20)).unwrap();
    let backup = node.begin(adapter, "");
    node.daemon.wait(node.server(), backup, |backup| {
        backup["progress"]["written"].as_u64() > Some(6 << 20)
    });
    node.daemon.kill();
    node.daemon.start();
    let result = node.result(backup);
    let expected = json!({ "checksum": "", "checksum_type": "sha1", "size": 0,
        "successful": false, "parts": [] });
    assert_eq!(result, expected);
    assert!(node.daemon.files().iter().all(|name| !name.contains(&backup.to_string())));
    backup
}

#[test]
fn an_interrupted_local_backup_is_reported_as_failed() {
    with_each_fork(|fork| {
        let mut node = Node::with(fork, "", SLOW);
        let backup = kill_in_the_middle("wings", &mut node);
        assert_eq!(node.panel.known(backup).accepted, ["backup"]);
        assert!(!node.archive(backup).exists());
    });
}

#[test]
fn the_panel_aborts_the_upload_of_an_interrupted_backup() {
    with_each_fork(|fork| {
        let mut node = Node::with_s3(fork, SLOW);
        let backup = kill_in_the_middle("s3", &mut node);
        assert_eq!(node.panel.known(backup).accepted, ["parts", "backup"]);
        let (bucket, key) = node.object(backup);
        let s3 = Server::shared();
        assert!(s3.left_of(bucket, &key).is_empty() && s3.head(bucket, &key).is_none());
    });
}

#[test]
fn an_interrupted_restore_is_reported_with_its_result() {
    with_each_fork(|fork| {
        let mut node = Node::start(fork);
        fs::write(node.dir().join("big"), noise(9, 48 << 20)).unwrap();
        let backup = node.made("wings");
        fs::write(node.dir().join("big"), "smaller").unwrap();
        node.restore("wings", backup, true, "").expect(202);
        node.daemon.kill();
        node.daemon.start();
        crate::daemon::until("the Panel is notified of a restore", || {
            Some(()).filter(|()| !node.panel.known(backup).restores.is_empty())
        });
        let is_new = fs::metadata(node.dir().join("big")).unwrap().len() == 48 << 20;
        node.restores(backup, &[is_new]);
    });
}

#[test]
fn a_result_that_the_panel_accepted_before_the_kill_is_not_a_second_result() {
    with_each_fork(|fork| {
        let mut node = Node::start(fork);
        let backup = node.begin("wings", "");
        node.result(backup);
        node.panel.act([Act::LoseResponse]);
        let lost = node.begin("wings", "");
        node.result(lost);
        node.daemon.kill();
        node.daemon.start();
        node.daemon.wait(node.server(), lost, |backup| backup["panel"] == "delivered");
        for backup in [backup, lost] {
            assert_eq!(node.panel.known(backup).accepted, ["backup"]);
            assert!(node.archive(backup).exists());
        }
    });
}
