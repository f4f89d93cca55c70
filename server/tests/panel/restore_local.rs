//! A restore of an archive on the node's own disk.

use std::fs;

use serde_json::json;
use uuid::Uuid;

use crate::node::{Node, with_each_fork};

#[test]
fn the_page_and_the_panel_are_notified_of_a_restore() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let backup = node.made("wings");
        fs::write(node.dir().join("server.properties"), "changed").unwrap();
        fs::write(node.dir().join("new"), "new").unwrap();
        let mut page = node.socket(json!({}));
        node.restore("wings", backup, true, "").expect(202);
        let events = page.until("backup restore completed");
        let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
        let (last, messages) = names.split_last().unwrap();
        assert_eq!(*last, "backup restore completed");
        assert!(messages.len() >= 2, "{events:?}");
        assert!(messages.iter().all(|name| *name == "daemon message"), "{events:?}");
        node.restores(backup, &[true]);
        assert_eq!(node.panel.known(backup).accepted, ["backup", "restore"]);
        assert_eq!(fs::read(node.dir().join("server.properties")).unwrap(), b"motd=x\n");
        assert!(!node.dir().join("new").exists());
    });
}

#[test]
fn the_page_and_the_panel_are_notified_of_a_failed_restore() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let backup = node.made("wings");
        let mut bytes = fs::read(node.archive(backup)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(node.archive(backup), bytes).unwrap();
        fs::write(node.dir().join("new"), "new").unwrap();
        let mut page = node.socket(json!({}));
        node.restore("wings", backup, true, "").expect(202);
        let events = page.until("backup restore completed");
        let reason = events[events.len() - 2]["args"][0].as_str().unwrap();
        assert!(reason.starts_with("The restore failed"), "{events:?}");
        node.restores(backup, &[false]);
        assert_eq!(node.panel.known(backup).accepted, ["backup", "restore"]);
        assert!(node.dir().join("new").exists());
    });
}

#[test]
fn a_restore_that_cannot_begin_is_refused() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        node.restore("wings", Uuid::new_v4(), true, "").expect(404);
        node.restore("ftp", Uuid::new_v4(), true, "").expect(400);
        node.restore("s3", Uuid::new_v4(), true, "").expect(400);
    });
}
