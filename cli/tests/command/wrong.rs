//! Invalid command lines and paths give a one-line error and create nothing.

use std::fs;

use crate::common::{self, Fixture, ok, run};

#[test]
fn an_invalid_option_is_named_with_the_reason() {
    let fixture = Fixture::with(&[("a", b"a")]);
    for (args, option, reason) in [
        (["--uuid", "12345"], "--uuid", ""),
        (["--name", "backup.tar.gz"], "--name", "it lacks {uuid}"),
        (["--name", "../{uuid}"], "--name", "a part of it begins with a dot"),
        (["--name", "/{uuid}"], "--name", "it has an empty part"),
        (["--name", "{label}.tar.gz"], "--name", "it lacks {uuid} or {date}"),
        (["--name", "{uuid}-{server}"], "--name", "it may have {uuid}, {date}, {time}"),
        (["--name", "{date}/{date}"], "--name", "it has {date} twice"),
        (["--write-limit", "fast"], "--write-limit", "\"fast\" is not a size"),
        (["--read-limit", "1e9"], "--read-limit", "\"1e9\" is not a size"),
        (["--reserve", "1Q"], "--reserve", "\"1Q\" is not a size"),
        (["--threads", "0"], "--threads", "0 is not in 1..=1024"),
        (["--max-len", "a"], "--max-len", "it must have the form PATH=N"),
        (["--max-len", "a=-1"], "--max-len", "\"-1\" is not a number of bytes"),
        (["--level", "11"], "--level", "fast"),
        (["--rules", "svn"], "--rules", "git, wings"),
        (["--no-such-option", "x"], "--no-such-option", ""),
    ] {
        let ran = run(fixture.create().args(args));
        assert_eq!(ran.status, 2, "{args:?}: {ran:?}");
        assert_eq!(ran.out, "");
        let (first, _) = ran.err.split_once("\n\nUsage").unwrap_or((&ran.err, ""));
        assert!(first.starts_with("error: "), "{ran:?}");
        assert!(first.contains(option) && first.contains(reason), "{args:?}: {}", ran.err);
    }
    assert!(!fixture.to.exists());
}

#[test]
fn a_missing_directory_argument_shows_the_usage() {
    for args in [
        &["create"][..],
        &["estimate"],
        &["sweep"],
        &["archives"],
        &["prune"],
        &["lock"],
        &[],
        &["backup"],
    ] {
        let ran = run(common::wingback().args(args));
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(ran.err.contains("Usage: wingback"), "{}", ran.err);
    }
}

#[test]
fn a_missing_source_is_an_error_and_creates_no_directory() {
    let fixture = Fixture::with(&[("file", b"")]);
    for (source, why) in [("none", "No such file or directory"), ("file", "Not a directory")] {
        let source = fixture.source.join(source);
        for command in [
            &mut common::create(&source, &fixture.to),
            common::wingback().arg("estimate").arg(&source),
        ] {
            let ran = run(command);
            assert_eq!((ran.status, ran.out.as_str()), (1, ""));
            let error = ran.one_line_error();
            assert!(
                error.starts_with(&format!("open the source {}: {why}", source.display())),
                "{error}"
            );
        }
    }
    assert!(!fixture.to.exists());
}

#[test]
fn a_backup_directory_that_is_a_file_is_an_error() {
    let fixture = Fixture::with(&[("file", b"")]);
    let file = fixture.source.join("file");
    for to in [file.clone(), file.join("beneath")] {
        let ran = run(&mut common::create(&fixture.source, &to));
        assert_eq!(ran.status, 1);
        assert!(ran.one_line_error().contains("Not a directory"), "{}", ran.err);
    }
    let ran = run(common::wingback().arg("sweep").arg(&file));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains("Not a directory"), "{}", ran.err);
}

#[test]
fn an_existing_backup_is_never_overwritten() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let uuid = ["--uuid", "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10"];
    ok(fixture.create().args(uuid));
    let before = common::read(&fixture.archive());
    fs::write(fixture.source.join("b"), "b").unwrap();
    let ran = run(fixture.create().args(uuid));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().ends_with("a backup of that name exists already"));
    assert_eq!(common::read(&fixture.archive()), before);
}

#[test]
fn two_backups_of_one_name_do_not_run_at_once() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 200_000))]);
    let uuid = ["--uuid", "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10"];
    let first = common::spawn(fixture.create().args(uuid).args(["--read-limit", "100k"]));
    common::wait_until("the first file of the backup", || !fixture.left().is_empty());
    let ran = run(fixture.create().args(uuid));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().ends_with("a backup of that name is being made"), "{}", ran.err);
    assert_eq!(common::wait(first).status, 0);
    assert_eq!(common::listed(&fixture.archive()), ["a"]);
}

#[test]
fn a_disk_below_its_reserve_fails_the_backup_and_leaves_nothing() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let ran = run(fixture.create().args(["--reserve", "1000000T"]));
    assert_eq!(ran.status, 1);
    assert!(ran.one_line_error().contains(" MiB) are free, and "), "{}", ran.err);
    let wanted = "1099511627776000000 bytes (1048576000000.0 MiB) must stay free";
    assert!(ran.err.contains(wanted), "{}", ran.err);
    assert_eq!(fixture.left(), [""; 0]);
    ok(fixture.create().args(["--reserve", "1k"]));
}

#[test]
fn an_unknown_scheme_is_named_and_nothing_is_created() {
    let fixture = Fixture::with(&[("a", b"a")]);
    let dir = fixture.source.to_str().unwrap();
    for (args, hint) in [
        (&["create", dir, "--to", "ftp://x/y"][..], "use a directory or s3://bucket/prefix"),
        (&["sweep", "ftp://x/y"], "use a directory or s3://bucket/prefix"),
        (&["list", "ftp://x/y"], "an archive is a file, -, s3://bucket/name, or an http(s) link"),
        (&["restore", "ftp://x/y", dir], "an archive is a file"),
    ] {
        let ran = run(common::wingback().args(args).current_dir(fixture.tmp.path()));
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{args:?}");
        let error = ran.one_line_error();
        assert!(
            error.starts_with("use the URL ftp://x/y: the scheme \"ftp\" is not known; "),
            "{error}"
        );
        assert!(error.contains(hint), "{error}");
    }
    let ran = run(common::wingback().args(["list", "ftp://x/y", "--json"]));
    assert_eq!((ran.status, &ran.json()["kind"]), (1, &"invalid-input".into()));
    // A directory of this name would be made.
    for args in [
        &["restore", "a.tar.gz", "s3://x/y"][..],
        &["extract", "a.tar.gz", "ftp://x/y"],
        &["create", "s3://x/y"],
        &["create", dir, "--cache", "s3://x/y"],
        &["recover", "s3://x/y", "--json"],
    ] {
        let ran = run(common::wingback().args(args).current_dir(fixture.tmp.path()));
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(ran.err.contains("it is a URL, and must be a path of this machine"), "{ran:?}");
    }
    // With a dot it is a path.
    let ran = run(common::wingback().args(["list", "./ftp://x/y"]));
    assert!(ran.one_line_error().contains("No such file or directory"), "{ran:?}");
    assert_eq!(common::names(fixture.tmp.path()), ["server"]);
}
