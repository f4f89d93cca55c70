//! Help, completions and man pages, all generated from one definition.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::common::{Fixture, is_there, listed, ok, run, spawn, wait, wingback};

/// Feeds `text` to a program that must accept it without output.
#[track_caller]
fn accepts(program: &str, args: &[&str], text: &str) {
    if !is_there(program, &format!("texts for {program}")) {
        return;
    }
    let mut child = spawn(Command::new(program).args(args).stdin(Stdio::piped()));
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = text.to_owned();
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all(text.as_bytes());
    });
    let output = child.wait_with_output().expect("a child");
    feeder.join().expect("no panic");
    assert!(output.status.success() && output.stderr.is_empty(), "{program}: {output:?}");
}

#[test]
fn completions_are_valid_in_their_shell() {
    for (shell, args) in
        [("bash", &["-n"][..]), ("zsh", &["-n"]), ("fish", &["--no-execute", "/dev/stdin"])]
    {
        let ran = ok(wingback().args(["completions", shell]));
        assert_eq!(ran.err, "");
        assert!(ran.out.contains("estimate") && ran.out.contains("one-file-system"), "{shell}");
        accepts(shell, args, &ran.out);
    }
    assert_eq!(run(wingback().args(["completions", "cmd.exe"])).status, 2);
}

#[test]
fn bash_completes_a_subcommand() {
    let script = r#"
        eval "$("$0" completions bash)"
        COMP_WORDS=(wingback est) COMP_CWORD=1
        _wingback wingback est wingback
        echo "${COMPREPLY[@]}"
    "#;
    let ran = ok(Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_wingback")]));
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("estimate\n", ""));
}

#[test]
fn the_command_and_each_subcommand_have_a_man_page() {
    for (args, title) in [
        (&["man"][..], ".TH wingback 1"),
        (&["man", "create"], ".TH wingback-create 1"),
        (&["man", "info"], ".TH wingback-info 1"),
        (&["man", "sweep"], ".TH wingback-sweep 1"),
        (&["man", "archives"], ".TH wingback-archives 1"),
    ] {
        let ran = ok(wingback().args(args));
        assert!(ran.out.contains(title), "{}", ran.out);
        for section in ["EXIT STATUS", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"] {
            let heading = format!("\n.SH \"{section}\"\n");
            let heading = if section.contains(' ') { heading } else { heading.replace('"', "") };
            assert_eq!(ran.out.matches(&heading).count(), 1, "{section}: {}", ran.out);
        }
        // These two read no archive completely.
        let has_files = ![".TH wingback-sweep 1", ".TH wingback-archives 1"].contains(&title);
        assert_eq!(ran.out.contains("TMPDIR"), has_files, "{}", ran.out);
        assert!(ran.out.contains("WINGBACK_EXCLUDE_FROM"), "{}", ran.out);
        assert!(ran.out.contains("WINGBACK_TOML"), "{}", ran.out);
        assert!(ran.out.contains("130, 143 or 129 after a cancel"), "{}", ran.out);
        assert!(ran.out.contains("\\fItar\\fR(1)"), "{}", ran.out);
    }
    let page = ok(wingback().arg("man")).out;
    accepts("man", &["--warnings", "-l", "-"], &page);
    let name =
        |line: &'_ str| Some(line.strip_prefix(r"wingback\-")?.strip_suffix("(1)")?.to_owned());
    let names: Vec<_> = page.lines().filter_map(name).filter(|name| name != "help").collect();
    assert!(names.len() > 15, "{page}");
    for name in names {
        accepts("man", &["--warnings", "-l", "-"], &ok(wingback().args(["man", &name])).out);
    }
    let ran = run(wingback().args(["man", "restoration"]));
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    assert_eq!(ran.one_line_error(), "there is no subcommand \"restoration\"");
}

#[test]
fn help_and_version_name_the_command() {
    let help = ok(wingback().args(["create", "--help"])).out;
    for option in ["--to <PLACE>", "--uuid <UUID>", "--write-limit <RATE>", "Exit status: 0 done"] {
        assert!(help.contains(option), "{option} in {help}");
    }
    for (command, example) in [
        ("create", "--label lobby"),
        ("info", "wingback info s3://"),
        ("archives", "--since 7d"),
        ("prune", "--keep-within 14d"),
    ] {
        let help = ok(wingback().args([command, "--help"])).out;
        let (_, examples) = help.split_once("\nExamples:\n").expect("examples");
        assert!(examples.contains(example), "{help}");
    }
    let version = ok(wingback().arg("--version")).out;
    assert!(version.starts_with(&format!("wingback {}\n", env!("CARGO_PKG_VERSION"))));
    assert!(version.contains("\nencoders wingback") && version.contains("\ntarget "), "{version}");
    let has_isal = wingback::BUILD.encoders.contains(&wingback::Encoder::IsaL);
    assert_eq!(version.contains(" isa-l\n"), has_isal, "{version}");
    assert_eq!(help.contains("this build has wingback and isa-l"), has_isal, "{help}");
}

/// Checks that the command accepts the arguments of a shell line. Does not run the command.
#[track_caller]
fn parses(example: &str) {
    // A wrong option would be reported before the help.
    let script = format!("wingback() {{ \"$0\" \"$@\" --help; }}; {example}");
    let script = script.replace("< other.tar.gz", "").replace("> level.dat", "");
    let mut shell = Command::new("bash");
    let ran = ok(shell.args(["-c", &script, env!("CARGO_BIN_EXE_wingback")]));
    let name = example.split(' ').nth(1).expect("a subcommand");
    assert!(ran.out.contains(&format!("Usage: wingback {name}")), "{example}: {ran:?}");
}

#[test]
fn the_table_for_users_of_other_programs_has_commands_that_parse() {
    let document = include_str!("../../../docs/command.md");
    let (_, section) = document.split_once("\n## For users of restic, rustic and borg\n").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let commands = section.split('`').skip(1).step_by(2);
    let commands: Vec<_> = commands.filter(|code| code.starts_with("wingback ")).collect();
    assert!(commands.len() >= 10, "{commands:?}");
    let is_here = |command: &&str| cfg!(feature = "mount") || !command.contains(" mount ");
    commands.into_iter().filter(is_here).for_each(parses);
}

#[test]
fn each_subcommand_shows_examples_that_parse() {
    let help = ok(wingback().arg("--help")).out;
    let (_, commands) = help.split_once("Commands:\n").expect("a list");
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !["", "worker", "completions", "man", "help"].contains(name));
    let mut number = 0;
    for name in names {
        let help = ok(wingback().args([name, "--help"])).out;
        let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_else(|| panic!("{help}"));
        for example in examples.lines() {
            assert!(example.trim().starts_with(&format!("wingback {name} ")), "{example}");
            parses(example.trim());
            number += 1;
        }
    }
    assert!(number >= 18, "only {number} examples");
}

#[test]
fn general_options_come_before_those_with_a_heading() {
    for (command, heading) in
        [("create", "Hooks"), ("prune", "Rules"), ("verify", "All archives of a place")]
    {
        let help = ok(wingback().args([command, "--help"])).out;
        let (general, _) = help.split_once(&format!("\n{heading}:\n")).expect("a heading");
        assert!(general.contains("--json") && general.contains("--read-limit"), "{help}");
    }
}

#[test]
fn help_fits_into_80_columns() {
    let help = |args: &[&str]| ok(wingback().args(args).env("COLUMNS", "80")).out;
    let all = help(&["--help"]);
    let (_, commands) = all.split_once("Commands:\n").expect("a list");
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let names: Vec<_> =
        lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    let names = names.into_iter().filter(|name| !["", "help"].contains(name));
    let texts = names.flat_map(|name| [help(&[name, "-h"]), help(&[name, "--help"])]);
    for text in texts.chain([all.clone()]) {
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn options_have_the_letters_that_users_of_tar_and_restic_know() {
    let help = ok(wingback().args(["create", "-h"])).out;
    for option in [
        "-e, --exclude",
        "-X, --exclude-from",
        "-x, --one-file-system",
        "-t, --to",
        "-n, --dry-run",
    ] {
        assert!(help.contains(option), "{option}: {help}");
    }
    assert!(help.contains("may be repeated"), "{help}");
    let fixture = Fixture::with(&[("a.log", b""), ("b.tmp", b""), ("c", b""), ("d", b"")]);
    let list = fixture.tmp.path().join("list");
    std::fs::write(&list, "d\n").unwrap();
    let mut create = wingback();
    create.arg("create").arg(&fixture.source).arg("-t").arg(&fixture.to).arg("-X").arg(&list);
    ok(create.args(["-x", "-q", "-T", "1", "-e", "*.log", "-e", "*.tmp", "--mkdir"]));
    assert_eq!(listed(&fixture.archive()), ["c"]);
}

#[test]
fn a_closed_pipe_is_not_a_failure_of_help_texts() {
    for args in [&["completions", "zsh"][..], &["man"], &["create", "--help"], &["--version"]] {
        let mut child = spawn(wingback().args(args));
        drop(child.stdout.take());
        assert_eq!(wait(child).err, "", "{args:?}");
    }
}
