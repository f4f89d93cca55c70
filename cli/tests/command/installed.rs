//! The files of `make install`: the command, and examples for its configuration, cron and systemd.

use std::{fs, path::Path, process::Command};

use crate::common::{Fixture, is_there, ok, wingback};

const EXAMPLES: &str = "share/doc/wingback/examples";

/// Installs beneath `prefix`.
fn install(prefix: &Path) -> Command {
    let mut install = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/install.sh"));
    let built = Path::new(env!("CARGO_BIN_EXE_wingback")).parent().unwrap();
    install.arg(built).arg(prefix);
    install
}

#[test]
fn the_installed_files_are_complete_and_name_the_installed_command() {
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("usr");
    ok(&mut install(&prefix));
    let bin = prefix.join("bin/wingback");
    assert!(ok(Command::new(&bin).arg("--version")).out.starts_with("wingback "));
    for (file, command) in [
        ("lib/systemd/system/wingback@.service", "create @%i"),
        (&format!("{EXAMPLES}/wingback.cron"), "create @lobby"),
    ] {
        let text = fs::read_to_string(prefix.join(file)).unwrap();
        let command = format!("{} {command}", bin.display());
        assert!(text.contains(&command) && !text.contains("/usr/local"), "{text}");
    }
    assert!(prefix.join("lib/systemd/system/wingback@.timer").is_file());

    // Packagers set DESTDIR.
    let staged = dir.path().join("staged");
    ok(install(Path::new("/usr")).env("DESTDIR", &staged));
    let cron = fs::read_to_string(staged.join("usr").join(EXAMPLES).join("wingback.cron")).unwrap();
    assert!(cron.contains("root /usr/bin/wingback create @lobby"), "{cron}");
}

#[test]
fn systemd_accepts_the_units() {
    if !is_there("systemd-analyze", "units for systemd") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    ok(&mut install(dir.path()));
    let units = dir.path().join("lib/systemd/system");
    for unit in ["service", "timer"] {
        let lobby = units.join(format!("wingback@lobby.{unit}"));
        fs::copy(units.join(format!("wingback@.{unit}")), &lobby).unwrap();
        let ran = ok(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&lobby));
        let own: Vec<_> = ran.err.lines().filter(|line| line.contains("wingback")).collect();
        assert!(own.is_empty(), "{own:?}");
    }
}

#[test]
fn a_line_of_cron_mails_nothing_after_a_success_and_the_status_after_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    ok(&mut install(dir.path()));
    let cron = fs::read_to_string(dir.path().join(EXAMPLES).join("wingback.cron")).unwrap();
    let line = cron.lines().find_map(|line| line.strip_prefix("0 4 * * * root ")).unwrap();
    let fixture = Fixture::with(&[("a", b"a")]);
    fs::create_dir(&fixture.to).unwrap();
    let profiles = dir.path().join("wingback.toml");
    let toml = format!("[lobby.create]\ndir = {:?}\nto = {:?}\n", fixture.source, fixture.to);
    fs::write(&profiles, toml).unwrap();
    let mut job = Command::new("/bin/sh");
    job.args(["-c", line]).env("WINGBACK_TOML", &profiles).env("WINGBACK_STATE_DIR", dir.path());
    let ran = ok(&mut job);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
    ok(wingback().arg("verify").arg(fixture.archive()));
    fs::remove_dir_all(&fixture.source).unwrap();
    let ran = ok(&mut job);
    assert_eq!(ran.out, "backup of lobby: status 1\n");
    assert!(ran.one_line_error().contains("server"), "{ran:?}");
}
