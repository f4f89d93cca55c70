//! A backup reuses data of the server's previous one.

use uuid::Uuid;

use crate::{daemon::Daemon, panel::Panel, server::Server};

fn copied(daemon: &Daemon, server: Uuid, adapter: &str) -> u64 {
    let backup = Uuid::new_v4();
    daemon.ask(server, adapter, backup).expect(202);
    let made = daemon.wait_state(server, backup, "complete");
    assert_eq!(made["warnings"], serde_json::json!([]));
    made["copied"].as_u64().unwrap()
}

#[test]
fn a_backup_reuses_the_servers_previous_one_unless_disabled() {
    let mut daemon = Daemon::idle("", "");
    let (one, other) = (daemon.server(), daemon.add_server());
    daemon.start();
    assert_eq!(copied(&daemon, one, "wings"), 0);
    assert_eq!(copied(&daemon, other, "wings"), 0, "previous backups are per server");
    assert!(copied(&daemon, one, "wings") > 1 << 20);
    // Also after a restart, and from what is left.
    daemon.kill();
    daemon.start();
    assert!(copied(&daemon, other, "wings") > 1 << 20);

    let stubborn = Daemon::with("  previous: false");
    let server = stubborn.server();
    assert_eq!(copied(&stubborn, server, "wings"), 0);
    assert_eq!(copied(&stubborn, server, "wings"), 0);
}

#[test]
fn s3_backups_reuse_the_local_cache() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::with_s3(s3, &bucket);
    let daemon = Daemon::with_panel(&panel.url(), "  cache_mib: 100");
    assert_eq!(copied(&daemon, daemon.server(), "s3"), 0);
    assert!(copied(&daemon, daemon.server(), "s3") > 1 << 20);
    let cache = daemon.tmp.path().join("wingback/cache");
    assert_eq!(std::fs::read_dir(cache).unwrap().count(), 1);
}
