//! Help, completions and man pages, all generated from one definition.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::common::{is_there, ok, run, spawn, wait, wingback};

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
        accepts("man", &["--warnings", "-l", "-"], &ran.out);
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

#[test]
fn a_closed_pipe_is_not_a_failure_of_help_texts() {
    for args in [&["completions", "zsh"][..], &["man"], &["create", "--help"], &["--version"]] {
        let mut child = spawn(wingback().args(args));
        drop(child.stdout.take());
        assert_eq!(wait(child).err, "", "{args:?}");
    }
}
