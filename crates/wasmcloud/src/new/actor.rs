//! `wasmcloud new actor`: a project for an actor.

mod assemblyscript;
mod rust;

use std::path::PathBuf;

use clap::ValueEnum;

use super::name::ProjectName;
use super::project::{Project, place, report};
use crate::outcome::CommandResult;

/// Makes a project for an actor: code with tests, a manifest, and a README with the commands to build, run and release it.
///
/// Nothing is downloaded. A folder that exists is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud new actor hello
  wasmcloud new actor counter --template kv --path actors/counter
  wasmcloud new actor hello --lang assemblyscript")]
pub(crate) struct Actor {
    /// The name of the actor and its package: lower-case letters, digits, - and _, beginning with a letter.
    #[arg(value_name = "NAME")]
    name: ProjectName,

    /// What the actor does at first.
    #[arg(long, short, default_value = "http")]
    template: Template,

    /// The language of the actor.
    #[arg(long, short, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,

    /// The folder to make. The folder around it must exist. Default: the name, in the working folder.
    #[arg(long, short, value_name = "FOLDER")]
    path: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Template {
    /// Answers HTTP requests.
    Http,
    /// Counts HTTP requests in a key-value store.
    Kv,
    /// Has an operation of its own, and no capabilities.
    Empty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Rust, built by cargo for wasm32-unknown-unknown.
    Rust,
    /// AssemblyScript, built by npm. It has the template http only.
    Assemblyscript,
}

/// A project for an actor, and what comes next.
struct Started {
    project: Project,
    language: &'static str,
    /// The commands that come next.
    next: &'static [&'static str],
}

pub(super) fn run(command: &Actor) -> CommandResult {
    let started = match command.lang {
        Language::Rust => rust::start(&command.name, command.template)?,
        Language::Assemblyscript => assemblyscript::start(&command.name, command.template)?,
    };
    let folder = place(command.path.as_ref(), &command.name);
    let files = started.project.write(&folder)?;
    Ok(report(&folder, &format!("an actor in {}, {files} files", started.language), started.next).into())
}
