//! The Panel is down for an hour. With the default pauses, the daemon sends a result about twenty times in
//! an hour. Here the longest pause is one second.

use std::thread;

use crate::{
    node::Node,
    panel::{Act, Fork},
};

/// Attempts for two results.
const ATTEMPTS: usize = 40;

/// Answers of what is left of a Panel: nothing, a gateway, a maintenance page, a database that is down.
fn outage() -> Vec<Act> {
    let answers = [
        Act::HangUp,
        Act::Say(502, "<html>Bad Gateway</html>"),
        Act::Say(503, "<html>Be right back.</html>"),
        Act::Say(500, r#"{"errors":[{"code":"QueryException","status":"500","detail":"x"}]}"#),
        Act::Say(404, "<html>no site</html>"),
    ];
    answers.into_iter().cycle().take(ATTEMPTS).collect()
}

fn back_up_and_restore(fork: Fork) {
    let mut node = Node::start(fork);
    let earlier = node.made("wings");
    node.panel.act(outage());
    let backup = node.begin("wings", "");
    node.daemon.wait_state(node.server(), backup, "complete");
    node.restore("wings", earlier, false, "").expect(202);
    node.daemon.wait(node.server(), earlier, |backup| backup["restored"]["successful"] == true);
    // The next daemon continues.
    node.daemon.kill();
    node.daemon.start();
    assert_eq!(node.daemon.backup(node.server(), backup)["panel"], "pending");
    assert_eq!(node.result(backup)["successful"], true);
    node.restores(earlier, &[true]);
    assert_eq!(node.panel.known(backup).accepted, ["backup"]);
    assert_eq!(node.panel.known(earlier).accepted, ["backup", "restore"]);
    assert!(node.archive(backup).exists());
    assert_eq!(node.panel.script_left(), 0);
}

#[test]
fn results_reach_a_panel_that_was_down_for_an_hour() {
    thread::scope(|scope| {
        for fork in [Fork::Pterodactyl, Fork::Pelican] {
            scope.spawn(move || back_up_and_restore(fork));
        }
    });
}
