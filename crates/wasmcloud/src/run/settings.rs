//! The settings of one run: what each is, and where it comes from. A flag has precedence over the environment, the
//! environment over the settings file, and the file over the default.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Arg, ArgAction, ArgMatches};
use wasmcloud_core::text::escaped;

use super::catalogue::{ALL, Setting, Shape};
use super::origin::{Given, Origin};
use super::settings_file::SettingsFile;
use crate::logging;
use crate::outcome::{CommandError, CommandResult};

/// The settings that were given, with their origins.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    given: BTreeMap<&'static str, Given>,
    file: Option<PathBuf>,
}

/// The settings among the flags of a command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags(BTreeMap<&'static str, Given>);

impl clap::Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        ALL.iter().fold(command, |command, setting| command.arg(argument(setting)))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Flags::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Flags, clap::Error> {
        let mut flags = Flags::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in ALL {
            if let Some(values) = matches.get_many::<String>(setting.name) {
                self.0.insert(setting.name, Given { values: values.cloned().collect(), origin: Origin::Flag });
            }
        }
        Ok(())
    }
}

/// Returns the argument of a setting.
fn argument(setting: &'static Setting) -> Arg {
    let help = format!("{} [env: {}] [default: {}]", setting.help, setting.variable, setting.default);
    let argument = Arg::new(setting.name).long(setting.name).help(help);
    let argument = setting.short.into_iter().fold(argument, Arg::short);
    match setting.shape {
        Shape::Value(what) => argument.value_name(what),
        Shape::List(what) => argument.value_name(what).action(ArgAction::Append),
        Shape::Switch => argument
            .value_name("true or false")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .action(ArgAction::Set),
    }
}

impl Settings {
    /// Resolves all settings. `variable` returns a variable of the environment.
    ///
    /// # Errors
    /// `Usage` if a variable is not UTF-8, or the settings file is malformed.
    pub(super) fn resolve(
        flags: Flags,
        variable: impl Fn(&str) -> Option<OsString>,
        file: Option<SettingsFile>,
    ) -> CommandResult<Settings> {
        let (path, from_file) = file.map(SettingsFile::into_parts).unzip();
        let mut given = from_file.unwrap_or_default();
        for setting in ALL {
            // An empty variable counts as none: it is the only way to unset one in a file of variables.
            let Some(text) = variable(setting.variable).filter(|text| !text.is_empty()) else { continue };
            let text = text.into_string().map_err(|_| {
                CommandError::Usage(format!("the environment variable {} is not UTF-8", setting.variable))
            })?;
            given.insert(setting.name, Given { values: from_variable(setting, text), origin: Origin::Environment });
        }
        given.extend(flags.0);
        let settings = Settings { given, file: path };
        for setting in ALL.iter().filter(|setting| setting.shape == Shape::Switch) {
            settings.is_on(setting)?;
        }
        Ok(settings)
    }

    /// Adds the manifests that were given without a flag to those that have one.
    pub(super) fn add_manifests(&mut self, setting: &'static Setting, manifests: Vec<PathBuf>) -> CommandResult<()> {
        if manifests.is_empty() {
            return Ok(());
        }
        let mut values = match self.given.remove(setting.name) {
            Some(Given { values, origin: Origin::Flag }) => values,
            _ => Vec::new(),
        };
        for path in manifests {
            let text = path.into_os_string().into_string();
            values.push(text.map_err(|path| CommandError::Usage(format!("the path {} is not UTF-8", path.display())))?);
        }
        self.given.insert(setting.name, Given { values, origin: Origin::Flag });
        Ok(())
    }

    /// Returns where a setting comes from.
    pub(super) fn origin(&self, setting: &Setting) -> Origin {
        self.given.get(setting.name).map_or(Origin::Default, |given| given.origin)
    }

    /// Returns whether a setting was given.
    pub(super) fn has(&self, setting: &Setting) -> bool {
        self.given.contains_key(setting.name)
    }

    /// Returns all values of a setting.
    pub(super) fn list(&self, setting: &Setting) -> &[String] {
        self.given.get(setting.name).map_or(&[], |given| &given.values)
    }

    /// Returns the value of a setting.
    pub(super) fn text(&self, setting: &Setting) -> Option<&str> {
        self.list(setting).last().map(String::as_str)
    }

    /// Returns the path that a setting names. One of the settings file is relative to that file.
    pub(super) fn path(&self, setting: &Setting) -> Option<PathBuf> {
        self.text(setting).map(|text| self.resolve_path(setting, text))
    }

    /// Returns the paths that a setting names.
    pub(super) fn paths(&self, setting: &Setting) -> Vec<PathBuf> {
        self.list(setting).iter().map(|text| self.resolve_path(setting, text)).collect()
    }

    pub(super) fn resolve_path(&self, setting: &Setting, text: &str) -> PathBuf {
        match self.file.as_deref().and_then(Path::parent) {
            Some(folder) if self.origin(setting) == Origin::File => folder.join(text),
            _ => PathBuf::from(text),
        }
    }

    /// Returns whether a switch is on.
    pub(super) fn is_on(&self, setting: &Setting) -> CommandResult<bool> {
        match self.text(setting) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(self.invalid(setting, "it is neither true nor false")),
        }
    }

    /// Returns the value of a setting as `read` understands it.
    pub(super) fn read<T>(
        &self,
        setting: &Setting,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> CommandResult<Option<T>> {
        self.text(setting).map(|text| read(text).map_err(|reason| self.invalid(setting, reason))).transpose()
    }

    /// Returns the number that a setting has.
    pub(super) fn number<T: FromStr>(&self, setting: &Setting) -> CommandResult<Option<T>> {
        self.read(setting, |text| text.parse().map_err(|_| "it is not a number in the range of the setting"))
    }

    /// Returns the error of a setting whose value cannot be used.
    pub(super) fn invalid(&self, setting: &Setting, reason: impl fmt::Display) -> CommandError {
        let value = match self.text(setting) {
            Some(text) if !setting.is_secret => format!(" ({text:?})"),
            _ => String::new(),
        };
        CommandError::Usage(format!("{} is invalid{value}: {reason}", self.place(setting)))
    }

    /// Returns the name of a setting where it was given.
    pub(super) fn place(&self, setting: &Setting) -> String {
        match self.origin(setting) {
            Origin::Environment => format!("the environment variable {}", setting.variable),
            Origin::File => format!("{} in the settings file", setting.name),
            Origin::Flag | Origin::Default => format!("--{}", setting.name),
        }
    }

    /// Prints all settings with their origins, without secrets. A log in JSON has a line for each that was given.
    pub(super) fn tell(&self) {
        if !logging::is_json() {
            // A failure to print cannot be reported.
            let _ = io::stderr().write_all(self.table().as_bytes());
            return;
        }
        for setting in ALL.iter().filter(|setting| self.has(setting)) {
            let (name, value, origin) = (setting.name, self.shown(setting), self.shown_origin(setting));
            log::info!(target: "wasmcloud::settings", setting = name, value, origin; "the setting {name}");
        }
    }

    /// Returns a table of all settings with their origins, without secrets.
    fn table(&self) -> String {
        let mut table = String::from("Settings and where they come from:\n");
        let rows = ALL.iter().map(|setting| (setting.name, self.shown(setting), self.shown_origin(setting)));
        let rows: Vec<(&str, String, String)> = rows.collect();
        let width = |length: fn(&(&str, String, String)) -> usize| rows.iter().map(length).max().unwrap_or(0);
        let names = width(|row| row.0.len());
        let values = width(|row| row.1.chars().count()).min(48);
        for (name, value, origin) in &rows {
            // Writing to a string does not fail.
            let _ = writeln!(table, "  {name:names$}  {value:values$}  {origin}");
        }
        table
    }

    fn shown(&self, setting: &Setting) -> String {
        let shown = |value: &String| match setting.is_secret && !self.resolve_path(setting, value).is_file() {
            true => "(secret)".to_owned(),
            false => escaped(value).into_owned(),
        };
        match self.list(setting) {
            [] if self.has(setting) => "none".to_owned(),
            [] => setting.default.to_owned(),
            values => values.iter().map(shown).collect::<Vec<String>>().join(", "),
        }
    }

    fn shown_origin(&self, setting: &Setting) -> String {
        match (self.origin(setting), &self.file) {
            (Origin::Default, _) => "default".to_owned(),
            (Origin::Flag, _) => "flag".to_owned(),
            (Origin::Environment, _) => format!("environment {}", setting.variable),
            (Origin::File, path) => {
                let path = path.as_deref().unwrap_or(Path::new("")).display().to_string();
                format!("file {}", escaped(&path))
            }
        }
    }
}

fn from_variable(setting: &Setting, text: String) -> Vec<String> {
    match setting.shape {
        Shape::List(_) => text.split(',').map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned).collect(),
        Shape::Value(_) | Shape::Switch => vec![text],
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::{CALL_DEADLINE, LABEL, RPC_HOST, RPC_SEED, WATCH};
    use super::*;

    fn resolve(flags: &[&str], variables: &[(&str, &str)], file: &str) -> CommandResult<Settings> {
        let command = <Flags as clap::Args>::augment_args(clap::Command::new("run").no_binary_name(true));
        let matches = command.try_get_matches_from(flags).map_err(CommandError::Arguments)?;
        let flags = clap::FromArgMatches::from_arg_matches(&matches).map_err(CommandError::Arguments)?;
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Settings::resolve(flags, variable, Some(SettingsFile::parse(Path::new("conf/wasmcloud.toml"), file)?))
    }

    #[test]
    fn no_two_settings_share_a_name_a_variable_or_a_letter() {
        for (number, setting) in ALL.iter().enumerate() {
            for other in &ALL[number + 1..] {
                assert!(setting.name != other.name && setting.variable != other.variable, "{}", setting.name);
                assert!(setting.short.is_none() || setting.short != other.short, "{}", setting.name);
            }
        }
    }

    #[test]
    fn a_flag_precedes_the_environment_and_the_environment_the_file() {
        let file = "rpc-host = 'file'\ncall-deadline = '1s'\nwatch = true\nlabel = { zone = 'cellar' }";
        let variables = [("RPC_HOST", "environment"), ("WASMCLOUD_CALL_DEADLINE", ""), ("WASMCLOUD_LABEL", "a=1, b=2")];
        let settings = resolve(&["--rpc-host", "flag"], &variables, file).unwrap();
        assert_eq!((settings.text(&RPC_HOST), settings.origin(&RPC_HOST)), (Some("flag"), Origin::Flag));
        assert_eq!((settings.text(&CALL_DEADLINE), settings.origin(&CALL_DEADLINE)), (Some("1s"), Origin::File));
        assert_eq!(settings.list(&LABEL), ["a=1", "b=2"]);
        assert!(settings.is_on(&WATCH).unwrap());
        let settings = resolve(&["--watch=false"], &[("RPC_HOST", "environment")], file).unwrap();
        assert_eq!((settings.text(&RPC_HOST), settings.origin(&RPC_HOST)), (Some("environment"), Origin::Environment));
        assert_eq!(settings.list(&LABEL), ["zone=cellar"]);
        assert!(!settings.is_on(&WATCH).unwrap());
        assert_eq!(settings.resolve_path(&CALL_DEADLINE, "x"), Path::new("conf/x"));
        assert_eq!(settings.resolve_path(&RPC_HOST, "x"), Path::new("x"));
    }

    #[test]
    fn the_table_names_every_setting_and_its_origin_and_no_secret() {
        let seed = nkeys::KeyPair::new_user().seed().unwrap();
        let settings = resolve(&["-l", "a=1", "-l", "b=2"], &[("RPC_SEED", &seed)], "rpc-host = 'nats'").unwrap();
        let table = settings.table();
        for setting in ALL {
            assert!(table.contains(&format!("\n  {} ", setting.name)), "{}: {table}", setting.name);
        }
        let row = |name: &str| table.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
        assert!(row("rpc-seed").contains("(secret)") && row("rpc-seed").ends_with("environment RPC_SEED"), "{table}");
        assert!(row("rpc-host").contains("nats") && row("rpc-host").ends_with("file conf/wasmcloud.toml"), "{table}");
        assert!(row("label").contains("a=1, b=2") && row("label").ends_with("flag"), "{table}");
        assert!(row("rpc-port").contains("4222") && row("rpc-port").ends_with("default"), "{table}");
        assert!(!table.contains(&seed) && !format!("{settings:?}").contains(&seed));
        assert!(!format!("{:?}", settings.invalid(&RPC_SEED, "no")).contains(&seed));
    }

    #[test]
    fn errors_name_the_setting_where_it_was_given() {
        for (flags, variables, file, expected) in [
            (&["--call-deadline", "x"][..], &[][..], "", "--call-deadline"),
            (&[], &[("WASMCLOUD_CALL_DEADLINE", "x")], "", "WASMCLOUD_CALL_DEADLINE"),
            (&[], &[], "call-deadline = 'x'", "call-deadline in the settings file"),
        ] {
            let settings = resolve(flags, variables, file).unwrap();
            let CommandError::Usage(text) = settings.number::<u32>(&CALL_DEADLINE).unwrap_err() else { panic!() };
            assert!(text.contains(expected) && text.contains("\"x\""), "{text}");
        }
        assert!(resolve(&["--watch=maybe"], &[], "").is_err());
    }
}
