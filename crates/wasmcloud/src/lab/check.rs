//! `wasmcloud lab check`: reads a plan without running it.

use std::path::PathBuf;

use wasmcloud_core::text::escaped;

use super::load;
use super::plan::{End, Plan};
use crate::outcome::CommandResult;
use crate::output::shown;

/// Reads a plan and its manifest, and says what is wrong with them.
///
/// Keys, values and variables are checked. Modules and archives are not read: whether the manifest has the actors and providers
/// that the plan names is known when it runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wasmcloud lab check crashes.yaml")]
pub(crate) struct Check {
    /// The plan: YAML, TOML (.toml) or JSON (.json).
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
}

pub(super) fn run(command: &Check) -> CommandResult {
    let plan = Plan::read(&command.plan)?;
    let manifest = plan.manifest()?;
    let counts = [
        count(plan.runs, "run"),
        count(manifest.actors.len(), "actor"),
        count(manifest.capabilities.len(), "provider"),
        count(plan.loads.len(), "load"),
        count(plan.expect.len(), "expectation"),
    ];
    let mut text = format!("{} is a plan: {}\n", shown(&command.plan), counts.join(", "));
    for one in &plan.loads {
        let end = match one.end {
            End::Calls(calls) => count(usize::try_from(calls).unwrap_or(usize::MAX), "call"),
            End::After(duration) => format!("{duration:?}"),
        };
        text.push_str(&format!("  load {}: {end}, {}\n", escaped(&one.name), load::pace(one)));
    }
    for faults in &plan.faults {
        text.push_str(&format!("  faults of {}\n", escaped(faults.entity.as_str())));
    }
    for expectation in &plan.expect {
        text.push_str(&format!("  expects {}\n", escaped(&expectation.in_words())));
    }
    Ok(text.into())
}

/// Returns "1 load" or "2 loads".
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
