//! A restore from the link of the Panel. The link is valid for five minutes.

use std::fs;

use serde_json::json;

use crate::{
    node::{Node, with_each_fork},
    panel::Fork,
    server::Server,
};

const LINK_SECONDS: u64 = 300;

#[test]
fn an_archive_in_the_bucket_is_restored_from_its_link() {
    with_each_fork(|fork| {
        let node = Node::with_s3(fork, "");
        let backup = node.made("s3");
        fs::write(node.dir().join("server.properties"), "changed").unwrap();
        fs::write(node.dir().join("new"), "new").unwrap();
        let (bucket, key) = node.object(backup);
        let link = Server::shared().presign_get(bucket, &key, LINK_SECONDS);
        let mut page = node.socket(json!({}));
        node.restore("s3", backup, true, &link).expect(202);
        page.until("backup restore completed");
        node.restores(backup, &[true]);
        assert_eq!(node.panel.known(backup).accepted, ["parts", "backup", "restore"]);
        assert_eq!(fs::read(node.dir().join("server.properties")).unwrap(), b"motd=x\n");
        assert!(!node.dir().join("new").exists());
    });
}

#[test]
fn a_link_to_a_private_address_is_refused_as_by_pelican() {
    let node = Node::start(Fork::Pelican);
    let backup = node.made("wings");
    for address in ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]"] {
        let link = format!("http://{address}:9/a.tar.gz");
        let answer = node.restore("s3", backup, true, &link).expect(400);
        assert!(answer.text().contains("is not a public address"), "{}", answer.text());
    }
    let mut page = node.socket(json!({}));
    node.restore("s3", backup, true, "http://localhost:9/a.tar.gz").expect(202);
    page.until("backup restore completed");
    node.restores(backup, &[false]);
    assert!(node.dir().join("server.properties").exists());
}

#[test]
fn a_link_that_does_not_work_changes_nothing() {
    with_each_fork(|fork| {
        let node = Node::with_s3(fork, "");
        let backup = node.made("s3");
        fs::write(node.dir().join("new"), "new").unwrap();
        let (bucket, key) = node.object(backup);
        let link = Server::shared().presign_get(bucket, &key, LINK_SECONDS);
        let mut page = node.socket(json!({}));
        node.restore("s3", backup, true, &format!("{link}x")).expect(202);
        page.until("backup restore completed");
        node.restores(backup, &[false]);
        assert!(node.dir().join("new").exists() && node.dir().join("server.properties").exists());
    });
}
