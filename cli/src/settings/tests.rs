//! Variables and keys set every option that may have one.

use std::{collections::HashSet, fs, path::Path};

use super::*;

/// Values, of which every option takes at least one.
const VALUES: [&str; 9] = [
    "7",
    "7d",
    "text",
    "key=7",
    "{uuid}.tar.gz",
    "rcon://localhost:1",
    "archive",
    "8d9b0b4e-4d3b-4b43-a3e2-0d4d4a5a8f10",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
];

/// Fills in the command line of `command` alone, and returns the values of `arg`. `None` if one is not valid.
fn values_of(command: &str, arg: &Arg, profile: Option<&str>, env: Env<'_>) -> Option<Vec<String>> {
    let mut line = vec![OsString::from("wingback"), command.into()];
    line.extend(profile.map(OsString::from));
    let (line, _) = fill(line, env).expect("a valid setting");
    match Cli::command().try_get_matches_from(&line) {
        Err(e) if e.kind() != ErrorKind::MissingRequiredArgument => return None,
        _ => (),
    }
    let matches = Cli::command().ignore_errors(true).try_get_matches_from(&line).expect("ignored");
    let matches = matches.subcommand_matches(command).expect("it is in the line");
    assert!(is_typed(matches, arg), "{command} {arg}: {line:?}");
    let raw = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
    Some(raw.map(|value| value.to_string_lossy().into_owned()).collect())
}

/// Calls `check` with each argument of each subcommand, and the values to try.
fn for_each_argument(check: impl Fn(&str, &Arg, &[String])) {
    let mut cli = Cli::command();
    cli.build();
    let mut count = 0;
    for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
        for arg in command.get_arguments() {
            let possible = arg.get_possible_values().into_iter().map(|v| v.get_name().to_owned());
            let values: Vec<_> = possible.chain(VALUES.map(str::to_owned)).collect();
            check(command.get_name(), arg, &values);
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

fn is_help(arg: &Arg) -> bool {
    ["help", "version"].contains(&arg.get_id().as_str())
}

#[test]
fn every_variable_sets_its_option() {
    let mut cli = Cli::command();
    cli.build();
    for_each_argument(|command, arg, values| {
        let known = cli.find_subcommand(command).expect("a command");
        let Some(name) = variable::name(known, arg) else { return };
        let set = |value: &str| {
            values_of(command, arg, None, &|asked| (asked == name).then(|| value.into()))
        };
        match arg.get_action() {
            ArgAction::Set => assert!(
                values.iter().any(|value| set(value) == Some(vec![value.clone()])),
                "{command} {name}"
            ),
            ArgAction::Append => assert!(
                values.iter().any(|value| {
                    set(&format!("{value}\n{value}\n")) == Some(vec![value.clone(), value.clone()])
                }),
                "{command} {name}"
            ),
            _ => assert!(set("true").is_some(), "{command} {name}"),
        }
    });
}

#[test]
fn every_argument_has_a_key_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("wingback.toml");
    let env = |asked: &str| (asked == "WINGBACK_TOML").then(|| path.clone().into());
    let seen = std::cell::RefCell::new(HashSet::new());
    for_each_argument(|command, arg, values| {
        if is_help(arg) {
            return;
        }
        let key = file::key(arg).expect("a key");
        assert!(seen.borrow_mut().insert((command.to_owned(), key.clone())), "{command} {key}");
        if arg.get_index().is_some_and(|index| index > 1) {
            // It needs the ones before it.
            return;
        }
        let set = |value: &str| {
            fs::write(&path, format!("[p.{command}]\n{key} = {value}\n")).expect("written");
            values_of(command, arg, Some("@p"), &env)
        };
        match arg.get_action().takes_values() {
            true => assert!(
                values.iter().any(|value| set(&format!("{value:?}")) == Some(vec![value.clone()])),
                "{command} {key}"
            ),
            false => assert!(set("true").is_some(), "{command} {key}"),
        }
    });
}

/// Checks that each table of a file is a profile that a command accepts.
fn assert_valid(profiles: &Path) {
    let env = |asked: &str| (asked == "WINGBACK_TOML").then(|| profiles.into());
    let text = fs::read_to_string(profiles).expect("a file");
    let tables = text.lines().filter_map(|line| line.strip_prefix('['));
    for table in tables {
        let (profile, command) = table.trim_end_matches(']').split_once('.').expect("a table");
        let line = ["wingback", command, &format!("@{profile}")].map(OsString::from).to_vec();
        if let Err(e) = parse(line, &env) {
            // The user names the archive on the command line.
            assert_eq!(e.kind(), ErrorKind::MissingRequiredArgument, "{table}: {e}");
        }
    }
}

#[test]
fn the_installed_example_is_valid() {
    assert_valid(&Path::new(env!("CARGO_MANIFEST_DIR")).join("install/wingback.toml"));
}

#[test]
fn the_profiles_of_the_documents_are_valid() {
    let dir = tempfile::tempdir().expect("a directory");
    let profiles = dir.path().join("wingback.toml");
    for page in ["command.md", "games.md"] {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let page = fs::read_to_string(docs.join(page)).expect("a page");
        let blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let blocks: Vec<_> = blocks.filter(|block| block.starts_with('[')).collect();
        assert!(!blocks.is_empty());
        for block in blocks {
            fs::write(&profiles, block).expect("written");
            assert_valid(&profiles);
        }
    }
}
