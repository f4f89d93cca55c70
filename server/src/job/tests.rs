//! Jobs whose work panics.

use std::fs;

use super::*;
use crate::{
    commands::{self, BackupRequest},
    config::Config,
    node::Node,
    record::{Adapter, Delivery, Finding, State},
    restore,
};

/// A node with one server, and a Panel that does not exist.
fn node(root: &std::path::Path) -> (Arc<Node>, Uuid) {
    let server = Uuid::new_v4();
    fs::create_dir_all(root.join(format!("volumes/{server}"))).unwrap();
    fs::write(root.join(format!("volumes/{server}/level.dat")), "level").unwrap();
    let root = root.display();
    let text = format!(
        "remote: 'http://127.0.0.1:1'\nsystem: {{root_directory: {root}}}\n\
         wingback: {{slots: 1, reserve_mib: 0, panel_retry_max: 1}}\n"
    );
    (Arc::new(Node::new(Config::parse(&text).unwrap()).unwrap()), server)
}

async fn back_up(node: &Arc<Node>, server: Uuid, uuid: Uuid) {
    let request = BackupRequest { adapter: Adapter::Wings, uuid, ignore: String::new() };
    commands::back_up(node, server, request).await.unwrap();
}

async fn over(node: &Node, uuid: Uuid) {
    if let Some(job) = node.jobs.get(uuid) {
        job.finished().await;
    }
}

fn runs_in_time(test: impl Future<Output = ()>) {
    let late = async {
        Timer::after(Duration::from_secs(30)).await;
        panic!("it takes too long");
    };
    smol::block_on(smol::future::or(test, late));
}

fn panicked() -> Finding {
    Finding::new("internal", "run the job: it panicked: a test planned it")
}

#[test]
fn a_panicking_backup_fails_and_frees_its_slot() {
    let tmp = tempfile::tempdir().unwrap();
    let (node, server) = node(tmp.path());
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    panics::plan(first);
    runs_in_time(async {
        back_up(&node, server, first).await;
        back_up(&node, server, second).await;
        over(&node, first).await;
        let failed = node.backups.get(first).unwrap();
        assert_eq!((failed.state, failed.notification.state), (State::Failed, Delivery::Pending));
        assert_eq!(failed.error, Some(panicked()));
        over(&node, second).await;
        assert_eq!(node.backups.get(second).unwrap().state, State::Complete);
        assert_eq!(node.queue.lengths(), (0, 0));
    });
}

#[test]
fn a_panicking_restore_fails_and_the_next_one_runs() {
    let tmp = tempfile::tempdir().unwrap();
    let (node, server) = node(tmp.path());
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let request =
        || restore::RestoreRequest { adapter: Adapter::Wings, truncate: false, download_url: None };
    runs_in_time(async {
        for uuid in [first, second] {
            back_up(&node, server, uuid).await;
            over(&node, uuid).await;
        }
        panics::plan(first);
        for uuid in [first, second] {
            commands::restore(&node, server, uuid, request()).await.unwrap();
            over(&node, uuid).await;
        }
        let restored = |uuid| node.backups.get(uuid).unwrap().restored.unwrap().error;
        assert_eq!(restored(first), Some(panicked()));
        assert_eq!(restored(second), None);
        let pending = node.restores.select(|restore| restore.backup == first);
        assert_eq!(pending[0].notification.state, Delivery::Pending);
        assert_eq!((pending[0].successful, node.queue.lengths()), (Some(false), (0, 0)));
    });
}

#[test]
fn a_panicking_check_ends() {
    let tmp = tempfile::tempdir().unwrap();
    let (node, server) = node(tmp.path());
    let uuid = Uuid::new_v4();
    runs_in_time(async {
        back_up(&node, server, uuid).await;
        over(&node, uuid).await;
        panics::plan(uuid);
        commands::verify(&node, server, uuid).await.unwrap();
        over(&node, uuid).await;
        assert!(node.backups.get(uuid).unwrap().verified.is_none());
        assert_eq!(node.queue.lengths(), (0, 0));
    });
}

#[test]
fn an_archive_keeps_its_name_when_the_configuration_changes() {
    let tmp = tempfile::tempdir().unwrap();
    let (node, server) = node(tmp.path());
    let uuid = Uuid::new_v4();
    runs_in_time(async {
        back_up(&node, server, uuid).await;
        over(&node, uuid).await;
    });
    let mut record = node.backups.get(uuid).unwrap();
    let text = format!(
        "system: {{root_directory: {}}}\nwingback: {{archive_name: '{{server}}/{{uuid}}.tar.gz'}}",
        tmp.path().display()
    );
    let changed = Config::parse(&text).unwrap();
    let is_there = |record: &crate::record::Backup| {
        let location = crate::archives::location(&changed, record).unwrap().unwrap();
        smol::block_on(location.store.head(&location.key)).unwrap().is_some()
    };
    assert!(is_there(&record));
    // As an older daemon recorded it.
    record.key = None;
    assert!(!is_there(&record));
}
