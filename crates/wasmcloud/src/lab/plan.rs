//! What a plan says: the manifest, the loads, the faults, and what is expected.
//!
//! # Layout
//! - `schema`, `faults`, `expect`: the keys of a plan, and their values
//! - `payload`: what calls carry
//! - `values`: rates, shares and other numbers of plans
//! - `seed`: the seeds of runs and of entries of faults

mod expect;
mod faults;
mod payload;
mod schema;
mod seed;
#[cfg(test)]
mod tests;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use wasmcloud_document::{DocumentError, Expansion, Format, TextError, environment, read_text};
use wasmcloud_host::{Experiment, HostManifest, ManifestRestart, RestartPolicy};

use super::entity_name::EntityName;
use super::expectation::Expectation;
use super::report::SourceFile;
use crate::outcome::{CommandError, CommandResult};
use crate::output::shown;
pub(super) use seed::{seed_of_faults, seed_of_run};
pub(super) use values::shown_url;

/// A plan.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: String,
    /// The path of the manifest, as the program finds it.
    pub(super) manifest: PathBuf,
    pub(super) seed: u64,
    /// How often the plan is run.
    pub(super) runs: usize,
    /// The calls of each load that are made before faults are injected and anything is recorded.
    pub(super) warm_up: u64,
    pub(super) host: HostChange,
    pub(super) actors: Vec<ActorChange>,
    pub(super) loads: Vec<Load>,
    pub(super) faults: Vec<Faults>,
    pub(super) expect: Vec<Expectation>,
    pub(super) source: SourceFile,
}

/// What a plan sets of the host.
#[derive(Debug, Clone, Default)]
pub(super) struct HostChange {
    pub(super) shards: Option<usize>,
    pub(super) call_deadline: Option<Duration>,
    pub(super) restart: ManifestRestart,
}

/// What a plan changes in the manifest's entry of an actor.
#[derive(Debug, Clone)]
pub(super) struct ActorChange {
    /// The actor, by its `image_ref` in the manifest.
    pub(super) image_ref: String,
    pub(super) instances: Option<usize>,
    pub(super) restart: ManifestRestart,
}

/// Calls that are made.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) name: String,
    pub(super) target: Target,
    /// The most calls at a time.
    pub(super) callers: usize,
    pub(super) pace: Pace,
    pub(super) end: End,
    /// The time after which it begins.
    pub(super) start: Duration,
    /// What has to be answered.
    pub(super) answer: Option<Vec<u8>>,
}

/// What is called.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// An operation of an actor.
    Actor {
        /// The actor: a public key, a call alias or a name.
        actor: String,
        operation: String,
        payload: Vec<u8>,
    },
    /// A URL.
    Http {
        method: String,
        url: String,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        /// The status that counts as an answer. Default: any from 200 to 299.
        status: Option<u16>,
    },
}

/// When calls begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// Each caller makes its next call after the answer and a pause.
    Closed { pause: Duration },
    /// So many calls begin in each second, whether others have been answered or not.
    Open { rate: f64 },
}

/// When a load ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    After(Duration),
    Calls(u64),
}

/// The faults of an actor or provider.
#[derive(Debug, Clone)]
pub(super) struct Faults {
    pub(super) entity: EntityName,
    pub(super) rules: Vec<Rule>,
    pub(super) slow_start: Option<Duration>,
}

/// A rule: which calls are affected, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    CrashNth(u64),
    CrashEvery(u64),
    CrashBy(f64),
    DropNth(u64),
    DropBy(f64),
    Delay { from: Duration, to: Duration, by: f64 },
}

impl Plan {
    /// Reads a plan, with variables of the environment expanded.
    ///
    /// # Errors
    /// `Failed` if the file cannot be read, or is no plan. The text names the key, the line and the column.
    pub(super) fn read(path: &Path) -> CommandResult<Plan> {
        let text = read_text(path).map_err(|error| match error {
            TextError::Unreadable(error) => {
                CommandError::Failed(format!("cannot read the plan {}: {error}", shown(path)))
            }
            TextError::Invalid(error) => invalid(path, &error, ""),
        })?;
        let format = Format::of(path);
        Plan::of_text(path, text, format).map_err(|error| invalid(path, &error, format.note()))
    }

    fn of_text(path: &Path, text: String, format: Format) -> Result<Plan, DocumentError> {
        let mut document = format.read(&text)?;
        let mut expansion = Expansion::new(&environment);
        document.each_text(&mut |text| expansion.expand(text))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let source = source(path, text.as_bytes());
        schema::plan(document, folder, stem, SourceFile { text: Some(text), ..source })
    }

    /// Reads the manifest, with the changes of the plan.
    ///
    /// # Errors
    /// `Failed` if the manifest is malformed, or does not have an actor that the plan changes.
    pub(super) fn manifest(&self) -> CommandResult<HostManifest> {
        let mut manifest = HostManifest::from_path(&self.manifest, true)?;
        for change in &self.actors {
            let Some(actor) = manifest.actors.iter_mut().find(|actor| actor.image_ref == change.image_ref) else {
                let known: Vec<&str> = manifest.actors.iter().map(|actor| actor.image_ref.as_str()).collect();
                return Err(CommandError::Failed(format!(
                    "the plan changes the actor {:?}, which the manifest {} does not have: its actors are {}",
                    change.image_ref,
                    shown(&self.manifest),
                    known.join(", ")
                )));
            };
            actor.instances = change.instances.or(actor.instances);
            actor.restart = over(change.restart, actor.restart);
        }
        Ok(manifest)
    }

    /// Returns the manifest's file and digest.
    ///
    /// # Errors
    /// `Failed` if it cannot be read.
    pub(super) fn manifest_source(&self) -> CommandResult<SourceFile> {
        let bytes = crate::input::read(&self.manifest, "the manifest")?;
        Ok(source(&self.manifest, &bytes))
    }
}

impl Faults {
    /// Returns the experiment.
    pub(super) fn experiment(&self, seed: u64) -> Experiment {
        let experiment = Experiment::seeded(seed).slow_start(self.slow_start.unwrap_or_default());
        self.rules.iter().fold(experiment, |experiment, rule| match *rule {
            Rule::CrashNth(call) => experiment.crash_nth(call),
            Rule::CrashEvery(calls) => experiment.crash_every(calls),
            Rule::CrashBy(probability) => experiment.crash_with_probability(probability),
            Rule::DropNth(call) => experiment.drop_nth(call),
            Rule::DropBy(probability) => experiment.drop_with_probability(probability),
            Rule::Delay { from, to, by } => experiment.delay(from..=to, by),
        })
    }
}

impl HostChange {
    /// Returns the restart policy of what has none of its own.
    pub(super) fn restart_policy(&self) -> RestartPolicy {
        let ManifestRestart { restart, intensity, period, in_a_row, second_delay, longest_delay, .. } = self.restart;
        let policy = restart.into_iter().fold(RestartPolicy::new(), RestartPolicy::restart);
        let policy = in_a_row.into_iter().fold(policy, RestartPolicy::in_a_row);
        let policy = match (intensity, period) {
            (Some(intensity), Some(period)) => policy.intensity(intensity, period),
            _ => policy,
        };
        match (second_delay, longest_delay) {
            (Some(second), Some(longest)) => policy.delays(second, longest),
            _ => policy,
        }
    }
}

/// Returns one restart policy over another, part by part.
fn over(change: ManifestRestart, mut below: ManifestRestart) -> ManifestRestart {
    below.restart = change.restart.or(below.restart);
    below.intensity = change.intensity.or(below.intensity);
    below.period = change.period.or(below.period);
    below.in_a_row = change.in_a_row.or(below.in_a_row);
    below.second_delay = change.second_delay.or(below.second_delay);
    below.longest_delay = change.longest_delay.or(below.longest_delay);
    below
}

fn source(path: &Path, bytes: &[u8]) -> SourceFile {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    SourceFile { file, digest: format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(bytes))), text: None }
}

fn invalid(path: &Path, error: &DocumentError, note: &str) -> CommandError {
    CommandError::Failed(format!("the plan {} is invalid: {error}{note}", shown(path)))
}
