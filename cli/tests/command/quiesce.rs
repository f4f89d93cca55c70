//! Game servers that do not save while their files are read.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    bedrock::{self, Bedrock},
    common::{self, Fixture, ok, run, wingback},
    java::{self, Java},
};

/// Time in which every failure must end, with a time limit of three seconds for each hook.
const BOUND: Duration = Duration::from_secs(20);

fn java(answer: java::Answer) -> (Fixture, Java) {
    let fixture = Fixture::with(&[("level.dat", b"old")]);
    let server = Java::start(fixture.source.clone(), answer);
    (fixture, server)
}

fn bedrock(answer: bedrock::Answer) -> (Fixture, Bedrock) {
    let files = [("db/000003.log", &b"old"[..]), ("level.dat", b"level")];
    let fixture = Fixture::with(&files.map(|(path, content)| (path, content)));
    let world = fixture.source.join("worlds/My, world");
    fs::create_dir_all(&world).unwrap();
    for (path, _) in files {
        fs::create_dir_all(world.join(path).parent().unwrap()).unwrap();
        fs::rename(fixture.source.join(path), world.join(path)).unwrap();
    }
    fs::remove_dir(fixture.source.join("db")).unwrap();
    let server = Bedrock::start(&fixture.source, answer);
    (fixture, server)
}

/// Returns `wingback create` that pauses `server`.
fn create(fixture: &Fixture, server: &str) -> Command {
    let mut create = fixture.create();
    create.args(["--quiesce", server, "--hook-timeout", "3s"]);
    create.env("WINGBACK_RCON_PASSWORD", java::PASSWORD);
    create
}

/// Returns the content of a file in the only archive.
fn archived(fixture: &Fixture, path: &str) -> String {
    ok(wingback().arg("cat").arg(fixture.archive()).arg(path)).out
}

#[test]
fn a_java_server_flushes_its_world_and_saves_again_after_it_was_read() {
    for answer in [java::Answer::Good, java::Answer::Late, java::Answer::InPieces] {
        let (fixture, server) = java(answer);
        let ran = ok(create(&fixture, &server.target).args(["--json", "--quiet"]));
        assert_eq!((&ran.json()["warnings"], ran.err.as_str()), (&serde_json::json!([]), ""));
        assert_eq!(server.commands(), ["save-off", "save-all flush", "save-on"], "{answer:?}");
        assert_eq!(archived(&fixture, "level.dat"), "flushed", "{answer:?}");
        assert_eq!(fs::read_to_string(fixture.source.join("level.dat")).unwrap(), "new");
    }
}

#[test]
fn the_password_comes_from_a_file_or_the_environment() {
    let (fixture, server) = java(java::Answer::Good);
    let file = fixture.tmp.path().join("password");
    fs::write(&file, format!("{}\n", java::PASSWORD)).unwrap();
    let mut from_file = create(&fixture, &server.target);
    ok(from_file.env_remove("WINGBACK_RCON_PASSWORD").arg("--rcon-password-file").arg(&file));
    assert_eq!(server.commands().len(), 3);

    let mut wrong = create(&fixture, &server.target);
    let ran = run(wrong.env("WINGBACK_RCON_PASSWORD", "guess"));
    assert!(ran.status == 1 && ran.err.contains("it refuses the password"), "{ran:?}");
    assert!(!ran.err.contains("guess"), "{ran:?}");
    let ran = run(create(&fixture, &server.target).env_remove("WINGBACK_RCON_PASSWORD"));
    assert!(ran.status == 1 && ran.err.contains("set WINGBACK_RCON_PASSWORD"), "{ran:?}");
    assert_eq!((server.commands().len(), fixture.left().len()), (3, 1));
}

#[test]
fn without_the_right_answer_of_a_java_server_there_is_no_backup_and_it_saves_again() {
    use java::Answer::*;
    for answer in [Unknown, Nothing, Trickle, Endless, Huge, Garbage] {
        let (fixture, server) = java(answer);
        let start = Instant::now();
        let ran = run(&mut create(&fixture, &server.target));
        assert_eq!(ran.status, 1, "{answer:?}: {ran:?}");
        assert!(ran.one_line_error().contains(&server.target), "{answer:?}: {ran:?}");
        assert!(start.elapsed() < BOUND, "{answer:?}");
        assert_eq!(server.commands(), ["save-off", "save-all flush", "save-on"], "{answer:?}");
        assert_eq!(fixture.left(), [""; 0], "{answer:?}");
    }
}

#[test]
fn a_java_server_that_exits_before_its_answer_fails_the_backup() {
    let (fixture, server) = java(java::Answer::Death);
    let start = Instant::now();
    let ran = run(&mut create(&fixture, &server.target));
    assert_eq!((ran.status, fixture.left().len()), (1, 0), "{ran:?}");
    assert!(start.elapsed() < BOUND);
}

#[test]
fn a_server_that_exits_during_the_backup_is_a_warning() {
    let (java_place, java_server) = java(java::Answer::LaterDeath);
    let (bedrock_place, bedrock_server) = bedrock(bedrock::Answer::LaterDeath);
    for (fixture, target, path) in [
        (java_place, java_server.target, "level.dat"),
        (bedrock_place, bedrock_server.target, "worlds/My, world/db/000003.log"),
    ] {
        let start = Instant::now();
        let ran = run(create(&fixture, &target).arg("--json"));
        assert_eq!(ran.status, 3, "{ran:?}");
        assert_eq!(ran.json()["warnings"][0]["code"], "hook", "{ran:?}");
        assert_eq!(archived(&fixture, path), "flushed");
        assert!(start.elapsed() < BOUND);
    }
}

#[test]
fn a_bedrock_server_says_how_much_of_each_file_belongs_to_the_backup() {
    for answer in [bedrock::Answer::Good, bedrock::Answer::InPieces] {
        // The directory of the server, that of its worlds, and one world.
        for source in [".", "worlds", "worlds/My, world"] {
            let (mut fixture, server) = bedrock(answer);
            fixture.source = fixture.source.join(source).canonicalize().unwrap();
            let ran = ok(create(&fixture, &server.target).args(["--json", "--quiet"]));
            assert_eq!((&ran.json()["warnings"], ran.err.as_str()), (&serde_json::json!([]), ""));
            let path = Path::new("worlds/My, world/db/000003.log");
            let path = if source == "." { path } else { path.strip_prefix(source).unwrap() };
            assert_eq!(
                archived(&fixture, path.to_str().unwrap()),
                "flushed",
                "{answer:?} {source}"
            );
            assert_eq!(server.commands(), ["save hold", "save query", "save resume"]);
        }
    }
}

#[test]
fn without_the_right_answer_of_a_bedrock_server_there_is_no_backup_and_it_saves_again() {
    use bedrock::Answer::*;
    for answer in [Nothing, Garbage, Endless, OtherWorld] {
        let (fixture, server) = bedrock(answer);
        let start = Instant::now();
        let ran = run(&mut create(&fixture, &server.target));
        assert_eq!((ran.status, fixture.left().len()), (1, 0), "{answer:?}: {ran:?}");
        ran.one_line_error();
        assert!(start.elapsed() < BOUND, "{answer:?}");
        assert_eq!(server.commands(), ["save hold", "save query", "save resume"], "{answer:?}");
    }
}

#[test]
fn a_bedrock_server_that_is_not_there_fails_the_backup() {
    let (fixture, server) = bedrock(bedrock::Answer::Death);
    let start = Instant::now();
    let ran = run(&mut create(&fixture, &server.target));
    assert_eq!((ran.status, fixture.left().len()), (1, 0), "{ran:?}");
    // Its pipe has no reader now.
    let ran = run(&mut create(&fixture, &server.target));
    assert!(ran.one_line_error().contains("no server reads from it"), "{ran:?}");
    let file = fixture.tmp.path().join("file");
    fs::write(&file, "").unwrap();
    let no_pipe = format!("bedrock-console:{0},{0}", file.display());
    let ran = run(&mut create(&fixture, &no_pipe));
    assert!(ran.one_line_error().contains("it is not a named pipe"), "{ran:?}");
    assert!(start.elapsed() < BOUND);
}

#[test]
fn after_signals_every_server_saves_again() {
    for signals in [&[Signal::TERM][..], &[Signal::INT, Signal::INT]] {
        let (fixture, bedrock) = bedrock(bedrock::Answer::Good);
        fs::write(fixture.source.join("large"), common::noise(1, 600_000)).unwrap();
        let java = Java::start(fixture.source.clone(), java::Answer::Good);
        let mut create = create(&fixture, &bedrock.target);
        create.args(["--quiesce", &java.target, "--read-limit", "10k"]);
        let mut child = common::spawn(&mut create);
        common::wait_until("the first file of the backup", || {
            assert!(child.try_wait().expect("a child").is_none(), "the process exited too early");
            !fixture.left().is_empty()
        });
        for signal in signals {
            kill_process(Pid::from_child(&child), *signal).unwrap();
        }
        let ran = common::wait(child);
        assert_eq!(ran.status, 128 + signals[0].as_raw(), "{ran:?}");
        assert_eq!(java.commands().last().unwrap(), "save-on");
        assert_eq!(bedrock.commands().last().unwrap(), "save resume");
    }
}

#[test]
fn a_wrong_server_is_a_usage_error() {
    let fixture = Fixture::with(&[("a", b"a")]);
    for wrong in ["localhost", "rcon://", "rcon://user:secret@host", "bedrock-console:/only-one"] {
        assert_eq!(run(&mut create(&fixture, wrong)).status, 2, "{wrong}");
    }
}
