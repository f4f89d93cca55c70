//! `wingback.toml`: profiles, each with tables of options for some subcommands.
//!
//! ```toml
//! [lobby.create]
//! dir = "/srv/lobby"
//! to = "/backups"
//! exclude = ["cache/**", "*.log"]
//! background = true
//! ```

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Command};
use rustix::process::geteuid;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Env, Setting, flag, option};

/// The file for all users.
const SYSTEM: &str = "/etc/wingback/wingback.toml";

/// Largest file that is read.
const SIZE_MAX: u64 = 1 << 20;

/// Returns the settings of a profile for `command`. The whole file must be valid.
pub fn profile(
    cli: &Command,
    command: &Command,
    name: &str,
    env: Env<'_>,
) -> Result<Vec<Setting>, String> {
    let text = Text::read(env)?;
    let failed = |e: toml::de::Error| text.at(e.span().unwrap_or_default(), e.message());
    let root = DeTable::parse(&text.content).map_err(failed)?;
    let mut found = None;
    let mut names = Vec::new();
    for (profile, tables) in root.get_ref() {
        names.push(format!("@{}", profile.get_ref()));
        for (key, table) in text.table(tables)? {
            let known = cli.find_subcommand(key.get_ref().as_ref());
            let known = known.ok_or_else(|| {
                text.at(key.span(), &format!("there is no command {:?}", key.get_ref()))
            })?;
            let settings = text.settings(known, table)?;
            if profile.get_ref() == name && known.get_name() == command.get_name() {
                found = Some(settings);
            }
        }
    }
    found.ok_or_else(|| {
        let path = text.path.display();
        match names.iter().any(|known| known[1..] == *name) {
            true => format!("the profile @{name} in {path} has no [{name}.{}]", command.get_name()),
            false if names.is_empty() => format!("{path} has no profiles"),
            false => format!("there is no profile @{name} in {path}, only {}", names.join(", ")),
        }
    })
}

/// Returns the key of an argument: its long name, or in lower case the name of its place in the help. Of
/// `ARCHIVE|PLACE` it is the first one.
pub fn key(arg: &Arg) -> Option<String> {
    match arg.is_positional() {
        true => {
            let name = arg.get_value_names()?.first()?;
            name.split('|').next().map(str::to_lowercase)
        }
        false => option(arg).map(str::to_owned),
    }
}

/// The file.
struct Text {
    path: PathBuf,
    content: String,
}

impl Text {
    fn read(env: Env<'_>) -> Result<Self, String> {
        let home = |below: &str| env("HOME").map(|home| PathBuf::from(home).join(below));
        let config = env("XDG_CONFIG_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
        let own = config.or_else(|| home(".config")).map(|dir| dir.join("wingback/wingback.toml"));
        let places = match env("WINGBACK_TOML").filter(|path| !path.is_empty()) {
            Some(path) => vec![PathBuf::from(path)],
            None => own.into_iter().chain([SYSTEM.into()]).collect(),
        };
        for path in &places {
            match read(path) {
                Ok(content) => return Ok(Text { path: path.clone(), content }),
                Err(e) if e.kind() == io::ErrorKind::NotFound => (),
                Err(e) => return Err(format!("read the profiles in {}: {e}", path.display())),
            }
        }
        let places: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        Err(format!("there is no file with profiles: {}", places.join(", ")))
    }

    /// Returns the path and the line of a place in the file.
    fn place(&self, place: &Range<usize>) -> String {
        let before = &self.content.as_bytes()[..place.start.min(self.content.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        format!("{}:{line}", self.path.display())
    }

    fn at(&self, place: Range<usize>, what: &str) -> String {
        format!("{}: {what}", self.place(&place))
    }

    fn table<'a>(&self, value: &'a Spanned<DeValue<'a>>) -> Result<&'a DeTable<'a>, String> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => Err(self.at(value.span(), "it must be in a table such as [lobby.create]")),
        }
    }

    fn settings(
        &self,
        command: &Command,
        table: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<Setting>, String> {
        let mut settings = Vec::new();
        for (name, value) in self.table(table)? {
            let text: &str = name.get_ref();
            let arg = command.get_arguments().find(|arg| key(arg).as_deref() == Some(text));
            let arg = arg.ok_or_else(|| {
                self.at(name.span(), &format!("{} has no option {text:?}", command.get_name()))
            })?;
            let values = values(arg, value.get_ref())
                .map_err(|what| self.at(value.span(), &format!("{text} must be {what}")))?;
            let origin = self.place(&name.span());
            settings.push(Setting { arg: arg.clone(), values, origin });
        }
        Ok(settings)
    }
}

/// Reads a file that no other user and no group can write, because its hooks are run.
fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let is_own = meta.uid() == geteuid().as_raw() || meta.uid() == 0;
    if !is_own || meta.mode() & 0o022 != 0 {
        return Err(io::Error::other("another user can write to it"));
    }
    let mut content = String::new();
    if file.take(SIZE_MAX + 1).read_to_string(&mut content)? as u64 > SIZE_MAX {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(content)
}

/// Converts a value of the file. An error says which value the argument needs.
fn values(arg: &Arg, value: &DeValue<'_>) -> Result<Vec<OsString>, &'static str> {
    let one = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(OsString::from(text.as_ref())),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().into()),
        _ => None,
    };
    match (arg.get_action(), value) {
        (ArgAction::Append, DeValue::Array(items)) => items
            .iter()
            .map(|item| one(item.get_ref()))
            .collect::<Option<_>>()
            .ok_or("a list of texts or numbers"),
        (ArgAction::Set | ArgAction::Append, value) => {
            one(value).map(|value| vec![value]).ok_or("a text or a number")
        }
        (_, DeValue::Boolean(is_on)) => Ok(flag(*is_on)),
        _ => Err("true or false"),
    }
}
