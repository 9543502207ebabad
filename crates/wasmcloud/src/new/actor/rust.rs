//! Actors in Rust.

use super::super::name::ProjectName;
use super::super::project::{Project, TemplateFile, template, text};
use super::{Started, Template};
use crate::outcome::{CommandError, CommandResult};

/// What differs between the templates.
struct Contents {
    /// What the actor does, in the words of the README.
    does: &'static str,
    /// The README's text about trying the actor.
    tried: &'static str,
    /// The options of `wasmcloud sign` for the contracts that the actor uses.
    claims: &'static str,
    /// The lock file: the dependencies that this template is tested with.
    lock: &'static str,
    files: &'static [TemplateFile],
}

const HTTP: Contents = Contents {
    does: "answers HTTP requests",
    tried: TRY_HTTP,
    claims: "-c httpserver ",
    lock: text!("actor/rust/http/Cargo.lock.in"),
    files: template![
        "{{name}}.yaml": "actor/http.yaml.in",
        "Cargo.toml": "actor/rust/http/Cargo.toml.in",
        "src/lib.rs": "actor/rust/http/lib.rs",
    ],
};

const KV: Contents = Contents {
    does: "counts HTTP requests in a key-value store",
    tried: TRY_HTTP,
    claims: "-c httpserver -c keyvalue ",
    lock: text!("actor/rust/kv/Cargo.lock.in"),
    files: template![
        "{{name}}.yaml": "actor/kv.yaml.in",
        "Cargo.toml": "actor/rust/kv/Cargo.toml.in",
        "src/lib.rs": "actor/rust/kv/lib.rs",
    ],
};

const EMPTY: Contents = Contents {
    does: "greets those who call it",
    tried: TRY_CALL,
    claims: "",
    lock: text!("actor/rust/empty/Cargo.lock.in"),
    files: template![
        "{{name}}.yaml": "actor/empty.yaml.in",
        "Cargo.toml": "actor/rust/empty/Cargo.toml.in",
        "src/lib.rs": "actor/rust/empty/lib.rs",
    ],
};

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
        .files(contents.files)
        .file("Cargo.lock".to_owned(), &lock(name, contents.lock)?);
    let next = &[
        "rustup target add wasm32-unknown-unknown",
        "cargo build --release --target wasm32-unknown-unknown",
        "wasmcloud dev target/wasm32-unknown-unknown/release/{{library}}.wasm",
    ];
    Ok(Started { project, language: "Rust", next })
}

/// Returns a lock file with the project's name.
///
/// # Errors
/// `Usage` if a dependency has that name.
fn lock(name: &ProjectName, text: &str) -> CommandResult<String> {
    const PACKAGE: &str = "[[package]]\n";
    if text.contains(&format!("name = \"{name}\"\n")) {
        let message =
            format!("a dependency of the project is named {name} too: choose another name, such as my-{name}");
        return Err(CommandError::Usage(message));
    }
    let text = text.replace("{{name}}", name.as_str());
    let mut parts = text.split(PACKAGE);
    let head = parts.next().unwrap_or_default();
    let mut packages: Vec<&str> = parts.map(str::trim_end).collect();
    // cargo sorts them by name, and takes a file in any other order for an old one.
    packages.sort_unstable();
    Ok(format!("{head}{PACKAGE}{}\n", packages.join(&format!("\n\n{PACKAGE}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_sorted_and_names_no_package_twice() {
        for contents in [HTTP, KV, EMPTY] {
            for name in ["aaa", "hello", "wasmcloud", "zzz"] {
                let lock = lock(&name.parse().unwrap(), contents.lock).unwrap();
                let names: Vec<&str> = lock.lines().filter(|line| line.starts_with("name = ")).collect();
                assert!(names.is_sorted() && names.contains(&format!("name = \"{name}\"").as_str()), "{names:?}");
                assert_eq!(lock.len(), contents.lock.len() - "{{name}}".len() + name.len());
            }
            assert!(matches!(lock(&"serde".parse().unwrap(), contents.lock), Err(CommandError::Usage(_))));
        }
    }
}
