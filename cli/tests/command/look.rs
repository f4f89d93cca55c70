//! `list`, `cat` and `verify`, with archives of wingback and of other programs.

use std::{fs, fs::File, path::Path, process::Command};

use serde_json::json;

use crate::common::{self, Fixture, Ran, noise, ok, run, wingback};

fn fixture() -> Fixture {
    let fixture = Fixture::with(&[
        ("logs/latest.log", b"a line\n"),
        ("odd \x1b[31mname", b""),
        ("server.jar", &noise(1, 300_000)),
    ]);
    fs::set_permissions(
        fixture.source.join("logs"),
        std::os::unix::fs::PermissionsExt::from_mode(0o750),
    )
    .unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_456_789);
    for path in ["logs/latest.log", "odd \x1b[31mname", "server.jar", "logs"] {
        File::open(fixture.source.join(path)).unwrap().set_modified(time).unwrap();
    }
    fixture
}

/// An archive without an index, as Wings and GNU tar write it.
fn foreign(fixture: &Fixture) -> std::path::PathBuf {
    let archive = fixture.tmp.path().join("foreign.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("czf").arg(&archive).arg("-C").arg(&fixture.source).args(["logs", "server.jar"]);
    ok(&mut tar);
    archive
}

fn list(archive: &Path) -> Command {
    let mut command = wingback();
    command.arg("list").arg(archive);
    command
}

#[test]
fn list_looks_like_ls_and_escapes_terminal_controls() {
    let fixture = fixture();
    ok(&mut fixture.create());
    let ran = ok(&mut list(&fixture.archive()));
    assert_eq!(
        ran.out,
        "drwxr-x---            0  2023-11-14 22:13:20  logs/\n\
         -rw-r--r--            7  2023-11-14 22:13:20  logs/latest.log\n\
         -rw-r--r--            0  2023-11-14 22:13:20  odd \\u{1b}[31mname\n\
         -rw-r--r--       300000  2023-11-14 22:13:20  server.jar\n"
    );
    assert_eq!(ran.one_line_error(), "4 members, read by its index");
    let ran = ok(list(&fixture.archive()).args(["logs", "*.jar"]));
    assert_eq!(ran.out.lines().count(), 3);
    let ran = ok(&mut list(&foreign(&fixture)));
    assert_eq!(ran.out.lines().count(), 3);
    assert_eq!(ran.one_line_error(), "3 members, read in sequence: it has no index");
}

#[test]
fn json_list_has_one_object_per_member_and_a_summary() {
    let fixture = fixture();
    ok(&mut fixture.create());
    let lines = ok(list(&fixture.archive()).args(["--json", "logs/latest.log"])).results();
    let [member, listing] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(member["path"], "logs/latest.log");
    assert_eq!((&member["kind"], &member["mode"]), (&json!("file"), &json!("0644")));
    assert_eq!(
        (&member["size"], &member["mtime_ns"]),
        (&json!(7), &json!(1_700_000_000_123_456_789u64))
    );
    let last =
        json!({ "type": "listing", "read_method": "indexed", "members": 1, "unmatched": [] });
    assert_eq!(*listing, last);
    let lines = ok(list(&foreign(&fixture)).arg("--json")).results();
    assert_eq!(lines.last().unwrap()["no_index"], "absent");
}

#[test]
fn list_reports_patterns_that_match_nothing() {
    let fixture = fixture();
    ok(&mut fixture.create());
    let ran = run(list(&fixture.archive()).args(["logs", "nothing"]));
    assert_eq!((ran.status, ran.out.lines().count()), (1, 2));
    assert!(ran.err.contains("nothing: nothing in the archive matches it"), "{ran:?}");
}

#[test]
fn cat_writes_one_file_to_standard_output() {
    let fixture = fixture();
    ok(&mut fixture.create());
    for archive in [fixture.archive(), foreign(&fixture)] {
        let cat = |path: &str| wingback().arg("cat").arg(&archive).arg(path).output().unwrap();
        assert!(cat("server.jar").stdout == noise(1, 300_000));
        assert_eq!(cat("logs/latest.log").stdout, b"a line\n");
        // The paths of an archive are those of a tree, so a slash at the start changes nothing.
        assert_eq!(cat("/logs/latest.log").stdout, b"a line\n");
        let ran = Ran::of(cat("nothing"));
        assert_eq!(ran.status, 1);
        assert_eq!(
            ran.one_line_error(),
            "read the file nothing: the archive has nothing of that path"
        );
        assert_eq!(Ran::of(cat("logs")).one_line_error(), "read the file logs: it is a directory");
        // From a pipe, read in sequence.
        let mut piped = wingback();
        piped.args(["cat", "-", "logs/latest.log"]).stdin(File::open(&archive).unwrap());
        assert_eq!(ok(&mut piped).out, "a line\n");
    }
}

#[test]
fn verify_reports_a_whole_archive() {
    let fixture = fixture();
    let made = ok(fixture.create().arg("--json")).json();
    let sha1 = made["sha1"].as_str().unwrap();
    let verify = |args: &[&str]| run(wingback().arg("verify").arg(fixture.archive()).args(args));
    let ran = verify(&["--sha1", sha1, "-q"]);
    assert_eq!(ran.status, 0);
    assert!(ran.out.starts_with("archive   whole\nchecked   3 files, "), "{ran:?}");
    assert!(ran.out.contains("sha1      as given\n"), "{ran:?}");
    let verified = verify(&["--json"]).json();
    assert_eq!((&verified["whole"], &verified["read_method"]), (&json!(true), &json!("indexed")));
    let other = "0".repeat(40);
    let ran = verify(&["--sha1", &other, "-q"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains(&format!("sha1      {sha1}, NOT the one given\n")), "{ran:?}");
    // Another archive is not a damaged one.
    assert!(ran.out.starts_with("archive   whole, but ANOTHER ONE"), "{ran:?}");
    let verified = verify(&["--sha1", &other, "--json"]).json();
    assert_eq!((&verified["sha1_matches"], &verified["damage"]), (&json!(false), &json!([])));
    let ran = verify(&["--sha1", "abc"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("it is not forty hexadecimal digits"), "{ran:?}");
    let mut piped = wingback();
    piped.args(["verify", "-", "--sha1", sha1, "--json"]);
    piped.stdin(File::open(fixture.archive()).unwrap());
    assert_eq!(ok(&mut piped).json()["sha1_matches"], true);
}

#[test]
fn verify_reports_damage_by_segment_and_file() {
    let fixture = Fixture::with(&[("a.mca", &noise(2, 200_000)), ("b.mca", &noise(3, 200_000))]);
    ok(&mut fixture.create());
    let mut bytes = common::read(&fixture.archive());
    bytes[50_000] ^= 1;
    fs::write(fixture.archive(), &bytes).unwrap();
    let verify = |args: &[&str]| run(wingback().arg("verify").arg(fixture.archive()).args(args));
    let ran = verify(&["-q"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.starts_with("archive   DAMAGED\n"), "{ran:?}");
    assert!(ran.out.contains("lost      1\n  a.mca\nwhole     1\n  b.mca"), "{ran:?}");
    let verified = verify(&["--json"]).json();
    let damage = &verified["damage"][0];
    assert_eq!(damage["members"], json!([{ "path": "a.mca" }]));
    assert!(
        damage["start"].as_u64().unwrap() <= 50_000 && damage["end"].as_u64().unwrap() > 50_000
    );
    assert_eq!(verified["whole_files"], json!([{ "path": "b.mca" }]));
}

#[test]
fn a_file_that_is_not_an_archive_is_a_clear_error() {
    let fixture = Fixture::with(&[("text", b"hello, this is no archive at all")]);
    for (file, error) in [
        ("text", "read the archive {}: it is not a gzip file"),
        ("nothing", "open the archive {}: No such file or directory"),
        ("", "open the archive {}: it is a directory, not an archive; `wingback archives`"),
    ] {
        let path = fixture.source.join(file);
        let ran = run(&mut list(&path));
        assert_eq!(ran.status, 1);
        assert!(
            ran.one_line_error().starts_with(&error.replace("{}", path.to_str().unwrap())),
            "{ran:?}"
        );
    }
}
