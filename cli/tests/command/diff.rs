//! `diff`, between archives and with a directory.

use std::{fs, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    common::{Fixture, Ran, names, noise, ok, run, wingback},
    limited,
};

const BEFORE: u64 = 1_700_000_000;
const AFTER: u64 = 1_700_000_100;

/// Writes a file with this mtime.
fn write(fixture: &Fixture, path: &str, content: &[u8], seconds: u64) {
    let path = fixture.source.join(path);
    fs::create_dir_all(path.parent().expect("in the source")).expect("made");
    fs::write(&path, content).expect("written");
    let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::open(path).expect("open").set_modified(time).expect("set");
}

/// A place with the archive `a.tar.gz`, whose source was changed after that.
fn changed() -> Fixture {
    let fixture = Fixture::new();
    write(&fixture, ".pteroignore", b"*.log\n", BEFORE);
    write(&fixture, "latest.log", b"a line\n", BEFORE);
    write(&fixture, "old", b"old\n", BEFORE);
    write(&fixture, "server.jar", &noise(1, 2_000_000), BEFORE);
    write(&fixture, "touched", b"touched\n", BEFORE);
    write(&fixture, "world/level.dat", b"level\n", BEFORE);
    back_up(&fixture, "a");
    fs::remove_file(fixture.source.join("old")).expect("removed");
    write(&fixture, "touched", b"touched\n", AFTER);
    write(&fixture, "world/level.dat", b"another level\n", AFTER);
    write(&fixture, "world/new\x1b[31m", b"new\n", AFTER);
    fixture
}

fn back_up(fixture: &Fixture, name: &str) {
    let name = format!("{name}-{{uuid}}.tar.gz");
    ok(fixture.create().args(["--quiet", "--name", &name]));
}

fn archive(fixture: &Fixture, name: &str) -> std::path::PathBuf {
    let is_named = |file: &std::ffi::OsString| file.to_string_lossy().starts_with(name);
    fixture.to.join(names(&fixture.to).into_iter().find(is_named).expect("an archive"))
}

fn diff(a: &Path, b: &Path, args: &[&str]) -> Ran {
    run(wingback().arg("diff").arg(a).arg(b).args(args))
}

const LINES: &str = "removed             4  old\n\
                     metadata            8  touched  (mtime)\n\
                     changed            14  world/level.dat  (content, mtime; 6 bytes before)\n\
                     added               4  world/new\\u{1b}[31m\n";

#[test]
fn differences_are_printed_as_a_table_and_are_status_1() {
    let fixture = changed();
    back_up(&fixture, "b");
    let a = archive(&fixture, "a");
    for other in [&archive(&fixture, "b"), &fixture.source] {
        let ran = diff(&a, other, &[]);
        assert_eq!((ran.status, &*ran.out), (1, LINES), "{other:?}");
        assert_eq!(
            ran.one_line_error(),
            "1 (4 B) added, 1 (4 B) removed, 1 (14 B) changed, 1 with other metadata, 3 unchanged"
        );
        let ran = diff(&a, other, &["world/*.dat"]);
        assert_eq!((ran.status, ran.out.trim_end()), (1, LINES.lines().nth(2).expect("a line")));
    }
}

#[test]
fn equal_sides_are_status_0_and_no_content_is_read() {
    let fixture = changed();
    back_up(&fixture, "b");
    back_up(&fixture, "c");
    let (b, c) = (archive(&fixture, "b"), archive(&fixture, "c"));
    for other in [&c, &fixture.source] {
        let ran = diff(&b, other, &["--json"]);
        assert_eq!((ran.status, &*ran.err), (0, ""));
        let compared = ran.json();
        assert_eq!((&compared["equal"], &compared["read"]), (&json!(true), &json!(0)));
    }
    // Only the paths that the backup excluded are different.
    let ran = diff(&b, &fixture.source, &["--excluded"]);
    assert_eq!((ran.status, &*ran.out), (1, "added               7  latest.log\n"));
    let ran = diff(&b, &fixture.source, &["--content", "--json"]);
    assert!(ran.json()["read"].as_u64().is_some_and(|read| read > 2_000_000), "{ran:?}");
}

#[test]
fn json_has_each_difference_and_a_summary() {
    let fixture = changed();
    let ran = diff(&archive(&fixture, "a"), &fixture.source, &["--json"]);
    assert_eq!((ran.status, &*ran.err), (1, ""));
    let lines = ran.results();
    let [removed, metadata, changed, added, compared] = &lines[..] else { panic!("{ran:?}") };
    assert_eq!((&removed["kind"], &removed["path"]), (&json!("removed"), &json!("old")));
    assert_eq!((&removed["before"]["size"], &removed["after"]), (&json!(4), &Value::Null));
    assert_eq!((&metadata["kind"], &metadata["changes"]), (&json!("metadata"), &json!(["mtime"])));
    assert_eq!((&changed["type"], &changed["kind"]), (&json!("difference"), &json!("changed")));
    assert_eq!(changed["changes"], json!(["content", "mtime"]));
    assert_eq!((&changed["before"]["size"], &changed["after"]["size"]), (&json!(6), &json!(14)));
    assert_eq!(added["path"], "world/new\u{1b}[31m");
    let mut compared = compared.clone();
    assert!(compared["duration_ms"].take().is_u64());
    // The file with another time, and its segment.
    assert!(compared["read"].take().as_u64().is_some_and(|read| read > 0));
    assert_eq!(
        compared,
        json!({
            "type": "compared", "equal": false, "read_method": "indexed",
            "other_read_method": null, "added": 1, "added_bytes": 4, "removed": 1,
            "removed_bytes": 4, "changed": 1, "changed_bytes": 14, "metadata": 1, "unchanged": 3,
            "read": null, "excluded": 1, "skipped": [], "skipped_more": 0, "unmatched": [],
            "duration_ms": null,
        })
    );
}

#[test]
fn trouble_is_status_2_as_of_diff() {
    let fixture = changed();
    let a = archive(&fixture, "a");
    let none = fixture.tmp.path().join("none");
    for (a, b, why) in [
        (&none, &a, "No such file or directory"),
        (&a, &none, "No such file or directory"),
        (&fixture.source, &a, "it is a directory, not an archive"),
        (&a, &fixture.source.join("server.jar"), "it is not a gzip file"),
    ] {
        let ran = diff(a, b, &[]);
        assert_eq!((ran.status, &*ran.out), (2, ""), "{why}");
        assert!(ran.one_line_error().contains(why), "{ran:?}");
        let ran = diff(a, b, &["--json"]);
        assert_eq!((ran.status, &ran.json()["type"]), (2, &json!("error")), "{ran:?}");
    }
    let ran = diff(&a, &a, &["nothing"]);
    assert_eq!(ran.status, 2);
    assert!(ran.err.starts_with("wingback: nothing: nothing on either side matches it\n"));
    let ran = diff(Path::new("-"), Path::new("-"), &[]);
    assert_eq!(
        (ran.status, ran.one_line_error()),
        (2, "standard input can be only one of the two")
    );
    // Nobody reads that the archives differ.
    let mut full = wingback();
    full.arg("diff").arg(&a).arg(&fixture.source);
    full.stdout(fs::File::options().write(true).open("/dev/full").expect("open"));
    let ran = run(&mut full);
    assert_eq!(ran.status, 2, "{ran:?}");
}

#[test]
fn an_archive_from_standard_input_and_one_of_tar_are_compared() {
    let fixture = changed();
    let tar = fixture.tmp.path().join("tar.tar.gz");
    let mut command = Command::new("tar");
    ok(command.arg("czf").arg(&tar).arg("-C").arg(&fixture.source).args(["--exclude=*.log", "."]));
    let mut piped = wingback();
    piped.arg("diff").arg("-").arg(&tar);
    let ran = run(piped.stdin(fs::File::open(archive(&fixture, "a")).expect("open")));
    assert_eq!((ran.status, &*ran.out), (1, LINES), "{ran:?}");
}

#[test]
fn archives_of_many_files_are_compared_in_little_memory() {
    let fixture = Fixture::new();
    let long = "d".repeat(200);
    for i in 0..300 {
        let dir = fixture.source.join(format!("{i}-{long}"));
        fs::create_dir(&dir).expect("made");
        (0..100).for_each(|file| fs::write(dir.join(format!("{file}-{long}")), "").expect("made"));
    }
    back_up(&fixture, "a");
    fs::remove_dir_all(fixture.source.join(format!("7-{long}"))).expect("removed");
    back_up(&fixture, "b");
    let (a, b) = (archive(&fixture, "a"), archive(&fixture, "b"));
    for (args, lines) in [(vec!["--json"], 102), (vec![], 101)] {
        for other in [&b, &fixture.source] {
            let mut command = wingback();
            command.arg("diff").arg(&a).arg(other).args(&args);
            let ran = limited::run(&command);
            // All paths together have 12 MB on each side.
            ran.peak_below(20);
            let is_result = |line: &&str| !line.contains("\"type\":\"progress\"");
            let found = ran.out.lines().filter(is_result).count();
            assert_eq!((ran.status, found), (1, lines), "{}", ran.err);
        }
    }
}
