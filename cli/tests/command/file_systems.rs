//! File systems that lack system calls.

use std::{fs, process::Command};

use crate::{
    common::{Fixture, names, ok, run, wingback},
    without::{ERRNOS, Errno, refuse},
};

/// Errors of such file systems, old kernels and filters, each with the calls that are missing together.
fn cases() -> impl Iterator<Item = (Errno, &'static [&'static str])> {
    let lacking: [&[&str]; 2] = [&["renameat2"], &["renameat2", "linkat"]];
    ERRNOS.into_iter().flat_map(move |errno| lacking.map(|calls| (errno, calls)))
}

/// Returns the command with these calls refused.
fn on((errno, calls): (Errno, &[&str])) -> Command {
    let mut command = wingback();
    refuse(&mut command, calls, errno);
    command
}

fn fixture() -> Fixture {
    Fixture::with(&[("world/region/r.0.0.mca", b"region"), ("server.properties", b"motd=new")])
}

#[test]
fn a_backup_succeeds_and_replaces_nothing_on_any_file_system() {
    for case in cases() {
        let fixture = fixture();
        let uuid = "00000000-0000-0000-0000-000000000007";
        let create = || {
            let mut create = on(case);
            create.arg("create").arg("--mkdir").arg(&fixture.source).arg("--to").arg(&fixture.to);
            create.args(["--uuid", uuid, "-q"]);
            create
        };
        ok(&mut create());
        let made = fs::read(fixture.archive()).expect("it exists");
        let again = run(&mut create());
        assert_eq!(again.status, 1, "{case:?}: {again:?}");
        assert!(again.err.contains("exists already"), "{case:?}: {again:?}");
        assert_eq!(fs::read(fixture.archive()).expect("it exists"), made, "{case:?}");
    }
}

#[test]
fn extract_succeeds_and_replaces_nothing_on_any_file_system() {
    for case in cases() {
        let fixture = fixture();
        ok(&mut fixture.create());
        let target = fixture.tmp.path().join("target");
        let mut extract = on(case);
        extract.arg("extract").arg(fixture.archive()).arg(&target).arg("-q");
        ok(&mut extract);
        fs::write(target.join("server.properties"), "motd=mine").expect("written");
        let again = run(&mut extract);
        assert_eq!(again.status, 1, "{case:?}: {again:?}");
        let kept = fs::read_to_string(target.join("server.properties")).expect("it exists");
        assert_eq!(kept, "motd=mine", "{case:?}");
    }
}

#[test]
fn restore_succeeds_on_any_file_system() {
    for case in cases() {
        for way in [&[][..], &["--delete"], &["--delete", "--in-place"]] {
            let fixture = fixture();
            ok(&mut fixture.create());
            let target = fixture.tmp.path().join("target");
            fs::create_dir_all(target.join("plugins")).expect("created");
            fs::write(target.join("plugins/old.jar"), "old").expect("written");
            fs::write(target.join("server.properties"), "motd=old").expect("written");
            let mut restore = on(case);
            restore.arg("restore").arg(fixture.archive()).arg(&target).arg("-q").args(way);
            ok(&mut restore);
            let motd = fs::read_to_string(target.join("server.properties")).expect("it exists");
            assert_eq!(motd, "motd=new", "{case:?} {way:?}");
            assert!(target.join("world/region/r.0.0.mca").is_file(), "{case:?} {way:?}");
            let stays = way.is_empty();
            assert_eq!(target.join("plugins/old.jar").exists(), stays, "{case:?} {way:?}");
            assert_eq!(names(&target).len(), 2 + usize::from(stays), "{case:?} {way:?}");
        }
    }
}
