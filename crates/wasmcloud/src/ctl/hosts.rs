//! `wasmcloud ctl hosts`: lists the hosts of the lattice.

use std::collections::BTreeMap;

use wasmcloud_control::message::HostSummary;

use super::Session;
use super::values::spoken;
use crate::outcome::CommandResult;
use crate::table::Table;

/// Lists the hosts of the lattice.
///
/// The list is complete as soon as all hosts have answered that the others know of.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud ctl hosts
  wasmcloud ctl hosts --control-host nats.example --output json")]
pub(super) struct Hosts {}

pub(super) async fn run(session: &Session) -> CommandResult {
    let hosts = session.hosts().await?;
    session.print(&hosts, || table(&hosts))
}

fn table(hosts: &[HostSummary]) -> Table {
    let mut table = Table::new(&["HOST", "UPTIME", "STATE", "ACTORS", "PROVIDERS", "VERSION", "LABELS"]);
    for host in hosts {
        let count = |count: Option<usize>| count.map(|count| count.to_string()).unwrap_or_default();
        table.row([
            host.id.clone(),
            spoken(host.uptime),
            if host.cordoned { "cordoned" } else { "open" }.to_owned(),
            count(host.actors),
            count(host.providers),
            host.version.clone().unwrap_or_default(),
            pairs(&host.labels),
        ]);
    }
    table
}

/// Returns names with their values as a text.
pub(super) fn pairs(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}
