//! `find`: the versions of files in all archives of a directory.

use std::{fs, process::Command, time::Duration};

use serde_json::{Value, json};

use crate::{
    common::{Fixture, Ran, noise, ok, run, wingback},
    limited,
};

/// Two archives of a tree with a large and a small file that change, and one that does not.
fn fixture() -> Fixture {
    let fixture = Fixture::with(&[
        ("world/level.dat", b"level one"),
        ("world/region/r.0.0.mca", &noise(1, 300_000)),
        ("it's.yml", b"a: 1\n"),
    ]);
    back_up(&fixture, "1");
    fs::write(fixture.source.join("world/level.dat"), "level two").expect("written");
    fs::write(fixture.source.join("world/region/r.0.0.mca"), noise(2, 300_000)).expect("written");
    back_up(&fixture, "2");
    fixture
}

fn back_up(fixture: &Fixture, name: &str) {
    ok(fixture.create().args(["--quiet", "--name", &format!("{name}-{{uuid}}.tar.gz")]));
    // The next archive has a later time.
    std::thread::sleep(Duration::from_millis(10));
}

fn find(fixture: &Fixture, pattern: &str, args: &[&str]) -> Ran {
    run(wingback().arg("find").arg(pattern).arg(&fixture.to).args(args))
}

/// The names of the archives of a version, without the UUIDs.
fn names(version: &Value) -> Vec<&str> {
    let archives = version["archives"].as_array().expect("a list");
    archives.iter().map(|archive| &archive["key"].as_str().expect("a key")[..1]).collect()
}

#[test]
fn each_version_has_a_command_that_restores_it() {
    let fixture = fixture();
    let ran = find(&fixture, "level.dat", &[]);
    assert_eq!(ran.status, 0);
    assert_eq!(ran.one_line_error(), "1 path in 2 versions, 2 archives searched");
    let lines: Vec<_> = ran.out.lines().collect();
    let [path, newer, newer_command, older, older_command] = lines[..] else { panic!("{ran:?}") };
    assert_eq!(path, "world/level.dat");
    for (facts, command, content) in
        [(newer, newer_command, "level two"), (older, older_command, "level one")]
    {
        assert!(facts.contains("             9  in 1 archive of server, 20"), "{facts}");
        let into = tempfile::tempdir().expect("made");
        let program = command.trim().replacen("wingback", env!("CARGO_BIN_EXE_wingback"), 1);
        ok(Command::new("bash").args(["-c", &program]).current_dir(&into));
        let restored = fs::read_to_string(into.path().join("world/level.dat"));
        assert_eq!(restored.expect("restored"), content);
    }
    let ran = find(&fixture, "*.yml", &[]);
    assert!(ran.out.contains(r". 'it'\''s.yml'"), "{ran:?}");
}

#[test]
fn json_has_each_version_with_its_archives() {
    let fixture = fixture();
    // Another tree with an equal large file and a new small one.
    fs::write(fixture.source.join("world/region/r.0.0.mca"), noise(1, 300_000)).expect("written");
    back_up(&fixture, "3");
    let ran = find(&fixture, "world", &["--json"]);
    assert_eq!((ran.status, &*ran.err), (0, ""));
    let lines = ran.results();
    let [new, old, first, second, found] = &lines[..] else { panic!("{ran:?}") };
    assert_eq!(new["type"], "version");
    assert_eq!([&new["path"], &old["path"]], [&json!("world/level.dat"); 2]);
    assert_eq!((names(new), names(old)), (vec!["3", "2"], vec!["1"]));
    // The content of the first archive came back.
    assert_eq!([&first["path"], &second["path"]], [&json!("world/region/r.0.0.mca"); 2]);
    assert_eq!((names(first), names(second)), (vec!["3", "1"], vec!["2"]));
    assert_eq!((&first["size"], &first["kind"]), (&json!(300_000), &json!("file")));
    assert!(first["archives"][0]["made_ns"].is_i64());
    assert_eq!(first["archives"][0]["label"], "server");
    let mut found = found.clone();
    assert!(found["duration_ms"].take().is_u64());
    assert_eq!(
        found,
        json!({
            "type": "found", "paths": 2, "versions": 4, "searched": 3, "unsearched": [],
            "unsearched_more": 0, "unmatched": [], "duration_ms": null,
        })
    );
}

#[test]
fn an_archive_without_an_index_is_named_and_the_others_are_searched() {
    let fixture = fixture();
    let tar = fixture.to.join("tar.tar.gz");
    ok(Command::new("tar").arg("czf").arg(&tar).arg("-C").arg(&fixture.source).arg("."));
    fs::write(fixture.to.join("notes.txt"), "not an archive").expect("written");
    let ran = find(&fixture, "level.dat", &[]);
    assert_eq!((ran.status, ran.out.lines().count()), (3, 5), "{ran:?}");
    let first = ran.err.lines().next().expect("a line");
    let start = format!("wingback: not searched: search {}: it has no index", tar.display());
    assert!(first.starts_with(&start), "{ran:?}");
    let ran = find(&fixture, "level.dat", &["--json"]);
    let found = ran.json();
    assert_eq!((ran.status, &found["searched"]), (3, &json!(2)));
    assert_eq!(found["unsearched"][0]["key"], "tar.tar.gz");
    assert_eq!(found["unsearched"][0]["kind"], "invalid-input");
    let ran = find(&fixture, "level.dat", &["--label", "server"]);
    assert_eq!((ran.status, ran.out.lines().count()), (0, 5), "{ran:?}");
    assert_eq!(find(&fixture, "level.dat", &["--label", "other"]).status, 1);
}

#[test]
fn nothing_found_and_a_missing_place_are_status_1() {
    let fixture = fixture();
    let ran = find(&fixture, "nothing", &[]);
    assert_eq!((ran.status, &*ran.out), (1, ""));
    assert!(ran.err.starts_with("wingback: nothing: nothing in the archives matches it\n"));
    let ran = find(&fixture, "nothing", &["--json"]);
    assert_eq!((ran.status, &ran.json()["unmatched"]), (1, &json!(["nothing"])));
    let mut missing = wingback();
    missing.arg("find").arg("level.dat").arg(fixture.tmp.path().join("none"));
    let ran = run(missing.arg("--json"));
    assert_eq!((ran.status, &ran.json()["kind"]), (1, &json!("not-found")));
}

#[test]
fn a_file_among_many_is_found_in_little_memory() {
    let fixture = Fixture::with(&[("wanted", b"here")]);
    let long = "d".repeat(200);
    for i in 0..200 {
        let dir = fixture.source.join(format!("{i}-{long}"));
        fs::create_dir(&dir).expect("made");
        (0..100).for_each(|file| fs::write(dir.join(format!("{file}-{long}")), "").expect("made"));
    }
    (1..=8).for_each(|i| back_up(&fixture, &i.to_string()));
    let mut command = wingback();
    command.args(["find", "wanted"]).arg(&fixture.to);
    let ran = limited::run(&command);
    // The paths of each archive have 8 MB.
    ran.succeeded().peak_below(28);
    assert_eq!(ran.out.lines().count(), 3, "{ran:?}");
}
