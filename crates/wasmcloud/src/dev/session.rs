//! A session of development: the start, the changes of the file, and the end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_host::builtin::{self, HttpServer};
use wasmcloud_host::signing::ActorClaims;
use wasmcloud_host::{ArtifactCache, Host, HostBuilder, TrustPolicy};
use zeroize::Zeroizing;

use super::Dev;
use super::actor::DevelopedActor;
use super::keys::DevelopmentKeys;
use super::links::{HTTP, Links};
use super::project::Project;
use crate::announce;
use crate::input;
use crate::logging;
use crate::outcome::{self, CommandError, CommandResult};
use crate::output::shown;
use crate::run::default_cache;
use crate::signals::Shutdown;
use crate::state_folder::StateFolder;
use crate::watch::Watch;

/// The port that is tried first.
const DEFAULT_PORT: u16 = 8080;

/// How long a file that is no valid module is waited for: its writer may not have finished.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is developed.
pub(super) struct Subject<'a> {
    /// The module.
    pub(super) file: &'a Path,
    /// The project that the module is built of, unless the command line names the module.
    pub(super) project: Option<&'a mut Project>,
    pub(super) command: &'a Dev,
}

/// Runs the actor until the process is asked to end, and stops the host.
///
/// # Errors
/// Why the actor could not be started.
pub(super) async fn run(
    subject: Subject<'_>,
    module: &[u8],
    links: Links,
    watch: Watch,
    folder: &StateFolder,
) -> CommandResult {
    let mut shutdown = Shutdown::new()?;
    let keys = DevelopmentKeys::of(subject.file, folder)?;
    let host = host(subject.command, &keys)?;
    logging::set_host(host.id());
    let actor = DevelopedActor::new(claims(&subject, &links), keys);
    let mut session = Session {
        file: subject.file,
        command: subject.command,
        host: host.clone(),
        actor,
        http: HttpServer::new(None),
    };
    let failure = tokio::select! {
        Err(failure) = session.run(module, links, watch, folder) => Some(failure),
        Err(failure) = build_changes(subject.project) => Some(failure),
        _ = shutdown.asked_for() => {
            announce::note("finishing what is in flight; a second signal ends at once");
            None
        }
    };
    shutdown.or_at_once(host.stop()).await;
    failure.map_or_else(|| Ok(Zeroizing::default()), Err)
}

/// Returns a host that accepts actors of the development account and no others.
fn host(command: &Dev, keys: &DevelopmentKeys) -> CommandResult<Host> {
    let trust = TrustPolicy::builder().accept_issuers([keys.account().public_key()]).build()?;
    let mut builder = HostBuilder::new().with_compiler(command.compiler).with_trust_policy(trust).enable_live_updates();
    if let Some(cache) = default_cache() {
        builder = builder.with_artifact_cache(ArtifactCache::in_folder(cache));
    }
    Ok(builder.build())
}

/// Builds the project, if there is one, after each change of its code. Returns only if changes cannot be noticed.
async fn build_changes(project: Option<&mut Project>) -> CommandResult<Infallible> {
    match project {
        Some(project) => project.build_changes().await,
        None => std::future::pending().await,
    }
}

fn claims(subject: &Subject<'_>, links: &Links) -> ActorClaims {
    let command = subject.command;
    let stem = subject.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = command.name.clone().or(stem).unwrap_or_else(|| "actor".to_owned());
    let claims = links.contracts().fold(ActorClaims::new(name), |claims, contract| claims.capability(contract));
    command.alias.iter().fold(claims, |claims, alias| claims.call_alias(alias))
}

struct Session<'a> {
    file: &'a Path,
    command: &'a Dev,
    host: Host,
    actor: DevelopedActor,
    http: HttpServer,
}

/// Where the actor is served, and why not where it would be by default.
struct Served {
    address: SocketAddr,
    instead_of: Option<u16>,
}

impl Session<'_> {
    /// Starts the actor, and replaces it with each change. Only a failure of the start returns.
    async fn run(
        &mut self,
        module: &[u8],
        links: Links,
        mut watch: Watch,
        folder: &StateFolder,
    ) -> CommandResult<Infallible> {
        let began = Instant::now();
        self.host.start_on_own_thread().await?;
        let started = self.actor.start(&self.host, module).await;
        started.map_err(|error| CommandError::of_file(self.file, &error))?;
        let compiled = began.elapsed();
        self.link(&links, folder).await?;
        let served = self.serve(links.http()).await?;
        self.actor.keys().keep()?;
        self.introduce(&links, compiled, &served);
        loop {
            watch.changed().await;
            self.follow(&mut watch).await;
        }
    }

    /// Links the actor to all providers but the HTTP server.
    async fn link(&self, links: &Links, folder: &StateFolder) -> CommandResult<()> {
        std::fs::create_dir_all(folder.join("dev")).map_err(|error| {
            CommandError::Failed(format!("cannot make the folder {}: {error}", shown(&folder.join("dev"))))
        })?;
        for (contract, values) in links.before_http(folder) {
            let name = contract.strip_prefix("wasmcloud:").unwrap_or(&contract);
            let provider = builtin::named(name, None)?;
            let id = provider.id();
            self.host.start_native_capability(provider).await?;
            self.host.set_link(&self.actor.public_key(), &contract, None, id, values).await?;
        }
        Ok(())
    }

    /// Serves the actor by HTTP: on the port that was asked for, or on the default one, or else on any.
    async fn serve(&self, values: HashMap<String, String>) -> CommandResult<Served> {
        let provider = self.http.capability()?;
        let id = provider.id();
        self.host.start_native_capability(provider).await?;
        let link = async |port: u16| {
            let mut values = values.clone();
            values.entry("PORT".to_owned()).or_insert_with(|| port.to_string());
            values.entry("BIND".to_owned()).or_insert_with(|| self.command.bind.to_string());
            self.host.set_link(&self.actor.public_key(), HTTP, None, id.clone(), values).await
        };
        let instead_of = match (self.command.port, link(self.command.port.unwrap_or(DEFAULT_PORT)).await) {
            (_, Ok(())) => None,
            (None, Err(_)) if !values.contains_key("PORT") => {
                link(0).await?;
                Some(DEFAULT_PORT)
            }
            (_, Err(error)) => return Err(error.into()),
        };
        let address = self.http.address(&self.actor.public_key()).ok_or_else(|| {
            CommandError::from(Error::new(
                ErrorKind::Internal,
                "the actor is linked to the HTTP server, and not served",
            ))
        })?;
        Ok(Served { address, instead_of })
    }

    /// Says in five lines what was done.
    fn introduce(&self, links: &Links, compiled: Duration, served: &Served) {
        let file = shown(self.file);
        let keys = self.actor.keys();
        let contracts: Vec<&str> =
            links.contracts().map(|contract| contract.strip_prefix("wasmcloud:").unwrap_or(contract)).collect();
        let instead = served.instead_of.map_or_else(String::new, |port| format!(" (port {port} is in use)"));
        announce::lines(&format!(
            "Signed       {file} as actor {} with the keys in {}\n\
             Started      revision 1, compiled by {:?} in {} ms\n\
             Linked       {}\n\
             Listening on http://{}{instead}\n\
             Watching     {file}: save it to replace the actor; Ctrl-C ends",
            self.actor.public_key(),
            keys.place(),
            self.command.compiler,
            compiled.as_millis(),
            contracts.join(", "),
            served.address,
        ));
    }

    /// Replaces the actor after a change of its file. A file that is no valid module may not be written to its end, and is
    /// waited for a moment.
    async fn follow(&mut self, watch: &mut Watch) {
        let began = Instant::now();
        let mut outcome = self.replace().await;
        while outcome.as_ref().is_err_and(|failure| failure.may_be_unfinished) {
            match tokio::time::timeout(PATIENCE, watch.changed()).await {
                Ok(()) => outcome = self.replace().await,
                Err(_) => break,
            }
        }
        let revision = self.actor.revision();
        match outcome {
            Ok(()) => {
                let took = began.elapsed().as_millis();
                announce::lines(&format!("Replaced     revision {revision} answers, after {took} ms"));
            }
            Err(failure) => outcome::warn(&format!("revision {revision} stays: {}", failure.reason)),
        }
    }

    async fn replace(&mut self) -> Result<(), Failure> {
        let module = read(self.file)?;
        self.actor.update(&self.host, &module).await.map_err(|error| Failure {
            may_be_unfinished: error.kind() == ErrorKind::InvalidModule,
            reason: error.to_string(),
        })
    }
}

/// Why a change of the file did not replace the actor.
struct Failure {
    may_be_unfinished: bool,
    reason: String,
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    input::read(file, "the module").map_err(|error| match error {
        CommandError::Failed(reason) => Failure { may_be_unfinished: true, reason },
        other => Failure { may_be_unfinished: true, reason: format!("{other:?}") },
    })
}
