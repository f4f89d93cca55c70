//! Variables of the environment: `WINGBACK_EXCLUDE_FROM` is the variable of `--exclude-from`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use clap::{Arg, ArgAction, Command};

use super::{Env, Setting, flag, option};
use crate::args::REMOTE;

/// Options without a variable, by command. An exported variable applies to every later command, so it must not
/// remove or replace files, show them to other users, leave files out of archives, hide archives, or name a single
/// archive.
const ONLY_TYPED: &[(&str, &[&str])] = &[
    (
        "create",
        &[
            "uuid",
            "max-len",
            "files-from",
            "null",
            "allow-empty",
            "mkdir",
            "dry-run",
            "list",
            "verbose",
        ],
    ),
    ("archives", &["label", "since"]),
    ("find", &["label"]),
    ("verify", &["sha1", "sample", "label", "restart"]),
    ("extract", &["overwrite", "salvage", "sha1"]),
    ("restore", &["delete", "delete-excluded", "dry-run", "in-place", "sha1"]),
    ("sweep", &["older-than"]),
    #[cfg(feature = "mount")]
    ("mount", &["allow-other"]),
];

/// Returns the settings of `command` in the environment. An empty variable does not count.
pub fn settings(command: &Command, env: Env<'_>) -> Result<Vec<Setting>, String> {
    let mut settings = Vec::new();
    for arg in command.get_arguments() {
        let Some(name) = name(command, arg) else { continue };
        let Some(text) = env(&name).filter(|text| !text.is_empty()) else { continue };
        let values = values(arg, text)
            .ok_or_else(|| format!("the variable {name} must be true or false"))?;
        settings.push(Setting { arg: arg.clone(), values, origin: format!("the variable {name}") });
    }
    Ok(settings)
}

/// Returns the name of the variable of an option. `None` if it has none.
pub fn name(command: &Command, arg: &Arg) -> Option<String> {
    let long = option(arg)?;
    let is_only_typed = match command.get_name() {
        // Its own options decide together which archives are removed.
        "prune" => {
            !["json", "read-limit"].contains(&long) && arg.get_help_heading() != Some(REMOTE)
        }
        name => ONLY_TYPED.iter().any(|&(other, options)| other == name && options.contains(&long)),
    };
    (!is_only_typed).then(|| format!("WINGBACK_{}", long.to_uppercase().replace('-', "_")))
}

/// Returns the values in a variable. `None` if the text of a flag is not true or false.
fn values(arg: &Arg, text: OsString) -> Option<Vec<OsString>> {
    match arg.get_action() {
        ArgAction::Set => Some(vec![text]),
        ArgAction::Append => {
            let lines = text.as_bytes().split(|&byte| byte == b'\n');
            let lines = lines.filter(|line| !line.is_empty());
            Some(lines.map(|line| OsStr::from_bytes(line).to_owned()).collect())
        }
        _ => match text.to_str() {
            Some("1" | "true" | "yes" | "on") => Some(flag(true)),
            Some("0" | "false" | "no" | "off") => Some(flag(false)),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn the_options_without_a_variable_exist() {
        let mut cli = Cli::command();
        cli.build();
        for &(name, options) in ONLY_TYPED {
            let command = cli.find_subcommand(name).expect(name);
            for option in options {
                let arg = command.get_arguments().find(|arg| arg.get_long() == Some(option));
                assert_eq!(super::name(command, arg.expect(option)), None);
            }
        }
    }

    #[test]
    fn no_variable_decides_what_prune_removes() {
        let mut cli = Cli::command();
        cli.build();
        let prune = cli.find_subcommand("prune").expect("a command");
        let names = prune.get_arguments().filter_map(|arg| name(prune, arg));
        let expected = [
            "READ_LIMIT",
            "JSON",
            "ENDPOINT",
            "REGION",
            "AWS_PROFILE",
            "PATH_STYLE",
            "CA_FILE",
            "PARALLEL",
        ];
        assert_eq!(names.collect::<Vec<_>>(), expected.map(|name| format!("WINGBACK_{name}")));
    }
}
