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
    common::{self, Place, ok, run, wingback},
    java::{self, Java},
};

/// Time in which every failure must end, with a time limit of three seconds for each hook.
const BOUND: Duration = Duration::from_secs(20);

fn java(answer: java::Answer) -> (Place, Java) {
    let place = Place::with(&[("level.dat", b"old")]);
    let server = Java::start(place.source.clone(), answer);
    (place, server)
}

fn bedrock(answer: bedrock::Answer) -> (Place, Bedrock) {
    let files = [("db/000003.log", &b"old"[..]), ("level.dat", b"level")];
    let place = Place::with(&files.map(|(path, content)| (path, content)));
    let world = place.source.join("worlds/My, world");
    fs::create_dir_all(&world).unwrap();
    for (path, _) in files {
        fs::create_dir_all(world.join(path).parent().unwrap()).unwrap();
        fs::rename(place.source.join(path), world.join(path)).unwrap();
    }
    fs::remove_dir(place.source.join("db")).unwrap();
    let server = Bedrock::start(&place.source, answer);
    (place, server)
}

/// Returns `wingback create` that pauses `server`.
fn create(place: &Place, server: &str) -> Command {
    let mut create = place.create();
    create.args(["--quiesce", server, "--hook-timeout", "3s"]);
    create.env("WINGBACK_RCON_PASSWORD", java::PASSWORD);
    create
}

/// Returns the content of a file in the only archive.
fn archived(place: &Place, path: &str) -> String {
    ok(wingback().arg("cat").arg(place.archive()).arg(path)).out
}

#[test]
fn a_java_server_flushes_its_world_and_saves_again_after_it_was_read() {
    for answer in [java::Answer::Good, java::Answer::Late, java::Answer::InPieces] {
        let (place, server) = java(answer);
        let ran = ok(create(&place, &server.target).args(["--json", "--quiet"]));
        assert_eq!((&ran.json()["warnings"], ran.err.as_str()), (&serde_json::json!([]), ""));
        assert_eq!(server.commands(), ["save-off", "save-all flush", "save-on"], "{answer:?}");
        assert_eq!(archived(&place, "level.dat"), "flushed", "{answer:?}");
        assert_eq!(fs::read_to_string(place.source.join("level.dat")).unwrap(), "new");
    }
}

#[test]
fn the_password_comes_from_a_file_or_the_environment() {
    let (place, server) = java(java::Answer::Good);
    let file = place.tmp.path().join("password");
    fs::write(&file, format!("{}\n", java::PASSWORD)).unwrap();
    let mut from_file = create(&place, &server.target);
    ok(from_file.env_remove("WINGBACK_RCON_PASSWORD").arg("--rcon-password-file").arg(&file));
    assert_eq!(server.commands().len(), 3);

    let mut wrong = create(&place, &server.target);
    let ran = run(wrong.env("WINGBACK_RCON_PASSWORD", "guess"));
    assert!(ran.status == 1 && ran.err.contains("it refuses the password"), "{ran:?}");
    assert!(!ran.err.contains("guess"), "{ran:?}");
    let ran = run(create(&place, &server.target).env_remove("WINGBACK_RCON_PASSWORD"));
    assert!(ran.status == 1 && ran.err.contains("set WINGBACK_RCON_PASSWORD"), "{ran:?}");
    assert_eq!((server.commands().len(), place.left().len()), (3, 1));
}

#[test]
fn without_the_right_answer_of_a_java_server_there_is_no_backup_and_it_saves_again() {
    use java::Answer::*;
    for answer in [Unknown, Nothing, Trickle, Endless, Huge, Garbage] {
        let (place, server) = java(answer);
        let start = Instant::now();
        let ran = run(&mut create(&place, &server.target));
        assert_eq!(ran.status, 1, "{answer:?}: {ran:?}");
        assert!(ran.one_line_error().contains(&server.target), "{answer:?}: {ran:?}");
        assert!(start.elapsed() < BOUND, "{answer:?}");
        assert_eq!(server.commands(), ["save-off", "save-all flush", "save-on"], "{answer:?}");
        assert_eq!(place.left(), [""; 0], "{answer:?}");
    }
}

#[test]
fn a_java_server_that_exits_before_its_answer_fails_the_backup() {
    let (place, server) = java(java::Answer::Death);
    let start = Instant::now();
    let ran = run(&mut create(&place, &server.target));
    assert_eq!((ran.status, place.left().len()), (1, 0), "{ran:?}");
    assert!(start.elapsed() < BOUND);
}

#[test]
fn a_server_that_exits_during_the_backup_is_a_warning() {
    let (java_place, java_server) = java(java::Answer::LaterDeath);
    let (bedrock_place, bedrock_server) = bedrock(bedrock::Answer::LaterDeath);
    for (place, target, path) in [
        (java_place, java_server.target, "level.dat"),
        (bedrock_place, bedrock_server.target, "worlds/My, world/db/000003.log"),
    ] {
        let start = Instant::now();
        let ran = run(create(&place, &target).arg("--json"));
        assert_eq!(ran.status, 3, "{ran:?}");
        assert_eq!(ran.json()["warnings"][0]["code"], "hook", "{ran:?}");
        assert_eq!(archived(&place, path), "flushed");
        assert!(start.elapsed() < BOUND);
    }
}

#[test]
fn a_bedrock_server_says_how_much_of_each_file_belongs_to_the_backup() {
    for answer in [bedrock::Answer::Good, bedrock::Answer::InPieces] {
        // The directory of the server, that of its worlds, and one world.
        for source in [".", "worlds", "worlds/My, world"] {
            let (mut place, server) = bedrock(answer);
            place.source = place.source.join(source).canonicalize().unwrap();
            let ran = ok(create(&place, &server.target).args(["--json", "--quiet"]));
            assert_eq!((&ran.json()["warnings"], ran.err.as_str()), (&serde_json::json!([]), ""));
            let path = Path::new("worlds/My, world/db/000003.log");
            let path = if source == "." { path } else { path.strip_prefix(source).unwrap() };
            assert_eq!(archived(&place, path.to_str().unwrap()), "flushed", "{answer:?} {source}");
            assert_eq!(server.commands(), ["save hold", "save query", "save resume"]);
        }
    }
}

#[test]
fn without_the_right_answer_of_a_bedrock_server_there_is_no_backup_and_it_saves_again() {
    use bedrock::Answer::*;
    for answer in [Nothing, Garbage, Endless, OtherWorld] {
        let (place, server) = bedrock(answer);
        let start = Instant::now();
        let ran = run(&mut create(&place, &server.target));
        assert_eq!((ran.status, place.left().len()), (1, 0), "{answer:?}: {ran:?}");
        ran.one_line_error();
        assert!(start.elapsed() < BOUND, "{answer:?}");
        assert_eq!(server.commands(), ["save hold", "save query", "save resume"], "{answer:?}");
    }
}

#[test]
fn a_bedrock_server_that_is_not_there_fails_the_backup() {
    let (place, server) = bedrock(bedrock::Answer::Death);
    let start = Instant::now();
    let ran = run(&mut create(&place, &server.target));
    assert_eq!((ran.status, place.left().len()), (1, 0), "{ran:?}");
    // Its pipe has no reader now.
    let ran = run(&mut create(&place, &server.target));
    assert!(ran.one_line_error().contains("no server reads from it"), "{ran:?}");
    let file = place.tmp.path().join("file");
    fs::write(&file, "").unwrap();
    let no_pipe = format!("bedrock-console:{0},{0}", file.display());
    let ran = run(&mut create(&place, &no_pipe));
    assert!(ran.one_line_error().contains("it is not a named pipe"), "{ran:?}");
    assert!(start.elapsed() < BOUND);
}

#[test]
fn after_signals_every_server_saves_again() {
    for signals in [&[Signal::TERM][..], &[Signal::INT, Signal::INT]] {
        let (place, bedrock) = bedrock(bedrock::Answer::Good);
        fs::write(place.source.join("large"), common::noise(1, 600_000)).unwrap();
        let java = Java::start(place.source.clone(), java::Answer::Good);
        let mut create = create(&place, &bedrock.target);
        create.args(["--quiesce", &java.target, "--read-limit", "10k"]);
        let mut child = common::spawn(&mut create);
        common::wait_until("the first file of the backup", || {
            assert!(child.try_wait().expect("a child").is_none(), "the process exited too early");
            !place.left().is_empty()
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
    let place = Place::with(&[("a", b"a")]);
    for wrong in ["localhost", "rcon://", "rcon://user:secret@host", "bedrock-console:/only-one"] {
        assert_eq!(run(&mut create(&place, wrong)).status, 2, "{wrong}");
    }
}
