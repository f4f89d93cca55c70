//! `extract`, `restore` and `recover`.

use std::{fs, fs::File, process::Command};

use serde_json::json;

use crate::common::{self, Fixture, noise, ok, run, wingback};

fn fixture() -> Fixture {
    let fixture = Fixture::with(&[
        ("logs/latest.log", b"a line\n"),
        ("world/level.dat", b"level"),
        ("server.jar", &noise(1, 300_000)),
    ]);
    ok(&mut fixture.create());
    fixture
}

fn command(name: &str, fixture: &Fixture) -> Command {
    let mut command = wingback();
    command.arg(name).arg(fixture.archive()).arg(fixture.tmp.path().join("target"));
    command
}

fn files(fixture: &Fixture) -> Vec<String> {
    let mut find = Command::new("find");
    find.args([".", "-type", "f"]).current_dir(fixture.tmp.path().join("target"));
    let mut files: Vec<_> = ok(&mut find).out.lines().map(|l| l[2..].to_owned()).collect();
    files.sort();
    files
}

#[test]
fn extract_takes_all_or_selected_files() {
    let fixture = fixture();
    let ran = ok(command("extract", &fixture).arg("-q"));
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines[0], "content   3 files, 2 directories, 0 symlinks, 293.0 KiB");
    assert_eq!((lines[1], lines[3]), ("read      by its index", "skipped   none"));
    assert_eq!(files(&fixture), ["logs/latest.log", "server.jar", "world/level.dat"]);
    let again = run(command("extract", &fixture).arg("-q"));
    assert_eq!(again.status, 1);
    assert!(again.one_line_error().contains("File exists"), "{again:?}");
    ok(command("extract", &fixture).args(["-q", "--overwrite"]));
    fs::remove_dir_all(fixture.tmp.path().join("target")).unwrap();
    let done = ok(command("extract", &fixture).args(["*.dat", "--json"])).json();
    assert_eq!((&done["type"], &done["files"]), (&json!("extracted"), &json!(1)));
    assert_eq!(files(&fixture), ["world/level.dat"]);
    let none = run(command("extract", &fixture).args(["nothing", "-q"]));
    assert_eq!(none.status, 1);
    let why = ": nothing in the archive matches \"nothing\"";
    assert!(none.one_line_error().ends_with(why), "{none:?}");
}

#[test]
fn a_misspelled_keep_path_removes_nothing() {
    let fixture = fixture();
    let target = fixture.tmp.path().join("target");
    fs::create_dir_all(target.join("cache")).unwrap();
    fs::write(target.join("cache/x"), "x").unwrap();
    for options in [&[][..], &["--in-place"], &["--delete"], &["--dry-run"], &["--json"]] {
        let mut restore = command("restore", &fixture);
        restore.args(["--keep", "cahce", "--keep", "cache/x"]).args(options);
        let ran = run(restore.arg("--quiet"));
        assert_eq!(ran.status, 1, "{ran:?}");
        let output = if options == ["--json"] { &ran.out } else { &ran.err };
        assert!(output.contains("cahce") && !output.contains("cache"), "{ran:?}");
        assert_eq!(files(&fixture), ["cache/x"]);
    }
}

#[test]
fn salvage_extracts_undamaged_files() {
    let fixture = Fixture::with(&[("a.mca", &noise(2, 200_000)), ("b.mca", &noise(3, 200_000))]);
    ok(&mut fixture.create());
    let mut bytes = common::read(&fixture.archive());
    bytes[50_000] ^= 1;
    fs::write(fixture.archive(), &bytes).unwrap();
    let ran = run(command("extract", &fixture).arg("-q"));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("it contains a.mca"), "{ran:?}");
    fs::remove_dir_all(fixture.tmp.path().join("target")).unwrap();
    let ran = run(command("extract", &fixture).args(["-q", "--salvage"]));
    assert_eq!(ran.status, 3);
    assert!(
        ran.out.contains("damage    1\n") && ran.out.contains("lost      1\n  a.mca"),
        "{ran:?}"
    );
    assert_eq!(files(&fixture), ["b.mca"]);
}

#[test]
fn restore_keeps_other_files_and_delete_makes_the_directory_match_the_archive() {
    let fixture = fixture();
    let target = fixture.tmp.path().join("target");
    fs::create_dir_all(target.join("cache")).unwrap();
    fs::write(target.join("old"), "old").unwrap();
    fs::write(target.join("cache/x"), "x").unwrap();
    let done = ok(command("restore", &fixture).arg("--json")).json();
    assert_eq!((&done["type"], &done["read_method"]), (&json!("restored"), &json!("indexed")));
    let with_old = ["cache/x", "logs/latest.log", "old", "server.jar", "world/level.dat"];
    assert_eq!(files(&fixture), with_old);
    ok(command("restore", &fixture).args(["-q", "--delete", "--keep", "cache"]));
    assert_eq!(files(&fixture), ["cache/x", "logs/latest.log", "server.jar", "world/level.dat"]);
    let wrong =
        run(command("restore", &fixture).args(["-q", "--delete", "--sha1", &"0".repeat(40)]));
    assert_eq!(wrong.status, 1);
    assert!(wrong.one_line_error().contains("compare the SHA-1 of the archive"), "{wrong:?}");
    assert!(target.join("cache/x").exists());
    ok(command("restore", &fixture).args(["-q", "--delete", "--in-place"]));
    assert_eq!(files(&fixture), ["logs/latest.log", "server.jar", "world/level.dat"]);
    let alone = run(command("restore", &fixture).arg("--delete-excluded"));
    assert_eq!(alone.status, 2);
}

#[test]
fn extract_reads_archives_of_other_programs_from_a_pipe() {
    let fixture = fixture();
    let target = fixture.tmp.path().join("target");
    let mut piped = wingback();
    piped.args(["restore", "-"]).arg(&target).arg("-q");
    ok(piped.stdin(File::open(fixture.archive()).unwrap()));
    assert_eq!(files(&fixture), ["logs/latest.log", "server.jar", "world/level.dat"]);
    for program in ["gzip", "pigz"] {
        let foreign = fixture.tmp.path().join("foreign.tar.gz");
        let mut tar = Command::new("tar");
        tar.arg("-I").arg(program).arg("-cf").arg(&foreign).arg("-C").arg(&fixture.source).arg(".");
        ok(&mut tar);
        let ran = ok(wingback().arg("restore").arg(&foreign).arg(&target).arg("-q"));
        assert!(ran.out.contains("in sequence: it has no index"), "{ran:?}");
        assert_eq!(files(&fixture), ["logs/latest.log", "server.jar", "world/level.dat"]);
    }
}

#[test]
fn recover_does_nothing_without_an_interrupted_restore() {
    let fixture = fixture();
    let recover = |args: &[&str]| ok(wingback().arg("recover").arg(&fixture.source).args(args));
    assert_eq!(recover(&[]).out, "there is no interrupted restore\n");
    assert_eq!(recover(&["--json"]).json(), json!({ "type": "recovered", "recovered": null }));
    // A directory of a user that looks like a staging directory is not one.
    fs::create_dir_all(fixture.source.join(".wingback-restore/new")).unwrap();
    assert_eq!(recover(&["--json"]).json(), json!({ "type": "recovered", "recovered": null }));
    assert!(fixture.source.join(".wingback-restore/new").is_dir());
    let missing = run(wingback().args(["recover", "/nowhere/at/all"]));
    assert_eq!(missing.status, 1);
    assert!(missing.one_line_error().starts_with("open the directory /nowhere/at/all: "));
}

#[test]
fn owner_takes_two_numbers() {
    let fixture = fixture();
    for wrong in ["root", "1", "1:", ":2", "1:2:3", "-1:2"] {
        let ran = run(command("extract", &fixture).args([format!("--owner={wrong}")]));
        assert_eq!(ran.status, 2, "{wrong}");
    }
    if common::is_root() {
        use std::os::unix::fs::MetadataExt;
        ok(command("extract", &fixture).args(["-q", "--owner", "12:34"]));
        let owner = || {
            let meta = fs::metadata(fixture.tmp.path().join("target/world/level.dat")).unwrap();
            (meta.uid(), meta.gid())
        };
        assert_eq!(owner(), (12, 34));
        // The default of root is the owner that the archive records.
        for path in ["world", "world/level.dat"] {
            std::os::unix::fs::chown(fixture.source.join(path), Some(56), Some(78)).unwrap();
        }
        fs::remove_file(fixture.archive()).unwrap();
        ok(&mut fixture.create());
        for (name, args, expected) in [
            ("restore", &["-q"][..], (56, 78)),
            ("restore", &["-q", "--owner", "keep"], (0, 0)),
            ("extract", &["-q", "--overwrite"], (56, 78)),
        ] {
            ok(command(name, &fixture).args(args));
            assert_eq!(owner(), expected, "{name} {args:?}");
        }
    } else {
        common::left_out("the option --owner: only root can change owners");
    }
}

#[test]
fn unusable_members_give_status_3_or_an_error() {
    let fixture = Fixture::with(&[("kept", b"x"), ("lost", b"x")]);
    fs::create_dir(&fixture.to).unwrap();
    let status = Command::new("tar")
        .args(["--transform", "s,^lost,/lost,", "-Pczf"])
        .arg(fixture.to.join("foreign.tar.gz"))
        .arg("-C")
        .arg(&fixture.source)
        .args(["kept", "lost"])
        .status();
    assert!(status.unwrap().success());
    for (name, option) in
        [("extract", "--salvage"), ("extract", "--skip-refused"), ("restore", "--skip-refused")]
    {
        let refused = run(command(name, &fixture).arg("-q"));
        assert_eq!(refused.status, 1, "{refused:?}");
        assert!(refused.err.contains("/lost: it is absolute"), "{refused:?}");
        let _ = fs::remove_dir_all(fixture.tmp.path().join("target"));
        let ran = run(command(name, &fixture).args(["-q", option]));
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(ran.out.contains("/lost: it is absolute"), "{ran:?}");
        assert_eq!(files(&fixture), ["kept"]);
        let _ = fs::remove_dir_all(fixture.tmp.path().join("target"));
        let done = run(command(name, &fixture).args([option, "--json"]));
        assert_eq!((done.status, &done.json()["skipped"][0]["reason"]), (3, &json!("refused")));
        let _ = fs::remove_dir_all(fixture.tmp.path().join("target"));
    }
}

/// Two files to remove, one to replace and one to add, and one that the backup had excluded.
fn changed_target() -> Fixture {
    let fixture = Fixture::with(&[("server.jar", b"jar"), ("world/a", b"a"), ("world/b", b"b")]);
    ok(fixture.create().args(["--exclude", "*.log"]));
    ok(command("restore", &fixture).arg("-q"));
    let target = fixture.tmp.path().join("target");
    fs::remove_file(target.join("world/a")).unwrap();
    for path in ["extra", "latest.log", "server.jar", "world/extra"] {
        fs::write(target.join(path), "other").unwrap();
    }
    fixture
}

#[test]
fn a_dry_run_prints_the_changes_and_makes_none() {
    let fixture = changed_target();
    let before = files(&fixture);
    let ran = ok(command("restore", &fixture).args(["-q", "--dry-run", "--delete"]));
    let want = "dry run   nothing was changed\ncontent   3 files, 1 directory, 0 symlinks, 5 B\n";
    assert!(ran.out.starts_with(want), "{ran:?}");
    let want = "added     1\n  world/a\nreplaced  1\n  server.jar\n\
                removed   2\n  extra\n  world/extra\nunchanged 1 file\n";
    assert!(ran.out.contains(want), "{ran:?}");
    let json = ok(command("restore", &fixture).args(["--json", "--dry-run"])).json();
    assert_eq!(json["added"], json!([{ "path": "world/a" }]));
    assert_eq!(json["replaced"], json!([{ "path": "server.jar" }]));
    assert_eq!((&json["removed"], &json["removed_more"]), (&json!([]), &json!(0)));
    assert_eq!(json["unchanged"], 1);
    assert_eq!(files(&fixture), before);
}

#[test]
fn delete_lists_removed_files_and_keeps_those_that_the_backup_had_excluded() {
    let fixture = changed_target();
    let ran = ok(command("restore", &fixture).arg("-q"));
    assert!(ran.out.contains("added     1\nreplaced  1\nremoved   none\n"), "{ran:?}");
    let with_all = ["extra", "latest.log", "server.jar", "world/a", "world/b", "world/extra"];
    assert_eq!(files(&fixture), with_all);
    let json = ok(command("restore", &fixture).args(["--json", "--delete"])).json();
    assert_eq!(json["removed"], json!([{ "path": "extra" }, { "path": "world/extra" }]));
    assert_eq!(json["unchanged"], 3);
    assert_eq!(files(&fixture), ["latest.log", "server.jar", "world/a", "world/b"]);
    let ran = ok(command("restore", &fixture).args(["-q", "--delete", "--delete-excluded"]));
    assert!(ran.out.contains("removed   1\n  latest.log\nunchanged 3 files\n"), "{ran:?}");
    assert_eq!(files(&fixture), ["server.jar", "world/a", "world/b"]);
}

#[test]
fn restore_takes_some_paths() {
    let fixture = changed_target();
    ok(command("restore", &fixture).args(["world", "-q", "--delete"]));
    let want = ["extra", "latest.log", "server.jar", "world/a", "world/b"];
    assert_eq!(files(&fixture), want);
    assert_eq!(fs::read(fixture.tmp.path().join("target/server.jar")).unwrap(), b"other");
    let ran = run(command("restore", &fixture).args(["*.jra", "-q"]));
    assert_eq!(ran.status, 1);
    let why = ": nothing in the archive matches \"*.jra\"";
    assert!(ran.one_line_error().ends_with(why), "{ran:?}");
}

#[test]
fn delete_refuses_an_archive_that_does_not_say_what_its_backup_excluded() {
    let fixture = changed_target();
    let before = files(&fixture);
    let mut tar = Command::new("tar");
    ok(tar.arg("-czf").arg(fixture.archive()).arg("-C").arg(&fixture.source).arg("."));
    let ran = run(command("restore", &fixture).args(["-q", "--delete"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("which files its backup excluded"), "{ran:?}");
    assert_eq!(files(&fixture), before);
    ok(command("restore", &fixture).args(["-q", "--delete", "--delete-excluded"]));
    assert_eq!(files(&fixture), ["server.jar", "world/a", "world/b"]);
}
