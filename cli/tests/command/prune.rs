//! `prune` lists the archives to remove, removes only those, and keeps the newest whole archive.

use std::{
    fs::{self, File},
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use crate::common::{self, Fixture, ok, run};

/// Archives of these ages in days, oldest first, and one file that is not an archive. They do not have their
/// time in themselves, so the time of the file counts.
fn archives(days: &[u64]) -> Fixture {
    let fixture = Fixture::with(&[("a", b"a")]);
    for (i, &ago) in days.iter().enumerate() {
        let mut create = fixture.create();
        ok(create.args(["--uuid", &uuid(i), "--reproducible", "--label", "lobby"]));
        let made = SystemTime::now() - Duration::from_secs(ago * 86_400);
        let file = File::options().write(true).open(fixture.to.join(name(i))).unwrap();
        file.set_modified(made).unwrap();
    }
    fs::write(fixture.to.join("notes.tar.gz"), "mine").unwrap();
    fixture
}

fn uuid(i: usize) -> String {
    format!("00000000-0000-4000-8000-{i:012}")
}

fn name(i: usize) -> String {
    format!("backup-{}.tar.gz", uuid(i))
}

fn prune(fixture: &Fixture, args: &[&str]) -> Command {
    let mut command = common::wingback();
    command.arg("prune").arg(&fixture.to).args(args);
    command
}

/// The lines of `--json` about archives.
fn planned(fixture: &Fixture, args: &[&str]) -> Vec<Value> {
    let lines = ok(prune(fixture, args).arg("--json")).results().into_iter();
    lines.filter(|line| line["type"] == "archive").collect()
}

fn verdicts(planned: &[Value]) -> Vec<&str> {
    planned.iter().map(|line| line["verdict"].as_str().unwrap()).collect()
}

/// Indexes of the archives that exist.
fn left(fixture: &Fixture, of: usize) -> Vec<usize> {
    (0..of).filter(|&i| fixture.to.join(name(i)).exists()).collect()
}

#[test]
fn prune_removes_nothing_without_apply() {
    let fixture = archives(&[40, 20, 2, 1, 0]);
    let planned = ok(&mut prune(&fixture, &["--keep-last", "2", "--keep-weekly", "2"]));
    let lines: Vec<_> = planned.out.lines().collect();
    let words: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(lines[0], "label lobby: 5 archives");
    // The third may be the last of a week.
    assert_eq!(words[1..3], ["keep", "keep"], "{}", planned.out);
    assert_eq!(words[5], "remove", "{}", planned.out);
    assert!(lines[6].contains("nothing is removed without --apply"), "{}", lines[6]);
    assert_eq!(lines[7..], ["grouped by label,host: 1 group"]);
    assert_eq!(left(&fixture, 5), [0, 1, 2, 3, 4]);

    let lines = self::planned(&fixture, &["--keep-last", "2"]);
    assert_eq!(verdicts(&lines), ["keep", "keep", "remove", "remove", "remove"]);
    assert_eq!((&lines[0]["reason"], &lines[2]["reason"]), (&"newest".into(), &Value::Null));
    let location = fixture.to.join(name(4));
    assert_eq!(lines[0]["location"], location.to_str().unwrap());

    let removed = ok(&mut prune(&fixture, &["--keep-last", "2", "--apply"]));
    assert!(removed.out.contains("removed 3 archives"), "{}", removed.out);
    assert_eq!(left(&fixture, 5), [3, 4]);
    assert!(fixture.to.join("notes.tar.gz").exists());
    let again = ok(&mut prune(&fixture, &["--keep-last", "2", "--apply"]));
    assert!(again.out.contains("\nnothing to remove\n"), "{}", again.out);
}

#[test]
fn prune_keeps_the_newest_whole_archive_and_damaged_ones() {
    let fixture = archives(&[3, 2, 1, 0]);
    for (i, keep) in [(1, 100), (3, 10)] {
        let file = File::options().write(true).open(fixture.to.join(name(i))).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_len(keep).unwrap();
        file.set_modified(modified).unwrap();
    }
    let ran = ok(&mut prune(&fixture, &["--max-size", "0", "--apply"]));
    // Nothing says of which server they are.
    assert!(ran.out.contains("without a label: 1 archive\nleave   not whole"), "{}", ran.out);
    assert_eq!(left(&fixture, 4), [1, 2, 3]);
}

#[test]
fn prune_reports_archives_of_the_future_and_does_not_count_them_as_newest() {
    let fixture = archives(&[3, 2, 1, 0]);
    let date = |i: usize, ahead: u64| {
        let file = File::options().write(true).open(fixture.to.join(name(i))).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(ahead)).unwrap();
    };
    date(0, 400 * 86_400);
    date(3, 60);
    let ran = ok(&mut prune(&fixture, &["--keep-last", "1", "--verify"]));
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines[1].starts_with("leave   in the future"), "{}", ran.out);
    assert!(lines[2].starts_with("keep    newest") && lines[2].contains(&name(3)), "{}", ran.out);
    assert!(lines[6].starts_with("1 archive dated in the future"), "{}", ran.out);
    let lines = planned(&fixture, &["--keep-last", "1", "--max-size", "0", "--apply"]);
    assert_eq!((&lines[0]["verdict"], &lines[0]["reason"]), (&"in-future".into(), &Value::Null));
    assert!(lines.iter().map(|line| &line["removed"]).eq([false, false, true, true]));
    assert_eq!(left(&fixture, 4), [0, 3]);

    // It is kept even if all other archives are gone.
    date(3, 86_400);
    let ran = ok(&mut prune(&fixture, &["--keep-last", "1", "--max-size", "0", "--apply"]));
    assert!(ran.out.contains("nothing to remove\n2 archives dated"), "{}", ran.out);
    assert_eq!(left(&fixture, 4), [0, 3]);
}

#[test]
fn prune_with_verify_stops_if_the_newest_archive_is_damaged() {
    let fixture = archives(&[2, 1, 0]);
    let newest = fixture.to.join(name(2));
    let mut bytes = common::read(&newest);
    bytes[12] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let ran = run(&mut prune(&fixture, &["--keep-last", "1", "--apply", "--verify"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("damaged; nothing was removed"), "{}", ran.err);
    assert_eq!(left(&fixture, 3), [0, 1, 2]);
    fs::remove_file(newest).unwrap();
    ok(&mut prune(&fixture, &["--keep-last", "1", "--apply", "--verify"]));
    assert_eq!(left(&fixture, 3), [1]);
}

#[test]
fn prune_without_a_rule_or_a_directory_does_nothing() {
    let fixture = archives(&[1, 0]);
    for args in [&[][..], &["--apply"], &["--keep-last", "0"], &["--max-size", "much"]] {
        let ran = run(&mut prune(&fixture, args));
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
    }
    assert_eq!(left(&fixture, 2), [0, 1]);
    let mut nowhere = common::wingback();
    let ran =
        run(nowhere.arg("prune").arg(fixture.tmp.path().join("no")).args(["--keep-last", "1"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("No such file or directory"), "{}", ran.err);
}

#[test]
fn two_servers_in_one_directory_do_not_prune_each_other() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let other = fixture.tmp.path().join("arena");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("a"), "a").unwrap();
    ok(fixture.create().args(["--uuid", &uuid(0)]));
    ok(common::create(&other, &fixture.to).args(["--uuid", &uuid(1)]));
    ok(fixture.create().args(["--uuid", &uuid(2)]));
    ok(fixture.create().args(["--uuid", &uuid(3), "--reproducible"]));

    let ran = ok(&mut prune(&fixture, &["--keep-last", "1"]));
    let group = |label: &str| format!("label {label}, host ");
    assert!(ran.out.starts_with(&group("arena")) && ran.out.contains(&group("server")), "{ran:?}");
    assert!(ran.out.contains("without a label: 1 archive\nleave   no label"), "{ran:?}");
    assert!(ran.out.ends_with("without --unidentified\ngrouped by label,host: 3 groups\n"));
    let json = ok(&mut prune(&fixture, &["--keep-last", "1", "--group-by", "label", "--json"]));
    let expected = json!({ "type": "group", "group_by": "label", "label": "arena", "host": null,
        "unidentified": false, "archives": 1 });
    assert_eq!(json.results()[0], expected);

    ok(&mut prune(&fixture, &["--keep-last", "1", "--label", "arena", "--apply"]));
    assert_eq!(left(&fixture, 4), [0, 1, 2, 3]);
    ok(&mut prune(&fixture, &["--keep-last", "1", "--apply"]));
    assert_eq!(left(&fixture, 4), [1, 2, 3]);
    ok(&mut prune(&fixture, &["--keep-last", "1", "--group-by", "none", "--apply"]));
    assert_eq!(left(&fixture, 4), [2, 3]);
    ok(fixture.create().args(["--uuid", &uuid(1), "--reproducible"]));
    ok(&mut prune(&fixture, &["--keep-last", "1", "--unidentified", "--apply"]));
    assert_eq!(left(&fixture, 4).len(), 2);
}

#[test]
fn an_empty_archive_never_replaces_a_good_one() {
    let fixture = archives(&[2, 1]);
    let create = |i: usize| {
        ok(fixture.create().args(["--uuid", &uuid(i), "--reproducible", "--label", "lobby"]))
    };
    fs::write(fixture.source.join("a"), vec![b'a'; 1000]).unwrap();
    create(2);
    // The disk was not mounted, and something has left a small file there.
    fs::write(fixture.source.join("a"), "a").unwrap();
    create(3);
    let lines = planned(&fixture, &["--keep-last", "1", "--apply"]);
    assert_eq!(verdicts(&lines), ["keep", "keep", "remove", "remove"]);
    let of = |field: &str| [&lines[0][field], &lines[1][field]];
    assert_eq!(of("suspicious"), [true, false]);
    assert_eq!(of("reason"), ["last", "newest"]);
    assert_eq!(left(&fixture, 4), [2, 3]);
}

#[test]
fn locks_tags_and_periods_keep_archives() {
    let fixture = archives(&[400, 40, 35, 8, 1, 0]);
    let lock = |command: &str| {
        ok(common::wingback().arg(command).arg(fixture.to.join(name(0))).arg("--json")).json()
    };
    let expected = |locked, changed| {
        let location = fixture.to.join(name(0));
        json!({ "type": "lock", "locked": locked, "changed": changed, "location": location })
    };
    assert_eq!(lock("lock"), expected(true, true));
    assert_eq!(lock("lock"), expected(true, false));
    let rules = ["--keep-within", "2d", "--keep-yearly", "1", "--keep-hourly", "1"];
    let lines = planned(&fixture, &rules);
    let reasons: Vec<_> = lines.iter().map(|line| line["reason"].as_str().unwrap_or("")).collect();
    assert_eq!(reasons, ["newest", "within", "", "", "", "locked"]);
    ok(&mut prune(&fixture, &["--max-size", "0", "--apply"]));
    assert_eq!(left(&fixture, 6), [0, 5]);
    assert_eq!(lock("unlock"), expected(false, true));
    assert_eq!(lock("unlock"), expected(false, false));
    ok(&mut prune(&fixture, &["--max-size", "0", "--apply"]));
    assert_eq!(left(&fixture, 6), [5]);

    ok(fixture.create().args(["--uuid", &uuid(0), "--label", "lobby", "--tag", "plan=gold"]));
    ok(fixture.create().args(["--uuid", &uuid(1), "--label", "lobby"]));
    ok(&mut prune(&fixture, &["--keep-tag", "plan=gold", "--apply"]));
    assert_eq!(left(&fixture, 6), [0, 1, 5]);
}
