//! `wasmcloud dev`: from an unsigned module to a running actor that follows each change of its file.
//!
//! # Layout
//! - `keys`: the keys that sign during development
//! - `links`: the capabilities of the actor, and the values of its links
//! - `actor`: the running actor, and its revisions
//! - `project`: the project in the working folder, which is built before and during the session
//! - `session`: the start, the changes and the end

mod actor;
mod keys;
mod links;
mod project;
mod session;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use project::Project;
use wasmcloud_host::Compiler;

use crate::logging;
use crate::outcome::{CommandError, CommandResult};
use crate::run::compiler;
use crate::runtime::in_runtime;
use crate::state_folder::{DEFAULT, StateFolder};
use crate::watch::Watch;
use crate::{input, sign};

/// Runs a module that is not signed as an actor, serves it by HTTP, and replaces the actor each time the file changes.
///
/// Without a file, the project in the working folder is built, and built again each time its code changes.
///
/// The actor is signed in memory with development keys, which are made at the first start. It may use HTTP, a key-value store
/// in the folder .wasmcloud, the log and the extras. A file that is no valid actor does not replace the running one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud dev
  wasmcloud dev target/wasm32-unknown-unknown/release/echo.wasm
  wasmcloud dev echo.wasm --port 9000 --compiler cranelift
  wasmcloud dev proxy.wasm -c httpclient --value httpclient:ALLOWED_HOSTS=example.com
  wasmcloud dev worker.wasm -c messaging --value messaging:SUBSCRIPTION=jobs.* --env messaging:URL=NATS_URL

Short names of contracts: blobstore, extras, httpclient, httpserver, keyvalue, logging, messaging.")]
pub(crate) struct Dev {
    /// The module. Default: what the project in the working folder is built to. That is a package with a Cargo.toml, built by
    /// `cargo build --release --target wasm32-unknown-unknown`, or one with a package.json, built by `npm run build`.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    /// The port to serve HTTP on. Default: 8080, or any free port if that is in use.
    #[arg(long, short)]
    port: Option<u16>,

    /// The IP address to serve HTTP on.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,

    /// The actor's name. Default: the name of the file.
    #[arg(long, short)]
    name: Option<String>,

    /// The name by which other actors may call the actor. Default: none.
    #[arg(long)]
    alias: Option<String>,

    /// A contract that the actor may use, beside httpserver, keyvalue, logging and extras. Can be given several times.
    #[arg(long = "capability", short, value_name = "CONTRACT", value_parser = sign::contract)]
    capabilities: Vec<String>,

    /// A value of the link to a provider. Can be given several times.
    #[arg(long = "value", value_name = "CONTRACT:NAME=VALUE", value_parser = links::value)]
    values: Vec<links::LinkValue>,

    /// A value of the link to a provider that comes from a variable of the environment, such as a password. Can be given
    /// several times.
    #[arg(long = "env", value_name = "CONTRACT:NAME=VARIABLE", value_parser = links::variable)]
    variables: Vec<links::LinkValue>,

    /// The compiler: cranelift makes fast code, singlepass compiles fast.
    #[arg(long, default_value = "cranelift", value_parser = compiler)]
    compiler: Compiler,

    /// The form of the log on standard error: text, or json for an object in each line.
    #[arg(long, value_name = "FORMAT", env = "WASMCLOUD_LOG_FORMAT", default_value = "text")]
    log_format: logging::Format,
}

pub(crate) fn run(command: Dev) -> CommandResult {
    let default = "warn,wasmcloud_actor=debug,wasmcloud_host::guest=info";
    logging::start_by_environment(default, command.log_format).map_err(CommandError::Usage)?;
    let links = links::Links::new(&command)?;
    let mut project = if command.file.is_none() { Some(Project::here()?) } else { None };
    if let Some(project) = &project {
        in_runtime(project.build())??;
    }
    let built = project.as_ref().map(|project| project.module().to_owned());
    let file = command.file.clone().or(built).unwrap_or_default();
    // Changes from here on are noticed. Nothing is made before the file could be read: a wrong path leaves no trace.
    let watch = Watch::of(vec![file.clone()])?;
    let module = input::read(&file, "the module")?;
    let folder = StateFolder::lock(Path::new(DEFAULT))?;
    let subject = session::Subject { file: &file, project: project.as_mut(), command: &command };
    let ended = in_runtime(session::run(subject, &module, links, watch, &folder)).and_then(|ended| ended);
    if ended.is_err() {
        folder.remove_if_new();
    }
    ended
}
