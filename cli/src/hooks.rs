//! The hooks of `create`.

use std::{ffi::OsString, path::Path};

use wingback::{Error, Report, Warning};
use wingback_hooks::{Around, Hooks, Host};

use crate::{
    args,
    output::{complain, json_line},
    signals,
};

/// This process, as hooks see it.
#[derive(Clone, Copy, Debug)]
pub struct Command;

impl Host for Command {
    // A `wingback` in a hook that inherited these would run the hooks as well.
    const HIDDEN: &'static [&'static str] =
        &["WINGBACK_BEFORE", "WINGBACK_AFTER_READ", "WINGBACK_AFTER", "WINGBACK_QUIESCE"];

    fn env(&self) -> Vec<(&'static str, OsString)> {
        Vec::new()
    }

    async fn cancelled(&self) {
        signals::first().await;
    }

    async fn hurried(&self) {
        signals::second().await;
    }

    fn complain(&self, why: &str) {
        complain(why);
    }
}

/// Returns the hooks for a backup of `source`. From now on, signals do not end the process before they have run.
pub fn around<'a>(hooks: &'a Hooks, source: &'a Path) -> Around<'a, Command> {
    if !hooks.is_empty() {
        signals::hold();
    }
    Around::new(hooks, source, Command)
}

/// Runs the last hook. Its failure is a warning in the report, or a line beside the error.
///
/// `line` returns the object of `--json`.
pub async fn after(
    hooks: &Around<'_, Command>,
    made: &mut Result<Report, Error>,
    line: impl Fn(&Report) -> String,
) {
    let json = match made {
        Ok(report) => line(report),
        Err(e) => json_line(e),
    };
    if let Err(why) = hooks.after(made.as_ref(), &json).await {
        match made {
            Ok(report) => report.warnings.push(Warning::Hook(why)),
            Err(_) => complain(&why),
        }
    }
}

impl From<&args::Hooks> for Hooks {
    fn from(args: &args::Hooks) -> Self {
        Hooks {
            quiesce: args.quiesce.clone(),
            rcon_password_file: args.rcon_password_file.clone(),
            before: args.before.clone(),
            after_read: args.after_read.clone(),
            after: args.after.clone(),
            timeout: args.hook_timeout,
        }
    }
}
