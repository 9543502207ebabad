//! The stock binary: runs hosts, controls them, and signs, inspects and ships what they run.
//!
//! # Layout
//! - `arguments`: the command line
//! - `announce`: what commands that stay say
//! - `keys`, `sign`, `inspect`, `par`, `registry`, `run`, `dev`, `new`, `completions`, `man`: the commands
//! - `ctl`: the commands that talk with the hosts of a lattice
//! - `top`: what those hosts run, kept current on the screen
//! - `manifest`, `plan`, `apply`: manifests, and the hosts that run them
//! - `logging`: the log of commands that run hosts
//! - `lab`: experiments by plan
//! - `input`, `output`: the files that commands read and write
//! - `secret`: seeds and their sources
//! - `signals`, `state_folder`, `watch`: what commands that stay react to, and what keeps them apart
//! - `description`: the facts about a module, an archive or a key, as a table or JSON
//! - `table`: tables that fit the terminal
//! - `time`: durations on the command line, and dates in output
//! - `runtime`: the runtime of commands that wait
//! - `outcome`: the results of commands, and exit codes
//! - `color`: when output has colours
//! - `reference`: the pages of `docs/reference`, which are made of the code

mod announce;
mod apply;
mod arguments;
mod color;
mod completions;
mod ctl;
mod description;
mod dev;
mod input;
mod inspect;
mod keys;
mod lab;
mod logging;
mod man;
mod manifest;
mod new;
mod outcome;
mod output;
mod par;
mod plan;
#[cfg(test)]
mod reference;
mod registry;
mod run;
mod runtime;
mod secret;
mod sign;
mod signals;
mod state_folder;
mod table;
mod time;
mod top;
mod watch;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::CommandFactory as _;
use outcome::CommandResult;

/// The argument with which hosts start this program for a plugin. It is not listed as a command: see
/// [`PluginProcess`](wasmcloud_plugin::PluginProcess).
const PLUGIN_HOST: &str = "plugin-host";

fn main() -> ExitCode {
    // Checked before the command line is parsed, because the process of a plugin must do nothing else.
    if std::env::args_os().skip(1).eq([PLUGIN_HOST]) {
        return wasmcloud_plugin::serve_plugin();
    }
    let code = match Arguments::of_this_process().and_then(run) {
        Ok(text) => outcome::print(&text),
        Err(failure) => failure.report(),
    };
    logging::flush();
    code
}

/// Runs a command, and returns its output.
fn run(arguments: Arguments) -> CommandResult {
    match arguments.command {
        None => Ok(arguments::help()),
        Some(Command::Dev(command)) => dev::run(*command),
        Some(Command::New(command)) => new::run(&command),
        Some(Command::Run(command)) => run::run(*command),
        Some(Command::Ctl(command)) => ctl::run(command),
        Some(Command::Top(command)) => top::run(*command),
        Some(Command::Manifest(command)) => manifest::run(command),
        Some(Command::Plan(command)) => plan::run(command),
        Some(Command::Apply(command)) => apply::run(command),
        Some(Command::Lab(command)) => lab::run(command),
        Some(Command::Registry(command)) => registry::run(command),
        Some(Command::Keys(command)) => keys::run(command),
        Some(Command::Sign(command)) => sign::run(command),
        Some(Command::Inspect(command)) => inspect::run(&command),
        Some(Command::Par(command)) => par::run(command),
        Some(Command::Completions(command)) => completions::run(&command, Arguments::command()),
        Some(Command::Man(command)) => man::run(&command, Arguments::command()),
    }
}
