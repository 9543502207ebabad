//! `wasmcloud ctl`: shows and changes what the hosts of a lattice run, over NATS.
//!
//! # Layout
//! - `session`: the connection with the lattice, and how results are printed
//! - `connection`: the NATS servers and the login
//! - `lookup`: finds hosts, actors and providers by what people call them
//! - `orders`, `progress`: changes, and their outcome
//! - `values`: arguments that commands share
//! - `caller`, `msgpack`: calls of actors, and their payloads
//! - all others: a command each

mod auction;
mod call;
mod caller;
mod claims;
mod connection;
mod cordon;
mod drain;
mod events;
mod hosts;
mod inventory;
mod label;
mod link;
mod links;
mod lookup;
pub(crate) mod msgpack;
mod orders;
mod progress;
mod scale;
mod session;
mod start;
mod stop;
mod unlink;
mod update;
mod values;

use clap::Subcommand;

use crate::outcome::CommandResult;
use crate::runtime::in_runtime;
pub(crate) use progress::Progress;
pub(crate) use session::{LatticeOptions, Session};
pub(crate) use values::duration;

/// Shows and changes what the hosts of a lattice run, over NATS.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Hosts, actors and providers may be named by the beginning of their public keys, and actors by their call aliases.

Examples:
  wasmcloud ctl hosts
  wasmcloud ctl inventory --output json
  wasmcloud ctl start actor registry.example/echo:1.2.0
  wasmcloud ctl start provider builtin:httpserver
  wasmcloud ctl link echo builtin:httpserver wasmcloud:httpserver PORT=8080
  wasmcloud ctl events --follow")]
pub(crate) struct Ctl {
    #[command(flatten)]
    lattice: LatticeOptions,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Hosts(hosts::Hosts),
    Inventory(inventory::Inventory),
    Claims(claims::Claims),
    Links(links::Links),
    #[command(subcommand)]
    Start(start::Start),
    #[command(subcommand)]
    Stop(stop::Stop),
    Update(update::Update),
    Scale(scale::Scale),
    Label(label::Label),
    Link(link::Link),
    Unlink(unlink::Unlink),
    Call(call::Call),
    #[command(subcommand)]
    Auction(auction::Auction),
    Drain(drain::Drain),
    Cordon(cordon::Cordon),
    Uncordon(cordon::Uncordon),
    Events(events::Events),
}

pub(crate) fn run(ctl: Ctl) -> CommandResult {
    in_runtime(carry_out(ctl))?
}

async fn carry_out(Ctl { lattice, command }: Ctl) -> CommandResult {
    let session = Session::open(lattice).await?;
    match command {
        Command::Hosts(_) => hosts::run(&session).await,
        Command::Inventory(command) => inventory::run(command, &session).await,
        Command::Claims(command) => claims::run(command, &session).await,
        Command::Links(command) => links::run(command, &session).await,
        Command::Start(command) => start::run(command, &session).await,
        Command::Stop(command) => stop::run(command, &session).await,
        Command::Update(command) => update::run(command, &session).await,
        Command::Scale(command) => scale::run(command, &session).await,
        Command::Label(command) => label::run(command, &session).await,
        Command::Link(command) => link::run(command, &session).await,
        Command::Unlink(command) => unlink::run(command, &session).await,
        Command::Call(command) => call::run(command, &session).await,
        Command::Auction(command) => auction::run(command, &session).await,
        Command::Drain(command) => drain::run(command, &session).await,
        Command::Cordon(command) => cordon::cordon(command, &session).await,
        Command::Uncordon(command) => cordon::uncordon(command, &session).await,
        Command::Events(command) => events::run(command, &session).await,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use crate::arguments::Arguments;

    #[test]
    fn each_command_and_option_is_documented() {
        let page = include_str!("../../../docs/ctl.md");
        let mut arguments = Arguments::command();
        arguments.build();
        let ctl = arguments.find_subcommand("ctl").unwrap();
        for command in ctl.get_subcommands().filter(|command| command.get_name() != "help") {
            let name = command.get_name();
            assert!(page.contains(&format!("`{name}")), "docs/ctl.md does not name {name}");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("wasmcloud ctl {name}")), "{name} has no examples");
        }
        for option in ctl.get_opts().filter_map(clap::Arg::get_long).filter(|option| *option != "color") {
            assert!(page.contains(&format!("`--{option}`")), "docs/ctl.md does not name --{option}");
        }
    }
}
