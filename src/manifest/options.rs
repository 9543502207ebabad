//! The options of actors and providers in a manifest. Options that a manifest leaves out are those of the host.

use std::time::Duration;

use wasmcloud_core::limits::Limits;
use wasmcloud_plugin::{Isolation, PluginProcess};

use crate::supervisor::placement::{ActorOptions, Placement};
use crate::supervisor::restart::{Restart, RestartPolicy};

/// An actor of a [`HostManifest`](super::HostManifest).
///
/// ```
/// use wasmcloud_host::{HostManifest, ManifestActor};
///
/// let manifest = HostManifest::from_yaml("
/// actors:
///   - echo.wasm
///   - image_ref: counter.wasm
///     instances: 2
///     placement: spread
///     limits: { memory_bytes: 32MiB, call_deadline: 5s }
///     restart: { intensity: 5, period: 1m }
/// ")?;
/// assert_eq!(manifest.actors[0], ManifestActor::from("echo.wasm".to_owned()));
/// assert_eq!(manifest.actors[1].instances, Some(2));
/// # Ok::<(), wasmcloud_host::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestActor {
    /// The path of the actor's signed module, or a reference to one in an OCI registry.
    pub image_ref: String,
    /// The number of instances. An actor that runs with another number is scaled. Minimum: 1. Default: 1 for an actor that is
    /// started.
    pub instances: Option<usize>,
    /// The threads that the instances run on. Default: [`Placement::Near`].
    pub placement: Option<Placement>,
    /// The actor's limits.
    pub limits: ManifestLimits,
    /// The actor's restart policy.
    pub restart: ManifestRestart,
}

/// The limits of an actor of a [`HostManifest`](super::HostManifest), with the names of [`Limits`]. Default of each: the host's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestLimits {
    /// See [`Limits::memory_bytes`].
    pub memory_bytes: Option<u64>,
    /// See [`Limits::stack_bytes`].
    pub stack_bytes: Option<usize>,
    /// See [`Limits::message_bytes`].
    pub message_bytes: Option<usize>,
    /// See [`Limits::table_elements`].
    pub table_elements: Option<u64>,
    /// See [`Limits::mailbox_length`].
    pub mailbox_length: Option<usize>,
    /// See [`Limits::call_deadline`].
    pub call_deadline: Option<Duration>,
}

/// The restart policy of an actor of a [`HostManifest`](super::HostManifest), with the names of [`RestartPolicy`]. Default of
/// each part: the host's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestRestart {
    /// See [`RestartPolicy::restart`].
    pub restart: Option<Restart>,
    /// How many restarts are allowed within a period. See [`RestartPolicy::intensity`].
    pub intensity: Option<u32>,
    /// The period in which restarts are counted. See [`RestartPolicy::intensity`].
    pub period: Option<Duration>,
    /// See [`RestartPolicy::in_a_row`].
    pub in_a_row: Option<u32>,
    /// The delay of the restart after the second crash in a row. See [`RestartPolicy::delays`].
    pub second_delay: Option<Duration>,
    /// The longest delay of a restart. See [`RestartPolicy::delays`].
    pub longest_delay: Option<Duration>,
}

/// Where a provider of a [`HostManifest`](super::HostManifest) runs. See [`Isolation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestIsolation {
    /// Runs the provider in the host's process.
    InProcess,
    /// Runs the provider in a child process, with the limits of [`PluginProcess`].
    Process {
        /// See [`PluginProcess::memory_limit`].
        memory_bytes: Option<u64>,
        /// See [`PluginProcess::open_files`].
        open_files: Option<u64>,
    },
}

impl From<String> for ManifestActor {
    fn from(image_ref: String) -> ManifestActor {
        ManifestActor { image_ref, ..ManifestActor::default() }
    }
}

impl ManifestActor {
    /// Returns the options that the actor runs with. What the manifest leaves out is as given.
    pub(super) fn options(&self, limits: Limits, restart: RestartPolicy, placement: Placement) -> ActorOptions {
        ActorOptions::new()
            .instances(self.instances.unwrap_or(1))
            .placement(self.placement.unwrap_or(placement))
            .limits(self.limits.within(limits))
            .restart(self.restart.within(restart))
    }
}

impl ManifestLimits {
    fn within(&self, mut limits: Limits) -> Limits {
        limits = self.memory_bytes.into_iter().fold(limits, Limits::memory_bytes);
        limits = self.stack_bytes.into_iter().fold(limits, Limits::stack_bytes);
        limits = self.message_bytes.into_iter().fold(limits, Limits::message_bytes);
        limits = self.table_elements.into_iter().fold(limits, Limits::table_elements);
        limits = self.mailbox_length.into_iter().fold(limits, Limits::mailbox_length);
        self.call_deadline.into_iter().fold(limits, Limits::call_deadline)
    }
}

impl ManifestRestart {
    fn within(&self, policy: RestartPolicy) -> RestartPolicy {
        let policy = self.restart.into_iter().fold(policy, RestartPolicy::restart);
        let policy = self.in_a_row.into_iter().fold(policy, RestartPolicy::in_a_row);
        let RestartPolicy { intensity, period, shortest, longest, .. } = policy;
        policy
            .intensity(self.intensity.unwrap_or(intensity), self.period.unwrap_or(period))
            .delays(self.second_delay.unwrap_or(shortest), self.longest_delay.unwrap_or(longest))
    }
}

impl ManifestIsolation {
    pub(super) fn isolation(self) -> Isolation {
        match self {
            ManifestIsolation::InProcess => Isolation::InProcess,
            ManifestIsolation::Process { memory_bytes, open_files } => {
                let process = memory_bytes.into_iter().fold(PluginProcess::new(), PluginProcess::memory_limit);
                Isolation::Process(open_files.into_iter().fold(process, PluginProcess::open_files))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_options_are_those_of_the_host() {
        let limits = Limits::new().memory_bytes(7).mailbox_length(9);
        assert_eq!(ManifestLimits::default().within(limits), limits);
        let given = ManifestLimits { mailbox_length: Some(3), ..ManifestLimits::default() };
        assert_eq!(given.within(limits), limits.mailbox_length(3));
        let policy = RestartPolicy::new().intensity(3, Duration::from_secs(4)).in_a_row(5);
        assert_eq!(ManifestRestart::default().within(policy), policy);
        let given = ManifestRestart { intensity: Some(1), restart: Some(Restart::Temporary), ..Default::default() };
        let expected = policy.restart(Restart::Temporary).intensity(1, Duration::from_secs(4));
        assert_eq!(given.within(policy), expected);
    }

    #[test]
    fn a_process_has_the_limits_of_the_manifest() {
        assert!(matches!(ManifestIsolation::InProcess.isolation(), Isolation::InProcess));
        let limited = ManifestIsolation::Process { memory_bytes: Some(4096), open_files: Some(8) };
        let Isolation::Process(process) = limited.isolation() else { panic!("it is not a process") };
        let shown = format!("{process:?}");
        assert!(shown.contains("memory: 4096") && shown.contains("open_files: 8"), "{shown}");
    }
}
