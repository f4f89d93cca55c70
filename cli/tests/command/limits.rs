//! Limits slow commands down. The bounds of time are wide, because the speed without a limit depends on the machine.

use std::{
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use crate::common::{self, Fixture, ok, run, wingback};

const OPTIONS: [&str; 2] = ["--read-limit", "--write-limit"];

/// Commands without a limit: they read no contents, or only the last 64 KiB of each archive.
const WITHOUT: [&str; 11] = [
    "estimate",
    "archives",
    "info",
    "recover",
    "sweep",
    "lock",
    "unlock",
    "worker",
    "completions",
    "man",
    "help",
];

/// Bytes of content, and a limit at which they take a second.
const CONTENT: usize = 300_000;
const RATE: &str = "300kB/s";

/// A command, and the limit at which it takes a second.
struct Case {
    args: Vec<String>,
    has_write_limit: bool,
    rate: &'static str,
}

/// Returns the commands that have a limit. Those that write use the directory `to`.
fn cases(fixture: &Fixture, to: &Path) -> Vec<Case> {
    let text = |path: &Path| path.display().to_string();
    let (archive, place) = (text(&fixture.archive()), text(&fixture.to));
    let (source, plain) = (text(&fixture.source), text(&without_index(fixture)));
    let to = |name: &str| text(&to.join(name));
    let case = |args: &[&str], has_write_limit, rate| Case {
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        has_write_limit,
        rate,
    };
    vec![
        case(&["create", &source, "--mkdir", "--to", &to("again")], true, RATE),
        case(&["list", &plain], false, RATE),
        case(&["diff", &plain, &source], false, RATE),
        // It reads the last 64 KiB twice: for the list, and for the search.
        case(&["find", "a", &place], false, "130kB/s"),
        case(&["cat", &archive, "a"], true, RATE),
        case(&["verify", &archive], false, RATE),
        case(&["verify", &place, "--restart"], false, RATE),
        case(&["extract", &archive, &to("copy")], true, RATE),
        case(&["restore", &archive, &to("restored")], true, RATE),
        case(&["prune", &place, "--keep-last", "1", "--verify"], false, RATE),
    ]
}

fn fixture() -> Fixture {
    let fixture = Fixture::with(&[("a", &common::noise(1, CONTENT))]);
    ok(&mut fixture.create());
    fixture
}

/// Returns the archive as another program makes it.
fn without_index(fixture: &Fixture) -> std::path::PathBuf {
    let path = fixture.tmp.path().join("plain.tar.gz");
    if !path.exists() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "gzip -dc \"$0\" | gzip -1 >\"$1\""]);
        ok(shell.arg(fixture.archive()).arg(&path));
    }
    path
}

#[track_caller]
fn takes_a_second(command: &mut Command) {
    let start = Instant::now();
    ok(command);
    let took = start.elapsed();
    let bounds = Duration::from_millis(950)..Duration::from_secs(30);
    assert!(bounds.contains(&took), "{command:?}: {took:?}");
}

#[test]
fn every_command_has_a_limit_or_moves_few_bytes() {
    let fixture = fixture();
    let cases = cases(&fixture, fixture.tmp.path());
    let help = ok(wingback().arg("--help")).out;
    let (_, commands) = help.split_once("\nCommands:\n").expect("a list of commands");
    // A line of a long description is indented further.
    let names = commands.lines().take_while(|line| !line.is_empty());
    let names = names.filter_map(|line| line.strip_prefix("  ")?.split_once(' '));
    // `mount` runs until it is unmounted, so its limit has a test of its own.
    let is_here = |name: &&str| !["", "mount"].contains(name);
    let commands: Vec<_> = names.map(|(name, _)| name).filter(is_here).collect();
    assert!(commands.len() > 15, "{commands:?}");
    for &command in &commands {
        let help = match command {
            "help" => String::new(),
            command => ok(wingback().args([command, "--help"])).out,
        };
        let has = OPTIONS.map(|option| help.contains(&format!("{option} <RATE>")));
        let case = cases.iter().find(|case| case.args[0] == command);
        let expected = case.map_or([false, false], |case| [true, case.has_write_limit]);
        assert_eq!(has, expected, "{command}");
        assert!(case.is_some() != WITHOUT.contains(&command), "{command} has no case here");
    }
    let is_known = |command: &str| commands.contains(&command);
    assert!(WITHOUT.into_iter().all(is_known), "{commands:?}");
    assert!(cases.iter().all(|case| is_known(&case.args[0])), "{commands:?}");
}

#[test]
fn every_limit_slows_its_command() {
    let fixture = fixture();
    let dirs = OPTIONS.map(|option| fixture.tmp.path().join(&option[2..]));
    thread::scope(|scope| {
        for (option, dir) in OPTIONS.into_iter().zip(&dirs) {
            std::fs::create_dir(dir).expect("created");
            for case in cases(&fixture, dir) {
                if option == "--read-limit" || case.has_write_limit {
                    scope.spawn(move || {
                        takes_a_second(wingback().args(&case.args).args([option, case.rate]));
                    });
                }
            }
        }
    });
}

#[test]
fn limits_come_from_the_environment() {
    let fixture = fixture();
    for case in cases(&fixture, fixture.tmp.path()) {
        if ["cat", "prune"].contains(&&*case.args[0]) {
            takes_a_second(wingback().args(&case.args).env("WINGBACK_READ_LIMIT", case.rate));
        }
    }
    let mut cat = wingback();
    cat.arg("cat").arg(fixture.archive()).arg("a").env("WINGBACK_WRITE_LIMIT", RATE);
    takes_a_second(&mut cat);
    let ran = run(wingback().arg("verify").arg(fixture.archive()).args(["--read-limit", "x"]));
    assert_eq!(ran.status, 2, "{ran:?}");
}
