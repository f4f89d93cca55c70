//! The page in a real browser. `WINGBACK_BLESS=1` updates the screenshots in `docs/`.

use std::{env, fs, path::Path, process::Command};

use crate::{
    daemon::{Daemon, TOKEN, noise, output},
    interface::cached,
};

#[test]
fn a_user_can_do_everything_on_the_page() {
    let mut daemon = Daemon::idle("", "");
    daemon.configure(TOKEN, "  backup_write_limit: 6000000");
    let server = daemon.server();
    fs::write(daemon.dir(server).join("world/big.bin"), noise(6, 16 << 20)).unwrap();
    daemon.start();
    let pictures = match env::var_os("WINGBACK_BLESS") {
        Some(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs"),
        None => daemon.tmp.path().to_owned(),
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/page.mjs");
    let mut browser = Command::new("node");
    browser
        .arg(script)
        .env("MODULES", cached("playwright-1.64.1/node_modules"))
        .env("PAGE", &daemon.url)
        .env("TOKEN", TOKEN)
        .env("SERVER", server.to_string())
        .env("SERVER_DIR", daemon.dir(server))
        .env("PICTURES", pictures);
    let (is_good, printed) = output(&mut browser);
    assert!(is_good, "{printed}");
    // The backups that remain after the script.
    let left = daemon.get(&format!("/api/servers/{server}/backups"));
    assert_eq!(left["backups"].as_array().unwrap().len(), 1, "{left}");
}
