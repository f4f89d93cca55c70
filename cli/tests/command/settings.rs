//! Options from the environment and from `wingback.toml`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::{Fixture, listed, ok, run, wingback};

/// A source with two files, and a file with profiles.
fn fixture(profiles: &str) -> (Fixture, PathBuf) {
    let fixture = Fixture::with(&[("a", b"a"), ("b", b"b"), ("c", b"c")]);
    fs::create_dir(&fixture.to).unwrap();
    let file = fixture.tmp.path().join("wingback.toml");
    let [source, to] = [&fixture.source, &fixture.to].map(|path| path.display().to_string());
    fs::write(&file, profiles.replace("SOURCE", &source).replace("TO", &to)).unwrap();
    (fixture, file)
}

const LOBBY: &str = r#"
[lobby.create]
dir = "SOURCE"
to = "TO"
label = "from the profile"
exclude = ["a", "b"]
background = true
threads = 2
quiet = false

[lobby.estimate]
dir = "SOURCE"
"#;

/// Returns `wingback` with these profiles.
fn with(file: &Path, args: &[&str]) -> Command {
    let mut command = wingback();
    command.env("WINGBACK_TOML", file).args(args);
    command
}

fn label(fixture: &Fixture) -> String {
    let info = ok(wingback().arg("info").arg(fixture.archive()).arg("--json")).json();
    info["label"].as_str().unwrap().to_owned()
}

#[test]
fn a_variable_sets_an_option_and_the_command_line_overrides_it() {
    let (fixture, _) = fixture("");
    let create = |args: &[&str]| {
        fs::remove_dir_all(&fixture.to).unwrap();
        fs::create_dir(&fixture.to).unwrap();
        let mut create = wingback();
        create.arg("create").arg(&fixture.source).env("WINGBACK_TO", &fixture.to).args(args);
        create.env("WINGBACK_LABEL", "from a variable").env("WINGBACK_EXCLUDE", "a\nb\n");
        create.env("WINGBACK_JSON", "1").env("WINGBACK_LEVEL", "");
        create
    };
    ok(&mut create(&[])).json();
    assert_eq!(
        (listed(&fixture.archive()), label(&fixture).as_str()),
        (vec!["c".to_owned()], "from a variable")
    );
    ok(&mut create(&["--label", "typed", "--exclude", "c"]));
    assert_eq!((listed(&fixture.archive()).len(), label(&fixture).as_str()), (2, "typed"));
    ok(create(&[]).env("WINGBACK_JSON", "off").env("WINGBACK_QUIET", "yes"));

    let ran = run(create(&[]).env("WINGBACK_LEVEL", "fastest"));
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("--level <LEVEL> is from the variable WINGBACK_LEVEL"), "{}", ran.err);
    let ran = run(create(&[]).env("WINGBACK_JSON", "maybe"));
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("WINGBACK_JSON must be true or false"), "{}", ran.err);
}

#[test]
fn a_profile_has_the_options_of_a_command() {
    let (fixture, file) = fixture(LOBBY);
    ok(&mut with(&file, &["create", "@lobby"]));
    assert_eq!(
        (listed(&fixture.archive()), label(&fixture).as_str()),
        (vec!["c".to_owned()], "from the profile")
    );
    assert!(ok(&mut with(&file, &["estimate", "@lobby"])).out.contains("3 files"));

    fs::remove_dir_all(&fixture.to).unwrap();
    fs::create_dir(&fixture.to).unwrap();
    ok(with(&file, &["create", "@lobby"]).env("WINGBACK_LABEL", "from a variable"));
    assert_eq!(label(&fixture), "from a variable");

    fs::remove_dir_all(&fixture.to).unwrap();
    fs::create_dir(&fixture.to).unwrap();
    let other = fixture.tmp.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("d"), "d").unwrap();
    let args = ["create", "@lobby", other.to_str().unwrap(), "--label", "typed"];
    ok(with(&file, &args).env("WINGBACK_LABEL", "from a variable"));
    assert_eq!(
        (listed(&fixture.archive()), label(&fixture).as_str()),
        (vec!["d".to_owned()], "typed")
    );
}

#[test]
fn a_profile_has_the_place_of_many_archives_and_the_rules_of_prune() {
    let (fixture, file) = fixture(
        r#"
[lobby.prune]
place = "TO"
keep-last = 1
apply = true

[lobby.verify]
archive = "TO"
"#,
    );
    for _ in 0..3 {
        ok(&mut fixture.create());
    }
    ok(&mut with(&file, &["prune", "@lobby", "--keep-last", "2"]));
    assert_eq!(fixture.left().len(), 2);
    ok(&mut with(&file, &["prune", "@lobby"]));
    assert_eq!(fixture.left().len(), 1);
    let verified = ok(&mut with(&file, &["verify", "@lobby", "--json"])).json();
    assert_eq!((&verified["type"], &verified["archives"]), (&"verified-all".into(), &1.into()));
}

#[test]
fn profiles_are_in_the_home_and_never_in_the_working_directory() {
    let (fixture, file) = fixture(LOBBY);
    let home = fixture.tmp.path();
    for (variable, dir) in [("HOME", ".config/wingback"), ("XDG_CONFIG_HOME", "wingback")] {
        let own = home.join(dir);
        fs::create_dir_all(&own).unwrap();
        fs::copy(&file, own.join("wingback.toml")).unwrap();
        let mut estimate = wingback();
        estimate.env_remove("XDG_CONFIG_HOME").env(variable, home);
        ok(estimate.args(["estimate", "@lobby"]));
        fs::remove_dir_all(own).unwrap();
    }
    let mut estimate = wingback();
    estimate.current_dir(home).env_remove("XDG_CONFIG_HOME").env("HOME", home);
    let ran = run(estimate.args(["estimate", "@lobby"]));
    assert_eq!(ran.status, 2);
    assert!(!ran.err.contains(&*file.to_string_lossy()), "{}", ran.err);
}

#[test]
fn an_error_in_the_file_has_its_line() {
    for (profiles, line, expected) in [
        ("[a.create]\n\nexlude = 1\n", 3, "create has no option \"exlude\""),
        ("[b.verify]\nto = 1\n[a.create]\n", 2, "verify has no option \"to\""),
        ("[a.creat]\n", 1, "there is no command \"creat\""),
        ("[a]\ndir = \"x\"\n", 2, "there is no command \"dir\""),
        ("a = 1\n", 1, "it must be in a table such as [lobby.create]"),
        ("[a.create]\ndir = 1.5\n", 2, "dir must be a text or a number"),
        ("[a.create]\nto = [\"x\"]\n", 2, "to must be a text or a number"),
        ("[a.create]\nexclude = [true]\n", 2, "exclude must be a list of texts or numbers"),
        ("[a.create]\nbackground = \"yes\"\n", 2, "background must be true or false"),
        ("[a.create]\nhelp = true\n", 2, "create has no option \"help\""),
        ("[a.create]\nto = \"x\"\nto = \"y\"\n", 3, "duplicate key"),
        ("[a.create]\nto =\n", 2, ""),
    ] {
        let (_place, file) = fixture(profiles);
        let ran = run(&mut with(&file, &["create", "@a"]));
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{profiles}");
        let expected = format!("{}:{line}: {expected}", file.display());
        assert!(ran.err.contains(&expected), "{expected} in {}", ran.err);
    }
    let (_place, file) = fixture("[a.create]\ndir = \"x\"\nlevel = \"fastest\"\n");
    let ran = run(&mut with(&file, &["create", "@a"]));
    let expected = format!("--level <LEVEL> is from {}:3", file.display());
    assert!(ran.status == 2 && ran.err.contains(&expected), "{expected} in {}", ran.err);
}

#[test]
fn a_profile_that_does_not_exist_is_an_error() {
    let (fixture, file) = fixture(LOBBY);
    for (args, expected) in [
        (["create", "@lobbi"], "there is no profile @lobbi"),
        (["verify", "@lobby"], "has no [lobby.verify]"),
    ] {
        let ran = run(&mut with(&file, &args));
        assert!(ran.status == 2 && ran.err.contains(expected), "{expected} in {}", ran.err);
    }
    let ran = run(&mut with(&fixture.tmp.path().join("missing"), &["create", "@lobby"]));
    assert!(ran.status == 2 && ran.err.contains("there is no file with profiles"), "{}", ran.err);
    // A directory with such a name needs a slash.
    fs::rename(&fixture.source, fixture.tmp.path().join("@lobby")).unwrap();
    ok(wingback().args(["estimate", "./@lobby"]).current_dir(fixture.tmp.path()));
}

#[test]
fn profiles_that_other_users_can_write_are_refused() {
    let (fixture, file) = fixture(LOBBY);
    for mode in [0o666, 0o664] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let ran = run(&mut with(&file, &["create", "@lobby"]));
        assert!(ran.status == 2 && ran.err.contains("another user can write to it"), "{}", ran.err);
        assert_eq!(fixture.left().len(), 0);
    }
}

#[test]
fn a_setting_replaces_weaker_ones_that_it_excludes() {
    let (fixture, file) =
        fixture("[lobby.create]\ndir = \"SOURCE\"\nto = \"TO\"\nprevious = \"missing\"\n");
    let cache = fixture.tmp.path().join("cache");
    let has_previous = |create: &mut Command| {
        let warnings = &ok(create.arg("--json")).json()["warnings"];
        warnings.to_string().contains("previous-unused")
    };
    let create = || with(&file, &["create", "@lobby"]);
    assert!(has_previous(&mut create()));
    assert!(!has_previous(create().env("WINGBACK_CACHE", &cache)));
    assert!(has_previous(create().env("WINGBACK_CACHE", &cache).args(["--previous", "missing"])));
}

#[test]
fn a_backup_in_a_hook_does_not_run_the_hooks() {
    let (fixture, _) = fixture("");
    let runs = fixture.tmp.path().join("runs");
    let nested = format!(
        "echo once >>{}; {} create {} --mkdir --to {}/nested",
        runs.display(),
        env!("CARGO_BIN_EXE_wingback"),
        fixture.source.display(),
        fixture.tmp.path().display(),
    );
    ok(fixture.create().env("WINGBACK_BEFORE", &nested));
    assert_eq!(fs::read_to_string(&runs).unwrap(), "once\n");
}
