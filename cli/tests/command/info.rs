//! `info`, and the label and the tags of `create`.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path, process::Command};

use serde_json::{Value, json};

use crate::common::{self, Fixture, ok, run, wingback};

fn fixture() -> Fixture {
    Fixture::with(&[(".pteroignore", b"*.tmp\n"), ("a.tmp", b""), ("world/level.dat", b"level")])
}

fn info(archive: &Path, args: &[&str]) -> common::Ran {
    run(wingback().arg("info").arg(archive).args(args))
}

/// Returns the lines of the text by their titles.
fn facts(text: &str) -> Vec<(&str, &str)> {
    text.lines().map(|line| (line[..10].trim_end(), &line[10..])).collect()
}

#[test]
fn info_prints_the_identity_as_a_table() {
    let fixture = fixture();
    let mut create = fixture.create();
    create.arg("--label").arg(OsStr::from_bytes(b"caf\xe9 \x1b[31m"));
    ok(create.args(["--tag", "plan=gold=1", "--tag", "empty=", "--exclude", "*.log", "--quiet"]));
    let ran = info(&fixture.archive(), &[]);
    assert_eq!((ran.status, &*ran.err), (0, ""));
    let (table, patterns) = ran.out.split_once("patterns  ").unwrap();
    assert_eq!(patterns, "2, rules git\n  *.tmp\n  *.log\n");
    let facts = facts(table);
    let titles: Vec<_> = facts.iter().map(|(title, _)| *title).collect();
    assert_eq!(
        titles,
        [
            "label", "tag", "tag", "source", "host", "made", "tool", "size", "content", "skipped",
            "tar", "encoder", "profile"
        ]
    );
    let value = |title| facts.iter().find(|(known, _)| *known == title).unwrap().1;
    assert_eq!(value("label"), "caf\u{fffd} \\u{1b}[31m");
    assert_eq!((facts[1].1, facts[2].1), ("plan=gold=1", "empty="));
    assert_eq!(value("source"), fixture.source.canonicalize().unwrap().to_str().unwrap());
    assert_eq!(value("tool"), concat!("wingback ", env!("CARGO_PKG_VERSION")));
    let [date, time] = value("made").split('T').collect::<Vec<_>>()[..] else { panic!("{ran:?}") };
    assert!(date.len() == 10 && time.len() == 9 && time.ends_with('Z'), "{ran:?}");
    let size = fs::metadata(fixture.archive()).unwrap().len();
    assert_eq!(value("size"), format!("{size} B ({size} bytes)"));
    assert_eq!(value("content"), "2 files, 1 directory, 0 symlinks, 11 B");
    assert_eq!((value("skipped"), value("encoder")), ("none", "wingback, level 1"));
    assert_eq!(value("profile"), "full");
}

#[test]
fn json_info_has_every_field_and_the_bytes_of_a_label() {
    let fixture = fixture();
    let label = OsStr::from_bytes(b"caf\xe9");
    let mut create = fixture.create();
    create.arg("--label").arg(label).args(["--tag", "plan=gold", "--json"]);
    let report = ok(&mut create).json();
    let ran = info(&fixture.archive(), &["--json"]);
    assert_eq!((ran.status, ran.out.lines().count()), (0, 1), "{ran:?}");
    let mut info = ran.json();
    let mut take = |name: &str| info.as_object_mut().unwrap().remove(name).unwrap();
    assert_eq!((take("label"), take("label_b64")), (json!("caf\u{fffd}"), json!("Y2Fm6Q==")));
    assert!(take("made_ns").as_u64().unwrap() > 1_700_000_000_000_000_000);
    assert!(take("tar_len").as_u64().unwrap() >= 2048);
    let host = rustix::system::uname().nodename().to_str().unwrap().to_owned();
    let source = fixture.source.canonicalize().unwrap();
    assert_eq!(
        info,
        json!({
            "type": "info", "source": source.to_str().unwrap(), "host": host,
            "tool": concat!("wingback ", env!("CARGO_PKG_VERSION")),
            "encoder": "wingback", "encoder_level": 1, "profile": "full", "rules": "git",
            "excludes": "*.tmp\n\n", "files": 2, "directories": 1, "symlinks": 0, "content": 11,
            "skipped": 0, "omits_unnamed": false, "segments": report["segments"], "size": report["size"],
            "tags": [{ "key": "plan", "value": "gold" }],
        })
    );
}

#[test]
fn an_archive_is_labeled_with_the_name_of_its_directory() {
    let fixture = fixture();
    ok(fixture.create().args(["--profile", "wings", "--rules", "wings"]));
    let info = info(&fixture.archive(), &["--json"]).json();
    assert_eq!((&info["label"], &info["tags"]), (&json!("server"), &json!([])));
    assert_eq!((&info["profile"], &info["rules"]), (&json!("wings"), &json!("wings")));
    assert_eq!((&info["files"], &info["directories"]), (&json!(2), &json!(1)));
}

#[test]
fn a_reproducible_archive_does_not_say_where_and_when_it_was_made() {
    let fixture = fixture();
    ok(fixture.create().args(["--reproducible", "--quiet"]));
    let ran = info(&fixture.archive(), &[]);
    let titles: Vec<_> = ran.out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(titles[..3], ["tool", "size", "content"], "{ran:?}");
    let json = info(&fixture.archive(), &["--json"]).json();
    assert_eq!(json["label"], "");
    assert_eq!([&json["source"], &json["host"], &json["made_ns"]], [&Value::Null; 3]);
}

#[test]
fn an_archive_without_an_index_is_a_clear_error() {
    let fixture = fixture();
    let tar = fixture.tmp.path().join("tar.tar.gz");
    ok(Command::new("tar").arg("czf").arg(&tar).arg("-C").arg(&fixture.source).arg("."));
    let why = "it has no index: another program made it, or its end is missing or damaged";
    let message = format!("read the identity of {}: {why}", tar.display());
    let ran = info(&tar, &[]);
    assert_eq!((ran.status, &*ran.out, ran.one_line_error()), (1, "", &*message));
    let ran = info(&tar, &["--json"]);
    assert_eq!((ran.status, &*ran.err), (1, ""));
    assert_eq!(
        ran.json(),
        json!({
            "type": "error", "kind": "invalid-input", "operation": "read the identity of",
            "message": message, "path": tar.to_str().unwrap(), "retryable": false,
        })
    );

    ok(fixture.create().arg("--quiet"));
    let whole = common::read(&fixture.archive());
    fs::write(&tar, &whole[..whole.len() - 1]).unwrap();
    assert!(info(&tar, &[]).one_line_error().ends_with(why));
    let mut piped = wingback();
    piped.args(["info", "-"]).stdin(fs::File::open(fixture.archive()).unwrap());
    let ran = run(&mut piped);
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("name a file"), "{ran:?}");
    let ran = info(&fixture.tmp.path().join("none"), &["--json"]);
    assert_eq!((ran.status, &ran.json()["kind"]), (1, &json!("not-found")));
}

#[test]
fn a_label_over_the_limit_or_too_many_tags_fail_before_anything_is_written() {
    let fixture = fixture();
    let tags: Vec<_> = (0..33).flat_map(|n| ["--tag".into(), format!("{n}=")]).collect();
    let value = format!("a={}", "v".repeat(513));
    for (args, why) in [
        (vec!["--label".into(), "l".repeat(256)], "the label has more than 255 bytes"),
        (tags, "there are more than 32 tags"),
        (vec!["--tag".into(), "=x".into()], "the key \"\" of a tag is empty"),
        (vec!["--tag".into(), value], "the value of the tag a has more than 512 bytes"),
    ] {
        let ran = run(fixture.create().args(args).arg("--json"));
        let error = ran.json();
        assert_eq!((ran.status, &error["kind"]), (1, &json!("invalid-input")), "{ran:?}");
        assert!(error["message"].as_str().unwrap().contains(why), "{why}: {ran:?}");
    }
    let ran = run(fixture.create().args(["--tag", "plan"]));
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("it must have the form KEY=VALUE"), "{ran:?}");
    assert_eq!(fixture.left(), [""; 0]);

    let most: Vec<_> = (0..32).flat_map(|n| ["--tag".into(), format!("{n}=")]).collect();
    ok(fixture.create().args(most).args(["--label", &"l".repeat(255)]));
    let info = info(&fixture.archive(), &["--json"]).json();
    assert_eq!(info["tags"].as_array().unwrap().len(), 32);
    assert_eq!(info["label"].as_str().unwrap().len(), 255);
}
