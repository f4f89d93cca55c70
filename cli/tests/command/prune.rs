//! `prune` lists the archives to remove, removes only those, and keeps the newest whole archive.

use std::{
    fs::{self, File},
    process::Command,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use crate::common::{self, Place, ok, run};

/// Archives of these ages in days, oldest first, and one file that is not an archive.
fn archives(days: &[u64]) -> Place {
    let place = Place::with(&[("a", b"a")]);
    for (i, &ago) in days.iter().enumerate() {
        ok(place.create().args(["--uuid", &uuid(i)]));
        let made = SystemTime::now() - Duration::from_secs(ago * 86_400);
        let file = File::options().write(true).open(place.to.join(name(i))).unwrap();
        file.set_modified(made).unwrap();
    }
    fs::write(place.to.join("notes.tar.gz"), "mine").unwrap();
    place
}

fn uuid(i: usize) -> String {
    format!("00000000-0000-4000-8000-{i:012}")
}

fn name(i: usize) -> String {
    format!("backup-{}.tar.gz", uuid(i))
}

fn prune(place: &Place, args: &[&str]) -> Command {
    let mut command = common::wingback();
    command.arg("prune").arg(&place.to).args(args);
    command
}

/// Indexes of the archives that exist.
fn left(place: &Place, of: usize) -> Vec<usize> {
    (0..of).filter(|&i| place.to.join(name(i)).exists()).collect()
}

#[test]
fn prune_removes_nothing_without_apply() {
    let place = archives(&[40, 20, 2, 1, 0]);
    let planned = ok(&mut prune(&place, &["--keep-last", "2", "--keep-weekly", "2"]));
    let lines: Vec<_> = planned.out.lines().collect();
    let verdicts: Vec<_> = lines.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(lines.len(), 6, "{}", planned.out);
    assert_eq!(verdicts[..2], ["keep", "keep"]);
    assert!(lines[5].contains("nothing is removed without --apply"), "{}", lines[5]);
    assert_eq!(left(&place, 5), [0, 1, 2, 3, 4]);

    let planned = ok(&mut prune(&place, &["--keep-last", "2", "--json"]));
    let planned: Vec<Value> =
        planned.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdicts: Vec<_> = planned.iter().map(|line| line["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["keep", "keep", "remove", "remove", "remove"]);
    assert_eq!((&planned[0]["reason"], &planned[2]["reason"]), (&"newest".into(), &Value::Null));

    let removed = ok(&mut prune(&place, &["--keep-last", "2", "--apply"]));
    assert!(removed.out.contains("removed 3 archives"), "{}", removed.out);
    assert_eq!(left(&place, 5), [3, 4]);
    assert!(place.to.join("notes.tar.gz").exists());
    let again = ok(&mut prune(&place, &["--keep-last", "2", "--apply"]));
    assert!(again.out.ends_with("nothing to remove\n"), "{}", again.out);
}

#[test]
fn prune_keeps_the_newest_whole_archive_and_damaged_ones() {
    let place = archives(&[3, 2, 1, 0]);
    for (i, keep) in [(1, 100), (3, 10)] {
        let file = File::options().write(true).open(place.to.join(name(i))).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_len(keep).unwrap();
        file.set_modified(modified).unwrap();
    }
    let ran = ok(&mut prune(&place, &["--max-size", "0", "--apply"]));
    assert!(ran.out.starts_with("leave   not whole"), "{}", ran.out);
    assert_eq!(left(&place, 4), [1, 2, 3]);
}

#[test]
fn prune_reports_archives_of_the_future_and_does_not_count_them_as_newest() {
    let place = archives(&[3, 2, 1, 0]);
    let date = |i: usize, ahead: u64| {
        let file = File::options().write(true).open(place.to.join(name(i))).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(ahead)).unwrap();
    };
    date(0, 400 * 86_400);
    date(3, 60);
    let ran = ok(&mut prune(&place, &["--keep-last", "1", "--verify"]));
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines[0].starts_with("leave   in the future"), "{}", ran.out);
    assert!(lines[1].starts_with("keep    newest") && lines[1].contains(&name(3)), "{}", ran.out);
    assert!(lines[5].starts_with("1 archive dated in the future"), "{}", ran.out);
    let ran = ok(&mut prune(&place, &["--keep-last", "1", "--max-size", "0", "--json", "--apply"]));
    let first: Value = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    assert_eq!((&first["verdict"], &first["reason"]), (&"in-future".into(), &Value::Null));
    assert_eq!(first["removed"], false);
    assert_eq!(left(&place, 4), [0, 3]);

    // It is kept even if all other archives are gone.
    date(3, 86_400);
    let ran = ok(&mut prune(&place, &["--keep-last", "1", "--max-size", "0", "--apply"]));
    assert!(ran.out.contains("nothing to remove\n2 archives dated"), "{}", ran.out);
    assert_eq!(left(&place, 4), [0, 3]);
}

#[test]
fn prune_with_verify_stops_if_the_newest_archive_is_damaged() {
    let place = archives(&[2, 1, 0]);
    let newest = place.to.join(name(2));
    let mut bytes = common::read(&newest);
    bytes[12] ^= 1;
    fs::write(&newest, bytes).unwrap();
    let ran = run(&mut prune(&place, &["--keep-last", "1", "--apply", "--verify"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("damaged; nothing was removed"), "{}", ran.err);
    assert_eq!(left(&place, 3), [0, 1, 2]);
    fs::remove_file(newest).unwrap();
    ok(&mut prune(&place, &["--keep-last", "1", "--apply", "--verify"]));
    assert_eq!(left(&place, 3), [1]);
}

#[test]
fn prune_without_a_rule_or_a_directory_does_nothing() {
    let place = archives(&[1, 0]);
    for args in [&[][..], &["--apply"], &["--keep-last", "0"], &["--max-size", "much"]] {
        let ran = run(&mut prune(&place, args));
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
    }
    assert_eq!(left(&place, 2), [0, 1]);
    let mut nowhere = common::wingback();
    let ran = run(nowhere.arg("prune").arg(place.tmp.path().join("no")).args(["--keep-last", "1"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("does not exist"), "{}", ran.err);
}
