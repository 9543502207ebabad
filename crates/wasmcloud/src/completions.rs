//! `wasmcloud completions`: prints the script by which a shell completes the commands and options of this program.

use clap::ValueEnum;
use clap_complete::aot::{Bash, Fish, Zsh, generate};

use crate::outcome::{CommandError, CommandResult};

/// Prints the script by which a shell completes commands and options.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud completions bash > ~/.local/share/bash-completion/completions/wasmcloud
  wasmcloud completions zsh > ~/.zfunc/_wasmcloud
  wasmcloud completions fish > ~/.config/fish/completions/wasmcloud.fish

bash needs the package bash-completion. zsh needs these lines in ~/.zshrc:
  fpath=(~/.zfunc $fpath)
  autoload -Uz compinit && compinit")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Prints the script for the arguments of this program.
pub(crate) fn run(command: &Completions, mut arguments: clap::Command) -> CommandResult {
    let name = arguments.get_name().to_owned();
    let mut script = Vec::new();
    match command.shell {
        Shell::Bash => generate(Bash, &mut arguments, name, &mut script),
        Shell::Zsh => generate(Zsh, &mut arguments, name, &mut script),
        Shell::Fish => generate(Fish, &mut arguments, name, &mut script),
    }
    let script = String::from_utf8(script)
        .map_err(|error| CommandError::Failed(format!("the script for the shell is not UTF-8: {error}")))?;
    Ok(script.into())
}
