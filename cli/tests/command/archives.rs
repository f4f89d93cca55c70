//! `archives` lists what there is, whatever its name is. `lock` needs an archive, and `create --name` names it.

use std::fs;

use serde_json::Value;

use crate::common::{self, Fixture, ok, run, wingback};

fn archives(fixture: &Fixture, args: &[&str]) -> common::Ran {
    ok(wingback().arg("archives").arg(&fixture.to).args(args))
}

fn json(fixture: &Fixture, args: &[&str]) -> Vec<Value> {
    archives(fixture, &[&["--json"], args].concat()).results()
}

#[test]
fn archives_of_any_name_are_listed_newest_first() {
    let fixture = Fixture::with(&[("a", b"four")]);
    ok(fixture.create().args(["--label", "lobby", "--name", "z/{label}-{uuid}.bin"]));
    fs::write(fixture.source.join("b"), vec![b'b'; 2048]).unwrap();
    ok(fixture.create().args(["--label", "lobby", "--name", "{date}-{time}"]));
    ok(fixture.create().args(["--label", "arena"]));
    let bytes = fs::read(fixture.to.join(json(&fixture, &[])[0]["key"].as_str().unwrap())).unwrap();
    fs::write(fixture.to.join("cut.tar.gz"), &bytes[..bytes.len() - 1]).unwrap();
    fs::write(fixture.to.join("notes.tar.gz"), "mine").unwrap();

    let lines = json(&fixture, &[]);
    let labels: Vec<_> =
        lines.iter().map(|line| line["info"]["label"].as_str().unwrap_or("-")).collect();
    assert_eq!(labels, ["-", "arena", "lobby", "lobby"]);
    assert!(lines.iter().map(|line| &line["whole"]).eq([false, true, true, true]));
    let changes: Vec<_> = lines.iter().map(|line| line["content_change"].as_i64()).collect();
    assert_eq!(changes, [None, None, Some(2048), None]);
    let location = fixture.to.join(lines[3]["key"].as_str().unwrap());
    assert_eq!(lines[3]["location"], location.to_str().unwrap());
    assert!(lines[3]["key"].as_str().unwrap().starts_with("z/lobby-"), "{}", lines[3]);
    assert_eq!(lines[3]["size"].as_u64().unwrap(), fs::metadata(&location).unwrap().len());
    assert_eq!(lines[3]["made_ns"], lines[3]["info"]["made_ns"]);

    ok(wingback().arg("lock").arg(&location));
    let ran = archives(&fixture, &[]);
    let lines: Vec<_> = ran.out.lines().collect();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(
        words(lines[0]),
        ["TIME", "LABEL", "SIZE", "CONTENT", "FILES", "CHANGE", "STATE", "NAME"]
    );
    // A column is as wide as its longest text.
    assert!(lines[3].contains("  arena  ") || lines[3].contains("  lobby  "), "{ran:?}");
    assert!(lines[1].contains("not whole") && lines[1].ends_with("  cut.tar.gz"), "{ran:?}");
    assert!(lines[3].contains(" 2.0 KiB ") && lines[3].contains(" +2.0 KiB  whole "), "{ran:?}");
    assert!(lines[4].contains("whole, locked"), "{ran:?}");
    assert!(ran.err.starts_with("wingback: 4 archives, "), "{ran:?}");

    assert_eq!(json(&fixture, &["--label", "arena"]).len(), 1);
    assert_eq!(json(&fixture, &["--label", "lobby", "--since", "1h"]).len(), 2);
    assert_eq!(json(&fixture, &["--label", "lobby", "--since", "2100-01-01"]).len(), 0);
    assert_eq!(archives(&fixture, &["--label", "no"]).err, "wingback: 0 archives, 0 B\n");
}

#[test]
fn the_latest_archive_is_found_by_its_content() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 1 << 20))]);
    ok(fixture.create().args(["--name", "mc-{date}-{uuid}.tar.gz"]));
    let report =
        ok(fixture.create().args(["--name", "x/{date}{time}", "--previous", "latest", "--json"]));
    assert_eq!(report.json()["warnings"], serde_json::json!([]));
    assert!(report.json()["copied"].as_u64().unwrap() > 1 << 20, "{report:?}");
    let name = json(&fixture, &[])[1]["key"].as_str().unwrap().to_owned();
    assert!(name.starts_with("mc-20") && name.ends_with(".tar.gz") && name.len() == 57, "{name}");
}

#[test]
fn a_backup_into_its_own_source_leaves_out_locks_and_archives_of_any_name() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let to = fixture.source.join("backups");
    let create =
        || ok(common::create(&fixture.source, &to).args(["--name", "{date}-{uuid}", "--json"]));
    let first = create().json()["location"].as_str().unwrap().to_owned();
    ok(wingback().arg("lock").arg(&first));
    let second = create().json()["location"].as_str().unwrap().to_owned();
    assert_eq!(common::listed(second.as_ref()), ["a", "backups/"]);
}

#[test]
fn wrong_places_names_and_times_are_errors() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let missing = fixture.tmp.path().join("no");
    let ran = run(wingback().arg("archives").arg(&missing));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("No such file or directory"), "{ran:?}");
    let ran = run(wingback().arg("archives").arg(fixture.source.join("a")));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().starts_with("open the directory"), "{ran:?}");
    for command in ["lock", "unlock"] {
        let ran = run(wingback().arg(command).arg(missing.join("x.tar.gz")));
        assert_eq!(ran.status, 1);
        assert!(ran.one_line_error().contains("does not exist"), "{ran:?}");
    }
    assert!(!missing.exists());
    let ran = run(wingback().args(["lock", "https://example.com/x.tar.gz"]));
    assert!(ran.one_line_error().contains("behind a link"), "{ran:?}");
    assert_eq!(run(wingback().args(["lock", "-"])).status, 1);
    assert_eq!(run(wingback().args(["archives", ".", "--since", "soon"])).status, 2);
    for name in ["x", "{label}.tar.gz", "{uuid}-{server}", "{date}{date}"] {
        assert_eq!(run(fixture.create().args(["--name", name])).status, 2, "{name}");
    }
}
