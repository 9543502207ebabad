//! Settings of a client of registries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::credentials::CredentialSources;
use crate::media::Kind;
use crate::reference::Reference;

/// The settings of a [`RegistryClient`](crate::RegistryClient).
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    pub(crate) cache: PathBuf,
    pub(crate) allow_latest: bool,
    pub(crate) insecure: BTreeSet<String>,
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) max_module: u64,
    pub(crate) max_archive: u64,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Duration,
    pub(crate) total_timeout: Duration,
    pub(crate) revalidate_after: Duration,
    pub(crate) credentials: CredentialSources,
}

impl RegistryOptions {
    /// Returns the defaults with a folder for the cache. The folder is created when it is needed.
    ///
    /// Only this user should be able to write to the folder: its files tell what tags mean while a registry cannot be reached.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        RegistryOptions {
            cache: cache.into(),
            allow_latest: false,
            insecure: BTreeSet::new(),
            certificates: Vec::new(),
            max_module: 64 << 20,
            max_archive: 256 << 20,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(600),
            revalidate_after: Duration::ZERO,
            credentials: CredentialSources::default(),
        }
    }

    /// Returns the folder that caches of this user lie in: `$XDG_CACHE_HOME/wasmcloud/oci` or `$HOME/.cache/wasmcloud/oci`.
    pub fn default_cache() -> Option<PathBuf> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
        Some(caches.join("wasmcloud").join("oci"))
    }

    /// Allows the tag `latest` and references without a tag. Default: refused.
    #[must_use]
    pub fn allow_latest(mut self, allow: bool) -> Self {
        self.allow_latest = allow;
        self
    }

    /// Adds a registry that is reached by HTTP without TLS, and that redirects may lead to although it is in a private
    /// network: `host` or `host:port` as in references. Default: none.
    #[must_use]
    pub fn allow_insecure(mut self, registry: impl Into<String>) -> Self {
        self.insecure.insert(registry.into().to_ascii_lowercase());
        self
    }

    /// Adds certificates of authorities, in PEM, that registries are trusted by beside those of this machine. Default: none.
    #[must_use]
    pub fn trust_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// Sets the size of the largest module that is pulled or pushed, in bytes. Default: 64 MiB.
    #[must_use]
    pub fn max_module_size(mut self, bytes: u64) -> Self {
        self.max_module = bytes;
        self
    }

    /// Sets the size of the largest provider archive that is pulled or pushed, in bytes. Default: 256 MiB.
    #[must_use]
    pub fn max_archive_size(mut self, bytes: u64) -> Self {
        self.max_archive = bytes;
        self
    }

    /// Sets how long a connection may take to be made. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long a registry may send nothing. Default: 30 s.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Sets how long a whole pull or push may take. Default: 10 minutes.
    #[must_use]
    pub fn total_timeout(mut self, timeout: Duration) -> Self {
        self.total_timeout = timeout;
        self
    }

    /// Sets for how long the digest of a tag is used without asking the registry again. Default: 0 s, so it is always asked.
    #[must_use]
    pub fn revalidate_after(mut self, age: Duration) -> Self {
        self.revalidate_after = age;
        self
    }

    /// Sets where credentials are found. Default: Docker's configuration and the environment.
    #[must_use]
    pub fn credentials(mut self, sources: CredentialSources) -> Self {
        self.credentials = sources;
        self
    }

    /// Returns the folder of the cache.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Returns the size of the largest blob of a kind. The limit of archives holds for an unknown kind, if it is larger.
    pub(crate) fn max_size(&self, kind: Option<Kind>) -> u64 {
        match kind {
            Some(Kind::Actor) => self.max_module,
            Some(Kind::Provider) => self.max_archive,
            None => self.max_archive.max(self.max_module),
        }
    }

    /// Refuses a reference to moving content, unless that is allowed.
    ///
    /// # Errors
    /// `InvalidArgument` as [`Reference::check_pinned`].
    pub fn check(&self, reference: &Reference) -> wasmcloud_core::error::Result<()> {
        if self.allow_latest { Ok(()) } else { reference.check_pinned() }
    }
}
