//! Names, directories, patterns and lengths.

use std::fs;

use crate::common::{self, Fixture, listed, ok, run};

const UUID: &str = "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10";

#[test]
fn an_archive_is_named_by_uuid_and_template() {
    let fixture = Fixture::with(&[("a", b"a")]);
    for (name, path) in [
        (None, "backup-8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10.tar.gz"),
        (Some("{uuid}.tar.gz"), "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10.tar.gz"),
        (Some("srv/{uuid}.tgz"), "srv/8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10.tgz"),
    ] {
        let mut command = fixture.create();
        command.args(["--uuid", UUID]);
        if let Some(name) = name {
            command.args(["--name", name]);
        }
        ok(&mut command);
        assert_eq!(listed(&fixture.to.join(path)), ["a"]);
    }
}

#[test]
fn archives_go_to_the_working_directory_by_default() {
    let fixture = Fixture::with(&[("a", b"a")]);
    fs::create_dir(&fixture.to).unwrap();
    let mut command = common::wingback();
    ok(command.arg("create").arg("../server").current_dir(&fixture.to));
    assert_eq!(listed(&fixture.archive()), ["a"]);
}

#[test]
fn a_backup_directory_within_the_source_is_not_backed_up() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let to = fixture.source.join("backups");
    ok(common::create(&fixture.source, &to).args(["--uuid", UUID]));
    let report = ok(common::create(&fixture.source, &to).arg("--json")).json();
    assert_eq!(listed(report["location"].as_str().unwrap().as_ref()), ["a", "backups/"]);
    let reasons: Vec<_> =
        report["skipped"].as_array().unwrap().iter().map(|s| &s["reason"]).collect();
    assert_eq!(reasons, ["own-backup", "own-backup"]);
}

fn patterns_place() -> Fixture {
    Fixture::with(&[
        (".pteroignore", b"*.log\n!keep.log\n"),
        ("a.log", b""),
        ("keep.log", b""),
        ("world/level.dat", b""),
        ("world/x.tmp", b""),
    ])
}

#[track_caller]
fn kept(fixture: &Fixture, args: &[&str]) -> Vec<String> {
    let _ = fs::remove_dir_all(&fixture.to);
    ok(fixture.create().args(args));
    listed(&fixture.archive())
}

#[test]
fn the_last_matching_pattern_of_all_lists_decides() {
    let fixture = patterns_place();
    let list = fixture.tmp.path().join("list");
    fs::write(&list, "*.tmp\nkeep.log").unwrap();
    let from = list.to_str().unwrap();
    assert_eq!(
        kept(&fixture, &[]),
        [".pteroignore", "keep.log", "world/", "world/level.dat", "world/x.tmp"]
    );
    assert_eq!(
        kept(&fixture, &["--exclude-from", from]),
        [".pteroignore", "world/", "world/level.dat"]
    );
    assert_eq!(
        kept(&fixture, &["--exclude", "!*", "--exclude-from", from, "--exclude", "world"]),
        [".pteroignore", "a.log", "keep.log"],
        "patterns on the command line come after the lists"
    );
}

#[test]
fn the_ignore_file_is_merged_replaced_or_ignored() {
    let fixture = patterns_place();
    let all = [".pteroignore", "a.log", "keep.log", "world/", "world/level.dat", "world/x.tmp"];
    assert_eq!(kept(&fixture, &["--ignore-file", "none"]), all);
    assert_eq!(kept(&fixture, &["--ignore-file", "replace"]), kept(&fixture, &[]));
    assert_eq!(kept(&fixture, &["--ignore-file", "replace", "--exclude", "x.tmp"]), all[..5]);
    assert_eq!(
        kept(&fixture, &["--exclude", "x.tmp"]),
        [".pteroignore", "keep.log", "world/", "world/level.dat"]
    );
    fs::write(fixture.source.join(".mine"), "world").unwrap();
    assert_eq!(
        kept(&fixture, &["--ignore-file-name", ".mine"]),
        [".mine", ".pteroignore", "a.log", "keep.log"]
    );
    let ran = run(fixture.create().args(["--ignore-file-name", "../list"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().ends_with("it is not the name of a file"));
}

#[test]
fn patterns_follow_the_rules_of_git_or_of_wings() {
    let fixture = patterns_place();
    let args = ["--ignore-file", "none", "--exclude", "*", "--exclude", "!world"];
    let git = kept(&fixture, &args);
    assert_eq!(git, ["world/"]);
    let wings = kept(&fixture, &[&args[..], &["--rules", "wings"]].concat());
    assert_eq!(wings, ["world/", "world/level.dat", "world/x.tmp"]);
}

#[test]
fn a_suspicious_pattern_is_a_warning_or_an_error_with_strict() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let out = ok(fixture.create().args(["--exclude", "[a-"])).out;
    assert!(out.contains("warnings  1\n  given patterns, line 1: '[a-': "), "{out}");
    fs::remove_dir_all(&fixture.to).unwrap();
    let ran = run(fixture.create().args(["--exclude", "[a-", "--strict-patterns"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("'[a-'"), "{}", ran.err);
    assert!(!fixture.to.exists());
}

#[test]
fn unreadable_patterns_are_an_error() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let ran = run(fixture.create().args(["--exclude-from", "/no/such/list"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().starts_with("read the patterns in /no/such/list: No such file"));
    let ran = run(fixture.create().args(["--exclude", "a\nb"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().ends_with("it has a line break"), "{}", ran.err);
}

#[test]
fn max_len_truncates_a_file() {
    let big = common::noise(3, 3 << 20);
    let fixture =
        Fixture::with(&[("db/a.ldb", b"0123456789"), ("b=c", b"0123"), ("big", &big), ("d", b"9")]);
    let mut command = fixture.create();
    command.args(["--json", "--max-len", "db/a.ldb=4", "--max-len", "b=c=0"]);
    command.args(["--max-len", "big=1500000", "--max-len", "d=100"]);
    let report = ok(&mut command).json();
    assert_eq!(report["warnings"].as_array().unwrap().len(), 0);
    assert_eq!(report["content"], 4 + 1_500_000 + 1);
    let into = fixture.tmp.path().join("into");
    fs::create_dir(&into).unwrap();
    ok(std::process::Command::new("tar").arg("-xzf").arg(fixture.archive()).arg("-C").arg(&into));
    assert_eq!(common::read(&into.join("db/a.ldb")), b"0123");
    assert_eq!(common::read(&into.join("b=c")), b"");
    assert_eq!(common::read(&into.join("d")), b"9");
    assert!(common::read(&into.join("big")) == big[..1_500_000]);
}

#[test]
fn reproducible_archives_of_copied_trees_are_identical() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 5000)), ("d/b", b"b")]);
    let copy = fixture.tmp.path().join("copy");
    ok(std::process::Command::new("cp").arg("-a").arg(&fixture.source).arg(&copy));
    let bytes = |dir, args: &[&str]| {
        let _ = fs::remove_dir_all(&fixture.to);
        ok(common::create(dir, &fixture.to).args(args));
        common::read(&fixture.archive())
    };
    let same = bytes(&fixture.source, &["--reproducible"]);
    assert!(same == bytes(&copy, &["--reproducible", "--threads", "7", "--background"]));
    assert!(
        bytes(&fixture.source, &[]) != bytes(&copy, &[]),
        "the trees must differ without the option"
    );
}

#[test]
fn the_wings_profile_stores_files_only() {
    let fixture = Fixture::with(&[("d/a", b"a")]);
    std::os::unix::fs::symlink("a", fixture.source.join("l")).unwrap();
    assert_eq!(kept(&fixture, &[]), ["d/", "d/a", "l"]);
    assert_eq!(kept(&fixture, &["--profile", "wings"]), ["d/a"]);
}

#[test]
fn a_backup_copies_unchanged_data_from_the_previous_one() {
    let fixture = Fixture::with(&[("jar", &common::noise(1, 3 << 20)), ("log", b"one\n")]);
    let make = |options: &[&str]| {
        let mut command = fixture.create();
        ok(command.args(["--json", "--reproducible", "--label", "lobby"]).args(options)).json()
    };
    let first = make(&[]);
    std::fs::write(fixture.source.join("log"), "two\n").unwrap();
    let path = first["location"].as_str().unwrap();
    let second = make(&["--previous", path]);
    // Its ctimes are recent and not trusted, so the file was read and found to be equal.
    assert!(second["copied"].as_u64() > Some(3 << 20), "{second}");
    let full = make(&[]);
    assert_eq!(second["sha1"], full["sha1"]);
    let latest = make(&["--previous", "latest", "--trust", "mtime"]);
    assert_eq!((&latest["sha1"], &latest["warnings"]), (&full["sha1"], &serde_json::json!([])));

    let gone = make(&["--previous", "/nowhere.tar.gz"]);
    assert_eq!((&gone["sha1"], &gone["copied"]), (&full["sha1"], &serde_json::json!(0)));
    assert!(gone["warnings"][0]["message"].as_str().unwrap().contains("/nowhere.tar.gz"), "{gone}");
}

#[test]
fn a_backup_keeps_and_uses_a_cache() {
    let fixture = Fixture::with(&[("jar", &common::noise(1, 3 << 20)), ("log", b"one\n")]);
    let cache = fixture.tmp.path().join("cache");
    let make = |options: &[&str]| {
        ok(fixture.create().arg("--json").arg("--cache").arg(&cache).args(options)).json()
    };
    let first = make(&[]);
    assert_eq!((&first["copied"], &first["warnings"]), (&0.into(), &serde_json::json!([])));
    std::fs::write(fixture.source.join("log"), "two\n").unwrap();
    let second = make(&[]);
    assert!(second["copied"].as_u64() > Some(3 << 20), "{second}");
    let archives = || {
        common::names(&cache)
            .into_iter()
            .filter(|name| name.as_encoded_bytes().ends_with(b".tar.gz"))
    };
    assert_eq!(archives().count(), 1);
    let tight = make(&["--cache-size", "1M"]);
    assert!(tight["copied"].as_u64() > Some(3 << 20), "{tight}");
    assert!(tight["warnings"][0]["message"].as_str().unwrap().contains("1048576 bytes"), "{tight}");

    // The previous archive has another level, so it is used only on request.
    let unused = make(&["--level", "best"]);
    assert!(unused["warnings"][0]["message"].as_str().unwrap().contains("level"), "{unused}");
    let reused = make(&["--reuse-any"]);
    assert!(reused["copied"].as_u64() > Some(3 << 20), "{reused}");
}

#[test]
fn an_encoder_that_is_not_available_is_an_error_that_says_what_to_do() {
    let fixture = Fixture::with(&[("a", b"1")]);
    let refused = |options: &[&str]| {
        let ran = run(fixture.create().args(["--json", "--encoder", "isa-l"]).args(options));
        assert_eq!(ran.status, 1, "{ran:?}");
        let error = ran.json();
        (error["kind"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    };
    let (kind, message) = refused(&["--level", "best"]);
    if wingback::BUILD.encoders.contains(&wingback::Encoder::IsaL) {
        assert_eq!(kind, "invalid-input");
        assert!(message.ends_with("use that level, or wingback"), "{message}");
    } else {
        assert_eq!((&kind, &message), (&"unsupported".into(), &refused(&[]).1));
        assert!(message.ends_with("build with the feature isal, or use wingback"), "{message}");
    }
    assert_eq!(fs::read_dir(&fixture.to).map_or(0, Iterator::count), 0, "nothing was written");
}
