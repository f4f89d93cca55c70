//! Man pages, made from the definition of the command line.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, italic, roman},
};

use crate::args::Cli;

/// Marks the exit status in a long help text, and the examples in the text after it.
const STATUS: &str = "\n\nExit status: ";
const EXAMPLES: &str = "Examples:\n";

/// Exit status of a command whose help does not name its own.
const PLAIN_STATUS: &str = "0 done, 1 failed, 2 usage.";
const SIGNALS: &str = "130, 143 or 129 after a cancel by Ctrl-C, SIGTERM or SIGHUP.";

/// Arguments, one of which every command with options has.
const OPTIONS: &[&str] = &["json", "endpoint"];

/// Variables of the environment: arguments, one of which a command has if it reads the variable, name, and
/// meaning. Options name the variables that other programs have as well.
const VARIABLES: [(&[&str], &str, &str); 9] = [
    (
        OPTIONS,
        "WINGBACK_*",
        "Value of an option that is not in the command line: WINGBACK_EXCLUDE_FROM is that of --exclude-from. \
         An option without a value is true or false. Options that could lose data have no variable.",
    ),
    (
        OPTIONS,
        "WINGBACK_TOML",
        "File with profiles, instead of ~/.config/wingback/wingback.toml and /etc/wingback/wingback.toml.",
    ),
    (&["quiesce"], "WINGBACK_RCON_PASSWORD", "Password of RCON, without --rcon-password-file."),
    (
        &["state_dir"],
        "WINGBACK_STATE_DIR",
        "Directory of the restore records, without --state-dir.",
    ),
    (&["state_dir"], "XDG_STATE_HOME", "Its folder wingback has the restore records of a user."),
    (&["archive", "to"], "TMPDIR", "Directory of temporary files. The default is /var/tmp."),
    (
        &["endpoint"],
        "AWS_ACCESS_KEY_ID",
        "Key for S3, with AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.",
    ),
    (
        &["endpoint"],
        "AWS_PROFILE",
        "Profile in ~/.aws/credentials, if there is no key in the environment.",
    ),
    (&["endpoint"], "AWS_SHARED_CREDENTIALS_FILE", "File to read instead of ~/.aws/credentials."),
];

/// Returns the page of the command, or of one of its subcommands. `None` if there is no such subcommand.
pub fn page(subcommand: Option<&str>) -> Option<io::Result<String>> {
    let mut cli = Cli::command();
    cli.build();
    let names = cli.get_subcommands().map(|command| command.get_name());
    let pages =
        names.filter(|&name| name != "help").map(|name| format!("wingback-{name}")).collect();
    match subcommand {
        None => Some(render(cli, pages)),
        Some(name) => Some(render(cli.find_subcommand(name)?.clone(), pages)),
    }
}

fn render(mut command: Command, pages: Vec<String>) -> io::Result<String> {
    let about = command.get_long_about().map(ToString::to_string).unwrap_or_default();
    let (about, status) = about.split_once(STATUS).unwrap_or((&about, PLAIN_STATUS));
    let (about, status) = (about.to_owned(), status.replace('\n', " "));
    if !about.is_empty() {
        command = command.long_about(about);
    }
    let (mut roff, mut page) = (Roff::new(), Vec::new());
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    roff.control("SH", ["EXIT STATUS"]).text([roman(format!("{status} {SIGNALS}"))]);
    let variables = VARIABLES.iter().filter(|(names, ..)| has(&command, names));
    let variables: Vec<_> = variables.collect();
    if !variables.is_empty() {
        roff.control("SH", ["ENVIRONMENT"]);
    }
    for (_, variable, meaning) in variables {
        roff.control("TP", []).text([bold(*variable)]).text([roman(*meaning)]);
    }
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    if let Some(examples) = after.strip_prefix(EXAMPLES) {
        roff.control("SH", ["EXAMPLES"]).control("nf", []);
        roff.text([roman(examples.lines().map(str::trim_start).collect::<Vec<_>>().join("\n"))]);
        roff.control("fi", []);
    }
    roff.control("SH", ["SEE ALSO"]);
    let own = std::iter::once("wingback".to_owned()).chain(pages).filter(|page| *page != name);
    let mut others = own.chain(["tar".to_owned()]).peekable();
    while let Some(other) = others.next() {
        let comma = if others.peek().is_some() { "(1), " } else { "(1)" };
        roff.text([italic(other), roman(comma)]);
    }

    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut synopsis = Vec::new();
    man.render_synopsis_section(&mut synopsis)?;
    // Lines are broken between options and between alternatives, and are not stretched.
    let synopsis = String::from_utf8_lossy(&synopsis).replace(r"|\f", r"|\:\f");
    page.extend(format!(".na\n.nh\n{synopsis}.ad\n.hy\n").into_bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    roff.to_writer(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(String::from_utf8_lossy(&page).trim_end().to_owned())
}

fn has(command: &Command, names: &[&str]) -> bool {
    let mut arguments = command.get_arguments().map(|argument| argument.get_id().as_str());
    command.has_subcommands() || arguments.any(|argument| names.contains(&argument))
}
