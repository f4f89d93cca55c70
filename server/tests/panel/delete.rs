//! The deletion of a backup. The Panel deletes archives in its bucket itself.

use uuid::Uuid;

use crate::{
    node::{Node, with_each_fork},
    panel::Fork,
};

#[test]
fn a_deleted_backup_leaves_neither_its_archive_nor_an_empty_folder() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let backups = [node.made("wings"), node.made("wings")];
        let path = |backup: Uuid| node.daemon.path(node.server(), backup);
        node.ask("DELETE", &path(backups[0]), None).expect(204);
        assert!(!node.archive(backups[0]).exists() && node.archive(backups[1]).exists());
        node.ask("DELETE", &path(backups[1]), None).expect(204);
        assert!(node.daemon.files().is_empty(), "{:?}", node.daemon.files());
        // The Panel takes this status for success.
        node.ask("DELETE", &path(backups[0]), None).expect(404);
        // The next backup makes the folder again.
        node.made("wings");
    });
}

#[test]
fn a_malformed_uuid_is_refused_with_the_status_of_the_fork() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        let status = match fork {
            Fork::Pterodactyl => 404,
            Fork::Pelican => 400,
        };
        let simple = Uuid::new_v4().simple().to_string();
        for uuid in ["x", "..%2fx", &simple] {
            let path = format!("/api/servers/{}/backup/{uuid}", node.server());
            node.ask("DELETE", &path, None).expect(status);
            let body = serde_json::json!({ "adapter": "wings" });
            node.ask("POST", &format!("{path}/restore"), Some(body)).expect(status);
        }
    });
}
