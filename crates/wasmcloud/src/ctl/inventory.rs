//! `wasmcloud ctl inventory`: shows what hosts run.

use std::fmt::Write;

use wasmcloud_control::message::{EntityEntry, WholeInventory};
use wasmcloud_core::text::escaped;

use super::Session;
use super::hosts::pairs;
use super::values::spoken;
use crate::description;
use crate::outcome::CommandResult;
use crate::table::Table;

/// Shows what a host runs, or what all hosts run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl inventory
  wasmcloud ctl inventory NCG4IPZS
  wasmcloud ctl inventory NCG4IPZS --output json")]
pub(super) struct Inventory {
    /// The host, by its public key or the beginning of it. Default: all hosts.
    #[arg(value_name = "HOST")]
    host: Option<String>,
}

pub(super) async fn run(command: Inventory, session: &Session) -> CommandResult {
    let inventories = match command.host {
        Some(host) => session.inventories(&[session.host(&host).await?]).await?,
        None => session.inventories(&session.all_hosts().await?).await?,
    };
    if session.is_json() {
        return description::json(&inventories);
    }
    let mut text = String::new();
    for (number, inventory) in inventories.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        text.push_str(&described(inventory));
    }
    Ok(text.into())
}

fn described(inventory: &WholeInventory) -> String {
    let mut text = format!("Host {}", inventory.host_id);
    // Writing to a string does not fail.
    if let Some(uptime) = inventory.uptime {
        let _ = write!(text, ", up for {}", spoken(uptime));
    }
    if inventory.cordoned {
        text.push_str(", cordoned");
    }
    let _ =
        writeln!(text, "\nLabels: {}", if inventory.labels.is_empty() { "-".into() } else { pairs(&inventory.labels) });
    let mut text: String = text.lines().map(|line| format!("{}\n", escaped(line))).collect();
    if !inventory.actors.is_empty() {
        text.push('\n');
        text.push_str(&actors(&inventory.actors).to_text());
    }
    if !inventory.providers.is_empty() {
        text.push('\n');
        text.push_str(&providers(&inventory.providers).to_text());
    }
    text
}

fn actors(entries: &[EntityEntry]) -> Table {
    let titles = ["ACTOR", "NAME", "ALIAS", "REVISION", "INSTANCES", "STATE", "HEALTH", "RESTARTS", "IMAGE"];
    let mut table = Table::new(&titles);
    for entry in entries {
        table.row([
            entry.id.clone(),
            entry.name.clone().unwrap_or_default(),
            entry.call_alias.clone().unwrap_or_default(),
            entry.revision.to_string(),
            entry.instances.map(|instances| instances.to_string()).unwrap_or_default(),
            state(entry),
            entry.health.clone().unwrap_or_default(),
            entry.restarts.to_string(),
            entry.image_ref.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn providers(entries: &[EntityEntry]) -> Table {
    let titles = ["PROVIDER", "NAME", "CONTRACT", "LINK NAME", "STATE", "HEALTH", "RESTARTS", "IMAGE"];
    let mut table = Table::new(&titles);
    for entry in entries {
        table.row([
            entry.id.clone(),
            entry.name.clone().unwrap_or_default(),
            entry.contract_id.clone().unwrap_or_default(),
            entry.link_name.clone().unwrap_or_default(),
            state(entry),
            entry.health.clone().unwrap_or_default(),
            entry.restarts.to_string(),
            entry.image_ref.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn state(entry: &EntityEntry) -> String {
    match &entry.reason {
        Some(reason) => format!("{}: {reason}", entry.state),
        None => entry.state.clone(),
    }
}
