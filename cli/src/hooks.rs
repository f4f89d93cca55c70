//! The hooks of `create`.

use std::{ffi::OsString, path::Path};

use wingback_hooks::{Around, Hooks, Host};

use crate::{args, output::complain, signals};

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
