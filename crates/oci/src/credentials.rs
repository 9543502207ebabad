//! Credentials: who the client is at each registry.
//!
//! # Layout
//! - `docker`: Docker's `config.json`
//! - `helper`: the programs `docker-credential-*`

mod docker;
mod helper;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmcloud_core::error::Result;
use zeroize::Zeroizing;

/// Who the client is at one registry. The secrets are neither printed nor part of errors.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// A name and a password or access token.
    Basic {
        /// The name of the user.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A token that is exchanged for tokens of requests, as `az acr login` obtains it.
    IdentityToken(Zeroizing<String>),
    /// A token that is sent with each request as it is.
    RegistryToken(Zeroizing<String>),
}

impl Credentials {
    /// Returns a name and a password.
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        Credentials::Basic { user: user.into(), password: Zeroizing::new(password.into()) }
    }

    /// Returns an identity token.
    pub fn identity_token(token: impl Into<String>) -> Self {
        Credentials::IdentityToken(Zeroizing::new(token.into()))
    }

    /// Returns a token that is sent as it is.
    pub fn registry_token(token: impl Into<String>) -> Self {
        Credentials::RegistryToken(Zeroizing::new(token.into()))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Credentials::Basic { .. } => "Basic(..)",
            Credentials::IdentityToken(_) => "IdentityToken(..)",
            Credentials::RegistryToken(_) => "RegistryToken(..)",
        })
    }
}

/// Where credentials are found. The first source that knows a registry decides:
///
/// 1. what [`CredentialSources::with`] was given for it
/// 2. Docker's `config.json`: `credHelpers`, `credsStore`, `auths`
/// 3. the environment: `OCI_REGISTRY_USER` and `OCI_REGISTRY_PASSWORD`, for the registry that `OCI_REGISTRY` names, or else
///    for the first registry that asks for credentials. No other registry gets them
///
/// Otherwise requests are anonymous.
#[derive(Debug, Clone)]
pub struct CredentialSources {
    given: BTreeMap<String, Credentials>,
    docker: Option<PathBuf>,
    environment: Option<Environment>,
    helpers: Helpers,
}

/// How credential helpers are run.
#[derive(Debug, Clone)]
struct Helpers {
    /// The folder of the programs. `None`: those of `PATH`.
    folder: Option<PathBuf>,
    /// How long one may run.
    limit: Duration,
}

/// Credentials that came without a registry, such as those of the environment.
#[derive(Debug, Clone)]
struct Environment {
    /// The registry they are for. Empty until one asks for them. Clones share it.
    registry: Arc<OnceLock<String>>,
    credentials: Credentials,
}

impl Environment {
    fn new(registry: Option<String>, credentials: Credentials) -> Environment {
        let registry = registry.map_or_else(OnceLock::new, |registry| OnceLock::from(registry_of(&registry)));
        Environment { registry: Arc::new(registry), credentials }
    }
}

/// What was found for a registry.
#[derive(Debug)]
pub(crate) struct Found {
    /// The credentials. `None`: anonymous.
    pub(crate) credentials: Option<Credentials>,
    /// Where they come from, or why there are none, for the error of a refused request.
    pub(crate) origin: String,
}

impl Default for CredentialSources {
    /// Returns Docker's configuration (in `$DOCKER_CONFIG` or `$HOME/.docker`) and the environment.
    fn default() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let folder = std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
        let mut sources = CredentialSources::none();
        sources.docker = folder.or_else(home).map(|folder| folder.join("config.json"));
        if let (Some(user), Some(password)) = (variable("OCI_REGISTRY_USER"), variable("OCI_REGISTRY_PASSWORD")) {
            let credentials = Credentials::basic(user, password);
            sources.environment = Some(Environment::new(variable("OCI_REGISTRY"), credentials));
        }
        sources
    }
}

impl CredentialSources {
    /// Returns no source: requests are anonymous.
    pub fn none() -> Self {
        CredentialSources {
            given: BTreeMap::new(),
            docker: None,
            environment: None,
            helpers: Helpers { folder: None, limit: Duration::from_secs(10) },
        }
    }

    /// Adds the credentials for a registry.
    #[must_use]
    pub fn with(mut self, registry: &str, credentials: Credentials) -> Self {
        self.given.insert(registry_of(registry), credentials);
        self
    }

    /// Sets the file that has the form of Docker's `config.json`.
    #[must_use]
    pub fn docker_config(mut self, path: impl Into<PathBuf>) -> Self {
        self.docker = Some(path.into());
        self
    }

    /// Sets credentials without naming their registry. The first registry that asks for credentials, and that no other source
    /// knows, gets them. No other registry does.
    #[must_use]
    pub fn fallback(mut self, credentials: Credentials) -> Self {
        self.environment = Some(Environment::new(None, credentials));
        self
    }

    /// Sets how long a credential helper may run. Default: 10 s.
    #[must_use]
    pub fn helper_timeout(mut self, timeout: Duration) -> Self {
        self.helpers.limit = timeout;
        self
    }

    /// Sets the folder that credential helpers are run from. Default: the folders of `PATH`.
    #[must_use]
    pub fn helper_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.helpers.folder = Some(folder.into());
        self
    }

    /// Finds the credentials for a registry that asks for them.
    ///
    /// # Errors
    /// As [`CredentialSources::find`].
    pub(crate) async fn find_for_challenge(&self, registry: &str) -> Result<Found> {
        let found = self.find(registry).await?;
        if let (None, Some(entry)) = (&found.credentials, &self.environment)
            && entry.registry.get().is_none()
        {
            // Another registry may have been faster, so the source is asked again.
            entry.registry.get_or_init(|| registry_of(registry));
            log::info!("the credentials of OCI_REGISTRY_USER are for the registry {registry}: it is the first to ask");
            return self.find(registry).await;
        }
        Ok(found)
    }

    /// Finds the credentials for a registry.
    ///
    /// # Errors
    /// `InvalidArgument` if `config.json` is malformed; `Io` if it cannot be read, or if a helper fails. A missing
    /// `config.json` is no error.
    pub(crate) async fn find(&self, registry: &str) -> Result<Found> {
        let registry = registry_of(registry);
        if let Some(credentials) = self.given.get(&registry) {
            return Ok(found(credentials, "those that the program was given"));
        }
        let absence = match &self.docker {
            None => "no credentials are configured".to_owned(),
            Some(path) => match docker::find(path, &registry, &self.helpers).await? {
                Found { credentials: None, origin } => origin,
                found => return Ok(found),
            },
        };
        let Some(entry) = &self.environment else { return Ok(Found { credentials: None, origin: absence }) };
        match entry.registry.get() {
            Some(only) if *only == registry => Ok(found(&entry.credentials, "those of OCI_REGISTRY_USER")),
            Some(only) => {
                let origin = format!("those of OCI_REGISTRY_USER are for {only} alone; {absence}");
                Ok(Found { credentials: None, origin })
            }
            None => Ok(Found { credentials: None, origin: absence }),
        }
    }
}

fn found(credentials: &Credentials, origin: &str) -> Found {
    Found { credentials: Some(credentials.clone()), origin: origin.to_owned() }
}

/// Returns the registry that an entry of a configuration names, in one form: without scheme and path, and Docker Hub by the
/// name that its manifests are fetched from.
fn registry_of(entry: &str) -> String {
    let entry = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let host = entry.split('/').next().unwrap_or_default().to_ascii_lowercase();
    match host.as_str() {
        "docker.io" | "registry-1.docker.io" => "index.docker.io".to_owned(),
        _ => host,
    }
}

#[cfg(test)]
mod tests;
