//! `verify` of all archives of a directory, and its record.

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::PathBuf,
    time::Duration,
};

use serde_json::json;

use crate::common::{Fixture, Ran, names, noise, ok, run, wingback};

/// Ten archives, `0` to `9`, of about one size.
fn fixture() -> Fixture {
    let fixture =
        Fixture::with(&[("world/r.0.0.mca", &noise(1, 100_000)), ("level.dat", b"level")]);
    for name in 0..10 {
        back_up(&fixture, &name.to_string());
    }
    fixture
}

fn back_up(fixture: &Fixture, name: &str) {
    ok(fixture.create().args(["--quiet", "--name", &format!("{name}-{{uuid}}.tar.gz")]));
    // The next archive has a later time.
    std::thread::sleep(Duration::from_millis(5));
}

fn state(fixture: &Fixture) -> PathBuf {
    fixture.tmp.path().join("state")
}

fn verify(fixture: &Fixture, args: &[&str]) -> Ran {
    let mut command = wingback();
    command.arg("verify").arg(&fixture.to).arg("--state-dir").arg(state(fixture));
    run(command.args(args))
}

/// The names of the archives that were read, without the UUIDs.
fn read(ran: &Ran) -> String {
    let keys = ran.results().into_iter().filter_map(|line| line["key"].as_str()?.chars().next());
    keys.collect()
}

/// Changes a byte in the content of an archive.
fn damage(fixture: &Fixture, name: &str) {
    let is_named = |file: &std::ffi::OsString| file.to_string_lossy().starts_with(name);
    let path = fixture.to.join(names(&fixture.to).into_iter().find(is_named).expect("an archive"));
    let modified = fs::metadata(&path).expect("there").modified().expect("a time");
    let file = fs::File::options().write(true).open(&path).expect("open");
    file.write_all_at(b"damaged", 5_000).expect("written");
    file.set_modified(modified).expect("set");
}

#[test]
fn all_archives_of_a_directory_are_verified() {
    let fixture = fixture();
    fs::write(fixture.to.join("notes.txt"), "not an archive").expect("written");
    let ran = verify(&fixture, &["-q"]);
    assert_eq!((ran.status, &*ran.err), (0, ""));
    let printed: Vec<_> = ran.out.lines().collect();
    let is_line = |line: &&str| line.starts_with("whole   20") && line.contains("  server  ");
    assert!(printed[..10].iter().all(is_line), "{ran:?}");
    assert!(printed[10].starts_with("verified  10 of 10 archives, "), "{ran:?}");
    assert!(printed[11].starts_with("oldest    20") && printed[13] == "damaged   none", "{ran:?}");
    // A pass that has ended does not continue.
    let ran = verify(&fixture, &["--json"]);
    assert_eq!((ran.status, read(&ran).len()), (0, 10));
    let first = &ran.results()[0];
    assert_eq!((&first["type"], &first["whole"]), (&json!("verified"), &json!(true)));
    assert_eq!(first["label"], "server");
    let mut all = ran.json();
    assert!(all["bytes"].take().as_u64().is_some_and(|bytes| bytes > 1_000_000));
    assert!(all["oldest_ns"].take().is_i64() && all["duration_ms"].take().is_u64());
    assert_eq!(
        all,
        json!({
            "type": "verified-all", "whole": true, "archives": 10, "verified": 10, "bytes": null,
            "earlier": 0, "resumed_ns": null, "damaged": [], "damaged_more": 0, "failed": 0,
            "never": 0, "oldest_ns": null, "duration_ms": null,
        })
    );
}

#[test]
fn samples_verify_all_archives_one_after_another() {
    let fixture = fixture();
    let mut seen = String::new();
    for n in 1..=10 {
        let ran = verify(&fixture, &["--sample", "10%", "--json"]);
        assert_eq!((ran.status, read(&ran).len()), (0, 1), "{ran:?}");
        assert_eq!(ran.json()["never"], 10 - n);
        seen += &read(&ran);
    }
    assert_eq!(seen, "9876543210");
    // The next sample begins with those of the oldest checks.
    assert_eq!(read(&verify(&fixture, &["--sample", "20", "--json"])), "98");
    back_up(&fixture, "n");
    assert_eq!(read(&verify(&fixture, &["--sample", "20%", "--json"])), "n7");
    assert_eq!(verify(&fixture, &["--sample", "0%"]).status, 2);
}

#[test]
fn an_interrupted_pass_continues() {
    let fixture = fixture();
    verify(&fixture, &["--sample", "30%", "--json"]);
    // As if the pass had begun before these three.
    let record =
        state(&fixture).join("verified").join(&names(&state(&fixture).join("verified"))[0]);
    let text = fs::read_to_string(&record).expect("a record");
    assert!(text.starts_with("wingback verified 1\nplace /") && text.contains("\npass -\n"));
    fs::write(&record, text.replace("pass -", "pass 1700000000000000000")).expect("written");
    let ran = verify(&fixture, &["--json"]);
    let all = ran.json();
    assert_eq!((ran.status, &*read(&ran)), (0, "6543210"));
    assert_eq!(
        (&all["earlier"], &all["resumed_ns"]),
        (&json!(3), &json!(1_700_000_000_000_000_000_u64))
    );
    assert_eq!(read(&verify(&fixture, &["--json"])).len(), 10);
    fs::write(&record, text.replace("pass -", "pass 1700000000000000000")).expect("written");
    let ran = verify(&fixture, &["-q"]);
    assert!(
        ran.out.contains("\nearlier   3 archives in the pass of 2023-11-14 22:13:20\n"),
        "{ran:?}"
    );
    fs::write(&record, text.replace("pass -", "pass 1700000000000000000")).expect("written");
    assert_eq!(read(&verify(&fixture, &["--restart", "--json"])).len(), 10);
    // The record is the only file, and nobody else can read it.
    assert_eq!(names(&state(&fixture).join("verified")).len(), 1);
    assert_eq!(fs::metadata(&record).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn damage_is_status_1_until_the_archive_is_gone() {
    let fixture = fixture();
    damage(&fixture, "9");
    let ran = verify(&fixture, &["--sample", "10%", "-q"]);
    assert_eq!(ran.status, 1);
    assert!(
        ran.out.starts_with("DAMAGED 20") && ran.out.contains("  (3 members lost)\n"),
        "{ran:?}"
    );
    assert!(ran.out.contains("\ndamaged   1\n  9-"), "{ran:?}");
    let ran = verify(&fixture, &["--sample", "10%", "--json"]);
    let all = ran.json();
    assert_eq!((ran.status, &*read(&ran)), (1, "8"));
    assert_eq!((&all["whole"], all["damaged"].as_array().map(Vec::len)), (&json!(false), Some(1)));
    fs::remove_file(fixture.to.join(all["damaged"][0].as_str().expect("a key"))).expect("removed");
    assert_eq!(verify(&fixture, &["--sample", "10%"]).status, 0);
}

#[test]
fn only_the_archives_of_a_label_are_verified() {
    let fixture = fixture();
    ok(fixture.create().args(["--quiet", "--label", "other", "--name", "o-{uuid}.tar.gz"]));
    assert_eq!(read(&verify(&fixture, &["--label", "other", "--json"])), "o");
    assert_eq!(read(&verify(&fixture, &["--label", "server", "--json"])).len(), 10);
}

#[test]
fn a_record_that_cannot_be_used_is_an_error_that_names_it() {
    let fixture = fixture();
    verify(&fixture, &["--sample", "10%"]);
    let dir = state(&fixture).join("verified");
    let record = dir.join(&names(&dir)[0]);
    fs::write(&record, "something else\n").expect("written");
    let ran = verify(&fixture, &["-q"]);
    assert_eq!(ran.status, 1);
    let error = format!(
        "use the record {}: it is not a record of this version; remove it to begin a new one",
        record.display()
    );
    assert_eq!(ran.one_line_error(), error);
    fs::remove_file(&record).expect("removed");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("set");
    let ran = verify(&fixture, &["--json"]);
    assert_eq!((ran.status, &ran.json()["kind"]), (1, &json!("permission-denied")));
}

#[test]
fn options_for_a_place_and_for_an_archive_are_not_mixed() {
    let fixture = fixture();
    let archive = fixture.to.join(&names(&fixture.to)[0]);
    for args in [&["--sample", "10%"][..], &["--label", "x"], &["--restart"]] {
        let ran = run(wingback().arg("verify").arg(&archive).args(args));
        assert_eq!((ran.status, &*ran.out), (2, ""), "{args:?}");
        assert!(ran.one_line_error().contains("are for a directory"), "{ran:?}");
    }
    let ran = verify(&fixture, &["--sha1", &"0".repeat(40)]);
    assert_eq!((ran.status, ran.one_line_error()), (2, "--sha1 is for one archive"));
}
