//! `create --dry-run` shows what would be backed up, and writes nothing.

use std::{fs, os::unix::net::UnixListener, process::Command};

use serde_json::{Value, json};

use crate::{
    common::{Fixture, left_out::cases, names, ok, run, wingback},
    limited,
};

fn fixture() -> Fixture {
    let fixture = Fixture::with(&[
        (".pteroignore", b"# logs\n*.log\n!latest.log\n"),
        ("cache/deep/file", b"12"),
        ("latest.log", b"123"),
        ("logs/old.log", b""),
        ("odd\x1b[31m.tmp", b""),
        ("world/level.dat", b"1234"),
    ]);
    fs::write(fixture.tmp.path().join("list"), "\n*.tmp\n").unwrap();
    fixture
}

/// Returns `wingback create DIR --dry-run` with patterns from all places.
fn dry_run(fixture: &Fixture) -> Command {
    let mut command = wingback();
    command.arg("create").arg(&fixture.source).args(["--dry-run", "-e", "*.bak", "-e", "/cache"]);
    command.args(["-X", "list"]).current_dir(fixture.tmp.path());
    command
}

#[test]
fn a_dry_run_prints_a_report_and_writes_nothing() {
    let fixture = fixture();
    let before = names(fixture.tmp.path());
    let ran = ok(dry_run(&fixture).args(["--to", "/nowhere", "--before", "touch ran"]));
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(
        lines[..2],
        ["dry run   nothing was written", "content   3 files, 2 directories, 0 symlinks, 32 B"]
    );
    assert!(lines[2].starts_with("archive   at most ") && lines[3].starts_with("time      "));
    assert_eq!(lines[4..], ["excluded  3, 0 not selected", "skipped   none", "warnings  none"]);
    assert_eq!(ran.err, "");
    assert_eq!(names(fixture.tmp.path()), before);
    ok(fixture.create().args(["-e", "*.bak", "-e", "/cache", "-e", "*.tmp", "--quiet"]));
    assert_eq!(fixture.left().len(), 1, "without --dry-run there is an archive");
}

#[test]
fn each_path_of_a_list_is_one_line() {
    let fixture = fixture();
    let ran = ok(dry_run(&fixture).args(["--list", "included"]));
    assert_eq!(ran.out, ".pteroignore\nlatest.log\nlogs/\nworld/\nworld/level.dat\n");
    assert_eq!(
        ran.one_line_error(),
        "3 files, 2 directories, 0 symlinks, 32 B would be backed up; \
         3 excluded, 0 not selected, 0 skipped"
    );
    let ran = ok(dry_run(&fixture).args(["--list", "excluded"]));
    assert_eq!(ran.out, "cache/\nlogs/old.log\nodd\\u{1b}[31m.tmp\n");
}

#[test]
fn a_verbose_list_has_the_patterns_and_the_reasons() {
    let fixture = fixture();
    let ran = ok(dry_run(&fixture).args(["--list", "included", "--verbose"]));
    assert_eq!(
        ran.out,
        ".pteroignore\n\
         latest.log  (.pteroignore, line 3: !latest.log)\n\
         logs/\n\
         world/\n\
         world/level.dat\n"
    );
    UnixListener::bind(fixture.source.join("socket")).unwrap();
    let ran = ok(dry_run(&fixture).args(["--list", "excluded", "-v"]));
    assert_eq!(
        ran.out,
        "cache/  (--exclude 2: /cache)\n\
         logs/old.log  (.pteroignore, line 2: *.log)\n\
         odd\\u{1b}[31m.tmp  (list, line 2: *.tmp)\n\
         socket  (is a socket)\n"
    );
}

#[test]
fn archives_in_the_source_and_in_the_destination_are_skipped() {
    let fixture = Fixture::with(&[("a", b"a")]);
    ok(fixture.create().arg("--quiet"));
    let name = fixture.left().remove(0).into_string().unwrap();
    fs::rename(&fixture.to, fixture.source.join("backups")).unwrap();
    let source = &fixture.source;
    fs::copy(source.join("backups").join(&name), source.join("copy")).unwrap();
    fs::write(source.join(format!("backups/{name}.lock")), "").unwrap();
    let excluded = |options: &[&str]| {
        let mut command = wingback();
        command.arg("create").arg(source).args(["--dry-run", "--list", "excluded", "-v"]);
        ok(command.args(options)).out
    };
    let own = [&*format!("backups/{name}"), &format!("backups/{name}.lock"), "copy"];
    let own = own.map(|path| format!("{path}  (is a backup itself)\n"));
    let to = source.join("backups");
    assert_eq!(excluded(&["--to", to.to_str().unwrap()]), own.concat());
    // Without the destination, the lock is a file like any other.
    assert_eq!(excluded(&["--to", "s3://backups/lobby"]), own[0].clone() + &own[2]);
    assert_eq!(excluded(&["--to", "s3://backups/lobby", "--include-archives"]), "");
}

#[test]
fn json_has_an_object_for_each_path_and_a_summary() {
    let fixture = fixture();
    let ran = ok(dry_run(&fixture).args(["--list", "excluded", "--json"]));
    assert_eq!(ran.err, "");
    let mut lines = ran.results();
    let mut preview = lines.pop().unwrap();
    let entry = |path: &str, kind: &str, pattern: Value| {
        json!({
            "type": "entry", "path": path, "kind": kind, "size": 0, "included": false,
            "skipped": null, "pattern": pattern,
        })
    };
    assert_eq!(
        lines,
        [
            entry(
                "cache",
                "directory",
                json!({ "origin": "caller", "line": 2, "pattern": "/cache", "negated": false }),
            ),
            entry(
                "logs/old.log",
                "file",
                json!({ "origin": "ignore-file", "line": 2, "pattern": "*.log", "negated": false }),
            ),
            entry(
                "odd\u{1b}[31m.tmp",
                "file",
                json!({
                    "origin": "exclude-from", "name": "list", "line": 2, "pattern": "*.tmp",
                    "negated": false,
                }),
            ),
        ]
    );
    assert!(preview["duration_ms"].take().is_u64());
    assert!(preview["archive_max"].take().is_u64());
    assert_eq!(
        preview,
        json!({
            "type": "preview", "files": 3, "directories": 2, "symlinks": 0, "content": 32,
            "archive_max": null, "excluded": 3, "unselected": 0, "skipped": [], "skipped_more": 0,
            "warnings": [], "partial": false, "duration_ms": null,
        })
    );
    let lines = ok(dry_run(&fixture).args(["--list", "included", "--json"])).results();
    assert_eq!((&lines[1]["path"], &lines[1]["size"]), (&json!("latest.log"), &json!(3)));
    assert_eq!(lines[1]["pattern"]["negated"], true);
    assert_eq!(ok(dry_run(&fixture).arg("--json")).results().len(), 1);
}

#[test]
fn a_path_that_cannot_be_backed_up_is_status_3() {
    let fixture = fixture();
    fs::write(fixture.tmp.path().join("files"), "world\nnone\n").unwrap();
    let ran = run(dry_run(&fixture).args(["--files-from", "files", "--list", "excluded", "-v"]));
    assert_eq!(ran.status, 3, "{ran:?}");
    assert_eq!(
        ran.out,
        ".pteroignore  (is not selected)\n\
         cache/  (is not selected)\n\
         latest.log  (is not selected)\n\
         logs/  (is not selected)\n\
         odd\\u{1b}[31m.tmp  (is not selected)\n\
         none  (was selected, but is not in the source)\n"
    );
    assert!(ran.one_line_error().ends_with("0 excluded, 5 not selected, 1 skipped"), "{ran:?}");
    let ran = run(dry_run(&fixture).args(["--files-from", "files", "--json"]));
    assert_eq!((ran.status, &ran.json()["partial"]), (3, &json!(true)));
}

#[test]
fn errors_are_those_of_create() {
    let fixture = Fixture::with(&[("a", b"")]);
    let failed = |options: &[&str]| {
        let mut command = wingback();
        run(command.arg("create").arg(&fixture.source).arg("--dry-run").args(options))
    };
    let ran = failed(&["-e", "*", "--list", "excluded"]);
    assert_eq!((ran.status, &*ran.out), (1, "a\n"));
    assert!(ran.one_line_error().contains("an empty archive must be allowed"), "{ran:?}");
    let ran = failed(&["-e", "[", "--strict-patterns", "--json"]);
    assert_eq!((ran.status, &ran.json()["kind"]), (1, &json!("invalid-input")));
    let ran = failed(&["-e", "[", "--list", "included"]);
    assert_eq!((ran.status, &*ran.out), (0, "a\n"));
    assert!(ran.err.starts_with("wingback: given patterns, line 1: '[': "), "{ran:?}");
}

#[test]
fn a_list_needs_dry_run() {
    let fixture = Fixture::with(&[("a", b"")]);
    for (options, missing) in [
        (&["--list", "included"][..], "--dry-run"),
        (&["--dry-run", "-v"], "--list"),
        (&["--list", "all", "--dry-run"], "included, excluded"),
    ] {
        let ran = run(fixture.create().args(options));
        assert_eq!((ran.status, &*ran.out), (2, ""), "{options:?}");
        assert!(ran.err.contains(missing), "{ran:?}");
    }
    assert!(!fixture.to.exists());
}

#[test]
fn a_long_list_takes_no_more_memory_than_a_short_one() {
    let peak_kb = |dirs: usize| {
        let fixture = Fixture::new();
        for dir in 0..dirs {
            let dir = fixture.source.join(format!("{dir}-{}", "d".repeat(200)));
            fs::create_dir(&dir).unwrap();
            for file in 0..200 {
                fs::write(dir.join(format!("{file}-{}", "f".repeat(200))), "").unwrap();
            }
        }
        let mut command = wingback();
        command.arg("create").arg(&fixture.source).args(["--dry-run", "--list", "included", "-v"]);
        let ran = limited::run(&command);
        assert_eq!((ran.status, ran.out.lines().count()), (0, dirs * 201), "{}", ran.err);
        ran.peak_kb
    };
    let (short, long) = (peak_kb(1), peak_kb(cases(100, 1000)));
    // The paths of 100 directories have 8 MB.
    assert!(long < short + 4000, "{short} KiB and {long} KiB");
}
