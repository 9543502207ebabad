//! `wasmcloud new provider`: a project for a capability provider that is a plugin.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;

use clap::ValueEnum;
use wasmcloud_provider_sdk::sources::{HEADER, SOURCES};

use super::name::ProjectName;
use super::project::{Project, TemplateFile, place, report, template, text};
use crate::outcome::CommandResult;
use crate::sign;

/// Makes a project for a capability provider: code with tests, a manifest, and a README with the commands to build, pack and
/// run it.
///
/// Nothing is downloaded: the SDK is copied into the project. A folder that exists is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud new provider clock
  wasmcloud new provider clock --contract example:time --lang c --path providers/clock")]
pub(crate) struct Provider {
    /// The name of the provider and its package: lower-case letters, digits, - and _, beginning with a letter.
    #[arg(value_name = "NAME")]
    name: ProjectName,

    /// The language of the provider.
    #[arg(long, short, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,

    /// The contract that the provider serves, such as wasmcloud:keyvalue, or keyvalue for short. Default: example:NAME.
    #[arg(long, short, value_name = "CONTRACT", value_parser = contract)]
    contract: Option<String>,

    /// The folder to make. The folder around it must exist. Default: the name, in the working folder.
    #[arg(long, short, value_name = "FOLDER")]
    path: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Language {
    /// Rust, built by cargo.
    Rust,
    /// C, built by make.
    C,
}

/// Parses a contract id that can stand in code, in manifests and in commands without being quoted.
fn contract(text: &str) -> Result<String, String> {
    let contract = sign::contract(text)?;
    let is_plain = |character: char| character.is_ascii_alphanumeric() || ":._-".contains(character);
    if !contract.chars().all(is_plain) {
        return Err("a contract id for a project has letters, digits, `.`, `_`, `-` and `:` only".to_owned());
    }
    Ok(contract)
}

pub(super) fn run(command: &Provider) -> CommandResult {
    let contract = command.contract.clone().unwrap_or_else(|| format!("example:{}", command.name));
    let vendor = contract.split(':').next().unwrap_or_default();
    let project = Project::new(&command.name).value("contract", &contract).value("vendor", vendor);
    let project = match command.lang {
        Language::Rust => in_rust(project)?,
        Language::C => in_c(project),
    };
    let folder = place(command.path.as_ref(), &command.name);
    let files = project.write(&folder)?;
    let made = project.filled("a provider in {{language}} for the contract {{contract}}");
    let [build, test] = ["{{build}}", "{{test}}"].map(|command| project.filled(command));
    Ok(report(&folder, &format!("{made}, {files} files"), &[&build, &test]).into())
}

fn in_rust(project: Project) -> CommandResult<Project> {
    let project = project
        .value("language", "Rust")
        .value("source", "src/lib.rs")
        .value("build", "cargo build --release")
        .value("test", "cargo test")
        .value("built", &format!("target/release/{DLL_PREFIX}{{{{library}}}}{DLL_SUFFIX}"))
        .value("sdk", "sdk")
        .value("sdk_is", "the SDK")
        .files(template![
            ".gitignore": "provider/rust/gitignore.in",
            "Cargo.toml": "provider/rust/Cargo.toml.in",
            "README.md": "provider/README.md.in",
            "sdk/Cargo.toml": "provider/rust/sdk.toml.in",
            "src/lib.rs": "provider/rust/lib.rs",
            "{{name}}.yaml": "provider/manifest.yaml.in",
        ])
        .lock(text!("provider/rust/Cargo.lock.in"))?;
    Ok(SOURCES.iter().fold(project, |project, source| project.file(format!("sdk/{}", source.path), source.text)))
}

fn in_c(project: Project) -> Project {
    project
        .value("language", "C")
        .value("source", "{{name}}.c")
        .value("build", "make")
        .value("test", "make test")
        .value("built", "build/lib{{library}}.so")
        .value("sdk", "include/wasmcloud_provider.h")
        .value("sdk_is", "the interface")
        .files(template![
            ".gitignore": "provider/c/gitignore.in",
            "Makefile": "provider/c/Makefile",
            "README.md": "provider/README.md.in",
            "tests/tests.c": "provider/c/tests.c",
            "{{name}}.c": "provider/c/provider.c",
            "{{name}}.yaml": "provider/manifest.yaml.in",
        ])
        .file(HEADER.path.to_owned(), HEADER.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_can_stand_in_code() {
        assert_eq!(contract("keyvalue").unwrap(), "wasmcloud:keyvalue");
        assert_eq!(contract("example:clock-2.x_y").unwrap(), "example:clock-2.x_y");
        for bad in ["clock", "a:b\"", "a:b c", "a:b\n", "a:{{name}}", "a:$(id)", "a:b'", "a:%s", "a:\\"] {
            assert!(contract(bad).is_err(), "{bad:?}");
        }
    }
}
