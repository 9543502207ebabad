//! The host that the settings describe.

use std::path::PathBuf;
use std::time::Duration;

use nkeys::KeyPair;
use wasmcloud_host::oci::{CredentialSources, Credentials};
use wasmcloud_host::{ArtifactCache, Compiler, HostBuilder, LatticeOptions, Limits, RegistryOptions, TrustPolicy};
use zeroize::Zeroizing;

use super::catalogue::{
    ACCEPT_UNSIGNED_CLAIMS, ALLOW_LIVE_UPDATES, ALLOW_OCI_LATEST, ALLOWED_INSECURE, CACHE, CALL_DEADLINE,
    CLUSTER_SEED_FILE, COMPILER, CONTROL_ISSUER, DISABLE_STRICT_UPDATE_CHECK, HEARTBEAT_INTERVAL_S, HOST_SEED_FILE,
    LABEL, MEMORY_LIMIT, MESSAGE_LIMIT, NSPREFIX, OCI_CA_FILE, OCI_CACHE, OCI_REGISTRY, OCI_REGISTRY_PASSWORD,
    OCI_REGISTRY_USER, REGISTRY_REPLICAS, REQUIRE_NATS, REVOKED_ISSUER, SECRETS_FOLDER, SHARDS, STOP_GRACE,
    TRUSTED_CLUSTER, TRUSTED_HOST, TRUSTED_ISSUER,
};
use super::connection::Connections;
use super::origin::Origin;
use super::quantity;
use super::settings::Settings;
use super::spans;
use super::telemetry;
use crate::input;
use crate::outcome::{self, CommandError, CommandResult};
use crate::secret::Secret;

/// A host, not started yet.
pub(super) struct Configured {
    pub(super) builder: HostBuilder,
    /// The NATS servers, for messages. `None` if the host runs alone.
    pub(super) servers: Option<String>,
}

/// Returns the host that the settings describe.
///
/// # Errors
/// `Usage` for settings that are invalid, `Failed` for files that cannot be read.
pub(super) fn configure(settings: &Settings) -> CommandResult<Configured> {
    let builder = labels(settings, HostBuilder::new())?;
    let builder = limits(settings, builder)?;
    let builder = updates(settings, builder)?;
    let builder = trust(settings, builder)?;
    let builder = registries(settings, builder)?;
    let builder = compilation(settings, builder)?;
    let builder = builder.with_trace_sampling(spans::sampling(settings)?);
    let builder = telemetry::configure(settings, builder)?;
    let builder = match settings.path(&SECRETS_FOLDER) {
        None => builder,
        Some(folder) => builder.with_secrets_folder(folder),
    };
    let builder = match settings.path(&HOST_SEED_FILE) {
        None => builder,
        Some(path) => builder.with_host_key(key(&Secret::from_file(&path)?)?)?,
    };
    lattice(settings, builder)
}

fn labels(settings: &Settings, builder: HostBuilder) -> CommandResult<HostBuilder> {
    settings.list(&LABEL).iter().try_fold(builder, |builder, label| match label.split_once('=') {
        Some((key, _)) if key.starts_with("hostcore.") => {
            Err(settings.invalid(&LABEL, "labels that begin with hostcore. are the host's own"))
        }
        Some((key, value)) if !key.is_empty() => Ok(builder.with_label(key, value)),
        _ => Err(settings.invalid(&LABEL, "a label has the form KEY=VALUE")),
    })
}

fn limits(settings: &Settings, builder: HostBuilder) -> CommandResult<HostBuilder> {
    let mut limits = Limits::new();
    if let Some(deadline) = settings.read(&CALL_DEADLINE, quantity::duration)? {
        limits = limits.call_deadline(deadline);
    }
    if let Some(bytes) = settings.read(&MEMORY_LIMIT, quantity::bytes)? {
        limits = limits.memory_bytes(bytes);
    }
    if let Some(bytes) = settings.read(&MESSAGE_LIMIT, quantity::bytes)? {
        limits = limits.message_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    let mut builder = builder.with_limits(limits);
    if let Some(grace) = settings.read(&STOP_GRACE, quantity::duration)? {
        builder = builder.with_stop_grace(grace);
    }
    match settings.number::<usize>(&SHARDS)? {
        None => Ok(builder),
        Some(shards @ 1..=1024) => Ok(builder.with_shards(shards)),
        Some(_) => Err(settings.invalid(&SHARDS, "it should be from 1 to 1024")),
    }
}

fn updates(settings: &Settings, builder: HostBuilder) -> CommandResult<HostBuilder> {
    let builder = if settings.is_on(&ALLOW_LIVE_UPDATES)? { builder.enable_live_updates() } else { builder };
    let is_lenient = settings.is_on(&DISABLE_STRICT_UPDATE_CHECK)?;
    Ok(if is_lenient { builder.disable_strict_update_check() } else { builder })
}

fn trust(settings: &Settings, builder: HostBuilder) -> CommandResult<HostBuilder> {
    let (trusted, revoked) = (settings.list(&TRUSTED_ISSUER), settings.list(&REVOKED_ISSUER));
    if trusted.is_empty() && revoked.is_empty() {
        return Ok(builder);
    }
    let rules = revoked.iter().fold(TrustPolicy::builder(), |rules, account| rules.revoke_issuer(account));
    // Built without the other rules, so that an error is known to be about these.
    let policy = rules.clone().build().map_err(|error| settings.invalid(&REVOKED_ISSUER, error))?;
    if trusted.is_empty() {
        outcome::warn("any account is trusted but those that are revoked: name yours with --trusted-issuer");
        return Ok(builder.with_trust_policy(policy));
    }
    let policy = rules.accept_issuers(trusted).accept_provider_issuers(trusted).build();
    Ok(builder.with_trust_policy(policy.map_err(|error| settings.invalid(&TRUSTED_ISSUER, error))?))
}

fn compilation(settings: &Settings, builder: HostBuilder) -> CommandResult<HostBuilder> {
    let builder = match settings.read(&COMPILER, compiler)? {
        Some(compiler) => builder.with_compiler(compiler),
        None => builder,
    };
    let folder = match settings.text(&CACHE) {
        Some("none") => return Ok(builder),
        Some(_) => settings.path(&CACHE),
        None => default_cache(),
    };
    match folder {
        Some(folder) => Ok(builder.with_artifact_cache(ArtifactCache::in_folder(folder))),
        None => {
            outcome::warn(
                "compiled actors are not kept: set --cache, XDG_CACHE_HOME or HOME to name a folder for them",
            );
            Ok(builder)
        }
    }
}

/// Reads the name of a compiler.
pub(crate) fn compiler(text: &str) -> Result<Compiler, &'static str> {
    match text {
        "cranelift" => Ok(Compiler::Cranelift),
        #[cfg(feature = "singlepass")]
        "singlepass" => Ok(Compiler::Singlepass),
        #[cfg(not(feature = "singlepass"))]
        "singlepass" => Err("this program was built without it: build it with --features singlepass"),
        _ => Err("the compilers are cranelift and singlepass"),
    }
}

fn registries(settings: &Settings, builder: HostBuilder) -> CommandResult<HostBuilder> {
    let builder = if settings.is_on(&ALLOW_OCI_LATEST)? { builder.oci_allow_latest() } else { builder };
    let builder = builder.oci_allow_insecure(settings.list(&ALLOWED_INSECURE).to_vec());
    // Without a folder for its cache, the host refuses what needs one.
    let Some(cache) = settings.path(&OCI_CACHE).or_else(RegistryOptions::default_cache) else { return Ok(builder) };
    let mut options = RegistryOptions::new(cache).credentials(credentials(settings)?);
    if let Some(path) = settings.path(&OCI_CA_FILE) {
        options = options.trust_certificates(input::read(&path, "the certificates in")?);
    }
    Ok(builder.with_registries(options))
}

/// Returns where credentials of registries are found: Docker's configuration, and the user's name and password.
fn credentials(settings: &Settings) -> CommandResult<CredentialSources> {
    let sources = CredentialSources::default();
    let (user, password) = match (settings.text(&OCI_REGISTRY_USER), settings.text(&OCI_REGISTRY_PASSWORD)) {
        (None, None) => return Ok(sources),
        (Some(user), Some(_)) => (user, password(settings)?),
        (Some(_), None) => return Err(settings.invalid(&OCI_REGISTRY_USER, "it needs --oci-registry-password")),
        (None, Some(_)) => return Err(settings.invalid(&OCI_REGISTRY_PASSWORD, "it needs --oci-registry-user")),
    };
    let credentials = Credentials::basic(user, password.as_str());
    Ok(match settings.text(&OCI_REGISTRY) {
        Some(registry) => sources.with(registry, credentials),
        None => sources.fallback(credentials),
    })
}

/// Returns the password of a registry: the variable of the environment, or the contents of the file that is named.
fn password(settings: &Settings) -> CommandResult<Zeroizing<String>> {
    const LONGEST: usize = 64 * 1024;
    if settings.origin(&OCI_REGISTRY_PASSWORD) == Origin::Environment {
        return Ok(Zeroizing::new(settings.text(&OCI_REGISTRY_PASSWORD).unwrap_or_default().to_owned()));
    }
    let path = settings.path(&OCI_REGISTRY_PASSWORD).unwrap_or_default();
    if !path.is_file() {
        return Err(settings.invalid(&OCI_REGISTRY_PASSWORD, "it should be the path of a file with the password"));
    }
    let bytes = input::read_secret(&path, "the password in", LONGEST)?;
    let text = std::str::from_utf8(&bytes);
    let text = text.map_err(|_| settings.invalid(&OCI_REGISTRY_PASSWORD, "the file is not UTF-8"))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Returns the folder of compiled actors: `$XDG_CACHE_HOME/wasmcloud/artifacts`, or the same under `$HOME/.cache`.
pub(crate) fn default_cache() -> Option<PathBuf> {
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("wasmcloud").join("artifacts"))
}

/// Returns the absolute path that a variable of the environment names.
pub(crate) fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn lattice(settings: &Settings, builder: HostBuilder) -> CommandResult<Configured> {
    let Some(Connections { calls, control, servers }) = Connections::of(settings)? else {
        warn_of_no_effect(settings);
        return Ok(Configured { builder, servers: None });
    };
    let mut options = LatticeOptions::new(calls);
    if let Some(control) = control {
        options = options.control_connection(control);
    }
    if let Some(namespace) = settings.text(&NSPREFIX) {
        options = options.namespace(namespace);
    }
    if let Some(seconds) = settings.number(&HEARTBEAT_INTERVAL_S)? {
        options = options.heartbeat_interval(Duration::from_secs(seconds));
    }
    if let Some(replicas) = settings.number(&REGISTRY_REPLICAS)? {
        options = options.registry_replicas(replicas);
    }
    if let Some(path) = settings.path(&CLUSTER_SEED_FILE) {
        options = options.cluster_seed(Secret::from_file(&path)?.seed().as_str());
    }
    options = settings.list(&TRUSTED_HOST).iter().fold(options, LatticeOptions::trusted_host);
    options = settings.list(&TRUSTED_CLUSTER).iter().fold(options, LatticeOptions::trusted_cluster);
    options = settings.list(&CONTROL_ISSUER).iter().fold(options, LatticeOptions::control_issuer);
    options = options.accept_unsigned_claims(settings.is_on(&ACCEPT_UNSIGNED_CLAIMS)?);
    options.validate().map_err(|error| CommandError::Usage(error.to_string()))?;
    Ok(Configured { builder: builder.with_lattice(options), servers: Some(servers) })
}

/// Warns of settings that have no effect, since the host joins no lattice.
fn warn_of_no_effect(settings: &Settings) {
    let of_lattice = [
        &NSPREFIX,
        &HEARTBEAT_INTERVAL_S,
        &REGISTRY_REPLICAS,
        &REQUIRE_NATS,
        &CLUSTER_SEED_FILE,
        &TRUSTED_HOST,
        &TRUSTED_CLUSTER,
        &CONTROL_ISSUER,
        &ACCEPT_UNSIGNED_CLAIMS,
    ];
    for setting in of_lattice.into_iter().filter(|setting| settings.has(setting)) {
        let place = settings.place(setting);
        outcome::warn(&format!("{place} has no effect without a NATS server: name one by --rpc-host or RPC_HOST"));
    }
}

fn key(secret: &Secret) -> CommandResult<KeyPair> {
    KeyPair::from_seed(&secret.seed())
        .map_err(|error| CommandError::Failed(format!("the seed does not make a key: {error}")))
}
