//! Actors in Rust.

use super::super::name::ProjectName;
use super::super::project::{Project, TemplateFile, template, text};
use super::{Started, Template};
use crate::outcome::CommandResult;

/// What differs between the templates.
struct Contents {
    /// What the actor does, in the words of the README.
    does: &'static str,
    /// The README's text about trying the actor.
    tried: &'static str,
    /// The options of `wasmcloud sign` for the contracts that the actor uses.
    claims: &'static str,
    files: [TemplateFile; 3],
    /// The lock file: the dependencies that this template is tested with.
    lock: &'static str,
}

/// Returns the contents of a template, by the name of its folder.
macro_rules! contents {
    ($folder:literal, does: $does:expr, tried: $tried:expr, claims: $claims:expr) => {
        Contents {
            does: $does,
            tried: $tried,
            claims: $claims,
            files: [
                TemplateFile { path: "{{name}}.yaml", text: text!("actor/", $folder, ".yaml.in") },
                TemplateFile { path: "Cargo.toml", text: text!("actor/rust/", $folder, "/Cargo.toml.in") },
                TemplateFile { path: "src/lib.rs", text: text!("actor/rust/", $folder, "/lib.rs") },
            ],
            lock: text!("actor/rust/", $folder, "/Cargo.lock.in"),
        }
    };
}

const HTTP: Contents = contents!("http", does: "answers HTTP requests", tried: TRY_HTTP, claims: "-c httpserver ");

const KV: Contents = contents!(
    "kv",
    does: "counts HTTP requests in a key-value store",
    tried: TRY_HTTP,
    claims: "-c httpserver -c keyvalue "
);

const EMPTY: Contents = contents!("empty", does: "greets those who call it", tried: TRY_CALL, claims: "");

/// The files that all templates share.
const SHARED: &[TemplateFile] = template![
    ".gitignore": "actor/rust/gitignore.in",
    "README.md": "actor/rust/README.md.in",
];

const TRY_HTTP: &str = "In another terminal:\n\n```sh\ncurl http://localhost:8080/\n```";

const TRY_CALL: &str = "\
It serves no HTTP: other actors and programs call its operation `Greet`. To call it from the command line, release it as below,
but run it in a lattice, with a NATS server:

```sh
wasmcloud run {{name}}.yaml --rpc-host 127.0.0.1
printf world | wasmcloud ctl call {{name}} Greet --raw /dev/stdin
```";

pub(super) fn start(name: &ProjectName, template: Template) -> CommandResult<Started> {
    let contents = match template {
        Template::Http => HTTP,
        Template::Kv => KV,
        Template::Empty => EMPTY,
    };
    let project = Project::new(name)
        .value("does", contents.does)
        .value("try", contents.tried)
        .value("claims", contents.claims)
        .files(SHARED)
        .files(&contents.files)
        .lock(contents.lock)?;
    let next = &["rustup target add wasm32-unknown-unknown", "wasmcloud dev"];
    Ok(Started { project, language: "Rust", next })
}
