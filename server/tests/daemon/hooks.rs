//! Hooks around the backups of servers.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    daemon::{Daemon, until},
    java::{Answer, Java, PASSWORD},
};

/// A directory for the hooks of a test.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Dir(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.file(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A command that adds a line to `log`.
    fn log(&self) -> String {
        let log = self.file("log");
        format!("echo \"$WINGBACK_HOOK $WINGBACK_HOOK_SOURCE\" >>{}", log.display())
    }
}

fn block(hooks: &[(&str, &str)]) -> String {
    let lines = hooks.iter().map(|(key, value)| format!("    {key}: {}\n", json!(value)));
    format!("  hooks:\n{}", lines.collect::<String>())
}

#[test]
fn hooks_run_around_a_backup_and_the_last_gets_the_report() {
    let dir = Dir::new();
    let (report, env) = (dir.file("report"), dir.file("env"));
    let after = format!("{}; cat >{}; env >{}", dir.log(), report.display(), env.display());
    let log = dir.log();
    let daemon = Daemon::with(&block(&[("before", &log), ("after_read", &log), ("after", &after)]));
    let server = daemon.server();
    let backup = daemon.made();
    let source = daemon.dir(server).display().to_string();
    let expected = ["before", "after-read", "after"].map(|hook| format!("{hook} {source}"));
    assert_eq!(dir.lines("log"), expected);
    let report: Value = serde_json::from_str(&dir.lines("report")[0]).unwrap();
    assert_eq!(report["sha1"], daemon.backup(server, backup)["checksum"], "{report}");
    let env = dir.lines("env");
    let has = |line: String| assert!(env.contains(&line), "{line}: {env:?}");
    has(format!("WINGBACK_HOOK_SERVER={server}"));
    has(format!("WINGBACK_HOOK_BACKUP={backup}"));
    has("WINGBACK_HOOK_STATUS=done".to_owned());
    has(format!("WINGBACK_HOOK_ARCHIVE={}", daemon.archive(backup).display()));
}

#[test]
fn a_failure_before_fails_the_backup_and_a_later_one_is_a_warning() {
    let dir = Dir::new();
    let (mut daemon, log) = (Daemon::idle("", ""), json!(dir.log()));
    let (good, bad) = (daemon.server(), daemon.add_server());
    let hooks = format!(
        "{}  server_hooks:\n    {bad}:\n      before: 'echo it is full >&2; false'\n      \
         after_read: {log}\n      after: {log}\n",
        block(&[("after_read", "exit 3"), ("after", "exit 4")]),
    );
    daemon.append(&hooks);
    daemon.start();

    let backup = Uuid::new_v4();
    daemon.ask(good, "wings", backup).expect(202);
    let made = daemon.wait_state(good, backup, "complete");
    let warnings = made["warnings"].as_array().unwrap();
    let hooks: Vec<_> = warnings.iter().filter(|w| w["code"] == "hook").collect();
    assert_eq!(hooks.len(), 2, "{made}");
    assert!(hooks[0]["message"].as_str().unwrap().contains("after-read"), "{made}");
    assert!(hooks[1]["message"].as_str().unwrap().contains("the after hook"), "{made}");

    let backup = Uuid::new_v4();
    daemon.ask(bad, "wings", backup).expect(202);
    let failed = daemon.wait_state(bad, backup, "failed");
    assert!(failed["error"].as_str().unwrap().contains("it is full"), "{failed}");
    // What has begun also ends.
    let source = daemon.dir(bad).display().to_string();
    assert_eq!(dir.lines("log"), [format!("after-read {source}"), format!("after {source}")]);
    assert!(!daemon.archive(backup).exists());
}

#[test]
fn a_cancel_and_a_stop_end_the_hook_before_and_run_the_others() {
    for is_stop in [false, true] {
        let dir = Dir::new();
        let begun = dir.file("begun");
        let before = format!("touch {}; sleep 600", begun.display());
        let log = dir.log();
        let hooks = [("before", &*before), ("after_read", &*log), ("after", &*log)];
        let mut daemon = Daemon::with(&block(&hooks));
        let (server, backup) = (daemon.server(), Uuid::new_v4());
        daemon.ask(server, "wings", backup).expect(202);
        until("the hook runs", || begun.exists().then_some(()));
        if is_stop {
            daemon.signal("TERM");
            assert!(daemon.ended());
        } else {
            let path = format!("{}/cancel", daemon.path(server, backup));
            daemon.send("POST", &path, b"").expect(204);
            assert_eq!(daemon.backup(server, backup)["error_kind"], "cancelled");
        }
        let source = daemon.dir(server).display().to_string();
        let expected = [format!("after-read {source}"), format!("after {source}")];
        assert_eq!(dir.lines("log"), expected, "{is_stop}");
    }
}

#[test]
fn a_java_server_does_not_save_while_its_files_are_read() {
    let dir = Dir::new();
    let mut daemon = Daemon::idle("", "");
    let server = daemon.server();
    let java = Java::start(daemon.dir(server), Answer::Good);
    fs::write(dir.file(&format!("{server}.password")), format!("{PASSWORD}\n")).unwrap();
    let hooks = format!(
        "  hooks:\n    quiesce: ['{}']\n    rcon_password_file: '{}/{{server}}.password'\n",
        java.target,
        dir.0.path().display()
    );
    daemon.append(&hooks);
    daemon.start();
    let backup = daemon.made();
    assert_eq!(java.commands(), ["save-off", "save-all flush", "save-on"]);
    let path = format!("{}/file?path=level.dat", daemon.path(server, backup));
    assert_eq!(daemon.send("GET", &path, b"").expect(200).text(), "flushed");
    assert!(!daemon.log().contains(PASSWORD));
}

/// Neither a request nor a file of the server has any influence.
#[test]
fn only_the_operator_can_set_hooks() {
    let dir = Dir::new();
    let daemon = Daemon::new();
    let (server, backup) = (daemon.server(), Uuid::new_v4());
    let touch = format!("touch {}", dir.file("ran").display());
    let own = format!("[default.create]\nbefore = {}\n", json!(touch));
    for name in ["wingback.toml", ".wingback.toml", ".pteroignore"] {
        fs::write(daemon.dir(server).join(name), &own).unwrap();
    }
    let body = json!({
        "adapter": "wings", "uuid": backup, "ignore": format!("$({touch})\n`{touch}`"),
        "before": touch, "hooks": { "before": touch }, "wingback": { "hooks": { "after": touch } },
    });
    daemon.post(&format!("/api/servers/{server}/backup"), body).expect(202);
    daemon.wait_state(server, backup, "complete");
    assert!(!dir.file("ran").exists());
}
