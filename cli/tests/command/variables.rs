//! Exported variables, which reach every command that has their option.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use crate::{
    common::{Fixture, names, ok, run, wingback},
    java::{Answer, Java, PASSWORD},
};

const COMMANDS: [&str; 16] = [
    "create", "estimate", "archives", "info", "list", "diff", "find", "cat", "verify", "extract",
    "restore", "recover", "sweep", "prune", "lock", "unlock",
];

/// Returns the long options of a command, and whether each takes a value.
fn options(command: &str) -> BTreeMap<String, bool> {
    let help = ok(wingback().args([command, "--help"])).out;
    let options = help.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line
            .split_once(", ")
            .filter(|(short, _)| short.len() == 2)
            .map_or(line, |(_, long)| long);
        let option = line.strip_prefix("--")?;
        let name = option.split([' ', '.', ',']).next()?;
        Some((name.to_owned(), option.contains('<')))
    });
    options.filter(|(name, _)| !["help", "version"].contains(&name.as_str())).collect()
}

/// A valid value of an option. If the option had a variable that it must not have, a command below would fail.
fn value(option: &str, fixture: &Fixture, java: &Java) -> String {
    let file = |name: &str, content: &str| {
        let path = fixture.tmp.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let dir = |name: &str| {
        let path = fixture.tmp.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path.display().to_string()
    };
    match option {
        "to" => fixture.to.display().to_string(),
        "name" => "mc-{uuid}.tar.gz".into(),
        "label" => "another".into(),
        "tag" | "keep-tag" => "plan=gold\nnode=7".into(),
        "exclude" => "*.tmp\n*.log".into(),
        "exclude-from" => file("patterns", "*.bak\n"),
        "files-from" => file("files", "a\n"),
        "list" => "included".into(),
        "rules" => "git".into(),
        "ignore-file" => "replace".into(),
        "ignore-file-name" => ".ignore".into(),
        "profile" => "full".into(),
        "level" => "best".into(),
        "encoder" => "wingback".into(),
        "trust" => "mtime".into(),
        "previous" => "latest".into(),
        "cache" => dir("cache"),
        "state-dir" => dir("state"),
        "staging" => dir("staging"),
        "quiesce" => java.target.clone(),
        "rcon-password-file" => file("password", PASSWORD),
        "before" | "after-read" | "after" => "true".into(),
        "hook-timeout" => "30s".into(),
        "endpoint" => "http://127.0.0.1:1".into(),
        "region" | "aws-profile" | "storage-class" => "nowhere".into(),
        "encryption" => "AES256".into(),
        "ca-file" => file("ca.pem", ""),
        "owner" => "keep".into(),
        "keep" => "local.yml".into(),
        "write-limit" | "read-limit" | "cache-size" | "memory-limit" => "1G".into(),
        "part-size" => "8M".into(),
        // Less than an archive, and more than its content.
        "max-size" => "100".into(),
        "max-len" => "a=0".into(),
        "max-members" | "max-ratio" => "1000".into(),
        "threads" | "parallel" | "reserve" => "2".into(),
        "older-than" => "0".into(),
        "group-by" => "none".into(),
        "since" => "2100-01-01".into(),
        "keep-within" => "1h".into(),
        "sample" => "10%".into(),
        "sha1" => "da39a3ee5e6b4b0d3255bfef95601890afd80709".into(),
        "uuid" => "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10".into(),
        _ if option.starts_with("keep-") => "1".into(),
        _ => panic!("--{option} needs a value here"),
    }
}

#[test]
fn all_variables_at_once_break_no_command_and_lose_no_data() {
    let fixture = Fixture::with(&[("a", b"abc"), ("b/c", b"")]);
    let world = fixture.tmp.path().join("world");
    fs::create_dir(&fixture.to).unwrap();
    fs::create_dir(&world).unwrap();
    let java = Java::start(world, Answer::Good);
    let mut variables = BTreeMap::new();
    for command in COMMANDS {
        for (option, has_value) in options(command) {
            let name = format!("WINGBACK_{}", option.to_uppercase().replace('-', "_"));
            let text = if has_value { value(&option, &fixture, &java) } else { "true".into() };
            variables.insert(name, text);
        }
    }
    assert!(variables.len() > 70, "{variables:?}");

    // These two exclude each other.
    for (round, left_out) in ["WINGBACK_CACHE", "WINGBACK_PREVIOUS"].iter().enumerate() {
        let with_all = |args: &[&str]| {
            let mut command = wingback();
            command.envs(&variables).env_remove(left_out).args(args);
            command
        };
        use_every_command(&fixture, 2 * round, with_all);
    }
    let mut both = wingback();
    let ran = run(both.arg("create").arg(&fixture.source).envs(&variables));
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(ran.err.contains("is from the variable WINGBACK_"), "{ran:?}");
}

/// Makes two archives beside `earlier` ones, reads them, and removes nothing.
fn use_every_command(fixture: &Fixture, earlier: usize, with_all: impl Fn(&[&str]) -> Command) {
    let text = |path: &Path| path.display().to_string();
    let (source, to) = (text(&fixture.source), text(&fixture.to));
    ok(&mut with_all(&["create", &source]));
    let created = ok(&mut with_all(&["create", &source])).json();
    let archive = created["location"].as_str().unwrap();
    assert!(archive.contains("/mc-"), "{archive}");
    let count = earlier + 2;
    assert_eq!(fixture.left().len(), count);

    ok(&mut with_all(&["estimate", &source]));
    assert_eq!(ok(&mut with_all(&["archives", &to])).out.matches(r#""location""#).count(), count);
    assert_eq!(ok(&mut with_all(&["info", archive])).json()["label"], "another");
    assert_eq!(ok(&mut with_all(&["list", archive])).json()["members"], 3);
    assert_eq!(ok(&mut with_all(&["cat", archive, "a"])).out, "abc", "it has its whole length");
    assert_eq!(ok(&mut with_all(&["find", "a", &to])).json()["searched"], count);
    ok(&mut with_all(&["diff", archive, &source]));
    ok(&mut with_all(&["verify", archive]));
    assert_eq!(ok(&mut with_all(&["verify", &to])).json()["verified"], count);

    let dir = tempfile::tempdir().unwrap();
    let [copy, server] = ["copy", "server"].map(|name| dir.path().join(name));
    ok(&mut with_all(&["extract", archive, &text(&copy)]));
    assert_eq!(run(&mut with_all(&["extract", archive, &text(&copy)])).status, 1);
    fs::create_dir(&server).unwrap();
    for name in ["local.yml", "extra"] {
        fs::write(server.join(name), name).unwrap();
    }
    ok(&mut with_all(&["restore", archive, &text(&server)]));
    assert_eq!(names(&server), ["a", "b", "extra", "local.yml"]);
    ok(&mut with_all(&["recover", &text(&server)]));

    ok(&mut with_all(&["lock", archive]));
    ok(&mut with_all(&["unlock", archive]));
    ok(&mut with_all(&["sweep", &to]));
    for apply in [&[][..], &["--apply"]] {
        let prune = [&["prune", &to, "--keep-last", "9"], apply].concat();
        ok(&mut with_all(&prune));
        assert_eq!(fixture.left().len(), count);
    }
}
