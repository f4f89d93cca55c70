//! A process that is killed at any time leaves a whole archive or none, and the old tree or the new
//! one. Its leftovers can be removed. `WINGBACK_KILLS` sets the number of kills (100).

mod common;

use std::{
    ffi::OsStr,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use common::{Fixture, create, names, ok, spawn, wait_until, wingback};

#[test]
fn a_killed_backup_leaves_a_whole_archive_or_a_leftover_to_sweep() {
    kill_backups(&tree(), &[]);
}

#[test]
fn a_killed_incremental_backup_leaves_the_previous_archive_unchanged() {
    let fixture = tree();
    ok(&mut fixture.create());
    let before = fixture.tmp.path().join("before.tar.gz");
    fs::rename(fixture.archive(), &before).expect("renamed");
    let (bytes, options) = (common::read(&before), [OsStr::new("--previous"), before.as_os_str()]);
    kill_backups(&fixture, &options);
    assert!(common::read(&before) == bytes);
    let report = ok(create(&fixture.source, &fixture.to).args(options).arg("--json")).json();
    assert!(
        report["copied"].as_u64() > Some(3 << 20),
        "the backup copied from the previous one: {report}"
    );
}

fn kill_backups(fixture: &Fixture, options: &[&OsStr]) {
    let kills: u32 = std::env::var("WINGBACK_KILLS").map_or(100, |n| n.parse().expect("a number"));
    // The fastest of several runs, because a disk is slow at times.
    let runs = (0..5).map(|_| {
        let start = Instant::now();
        ok(create(&fixture.source, &fixture.to).args(options));
        start.elapsed()
    });
    let took = runs.min().expect("some");
    let mut rng = fastrand::Rng::new();
    let mut outcomes = Outcomes::default();
    for i in 0..kills {
        // A little beyond the end, to include the final rename.
        let after = took.mul_f64(rng.f64() * 1.3);
        let to = fixture.tmp.path().join(format!("{i}"));
        kill(create(&fixture.source, &to).args(options), &to, after, &mut outcomes);
        fs::remove_dir_all(&to).unwrap_or_default();
    }
    println!("{kills} kills within {took:?}: {outcomes:?}");
    // Some kills must have hit the middle of the run, else the test proves nothing.
    assert!(kills < 50 || outcomes.leftover > 0, "{outcomes:?}");
}

#[derive(Debug, Default)]
struct Outcomes {
    nothing: u32,
    leftover: u32,
    whole: u32,
}

fn kill(create: &mut Command, to: &Path, after: Duration, outcomes: &mut Outcomes) {
    let mut child = spawn(create);
    // A random time.
    std::thread::sleep(after);
    child.kill().expect("a child of this process");
    child.wait().expect("a child of this process");
    let left = names(to);
    assert!(left.len() <= 1, "{left:?}");
    let Some(name) = left.first() else {
        outcomes.nothing += 1;
        return;
    };
    let name = name.to_str().expect("its name is text");
    let is_part = name.starts_with(".backup-") && name.ends_with(".tar.gz.wingback-part");
    if is_part {
        outcomes.leftover += 1;
    } else {
        outcomes.whole += 1;
        assert!(name.starts_with("backup-") && name.ends_with(".tar.gz"), "{name}");
        assert_whole(&to.join(name));
    }
    let swept = ok(wingback().arg("sweep").arg(to)).out;
    assert_eq!(!swept.is_empty(), is_part, "{name}: {swept}");
    assert_eq!(names(to).len(), usize::from(!is_part), "a whole archive stays");
}

/// Checks the archive with `gzip` and `tar`, and its footer, which is written last.
fn assert_whole(archive: &Path) {
    assert_eq!(ok(Command::new("gzip").arg("-t").arg(archive)).err, "");
    assert_eq!(common::listed(archive).len(), FILES + 1);
    let bytes = common::read(archive);
    let footer = &bytes[bytes.len() - 128..];
    assert!(footer.windows(6).any(|window| window == b"WBKIDX"), "the footer is missing");
}

const FILES: usize = 40;

/// Incompressible files, one of them large, so that a backup takes a while.
fn tree() -> Fixture {
    let fixture = Fixture::new();
    for i in 0..FILES as u64 {
        let len = if i == 0 { 3 << 20 } else { 100_000 };
        let dir = fixture.source.join("world");
        fs::create_dir_all(&dir).expect("created");
        fs::write(dir.join(format!("{i}")), common::noise(i, len)).expect("written");
    }
    fixture
}

#[test]
fn sweep_removes_the_leftovers_of_dead_processes_only() {
    let fixture = Fixture::with(&[("a", &common::noise(1, 400_000))]);
    let slow = ["--read-limit", "200k"];
    let mut dead = spawn(fixture.create().args(slow));
    wait_until("the first file of the backup", || !fixture.left().is_empty());
    let leftover = fixture.archive();
    dead.kill().expect("a child of this process");
    dead.wait().expect("a child of this process");
    let mut living = spawn(fixture.create().args(slow));
    wait_until("the first file of another backup", || fixture.left().len() == 2);
    let mut swept = String::new();
    while living.try_wait().expect("a child").is_none() {
        swept += &ok(wingback().arg("sweep").arg(&fixture.to)).out;
        // The backup needs time to proceed.
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(common::wait(living).status, 0);
    assert_eq!(swept, format!("removed {}\n", leftover.display()));
    assert_eq!(common::listed(&fixture.archive()), ["a"]);
}

/// A killed restore leaves the old tree or the new one, or a state from which `recover` restores one of
/// them.
#[test]
fn a_killed_restore_leaves_either_the_old_or_the_new_tree() {
    let kills: u32 = std::env::var("WINGBACK_KILLS").map_or(100, |n| n.parse().expect("a number"));
    let fixture = tree();
    ok(&mut fixture.create());
    let archive = fixture.archive();
    let old = fixture.tmp.path().join("old");
    fs::create_dir_all(old.join("world")).expect("created");
    for i in 0..50 {
        fs::write(old.join(format!("world/{i}")), format!("old {i}")).expect("written");
        fs::write(old.join(format!("{i}")), format!("old {i}")).expect("written");
    }
    let target = fixture.tmp.path().join("target");
    let reset = || {
        let _ = fs::remove_dir_all(&target);
        ok(Command::new("cp").arg("-a").arg(&old).arg(&target));
    };
    let state = fixture.tmp.path().join("state");
    let restore = || {
        let mut command = wingback();
        command.arg("restore").arg(&archive).arg(&target).args(["-q", "--delete"]);
        command.arg("--state-dir").arg(&state);
        command
    };
    let is_pending = || {
        let records = fs::read_dir(state.join("restores"));
        records.is_ok_and(|mut records| records.next().is_some())
    };
    let is_like = |other: &Path| {
        let status = Command::new("diff").arg("-r").arg(other).arg(&target).output();
        status.expect("the program starts").status.success()
    };
    let runs = (0..5).map(|_| {
        reset();
        let start = Instant::now();
        ok(&mut restore());
        start.elapsed()
    });
    let took = runs.min().expect("some");
    let (mut olds, mut news, mut recovered) = (0, 0, 0);
    let mut rng = fastrand::Rng::new();
    for i in 0..kills {
        reset();
        let mut child = spawn(&mut restore());
        // A random time.
        std::thread::sleep(took.mul_f64(rng.f64() * 1.2));
        child.kill().expect("a child of this process");
        child.wait().expect("a child of this process");
        if is_pending() {
            ok(wingback().arg("recover").arg(&target).arg("--state-dir").arg(&state));
            assert!(!is_pending(), "kill {i}: the record still exists");
            recovered += 1;
        }
        match (is_like(&old), is_like(&fixture.source)) {
            (true, false) => olds += 1,
            (false, true) => news += 1,
            _ => panic!("kill {i} left neither tree"),
        }
    }
    println!("{kills} kills within {took:?}: {olds} old, {news} new, {recovered} recovered");
    assert!(kills < 50 || (recovered > 0 && olds > 0), "no kill hit the middle of a restore");
}
