//! The command line. Arguments that contain a seed are refused before they are parsed.

use std::ffi::{OsStr, OsString};

use clap::{CommandFactory, Parser, Subcommand};
use zeroize::Zeroizing;

use crate::color::When;
use crate::outcome::{CommandError, CommandResult};
use crate::{
    apply, completions, ctl, dev, inspect, keys, lab, man, manifest, new, par, plan, registry, run, sign, top,
};

/// Runs, signs and ships WebAssembly actors and capability providers, and controls the hosts that run them.
#[derive(Debug, Parser)]
#[command(name = "wasmcloud", version, max_term_width = 120, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// When output has colours.
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        default_value = "auto",
        hide_possible_values = true,
        display_order = 998
    )]
    color: When,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(subcommand)]
    New(new::Command),
    Dev(Box<dev::Dev>),
    Run(Box<run::Run>),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Ctl(ctl::Ctl),
    Top(Box<top::Top>),
    #[command(subcommand)]
    Manifest(manifest::Command),
    #[command(subcommand)]
    Lab(lab::Command),
    #[command(subcommand, visible_alias = "reg")]
    Registry(registry::Command),
    #[command(subcommand)]
    Keys(keys::Command),
    Sign(sign::Sign),
    Inspect(inspect::Inspect),
    #[command(subcommand)]
    Par(par::Command),
    Completions(completions::Completions),
    Man(man::Manual),
}

const EXAMPLES: &str = "\
Examples:
  wasmcloud new actor hello
  wasmcloud dev echo.wasm
  wasmcloud run counter.yaml
  wasmcloud apply shop.yaml
  wasmcloud ctl hosts
  wasmcloud top
  wasmcloud registry push echo_signed.wasm registry.example/actors/echo:1.0.0
  wasmcloud keys gen account --output account.seed
  wasmcloud sign echo.wasm --output echo_signed.wasm --name Echo -c httpserver \\
      --issuer-seed-file account.seed --subject-seed-file echo.seed
  wasmcloud inspect echo_signed.wasm

Exit codes:
  0  success
  1  the command failed
  2  the arguments are invalid
  3  refused by policy: a signature, trust, permission or update rule does not allow it
  4  unreachable: a NATS server, host or registry did not answer";

impl Arguments {
    /// Parses the arguments of this process.
    ///
    /// # Errors
    /// `Usage` if an argument contains a seed, `Arguments` if they cannot be parsed.
    pub(crate) fn of_this_process() -> CommandResult<Arguments> {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        if arguments.iter().any(|argument| holds_seed(argument)) {
            return Err(CommandError::Usage(
                "an argument contains a seed. All users of this machine can see the arguments, and the shell may keep them \
                 in its history. Put the seed into a file that only you can read, and name the file, as in \
                 --issuer-seed-file, --subject-seed-file and --rpc-seed, or set a variable of the environment, such as \
                 WASMCLOUD_ISSUER_SEED, WASMCLOUD_SUBJECT_SEED and RPC_SEED. If the seed is in use, replace it by a new \
                 one: wasmcloud keys gen --help"
                    .to_owned(),
            ));
        }
        // Errors are printed before the arguments are parsed.
        When::among(&arguments).apply();
        let arguments = Arguments::try_parse_from(with_command(arguments)).map_err(CommandError::Arguments)?;
        arguments.color.apply();
        Ok(arguments)
    }
}

/// Adds the command `run` before an option of a host that comes first, as in `wasmcloud --manifest FILE`: the binary of 2021
/// had no commands.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).and_then(|first| first.to_str()).unwrap_or_default();
    let mut program = Arguments::command();
    program.build();
    let is_known = |command: &clap::Command| command.get_arguments().any(|argument| is_named(argument, first));
    if !is_known(&program) && program.find_subcommand("run").is_some_and(is_known) {
        arguments.insert(1, "run".into());
    }
    arguments
}

/// Returns whether a text from the command line is an option by its long or short name, with or without its value.
fn is_named(option: &clap::Arg, text: &str) -> bool {
    match text.strip_prefix("--") {
        Some(long) => option.get_long() == Some(long.split('=').next().unwrap_or_default()),
        None => text
            .strip_prefix('-')
            .and_then(|short| short.chars().next())
            .is_some_and(|short| option.get_short() == Some(short)),
    }
}

/// Returns the help text, which is printed if no command is given.
pub(crate) fn help() -> Zeroizing<String> {
    Arguments::command().render_help().ansi().to_string().into()
}

/// Returns whether an argument contains text in the form of a seed. The checksum is not verified, so that a mistyped seed is
/// found too.
fn holds_seed(argument: &OsStr) -> bool {
    const SEED_LENGTH: usize = 58;
    let is_base32 = |byte: &u8| matches!(byte, b'A'..=b'Z' | b'2'..=b'7');
    argument
        .as_encoded_bytes()
        .split(|byte| !is_base32(byte))
        .any(|word| word.len() == SEED_LENGTH && word.starts_with(b"S"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nkeys::KeyPair;

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_of_a_host_without_a_command_run_one() {
        let with_command = |words: &[&str]| {
            let words = ["wasmcloud"].iter().chain(words).map(OsString::from).collect();
            with_command(words).into_iter().nth(1).unwrap_or_default()
        };
        for first in ["--manifest", "-m", "-mshop.yaml", "--rpc-host=nats.example", "--nsprefix", "-l"] {
            assert_eq!(with_command(&[first, "x"]), "run", "{first}");
        }
        for first in ["--help", "-h", "-V", "--color=never", "--unknown", "-", "--", "keys", ""] {
            assert_eq!(with_command(&[first, "x"]), first, "{first}");
        }
        assert_eq!(with_command(&[]), "");
    }

    #[test]
    fn seeds_are_recognised_wherever_they_stand_and_public_keys_are_not_taken_for_them() {
        let key = KeyPair::new_account();
        let seed = key.seed().unwrap();
        for argument in [seed.clone(), format!("--issuer={seed}"), format!(" {seed}\n")] {
            assert!(holds_seed(OsStr::new(&argument)));
        }
        for argument in [key.public_key(), format!("--subject={}", key.public_key()), "S".repeat(59), String::new()] {
            assert!(!holds_seed(OsStr::new(&argument)), "{argument}");
        }
    }
}
