//! The stock binary: keys, signatures and archives on the command line.
//!
//! # Layout
//! - `arguments`: what can be asked for; each command is a room of its own
//! - `keys`, `sign`, `inspect`, `par`: the commands
//! - `input`, `output`: the files that commands read and write
//! - `secret`: seeds, and where they come from
//! - `description`: what is known of a module or an archive, for people and for programs
//! - `moment`: spans of time as they are typed, points in time as they are read
//! - `outcome`: what a command ends with

mod arguments;
mod description;
mod input;
mod inspect;
mod keys;
mod moment;
mod outcome;
mod output;
mod par;
mod secret;
mod sign;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use outcome::Outcome;

/// The one argument of a process for a plugin. It is no command for people: see
/// [`PluginProcess`](wasmcloud_plugin::PluginProcess).
const PLUGIN_HOST: &str = "plugin-host";

fn main() -> ExitCode {
    // Started like this by a host, it is a process for a plugin, and nothing else.
    if std::env::args_os().skip(1).eq([PLUGIN_HOST]) {
        return wasmcloud_plugin::serve_plugin();
    }
    match Arguments::of_this_process().and_then(run) {
        Ok(text) => outcome::print(&text),
        Err(failure) => failure.report(),
    }
}

/// Carries a command out. What it has to say is its outcome.
fn run(arguments: Arguments) -> Outcome {
    match arguments.command {
        None => Ok(arguments::help()),
        Some(Command::Keys(command)) => keys::run(command),
        Some(Command::Sign(command)) => sign::run(command),
        Some(Command::Inspect(command)) => inspect::run(&command),
        Some(Command::Par(command)) => par::run(command),
    }
}
