//! What a host does from its start to its end.

use std::convert::Infallible;
use std::mem::discriminant;
use std::path::PathBuf;
use std::time::Duration;

use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_host::{EntryFailure, EventKind, Events, Host, HostManifest, LatticeState, ManifestFailures};
use zeroize::Zeroizing;

use super::catalogue::{REQUIRE_NATS, WATCH};
use super::configure::Configured;
use super::settings::Settings;
use super::{quantity, service};
use crate::announce;
use crate::logging;
use crate::outcome::{self, CommandError, CommandResult};
use crate::output::shown;
use crate::signals::{Reload, Shutdown};
use crate::watch::Watch;

/// How long a start without `--require-nats` waits for NATS before it says that the host runs alone.
const FIRST_ATTEMPT: Duration = Duration::from_secs(3);

/// Runs a host until the process is asked to end, and stops it.
///
/// # Errors
/// Why the host or one of the manifests could not be started.
pub(super) async fn operate(settings: &Settings, configured: Configured, manifests: Vec<PathBuf>) -> CommandResult {
    let mut shutdown = Shutdown::new()?;
    let Configured { builder, servers } = configured;
    let operation = Operation {
        host: builder.build(),
        manifests,
        servers,
        required: settings.read(&REQUIRE_NATS, quantity::duration)?,
        watches: settings.is_on(&WATCH)?,
    };
    logging::set_host(operation.host.id());
    let reload = Reload::new()?;
    let failure = tokio::select! {
        ended = operation.run(reload) => {
            if ended.is_ok() {
                announce::note("the host was stopped over its lattice");
            }
            ended.err()
        }
        _ = shutdown.asked_for() => {
            announce::note("finishing what is in flight; a second signal ends at once");
            None
        }
    };
    service::stopping();
    shutdown.or_at_once(operation.host.stop()).await;
    failure.map_or_else(|| Ok(Zeroizing::default()), Err)
}

/// A host, and what it runs.
struct Operation {
    host: Host,
    manifests: Vec<PathBuf>,
    /// The NATS servers, if the host joins a lattice.
    servers: Option<String>,
    /// How long NATS is waited for, if the host must not run alone.
    required: Option<Duration>,
    watches: bool,
}

impl Operation {
    /// Runs the host until it is stopped by others.
    ///
    /// # Errors
    /// Why the host or one of the manifests could not be started.
    async fn run(&self, reload: Reload) -> CommandResult<()> {
        let events = self.host.events();
        let end = self.host.events();
        self.host.start_on_own_thread().await?;
        tokio::select! {
            Err(failure) = self.serve(events, reload) => Err(failure),
            () = stopped(end) => Ok(()),
            never = service::keep_alive(&self.host) => match never {},
        }
    }

    async fn serve(&self, events: Events, mut reload: Reload) -> CommandResult<Infallible> {
        // Changes during the start are noticed too.
        let mut watch = if self.watches { Some(Watch::of(self.manifests.clone())?) } else { None };
        if let (Some(servers), Some(required)) = (&self.servers, self.required) {
            self.join(servers, required, events).await?;
            self.apply_all().await?;
        } else {
            self.apply_all().await?;
            self.try_to_join(events).await;
        }
        self.host.set_unready(None);
        service::ready(&self.status());
        loop {
            tokio::select! {
                () = reload.asked_for() => {}
                () = changed(&mut watch) => {}
            }
            service::reloading();
            if let Err(failure) = self.apply_all().await {
                failure.report();
            }
            service::ready(&self.status());
        }
    }

    /// Applies all manifests, and says so. Stops at the first one that fails.
    async fn apply_all(&self) -> CommandResult<()> {
        for path in &self.manifests {
            let manifest = HostManifest::from_path(path, true)?;
            let actors = manifest.actors.len();
            let providers = manifest.capabilities.len();
            self.host.apply_manifest(manifest).await.map_err(of_manifest)?;
            announce::lines(&format!("{} runs: {actors} actor(s), {providers} provider(s)", shown(path)));
        }
        if self.manifests.is_empty() {
            announce::lines(&format!("host {} runs: no manifest is given", self.host.id()));
        }
        Ok(())
    }

    /// Waits until the host is part of its lattice.
    ///
    /// # Errors
    /// `LatticeUnavailable` if it is not within a time.
    async fn join(&self, servers: &str, within: Duration, mut events: Events) -> CommandResult<()> {
        let joined = async {
            while !self.state().is_some_and(|state| state.is_joined()) {
                events.next().await;
            }
        };
        if tokio::time::timeout(within, joined).await.is_ok() {
            return Ok(());
        }
        let reason = self.state().map_or_else(String::new, |state| state.to_string());
        let message = format!(
            "the lattice at {servers} was not joined within {within:?} ({reason}): check --rpc-host and --rpc-port, and \
             whether the NATS server runs"
        );
        Err(Error::new(ErrorKind::LatticeUnavailable, message).into())
    }

    /// Waits for the first attempt to join the lattice, and says if it fails.
    async fn try_to_join(&self, mut events: Events) {
        let Some(servers) = &self.servers else { return };
        let attempt = async {
            while matches!(self.state(), None | Some(LatticeState::Joining | LatticeState::Alone { reason: None })) {
                events.next().await;
            }
        };
        // A server that does not answer is waited for no longer.
        let _ = tokio::time::timeout(FIRST_ATTEMPT, attempt).await;
        match self.state() {
            Some(LatticeState::Joined) | None => {}
            Some(state) => outcome::warn(&format!(
                "the host is not part of the lattice at {servers} ({state}). It runs alone, and joins when it can. Check \
                 --rpc-host and --rpc-port, and whether the NATS server runs"
            )),
        }
    }

    fn state(&self) -> Option<LatticeState> {
        self.host.lattice().map(|view| view.state)
    }

    /// Returns the state of the host in words, for the service manager.
    fn status(&self) -> String {
        let manifests = self.manifests.iter().map(|path| shown(path)).collect::<Vec<String>>().join(", ");
        let runs = if manifests.is_empty() { "no manifest".to_owned() } else { manifests };
        match self.state() {
            None => format!("runs {runs}"),
            Some(state) => format!("runs {runs}; lattice: {state}"),
        }
    }
}

/// Returns once the host has stopped.
async fn stopped(mut events: Events) {
    while events.next().await.is_some_and(|event| event.kind != EventKind::HostStopped) {}
}

/// Returns the error of a manifest. If all entries failed for one reason, such as a policy, the exit code is that of the
/// reason.
fn of_manifest(error: Error) -> CommandError {
    let failures = error.cause().and_then(|cause| cause.downcast_ref::<ManifestFailures>());
    let entries = failures.map_or(&[][..], ManifestFailures::entries);
    let of_entry = |entry: &EntryFailure| CommandError::of_kind(entry.error.kind(), error.to_string());
    let Some(first) = entries.first().map(of_entry) else { return error.into() };
    let is_alike = |entry: &EntryFailure| discriminant(&of_entry(entry)) == discriminant(&first);
    if entries.iter().all(is_alike) { first } else { error.into() }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}
