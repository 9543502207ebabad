//! What an application of a manifest is asked to do, what it would change, and what came of it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_core::text::escaped;

/// The time for which a new revision is watched if [`ApplyOptions::probation`] does not set it.
const PROBATION: Duration = Duration::from_secs(1);

/// The options of [`Host::plan_manifest`](crate::Host::plan_manifest) and
/// [`Host::apply_manifest_with`](crate::Host::apply_manifest_with).
///
/// ```
/// use std::time::Duration;
/// use wasmcloud_host::ApplyOptions;
///
/// let options = ApplyOptions::new().prune(true).probation(Duration::from_secs(5));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApplyOptions {
    pub(crate) prune: bool,
    pub(crate) probation: Duration,
}

impl Default for ApplyOptions {
    fn default() -> ApplyOptions {
        ApplyOptions { prune: false, probation: PROBATION }
    }
}

impl ApplyOptions {
    /// Returns the default options.
    pub fn new() -> ApplyOptions {
        ApplyOptions::default()
    }

    /// Sets whether to remove what an application of the manifest of the same name once started on the host, and what the
    /// manifest no longer names. Default: false.
    #[must_use]
    pub fn prune(mut self, prune: bool) -> ApplyOptions {
        self.prune = prune;
        self
    }

    /// Sets the time for which a new revision of an actor or provider is watched after its update. If it crashes or is
    /// unhealthy in that time, the previous revision replaces it. All updates of a manifest are watched at once. Zero checks
    /// its health once. Default: 1 s.
    #[must_use]
    pub fn probation(mut self, probation: Duration) -> ApplyOptions {
        self.probation = probation;
        self
    }
}

/// The difference between a manifest and what runs in a host. [`Host::plan_manifest`](crate::Host::plan_manifest) returns
/// it. `Display` writes it as a list with `+`, `~` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ManifestPlan {
    /// The name of the manifest, by which its host remembers what it started. Empty if it has none.
    pub manifest: String,
    /// The public key of the host.
    pub host: String,
    /// The changes, in the order in which they are carried out.
    pub steps: Vec<PlanStep>,
    /// The number of entries that run as the manifest describes them.
    pub unchanged: usize,
    /// The images that the references of the manifest lead to now.
    #[serde(default)]
    pub images: Vec<PlannedImage>,
}

/// An image of a registry, as it was found for a [`ManifestPlan`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedImage {
    /// The reference in the manifest.
    pub reference: String,
    /// The digest of the image: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Whether the registry could not be asked, so that the image is that of an earlier answer.
    pub is_stale: bool,
}

/// A change that a manifest makes to a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlanStep {
    /// The kind of the change.
    pub action: PlanAction,
    /// The entry of the manifest, such as `actors[0] (echo.wasm)`. For what is removed, what it is.
    pub entry: String,
    /// What it is before the change, if it is there.
    pub from: Option<String>,
    /// What it is after the change, if it is there.
    pub to: Option<String>,
}

/// The kind of a [`PlanStep`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PlanAction {
    /// An actor or provider is started.
    Start,
    /// An actor or provider is stopped.
    Stop,
    /// An actor or provider is replaced by another revision, or runs with other options.
    Update,
    /// The number of an actor's instances changes.
    Scale,
    /// A link is set.
    Link,
    /// A link gets another provider or other values.
    Relink,
    /// A link is removed.
    Unlink,
    /// A label is set.
    Label,
    /// A label is removed, or is again what the host was built with.
    Unlabel,
}

/// What came of the application of a manifest. [`Host::apply_manifest_with`](crate::Host::apply_manifest_with) returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ManifestOutcome {
    /// The name of the manifest. Empty if it has none.
    pub manifest: String,
    /// The public key of the host.
    pub host: String,
    /// The changes, in the order in which they were carried out, with the result of each.
    pub steps: Vec<StepOutcome>,
    /// The number of entries that ran as the manifest describes them.
    pub unchanged: usize,
}

/// The outcome of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StepOutcome {
    /// The change.
    #[serde(flatten)]
    pub step: PlanStep,
    /// What came of it.
    pub result: StepResult,
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepResult {
    /// It was made.
    Done,
    /// It was made, the new revision failed its probation, and the previous revision runs again.
    RolledBack {
        /// What the new revision did.
        reason: String,
    },
    /// It could not be made. An actor or provider that was to be updated runs as before.
    Failed {
        /// The name of the error's kind, as [`ErrorKind::name`] returns it.
        kind: String,
        /// The text of the error.
        reason: String,
    },
}

impl PlanAction {
    /// Returns `+` for what is added, `-` for what is removed and `~` for what changes.
    pub fn sign(self) -> char {
        match self {
            PlanAction::Start | PlanAction::Link | PlanAction::Label => '+',
            PlanAction::Stop | PlanAction::Unlink | PlanAction::Unlabel => '-',
            PlanAction::Update | PlanAction::Scale | PlanAction::Relink => '~',
        }
    }

    /// Returns the word for the change, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            PlanAction::Start => "start",
            PlanAction::Stop => "stop",
            PlanAction::Update => "update",
            PlanAction::Scale => "scale",
            PlanAction::Link => "link",
            PlanAction::Relink => "relink",
            PlanAction::Unlink => "unlink",
            PlanAction::Label => "label",
            PlanAction::Unlabel => "unlabel",
        }
    }
}

impl ManifestPlan {
    /// Returns whether the host runs what the manifest describes.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl ManifestOutcome {
    /// Returns whether every change was made, and none of them was rolled back.
    pub fn is_complete(&self) -> bool {
        self.steps.iter().all(|step| step.result == StepResult::Done)
    }
}

impl StepResult {
    pub(crate) fn of_error(error: &Error) -> StepResult {
        StepResult::Failed { kind: error.kind().name().to_owned(), reason: error.to_string() }
    }

    /// Returns the error of a change that was not made or did not last.
    pub(crate) fn error(&self) -> Option<Error> {
        match self {
            StepResult::Done => None,
            StepResult::RolledBack { reason } => {
                let message = format!("{reason}; the previous revision runs again");
                Some(Error::new(ErrorKind::UpdateRefused, message))
            }
            StepResult::Failed { kind, reason } => {
                Some(Error::new(ErrorKind::from_name(kind).unwrap_or(ErrorKind::Internal), reason.clone()))
            }
        }
    }
}

impl fmt::Display for PlanStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:<7} {}", self.action.sign(), self.action.name(), escaped(&self.entry))?;
        let escaped = |text: &Option<String>| text.as_deref().map(|text| escaped(text).into_owned());
        match (escaped(&self.from), escaped(&self.to)) {
            (None, None) => Ok(()),
            (Some(from), None) => write!(f, ": {from}"),
            (None, Some(to)) => write!(f, ": {to}"),
            (Some(from), Some(to)) => write!(f, ": {from} -> {to}"),
        }
    }
}

impl fmt::Display for ManifestPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        for image in self.images.iter().filter(|image| image.is_stale) {
            writeln!(f, "! {} is taken from the cache: its registry could not be asked", escaped(&image.reference))?;
        }
        match self.steps.len() {
            0 => write!(f, "no change: {} run as described", entries(self.unchanged)),
            1 => write!(f, "1 change; {} run as described", entries(self.unchanged)),
            changes => write!(f, "{changes} changes; {} run as described", entries(self.unchanged)),
        }
    }
}

impl fmt::Display for StepOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)?;
        match &self.result {
            StepResult::Done => Ok(()),
            StepResult::RolledBack { reason } => write!(f, "\n  rolled back: {}", escaped(reason)),
            StepResult::Failed { reason, .. } => write!(f, "\n  failed: {}", escaped(reason)),
        }
    }
}

impl fmt::Display for ManifestOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        let count = |is: fn(&StepResult) -> bool| self.steps.iter().filter(|step| is(&step.result)).count();
        let done = count(|result| *result == StepResult::Done);
        let rolled_back = count(|result| matches!(result, StepResult::RolledBack { .. }));
        let failed = count(|result| matches!(result, StepResult::Failed { .. }));
        write!(
            f,
            "{done} done, {rolled_back} rolled back, {failed} failed; {} ran as described",
            entries(self.unchanged)
        )
    }
}

fn entries(number: usize) -> String {
    if number == 1 { "1 entry".to_owned() } else { format!("{number} entries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: PlanAction, from: Option<&str>, to: Option<&str>) -> PlanStep {
        let own = |text: &str| text.to_owned();
        PlanStep { action, entry: "actors[0] (e\u{1b}cho)".to_owned(), from: from.map(own), to: to.map(own) }
    }

    #[test]
    fn a_plan_reads_as_a_list_of_changes() {
        let steps = vec![
            step(PlanAction::Stop, Some("revision 1"), None),
            step(PlanAction::Start, None, Some("revision 2")),
            step(PlanAction::Scale, Some("1 instance"), Some("3 instances")),
        ];
        let mut plan =
            ManifestPlan { manifest: "demo".to_owned(), host: "N".to_owned(), steps, unchanged: 1, images: Vec::new() };
        let expected = "- stop    actors[0] (e\\u{1b}cho): revision 1\n\
                        + start   actors[0] (e\\u{1b}cho): revision 2\n\
                        ~ scale   actors[0] (e\\u{1b}cho): 1 instance -> 3 instances\n\
                        3 changes; 1 entry run as described";
        assert_eq!(plan.to_string(), expected);
        plan.steps.clear();
        assert_eq!(plan.to_string(), "no change: 1 entry run as described");
    }

    #[test]
    fn plans_and_outcomes_travel_as_json() {
        let plan = ManifestPlan {
            manifest: "demo".to_owned(),
            host: "N".to_owned(),
            steps: vec![step(PlanAction::Unlabel, Some("a"), None)],
            unchanged: 2,
            images: vec![PlannedImage { reference: "r/e:1".into(), digest: "sha256:00".into(), is_stale: true }],
        };
        let text = serde_json::to_string(&plan).unwrap();
        assert!(text.contains(r#""action":"unlabel""#), "{text}");
        assert_eq!(serde_json::from_str::<ManifestPlan>(&text).unwrap(), plan);
        let results = [
            StepResult::Done,
            StepResult::RolledBack { reason: "it is unhealthy".to_owned() },
            StepResult::of_error(&Error::new(ErrorKind::Busy, "full")),
        ];
        let steps = results.map(|result| StepOutcome { step: step(PlanAction::Update, None, None), result });
        let outcome =
            ManifestOutcome { manifest: "demo".to_owned(), host: "N".to_owned(), steps: steps.to_vec(), unchanged: 0 };
        let text = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<ManifestOutcome>(&text).unwrap(), outcome);
        assert!(!outcome.is_complete());
        assert!(outcome.to_string().ends_with("1 done, 1 rolled back, 1 failed; 0 entries ran as described"));
        let errors: Vec<Option<ErrorKind>> =
            outcome.steps.iter().map(|step| step.result.error().map(|error| error.kind())).collect();
        assert_eq!(errors, [None, Some(ErrorKind::UpdateRefused), Some(ErrorKind::Busy)]);
    }
}
