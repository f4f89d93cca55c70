//! The OpenAPI description, checked against the daemon by schemathesis.

use std::{fs, path::PathBuf, process::Command};

use uuid::Uuid;

use crate::{
    daemon::{Daemon, TOKEN, output},
    panel::Panel,
    server::Server,
};

/// A path in the cache folder of the user, where `tests/setup.sh` installs.
pub fn cached(path: &str) -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let path = cache.unwrap_or_else(home).join("wingback").join(path);
    assert!(path.exists(), "{} is not there: run `make setup`", path.display());
    path
}

fn try_out(daemon: &Daemon, backup: Uuid) {
    let settings = format!(
        "[parameters]\n\"path.server\" = \"{}\"\n\"path.backup\" = \"{backup}\"\n\
         [[operations]]\ninclude-name = \"GET /api/servers/{{server}}/backup/{{backup}}/file\"\n\
         [operations.parameters]\n\"query.path\" = \"server.properties\"\n",
        daemon.server()
    );
    let file = daemon.tmp.path().join("schemathesis.toml");
    fs::write(&file, settings).unwrap();
    let mut schemathesis = Command::new(cached("schemathesis-4.32.5/bin/schemathesis"));
    schemathesis
        .current_dir(daemon.tmp.path())
        .arg("--config-file")
        .arg(&file)
        .args([
            "run",
            &format!("{}/openapi.json", daemon.url),
            "--max-examples",
            "25",
            "--seed",
            "1",
        ])
        .args(["-H", &format!("Authorization: Bearer {TOKEN}")]);
    let (is_good, printed) = output(&mut schemathesis);
    assert!(is_good, "{printed}");
    assert!(printed.contains("24 selected / 24 total"), "{printed}");
}

#[test]
fn the_openapi_description_matches_a_node_without_s3() {
    let daemon = Daemon::new();
    let backup = daemon.made();
    try_out(&daemon, backup);
}

#[test]
fn the_openapi_description_matches_a_node_with_s3() {
    let s3 = Server::shared();
    let bucket = s3.bucket();
    let panel = Panel::start();
    let daemon = Daemon::with_panel(&panel.url(), &crate::notifications::s3_block(s3, &bucket));
    let backup = daemon.made();
    try_out(&daemon, backup);
}
