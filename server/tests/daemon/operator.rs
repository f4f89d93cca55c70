//! The daemon as its operator configures and runs it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::Command,
};

use serde_json::json;
use uuid::Uuid;

use crate::{
    client::fetch,
    daemon::{Daemon, TOKEN, noise, output, until},
    panel::Panel,
};

pub fn server() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wingback-server"));
    command.env_remove("RUST_LOG").env_remove("WINGS_TOKEN");
    command
}

#[test]
fn a_configuration_error_names_its_line_and_stops_the_start() {
    let daemon = Daemon::idle("", "");
    let check = || output(server().arg("--check").arg("--config").arg(daemon.config()));
    assert!(check().0);
    daemon.configure(TOKEN, "  backup_write_limit: fast");
    let (is_good, printed) = check();
    assert!(
        !is_good && printed.contains("system.backup_write_limit") && printed.contains("line 6"),
        "{printed}"
    );
    assert!(!printed.contains(TOKEN));
    daemon.configure("''", "");
    let (is_good, printed) = check();
    assert!(!is_good && printed.contains("token"), "{printed}");
    let (is_good, printed) = output(server().args(["--config", "/nowhere/config.yml"]));
    assert!(!is_good && printed.contains("/nowhere/config.yml"), "{printed}");
    assert!(!daemon.tmp.path().join("wingback").exists());
}

#[test]
fn a_check_prints_the_values_that_depend_on_the_switch() {
    let daemon = Daemon::idle("  compatibility: pterodactyl\n  rules: git", "");
    let check = |more: &[&str]| {
        output(server().args(more).arg("--check").arg("--config").arg(daemon.config()))
    };
    let (is_good, printed) = check(&[]);
    assert!(is_good, "{printed}");
    for line in [
        "wingback.compatibility: pterodactyl",
        "wingback.archive_name: {uuid}.tar.gz",
        "wingback.ignore_mode: replace",
        "wingback.rules: git  # set in the file",
        "wingback.invalid_adapter_status: 500",
        &format!("system.backup_directory: {}", daemon.backups_dir().display()),
    ] {
        assert!(printed.lines().any(|other| other == line), "{line}: {printed}");
    }
    // The option has priority over the file.
    let (is_good, printed) = check(&["--compatibility", "pelican"]);
    assert!(is_good && printed.contains("archive_name: {server}/{uuid}.tar.gz"), "{printed}");
    for (more, path) in [
        (&[][..], "/etc/pterodactyl/config.yml"),
        (&["--compatibility", "documented"], "/etc/pterodactyl/config.yml"),
        (&["--compatibility", "pelican"], "/etc/pelican/config.yml"),
    ] {
        let (is_good, printed) = output(server().args(more).arg("--check"));
        assert!(!is_good && printed.contains(path), "{printed}");
    }
}

#[test]
fn the_log_shows_which_request_began_a_job() {
    let daemon = Daemon::new();
    let backup = Uuid::new_v4();
    let asked = daemon.ask(daemon.server(), "wings", backup).expect(202);
    let id = asked.headers["x-request-id"].clone();
    daemon.wait_state(daemon.server(), backup, "complete");
    let failed = daemon.send("GET", "/nowhere", b"").expect(404);
    assert_ne!(failed.headers["x-request-id"], id);
    let log = daemon.log();
    for text in ["path=\"/api/servers/", "backup started", "backup complete"] {
        let is_there = log.lines().any(|line| line.contains(&id) && line.contains(text));
        assert!(is_there, "{text}: {log}");
    }
}

#[test]
fn a_token_can_come_from_a_file() {
    let mut daemon = Daemon::idle("", "");
    let file = daemon.tmp.path().join("secret");
    fs::write(&file, format!("{TOKEN}\n")).unwrap();
    daemon.configure(&format!("file://{}", file.display()), "");
    daemon.start();
    daemon.made();
}

#[test]
fn an_incomplete_token_stops_the_start() {
    let daemon = Daemon::idle("", "");
    let broken = daemon.tmp.path().join("broken");
    fs::write(&broken, "${WB_TOKEN}\n").unwrap();
    let from_file = format!("file://{}", broken.display());
    for (token, why) in [
        ("${WB_UNSET}", "WB_UNSET"),
        ("$WB_UNSET", "not set"),
        ("abc${WB_TOKEN", "closing brace"),
        (&*from_file, "${"),
        ("file://${WB_DIR}/missing", "missing"),
        ("'two words'", "white space"),
        ("~", "it is missing"),
    ] {
        daemon.configure(token, "");
        let mut command = server();
        command.env("WB_TOKEN", TOKEN).env("WB_DIR", daemon.tmp.path());
        let (is_good, printed) =
            output(command.arg("--check").arg("--config").arg(daemon.config()));
        assert!(
            !is_good && printed.contains("token: ") && printed.contains(why),
            "{token}: {printed}"
        );
    }
}

#[test]
fn an_unspecified_address_listens_on_ipv4_and_ipv6() {
    for host in ["''", "'[::]'"] {
        let mut daemon = Daemon::idle("", "");
        let text = fs::read_to_string(daemon.config()).unwrap();
        let text = text.replace("  listen: 127.0.0.1:0\n", "");
        let text = format!("{text}api: {{host: {host}, port: 0}}\n");
        fs::write(daemon.config(), text).unwrap();
        daemon.start();
        let (_, port) = daemon.url.rsplit_once(':').unwrap();
        for address in ["127.0.0.1", "[::1]"] {
            let there = std::net::TcpStream::connect(format!("{address}:{port}"));
            assert!(there.is_ok(), "{host}: {address}: {there:?}");
        }
    }
}

#[test]
fn a_reload_applies_tokens_and_limits_and_rejects_an_invalid_file() {
    let mut daemon = Daemon::idle("", "");
    daemon.configure(TOKEN, "  backup_write_limit: 20000");
    daemon.start();
    let backup = Uuid::new_v4();
    daemon.ask(daemon.server(), "wings", backup).expect(202);
    daemon.wait_state(daemon.server(), backup, "running");
    daemon.configure(TOKEN, "  backup_write_limit: fast");
    daemon.signal("HUP");
    until("the error is logged", || {
        Some(()).filter(|()| daemon.log().contains("keeping the old one"))
    });
    daemon.configure("another", "");
    daemon.signal("HUP");
    let servers = |token: &str| {
        let bearer = format!("Bearer {token}");
        let url = format!("{}/api/servers", daemon.url);
        fetch("GET", &url, &[("Authorization", &bearer)], b"").unwrap().status
    };
    until("the new token is accepted", || Some(()).filter(|()| servers("another") == 200));
    assert_eq!(servers(TOKEN), 401);
    daemon.configure(TOKEN, "");
    daemon.signal("HUP");
    until("the old token is accepted again", || Some(()).filter(|()| servers(TOKEN) == 200));
    // With its old limit it would take a minute.
    daemon.wait_state(daemon.server(), backup, "complete");
}

#[test]
fn a_stop_finishes_running_backups_and_starts_no_others() {
    let panel = Panel::start();
    let mut daemon = Daemon::idle("  slots: 1", &panel.url());
    daemon.configure(TOKEN, "  backup_write_limit: 1000000");
    daemon.start();
    let server = daemon.server();
    let (running, queued) = (Uuid::new_v4(), Uuid::new_v4());
    daemon.ask(server, "wings", running).expect(202);
    daemon.wait_state(server, running, "running");
    daemon.ask(server, "wings", queued).expect(202);
    daemon.signal("TERM");
    until("the daemon is stopping", || {
        Some(()).filter(|()| daemon.get("/health")["status"] == "stopping")
    });
    daemon.ask(server, "wings", Uuid::new_v4()).expect(503);
    assert!(daemon.ended());
    assert!(daemon.archive(running).exists() && !daemon.archive(queued).exists());
    daemon.start();
    for (backup, successful) in [(running, true), (queued, false)] {
        let results = until("the Panel is notified", || {
            Some(panel.known(backup).results).filter(|results| !results.is_empty())
        });
        assert_eq!((results.len(), &results[0]["successful"]), (1, &json!(successful)));
    }
}

#[test]
fn a_stop_has_a_time_limit() {
    let panel = Panel::start();
    let mut daemon = Daemon::idle("  stop_timeout: 1", &panel.url());
    daemon.configure(TOKEN, "  backup_write_limit: 1000");
    daemon.start();
    let backup = Uuid::new_v4();
    daemon.ask(daemon.server(), "wings", backup).expect(202);
    daemon.wait_state(daemon.server(), backup, "running");
    daemon.signal("INT");
    assert!(daemon.ended());
    assert!(daemon.files().is_empty());
    daemon.start();
    let results = until("the Panel is notified", || {
        Some(panel.known(backup).results).filter(|results| !results.is_empty())
    });
    assert_eq!((results.len(), &results[0]["successful"]), (1, &json!(false)));
}

#[test]
fn tls_is_configured_as_in_wings() {
    let mut daemon = Daemon::idle("", "");
    let (key, certificate) =
        (daemon.tmp.path().join("key.pem"), daemon.tmp.path().join("cert.pem"));
    let mut make = Command::new("openssl");
    make.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=wingback",
    ])
    .args([
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ])
    .arg("-keyout")
    .arg(&key)
    .arg("-out")
    .arg(&certificate);
    let made = output(&mut make);
    assert!(made.0, "{}", made.1);
    let ssl = format!(
        "api: {{ssl: {{enabled: true, cert: {}, key: {}}}}}",
        certificate.display(),
        key.display()
    );
    let text = fs::read_to_string(daemon.config()).unwrap();
    fs::write(daemon.config(), format!("{text}{ssl}\n")).unwrap();
    daemon.start();
    let address = daemon.url.strip_prefix("https://").unwrap().to_owned();
    let script = "import json, ssl, sys, urllib.request\n\
                  context = ssl.create_default_context(cafile=sys.argv[1])\n\
                  reply = urllib.request.urlopen(f'https://{sys.argv[2]}/health', context=context)\n\
                  print(json.load(reply)['status'])\n";
    let (is_good, printed) =
        output(Command::new("python3").args(["-c", script]).arg(&certificate).arg(&address));
    assert!(is_good && printed.trim() == "running", "{printed}");
    // A client without TLS gets no response.
    assert!(fetch("GET", &format!("http://{address}/health"), &[], b"").is_err());
    drop(daemon);

    let mut daemon = Daemon::idle("api: {ssl: {enabled: true, cert: /nowhere, key: /nowhere}}", "");
    let (is_good, printed) = output(server().arg("--check").arg("--config").arg(daemon.config()));
    assert!(!is_good && printed.contains("api.ssl: /nowhere"), "{printed}");
    daemon.kill();
}

#[test]
fn the_log_can_be_json_lines() {
    let daemon = Daemon::idle("", "");
    let mut child = server()
        .arg("--log-json")
        .arg("--config")
        .arg(daemon.config())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut text = String::new();
    while !text.contains("listening on ") {
        assert_ne!(lines.read_line(&mut text).unwrap(), 0, "the daemon exited: {text}");
    }
    let kill = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(kill.success());
    lines.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.lines().count() >= 2);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[test]
fn two_daemons_cannot_share_an_address() {
    let daemon = Daemon::new();
    let address = daemon.url.strip_prefix("http://").unwrap();
    let mut second = server();
    second.arg("--config").arg(daemon.config()).args(["--listen", address]);
    let (is_good, printed) = output(&mut second);
    assert!(!is_good && printed.contains(address), "{printed}");
    // Two daemons cannot share their records either.
    let mut second = server();
    second.arg("--config").arg(daemon.config());
    let (is_good, printed) = output(&mut second);
    assert!(!is_good && printed.contains("another daemon"), "{printed}");
}

#[test]
fn all_backups_share_one_speed_limit() {
    let mut daemon = Daemon::idle("  slots: 4", "");
    daemon.configure(TOKEN, "  backup_write_limit: 2000000");
    for _ in 0..2 {
        daemon.add_server();
    }
    for &server in &daemon.servers {
        fs::write(daemon.dir(server).join("big"), noise(4, 1 << 20)).unwrap();
    }
    daemon.start();
    let began = std::time::Instant::now();
    let backups: Vec<_> = daemon.servers.iter().map(|&server| (server, Uuid::new_v4())).collect();
    for &(server, backup) in &backups {
        daemon.ask(server, "wings", backup).expect(202);
    }
    let sizes = backups.iter().map(|&(server, backup)| {
        daemon.wait_state(server, backup, "complete")["size"].as_u64().unwrap()
    });
    let bytes: u64 = sizes.sum();
    let rate = bytes as f64 / began.elapsed().as_secs_f64();
    assert!(rate < 2_300_000.0, "{rate}");
}
