//! The Panel refuses a request with a status from 400 to 499.

use uuid::Uuid;

use crate::{
    node::{Node, with_each_fork},
    panel::{Act, error},
};

fn refusal(status: u16, code: &str, detail: &str) -> Act {
    let (status, text) = error(status, code, detail);
    Act::Answer(status, vec!["Content-Type: application/json".into()], text)
}

fn wait_for(node: &Node, backup: Uuid, panel: &str) {
    node.daemon.wait(node.server(), backup, |backup| backup["panel"] == panel);
}

#[test]
fn a_refused_result_is_not_repeated_and_the_archive_is_kept() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        for act in [
            refusal(422, "ValidationException", "The size field is required."),
            refusal(400, "BadRequestHttpException", "It is already marked as completed."),
            refusal(409, "ConflictHttpException", "no"),
        ] {
            let before = node.panel.requests().len();
            node.panel.act([act]);
            let backup = node.begin("wings", "");
            wait_for(&node, backup, "refused");
            assert!(node.panel.known(backup).results.is_empty() && node.archive(backup).exists());
            assert_eq!(node.panel.requests().len(), before + 1);
        }
    });
}

#[test]
fn an_operator_can_correct_a_refused_authorization() {
    with_each_fork(|fork| {
        let node = Node::start(fork);
        node.panel.act([
            refusal(401, "HttpException", "Access must include an Authorization header."),
            refusal(403, "AccessDeniedHttpException", "You are not authorized."),
            refusal(429, "TooManyRequestsHttpException", "Too Many Attempts."),
        ]);
        let backup = node.begin("wings", "");
        assert_eq!(node.result(backup)["successful"], true);
        wait_for(&node, backup, "delivered");
    });
}

#[test]
fn a_backup_that_was_deleted_in_the_panel_stays_on_the_disk() {
    with_each_fork(|fork| {
        let node = Node::with(fork, "  panel_missing_timeout: 2", "");
        node.panel.act(vec![Act::HangUp; 2]);
        let backup = node.begin("wings", "");
        node.panel.remove(backup);
        wait_for(&node, backup, "orphan");
        assert!(node.archive(backup).exists());
    });
}

#[test]
fn a_backup_without_part_urls_fails_and_is_reported() {
    with_each_fork(|fork| {
        let node = Node::with_s3(fork, "");
        for (act, text) in [
            (refusal(400, "BadRequestHttpException", "not S3 compatible"), "not S3 compatible"),
            (refusal(409, "ConflictHttpException", "already completed"), "already completed"),
        ] {
            node.panel.act([act]);
            let backup = node.begin("s3", "");
            assert_eq!(node.result(backup)["successful"], false);
            assert_eq!(node.panel.known(backup).accepted, ["backup"]);
            let failed = node.daemon.backup(node.server(), backup);
            assert!(failed["error"].as_str().unwrap().contains(text), "{failed}");
        }
    });
}

#[test]
fn a_restore_of_a_backup_that_the_panel_does_not_have_is_reported_until_it_is_final() {
    with_each_fork(|fork| {
        let node = Node::with(fork, "  panel_missing_timeout: 2", "");
        let backup = node.made("wings");
        node.panel.remove(backup);
        node.restore("wings", backup, false, "").expect(202);
        node.daemon.wait(node.server(), backup, |backup| backup["restored"]["successful"] == true);
        crate::daemon::until("no notification is pending", || {
            let none = "wingback_panel_notifications_pending 0";
            Some(()).filter(|()| node.daemon.metrics().contains(none))
        });
        assert!(node.archive(backup).exists());
    });
}
