//! The commands and their options, and the settings of a host.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use super::text::{self, Table};
use crate::arguments::Arguments;
use crate::run::Setting;

/// The heading of the options by which hosts are reached, and the command that has them described.
const CONNECTION: &str = "Connection";
const CONNECTING: &str = "wasmcloud ctl";

/// Returns a section for each command.
pub(super) fn commands() -> String {
    let mut page = String::new();
    section(&mut page, &Arguments::command(), "");
    page
}

/// Writes the section of a command and those of the commands below it. Options that all commands below it have are written
/// once.
fn section(page: &mut String, command: &Command, above: &str) {
    let path = format!("{above} {}", command.get_name()).trim_start().to_owned();
    writeln!(page, "## `{path}`\n").unwrap();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    writeln!(page, "{}\n", sentence(&about)).unwrap();
    let mut table = Table::new(["Argument", "Meaning", "Default"]);
    let is_repeated = |argument: &&Arg| argument.get_help_heading() == Some(CONNECTION) && path != CONNECTING;
    for argument in command.get_arguments().filter(|argument| is_listed(argument) && !is_repeated(argument)) {
        let (meaning, default) = told(argument);
        table.row([name(argument), meaning, default]);
    }
    if !table.is_empty() {
        writeln!(page, "{table}").unwrap();
    }
    if command.get_arguments().any(|argument| is_repeated(&argument)) {
        writeln!(page, "It reaches the hosts by the [options of `{CONNECTING}`](#wasmcloud-ctl).\n").unwrap();
    }
    if path == "wasmcloud run" {
        writeln!(page, "The other options are the [settings of a host](settings.md).\n").unwrap();
    }
    for below in command.get_subcommands() {
        section(page, below, &path);
    }
}

fn is_listed(argument: &Arg) -> bool {
    !argument.is_hide_set() && !settings_of_run().any(|setting| setting.name == argument.get_id().as_str())
}

/// Returns an argument as it is written: `` `-o`, `--output FILE` `` or `` `MODULE` ``.
fn name(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    let takes_value = argument.get_action().takes_values();
    let value = names.first().map(ToString::to_string).unwrap_or_else(|| argument.get_id().as_str().to_uppercase());
    let Some(long) = argument.get_long() else { return format!("`{value}`") };
    let long = if takes_value { format!("--{long} {value}") } else { format!("--{long}") };
    let short = argument.get_short().map(|short| format!("-{short}"));
    text::code(&short.into_iter().chain([long]).collect::<Vec<_>>())
}

/// Returns the meaning of an argument, and its default. The help of some tells the default in words.
fn told(argument: &Arg) -> (String, String) {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = sentence(&help).replace("\n\n", " ");
    let (mut meaning, in_words) = match help.split_once(" Default: ") {
        Some((before, told)) => {
            let (default, after) = told.split_once(". ").unwrap_or((told.trim_end_matches('.'), ""));
            (format!("{before} {after}").trim_end().to_owned(), default.to_owned())
        }
        None => (help, String::new()),
    };
    let values: Vec<_> = argument.get_possible_values().into_iter().filter(|value| !value.is_hide_set()).collect();
    if !values.is_empty() && argument.get_action().takes_values() && !argument.is_hide_possible_values_set() {
        let names: Vec<_> = values.iter().map(|value| value.get_name().to_owned()).collect();
        write!(meaning, " One of {}.", text::code(&names)).unwrap();
    }
    if let Some(variable) = argument.get_env() {
        write!(meaning, " Environment: `{}`.", variable.display()).unwrap();
    }
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.display().to_string()).collect();
    let is_default = argument.get_action().takes_values() && !defaults.is_empty();
    (meaning, if is_default { text::code(&defaults) } else { in_words })
}

/// Returns a text that ends as a sentence does, on one line for each paragraph.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

fn settings_of_run() -> impl Iterator<Item = &'static Setting> {
    crate::run::ALL_SETTINGS.iter().copied()
}

/// Returns the table of a host's settings.
pub(super) fn settings() -> String {
    let mut table = Table::new(["Flag", "Variable", "Default", "Meaning"]);
    for Setting { name, variable, short, default, help, .. } in settings_of_run() {
        let short = short.map_or_else(String::new, |short| format!("`-{short}`, "));
        table.row([format!("{short}`--{name}`"), format!("`{variable}`"), (*default).to_owned(), (*help).to_owned()]);
    }
    table.to_string()
}
