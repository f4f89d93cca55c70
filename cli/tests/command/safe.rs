//! Defaults that keep a mistake from becoming a backup, and backups of listed files.

use std::{
    fs::{self, File},
    process::Stdio,
};

use crate::common::{self, Fixture, listed, names, ok, run};

#[test]
fn an_empty_directory_is_an_error_without_allow_empty() {
    let fixture = Fixture::new();
    let ran = run(&mut fixture.create());
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("the directory is empty") && ran.err.contains("--allow-empty"));
    assert!(fixture.left().is_empty());
    let error = run(fixture.create().arg("--json")).json();
    assert_eq!((&error["type"], &error["kind"]), (&"error".into(), &"invalid-input".into()));

    let report = ok(fixture.create().args(["--allow-empty", "--json"])).json();
    assert_eq!(report["warnings"][0]["code"], "empty");
    let ran = ok(fixture.create().args(["--allow-empty", "--quiet"]));
    assert!(ran.out.contains("warnings  1\n  the archive is empty\n"), "{ran:?}");
}

#[test]
fn a_shrunk_source_is_a_warning() {
    let fixture = Fixture::with(&[("world", &[b'w'; 10_000]), ("motd", b"hello")]);
    ok(&mut fixture.create());
    fs::remove_file(fixture.source.join("world")).unwrap();
    let report = ok(fixture.create().args(["--previous", "latest", "--json"])).json();
    let mut warnings = report["warnings"].as_array().unwrap().iter();
    let shrank = warnings.find(|warning| warning["code"] == "shrank").unwrap();
    let message = "the archive has 5 bytes of content, and the previous one has 10005 bytes";
    assert_eq!(shrank["message"], message);
}

#[test]
fn a_destination_that_does_not_exist_is_an_error_without_mkdir() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let create = || {
        let mut command = common::wingback();
        command.arg("create").arg(&fixture.source).arg("--to").arg(&fixture.to);
        command
    };
    let ran = run(create().arg("--quiet"));
    assert_eq!(ran.status, 1);
    let error = ran.one_line_error();
    assert!(error.contains("backups: it does not exist; mount its disk, or make it (--mkdir)"));
    assert_eq!(run(create().arg("--json")).json()["kind"], "not-found");
    assert!(!fixture.to.exists());
    ok(create().args(["--mkdir", "--quiet"]));
    assert_eq!(listed(&fixture.archive()), ["a"]);
}

#[test]
fn archives_in_the_source_are_left_out_and_listed() {
    let fixture = Fixture::with(&[("a", b"a")]);
    ok(fixture.create().arg("--quiet"));
    let copy = fixture.source.join("old/monday");
    fs::create_dir(fixture.source.join("old")).unwrap();
    fs::rename(fixture.archive(), copy).unwrap();

    let ran = ok(fixture.create().arg("--quiet"));
    assert!(ran.out.contains("skipped   1\n  old/monday: is a backup itself\n"), "{ran:?}");
    assert_eq!(listed(&fixture.archive()), ["a", "old/"]);
    fs::remove_file(fixture.archive()).unwrap();
    let report = ok(fixture.create().args(["--include-archives", "--json"])).json();
    assert_eq!(report["skipped"].as_array().map(Vec::len), Some(0));
    assert_eq!(listed(&fixture.archive()), ["a", "old/", "old/monday"]);
}

#[test]
fn an_archive_goes_to_standard_output_and_its_report_to_standard_error() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let path = fixture.tmp.path().join("out.tar.gz");
    let create = |options: &[&str]| {
        let mut command = common::wingback();
        command.arg("create").arg(&fixture.source).args(["--to", "-"]).args(options);
        command.stdout(File::create(&path).unwrap()).stderr(Stdio::piped());
        common::wait(command.spawn().unwrap())
    };
    let ran = create(&["--quiet"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.err.starts_with("archive   standard output\nsize "), "{ran:?}");
    assert_eq!(listed(&path), ["a"]);
    ok(common::wingback().arg("verify").arg(&path));

    let ran = create(&["--json"]);
    let report: serde_json::Value =
        serde_json::from_str(ran.err.lines().last().unwrap()).expect("a line of JSON");
    assert_eq!(report["size"], fs::metadata(&path).unwrap().len());
    assert_eq!((report.get("location"), report.get("uuid")), (None, None));
    let inside = fixture.source.join("out.tar.gz");
    let script = r#""$0" create "$1" --to - --quiet >"$2""#;
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", script, env!("CARGO_BIN_EXE_wingback")]).arg(&fixture.source).arg(&inside);
    let ran = ok(&mut bash);
    assert!(ran.err.contains("  out.tar.gz: is a backup itself\n"), "{ran:?}");
    assert_eq!(listed(&inside), ["a"]);
    // Nothing was written anywhere else.
    assert_eq!(names(fixture.tmp.path()), ["out.tar.gz", "server"]);
}

#[test]
fn a_full_or_closed_standard_output_is_a_failure() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 3_000_000))]);
    let mut command = common::wingback();
    command.arg("create").arg(&fixture.source).args(["--to", "-", "--quiet"]);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ran = common::wait(command.stdout(full).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("No space left on device"), "{ran:?}");

    let mut child = common::spawn(&mut command);
    drop(child.stdout.take());
    assert_eq!(common::wait(child).status, 1);
}

#[test]
fn files_from_limits_a_backup_to_the_listed_paths() {
    let fixture =
        Fixture::with(&[("a", b"a"), ("b", b"b"), ("world/x\ny", b"x"), ("world/z", b"z")]);
    let list = fixture.tmp.path().join("list");
    fs::write(&list, "a\n\nworld/z\n").unwrap();
    ok(fixture.create().arg("--files-from").arg(&list));
    assert_eq!(listed(&fixture.archive()), ["a", "world/", "world/z"]);
    fs::remove_file(fixture.archive()).unwrap();

    fs::write(&list, "world/x\ny\0").unwrap();
    let mut command = fixture.create();
    command.args(["--files-from", "-", "-0"]).stdin(File::open(&list).unwrap());
    assert_eq!(ok(command.arg("--json")).json()["files"], 1);

    fs::write(&list, "a\nlost\n").unwrap();
    let ran = run(fixture.create().arg("--json").arg("--files-from").arg(&list));
    assert_eq!(ran.status, 3, "{ran:?}");
    let report = ran.json();
    let skipped = &report["skipped"][0];
    assert_eq!((&skipped["path"], &skipped["reason"]), (&"lost".into(), &"missing".into()));
    let ran = run(fixture.create().args(["--quiet", "--files-from", "/no/such/list"]));
    assert!(ran.one_line_error().contains("read the paths in /no/such/list"), "{ran:?}");
}
