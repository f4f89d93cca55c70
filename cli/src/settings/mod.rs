//! Options that are not on the command line: variables of the environment, and profiles of `wingback.toml`.
//!
//! They become arguments, as if the user had typed them. Therefore they have the same rules and errors. The command
//! line counts first, then the environment, then the profile. A setting replaces a weaker one of the same option, and
//! weaker ones that it excludes.

mod file;
#[cfg(test)]
mod tests;
mod variable;

use std::{ffi::OsString, os::unix::ffi::OsStrExt};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory, Error, FromArgMatches,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};

use crate::args::Cli;

/// Reads a variable of the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Parses a command line, with the name of the program in front, and with the settings that it does not have.
pub fn parse(line: Vec<OsString>, env: Env<'_>) -> Result<Cli, Error> {
    let (line, settings) = fill(line, env)?;
    let matches = Cli::command().try_get_matches_from(line).map_err(|e| explain(e, &settings))?;
    Cli::from_arg_matches(&matches).map_err(|e| e.format(&mut Cli::command()))
}

/// The value of an option, or of an argument without a name.
#[derive(Debug)]
struct Setting {
    arg: Arg,
    /// Empty for a flag that is off.
    values: Vec<OsString>,
    /// The place where the user has written it.
    origin: String,
}

impl Setting {
    /// Returns whether this setting of `command` takes the place of a weaker one.
    fn replaces(&self, weaker: &Setting, command: &Command) -> bool {
        let excludes = |one: &Arg, other: &Arg| {
            command.get_arg_conflicts_with(one).iter().any(|arg| arg.get_id() == other.get_id())
        };
        let is_on = !self.values.is_empty();
        self.arg.get_id() == weaker.arg.get_id()
            || is_on && (excludes(&self.arg, &weaker.arg) || excludes(&weaker.arg, &self.arg))
    }
}

/// Adds the settings to a command line, and returns both.
fn fill(mut line: Vec<OsString>, env: Env<'_>) -> Result<(Vec<OsString>, Vec<Setting>), Error> {
    let profile = take_profile(&mut line);
    // The command line itself must be valid, so that an error in it is not one of a setting.
    match Cli::command().try_get_matches_from(&line) {
        Err(e) if e.kind() != ErrorKind::MissingRequiredArgument => return Err(e),
        _ => (),
    }
    let typed = Cli::command().ignore_errors(true).try_get_matches_from(&line)?;
    let mut cli = Cli::command();
    cli.build();
    let found =
        typed.subcommand().and_then(|(name, typed)| Some((cli.find_subcommand(name)?, typed)));
    let Some((command, typed)) = found else { return Ok((line, Vec::new())) };
    let error = |text| Cli::command().error(ErrorKind::ValueValidation, text);
    let profile = match profile {
        Some(name) => file::profile(&cli, command, &name, env).map_err(error)?,
        None => Vec::new(),
    };
    let variables = variable::settings(command, env).map_err(error)?;
    let on_line = command.get_arguments().filter(|arg| is_typed(typed, arg));
    let on_line = on_line.map(|arg| Setting {
        arg: arg.clone(),
        values: flag(true),
        origin: "the command line".to_owned(),
    });
    let mut all: Vec<_> = on_line.collect();
    let typed_len = all.len();
    for mut weaker in [variables, profile] {
        weaker.retain(|weaker| !all.iter().any(|setting| setting.replaces(weaker, command)));
        all.append(&mut weaker);
    }
    let settings = all.split_off(typed_len);
    insert(&mut line, command, typed, &settings);
    Ok((line, settings))
}

/// Removes `@NAME` after the name of the subcommand.
fn take_profile(line: &mut Vec<OsString>) -> Option<String> {
    let name = line.get(2)?.as_bytes().strip_prefix(b"@")?;
    let name = String::from_utf8_lossy(name).into_owned();
    line.remove(2);
    Some(name)
}

fn is_typed(typed: &ArgMatches, arg: &Arg) -> bool {
    typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
}

fn insert(line: &mut Vec<OsString>, command: &Command, typed: &ArgMatches, settings: &[Setting]) {
    let mut options = Vec::new();
    for Setting { arg, values, .. } in settings {
        let Some(long) = arg.get_long() else { continue };
        options.extend(values.iter().map(|value| {
            let mut option = OsString::from(format!("--{long}"));
            if arg.get_action().takes_values() {
                option.push("=");
                option.push(value);
            }
            option
        }));
    }
    line.splice(2..2, options);
    let mut positionals = Vec::new();
    for arg in command.get_positionals().filter(|arg| !is_typed(typed, arg)) {
        // The next one would take the place of one that is missing.
        let setting = settings.iter().find(|setting| setting.arg.get_id() == arg.get_id());
        let Some(setting) = setting else { break };
        positionals.extend(setting.values.iter().cloned());
    }
    if !positionals.is_empty() && !line.iter().any(|arg| arg == "--") {
        line.push("--".into());
    }
    line.extend(positionals);
}

/// Returns the long name of an option that can be set.
fn option(arg: &Arg) -> Option<&str> {
    let is_set = matches!(
        arg.get_action(),
        ArgAction::Set | ArgAction::Append | ArgAction::SetTrue | ArgAction::Count
    );
    arg.get_long().filter(|_| is_set)
}

fn flag(is_on: bool) -> Vec<OsString> {
    if is_on { vec![OsString::new()] } else { Vec::new() }
}

/// Adds to an error the place of the setting that it is about.
fn explain(mut error: Error, settings: &[Setting]) -> Error {
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(named)) => named.clone(),
        _ => return error,
    };
    if let Some(setting) = settings.iter().find(|setting| setting.arg.to_string() == named) {
        let text = format!("{named} is from {}", setting.origin);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![text.into()]));
    }
    error
}
