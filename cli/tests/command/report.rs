//! The text report and the exit status.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, process::Command};

use crate::common::{self, Fixture, listed, ok, run};

#[test]
fn the_report_names_the_archive() {
    let fixture = Fixture::with(&[("level.dat", b"seed"), ("mods/a.jar", &common::noise(1, 5000))]);
    let ran = ok(&mut fixture.create());
    let archive = fixture.archive();
    let size = fs::metadata(&archive).unwrap().len();
    let sum = ok(Command::new("sha1sum").arg(&archive)).out;
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines[0], format!("archive   {}", archive.display()));
    assert!(lines[1].starts_with("size      "), "{}", lines[1]);
    let digits: String =
        lines[1].split('(').nth(1).unwrap().chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits, size.to_string());
    assert_eq!(lines[2], format!("sha1      {}", &sum[..40]));
    assert!(lines[3].starts_with("content   2 files, 1 "), "{}", lines[3]);
    assert_eq!(lines[5..], ["skipped   none", "changed   none", "warnings  none"]);
    assert_eq!(ran.err, "", "a quick backup shows no progress");
    assert_eq!(listed(&archive), ["level.dat", "mods/", "mods/a.jar"]);
}

#[test]
fn an_archive_is_private_and_has_a_new_uuid() {
    use std::os::unix::fs::MetadataExt;
    let fixture = Fixture::with(&[("a", b"a")]);
    ok(&mut fixture.create());
    assert_eq!(fs::metadata(fixture.archive()).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&fixture.to).unwrap().mode() & 0o7777, 0o700);
    ok(&mut fixture.create());
    let names = fixture.left();
    assert_eq!(names.len(), 2);
    for name in names {
        let name = name.into_string().unwrap();
        let uuid = name.strip_prefix("backup-").unwrap().strip_suffix(".tar.gz").unwrap();
        assert!(uuid.parse::<uuid::Uuid>().is_ok(), "{name}");
    }
}

#[test]
fn special_files_are_listed_as_skipped_and_do_not_fail_a_backup() {
    let fixture = Fixture::with(&[("a", b"a")]);
    ok(Command::new("mkfifo").arg(fixture.source.join("pipe")));
    let _socket = std::os::unix::net::UnixListener::bind(fixture.source.join("sock")).unwrap();
    let out = ok(&mut fixture.create()).out;
    assert!(out.contains("skipped   2\n  pipe: is a named pipe\n  sock: is a socket\n"), "{out}");
    assert_eq!(listed(&fixture.archive()), ["a"]);
}

#[test]
fn long_lists_are_truncated_in_text_and_complete_in_json() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let pipes: Vec<_> = (10..40).map(|i| fixture.source.join(format!("pipe{i}"))).collect();
    ok(Command::new("mkfifo").args(&pipes));
    let out = ok(&mut fixture.create()).out;
    assert!(out.contains("skipped   30\n  pipe10: "), "{out}");
    assert!(
        out.contains("  pipe29: is a named pipe\n  … and 10 more (--json lists all)\n"),
        "{out}"
    );
    assert!(!out.contains("pipe30"));
    let report = ok(fixture.create().arg("--json")).json();
    assert_eq!(report["skipped"].as_array().unwrap().len(), 30);
}

#[test]
fn names_in_the_report_are_escaped_for_the_terminal() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let name = OsStr::from_bytes(b"\x1b[31mred\rline\nfeed\x7f\xc2\x9b2J");
    ok(Command::new("mkfifo").arg(fixture.source.join(name)));
    let steers = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    let ran = ok(&mut fixture.create());
    assert!(!steers(&ran.out), "{:?}", ran.out);
    assert!(
        ran.out.contains(r"\u{1b}[31mred\rline\nfeed\u{7f}\u{9b}2J: is a named pipe"),
        "{}",
        ran.out
    );
    let json = ok(fixture.create().arg("--json"));
    assert!(!steers(&json.out), "{:?}", json.out);
    assert_eq!(json.json()["skipped"][0]["path"].as_str().unwrap().as_bytes(), name.as_bytes());
    // As a backup directory, in a report and in an error; then as a source.
    let to = fixture.tmp.path().join(name);
    assert!(!steers(&ok(&mut common::create(&fixture.source, &to)).out));
    let nowhere = run(&mut common::create(&fixture.source.join(name).join("x"), &to));
    assert_eq!(nowhere.status, 1);
    assert!(!steers(&nowhere.err), "{:?}", nowhere.err);
    nowhere.one_line_error();
    // As a leftover of a killed backup.
    let swept = fixture.tmp.path().join("swept");
    fs::create_dir(&swept).unwrap();
    let part = [b".", name.as_bytes(), b".wingback-part"].concat();
    fs::write(swept.join(OsStr::from_bytes(&part)), "").unwrap();
    let ran = ok(common::wingback().arg("sweep").arg(&swept));
    assert!(ran.out.starts_with("removed ") && !steers(&ran.out), "{:?}", ran.out);
}

#[test]
fn quiet_prints_only_the_report() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let ran = ok(fixture.create().arg("--quiet"));
    assert!(ran.out.starts_with("archive   "));
    assert_eq!(ran.err, "");
}

#[test]
fn a_closed_output_pipe_does_not_stop_the_backup() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 300_000))]);
    for style in [&["--quiet"][..], &["--json"], &[]] {
        // Whether the command writes before or after the pipe is closed is random.
        for _ in 0..5 {
            let _ = fs::remove_dir_all(&fixture.to);
            let mut command = fixture.create();
            command.args(style).args(["--read-limit", "1M"]);
            let mut child = common::spawn(&mut command);
            drop((child.stdout.take(), child.stderr.take()));
            assert!(child.wait().unwrap().success());
            assert_eq!(listed(&fixture.archive()), ["a"]);
        }
    }
    let script = r#""$0" create "$1" --mkdir --to "$2" --json | head -n 0; exit ${PIPESTATUS[0]}"#;
    let _ = fs::remove_dir_all(&fixture.to);
    let mut bash = Command::new("bash");
    bash.args(["-c", script, env!("CARGO_BIN_EXE_wingback")]).arg(&fixture.source).arg(&fixture.to);
    assert_eq!(ok(&mut bash).err, "");
    assert_eq!(listed(&fixture.archive()), ["a"]);
}
