//! Host manifests: files that describe the actors, providers and links of a host.
//!
//! A manifest is read, checked and applied in steps. The text becomes a document (`crates/document`), in which variables are
//! expanded. The document becomes a [`HostManifest`]. Checking the manifest against its files and a host makes a `plan`, which the host
//! applies.
//!
//! # Layout
//! - `schema`: the keys of a manifest and their values
//! - `travel`: manifests in JSON, as they travel to hosts
//! - `options`: the options of actors and providers
//! - `reference`: resolves references to modules and archives
//! - `secrets`: values of links that a manifest names and does not contain
//! - `plan`: checks a manifest: reads every module and archive, and resolves every name
//! - `difference`: what a manifest changes in a host
//! - `applications`: what a host remembers of the manifests that were applied to it
//! - `outcome`: plans and outcomes, as embedders and operators see them
//! - `failure`: the entries that failed, with their errors

pub(crate) mod applications;
pub(crate) mod difference;
mod failure;
mod options;
mod outcome;
pub(crate) mod plan;
pub(crate) mod reference;
mod schema;
pub(crate) mod secrets;
mod travel;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_document::{DocumentError, Expansion, Format, TextError, Variables, environment, printable};

pub use failure::{EntryFailure, ManifestFailures};
pub use options::{ManifestActor, ManifestIsolation, ManifestLimits, ManifestRestart};
pub use outcome::{
    ApplyOptions, ManifestOutcome, ManifestPlan, PlanAction, PlanStep, PlannedImage, StepOutcome, StepResult,
};
pub use secrets::ManifestSecret;

/// The JSON Schema of manifests.
const JSON_SCHEMA: &str = include_str!("../docs/manifest.schema.json");

/// The actors, providers and links that a host runs, read from a file in YAML, JSON or TOML.
/// [`Host::apply_manifest_with`](crate::Host::apply_manifest_with) applies it, and
/// [`Host::plan_manifest`](crate::Host::plan_manifest) tells what that would change.
///
/// ```yaml
/// name: counter                           # default: the name of the file without its extension
/// labels:
///   zone: cellar
/// actors:
///   - counter.wasm                        # a signed module
///   - image_ref: thumbnails.wasm          # a signed module with options; all keys but `image_ref` are optional
///     instances: ${REPLICAS:2}
///     placement: spread                   # near, spread or dedicated: see Placement
///     limits:                             # see Limits; memory_bytes, stack_bytes, message_bytes, table_elements,
///       memory_bytes: 32MiB               # mailbox_length, call_deadline
///       call_deadline: 5s
///     restart:                            # see RestartPolicy; restart (permanent, transient, temporary), intensity,
///       intensity: 5                      # period, in_a_row, second_delay, longest_delay
///       period: 1m
///   - registry.example/shop/cart:1.4.0    # a signed module of an OCI registry
/// capabilities:
///   - image_ref: builtin:keyvalue         # a provider that is part of the host
///   - image_ref: builtin:httpserver
///     link_name: default                  # the link name that it runs under; default: `default`
///   - image_ref: clock.par.gz             # the archive of a plugin
///     isolation:                          # in_process (the default), process, or a process with limits
///       process: { memory_bytes: 256MiB, open_files: 64 }
/// links:
///   - actor: counter                      # a call alias, or a public key (M...)
///     contract_id: wasmcloud:keyvalue
///     provider_id: builtin:keyvalue       # or a public key (V...), or an `image_ref` from above
///     values:
///       PATH: ${COUNTER_STORE:counter.redb}
///   - actor: counter
///     contract_id: wasmcloud:httpserver
///     provider_id: builtin:httpserver
///     link_name: default
///     values:
///       PORT: ${PORT:8081}
///       TLS_KEY: { secret: { file: tls.key } }    # a secret: the content of a file, or of a variable: { env: NAME }
/// ```
///
/// Sizes are written as `65536`, `64KiB`, `32MiB` or `1GiB`, durations as `500ms`, `5s`, `2m` or `1h`.
///
/// The keys `image_ref`, `actor`, `contract_id` and `provider_id` are required; all others are optional. An unknown key, a
/// repeated key and a value of the wrong type are errors. Labels and values of links may be numbers and booleans, and keep the
/// text in which they are written. In JSON, such numbers must be integers. All other values are text; put texts that look like
/// numbers in quotes.
///
/// # Modules and archives
///
/// The `image_ref` of an actor is the path of a signed module, or a reference to one in an OCI registry. That of a capability
/// is the path of a provider archive, a reference to one in a registry, or one of these:
///
/// | reference | provider | public key |
/// |---|---|---|
/// | `builtin:blobstore` | `BlobStore` | `VDPAIWMF5OXZVZWAKJKVLZVHOQ423LNDXL4QJBQVIT7LDGXWOQ3IWQUB` |
/// | `builtin:extras` | [`Extras`](crate::builtin::Extras); a link to it starts it | `VDHPKGFKDI34Y4RN4PWWZHRYZ6373HYRSNNEM4UTDLLOGO5B37TSVREP` |
/// | `builtin:httpclient` | `HttpClient` | `VB7M6YTQJHKCTGLQOQE33ZCE6OF4FI6DCSBOWRLBJ7357QIOI267ILK2` |
/// | `builtin:httpserver` | `HttpServer` | `VBW2SATI6KGCM7PJFVP7FULS2UEFACLKGLJRJKF3ICHO7AEOLZRPDDRB` |
/// | `builtin:keyvalue` | `KeyValue` | `VBU6NIRGQTHFV7XF7YR777RELSVQLLGZJV3SFIO4IH7VVS6MEHHA6SP3` |
/// | `builtin:logging` | [`Logging`](crate::builtin::Logging) | `VBHIMVFEU4YTNTOHBKBVDDI6IBYJJLY6NXQGTUOOPAD6PKTFMUQL27PQ` |
/// | `builtin:messaging` | `Messaging` | `VAIXHLIZYF25MTVQYBUE5F3PSYTZBEQ2GPVWOFSMLGOKON5FZCLSO7VE` |
///
/// A relative path is resolved against the folder of the manifest. If no such file exists, it is resolved against the working
/// directory, as in wasmCloud 0.18, and a warning is logged. (Paths among a link's values are resolved by the provider, against
/// the working directory.) A reference to a registry begins with the registry's host, as in `registry.example/shop/cart:1.4.0`
/// or `localhost:5000/cart@sha256:…`, and is one if no file has that name. Tags are resolved to digests before anything
/// changes.
///
/// # Secrets
///
/// A value of a link can refer to a secret ([`ManifestSecret`]), which the host reads just before it applies the manifest. The
/// provider receives it as any other value. The host lists, prints and logs it nowhere.
///
/// # Names
///
/// The host remembers, until it stops, what each application of a manifest started, by the name of the manifest.
/// [`ApplyOptions::prune`] removes what a later version of the manifest no longer names.
///
/// # Variables
///
/// - `${NAME}` is replaced by the value of the variable. It is an error if the variable is not set.
/// - `${NAME:default}` is replaced by the default if the variable is not set. The default ends at the next `}`.
/// - `${NAME:-default}` is replaced by the default if the variable is not set or is empty, as in a shell. Write a default that
///   begins with a minus as `${NAME:--1}`.
/// - `$${` is replaced by `${`.
///
/// The shell's other forms (`:=`, `:?`, `:+`) are errors.
///
/// Variables are expanded once, after the file has been parsed, and only in values. So the value of a variable cannot become a
/// list, another key or another variable. In YAML, put a text with a variable in quotes inside `{…}`, where `}` would end the
/// mapping, and if the default begins with a space.
///
/// # Limits
///
/// A manifest is a single document of at most 1 MiB and 16 levels of nesting, and of at most 8 MiB after aliases and variables
/// are expanded. YAML aliases and anchors are supported. Tags and merge keys are errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostManifest {
    /// The name of the manifest, by which a host remembers what it started: 1 to 128 characters. Default: the name of its file
    /// without the extension.
    pub name: Option<String>,
    /// The labels that are added to the host's labels.
    pub labels: BTreeMap<String, String>,
    /// The actors.
    pub actors: Vec<ManifestActor>,
    /// The providers.
    pub capabilities: Vec<ManifestCapability>,
    /// The links, in the order in which they are established.
    pub links: Vec<ManifestLink>,
    /// The file that the manifest was read from, if any.
    path: Option<PathBuf>,
    /// Whether the manifest may come from another machine. Then it names no files of this one.
    has_travelled: bool,
}

/// A provider of a [`HostManifest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManifestCapability {
    /// The path of the provider's archive, a reference to one in a registry, or `builtin:` and a name.
    pub image_ref: String,
    /// The link name that the provider runs under. Default: `default`.
    pub link_name: Option<String>,
    /// Where the library of an archive runs. Built-in providers always run in the host's process. Default: in the host's
    /// process.
    pub isolation: Option<ManifestIsolation>,
}

/// A link of a [`HostManifest`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ManifestLink {
    /// The actor's public key or call alias.
    pub actor: String,
    /// The contract.
    pub contract_id: String,
    /// The provider's public key, `builtin:` and a name, or the `image_ref` of one of the manifest's capabilities.
    pub provider_id: String,
    /// The link name that the provider runs under. Default: `default`.
    pub link_name: Option<String>,
    /// The link's values, which the provider receives. They may contain secrets.
    pub values: HashMap<String, String>,
    /// The link's values that are secrets, by name.
    pub secrets: BTreeMap<String, ManifestSecret>,
}

impl HostManifest {
    /// Reads a manifest from a file. The format is YAML if the extension is `.yaml` or `.yml` in any case, or is missing, TOML
    /// if it is `.toml`, and JSON otherwise. If `expand_env` is set, variables are expanded from the environment. This blocks the calling thread.
    ///
    /// # Errors
    /// `Io` if the file cannot be read. `InvalidManifest` if the manifest is malformed; the text names the file, the key, and
    /// the line and column if they are known.
    pub fn from_path(path: impl AsRef<Path>, expand_env: bool) -> Result<HostManifest> {
        let path = path.as_ref();
        let text = read(path)?;
        let format = Format::of(path);
        let read = format.read(&text).and_then(|mut document| {
            if expand_env {
                let mut expansion = Expansion::new(&environment);
                document.each_text(&mut |text| expansion.expand(text))?;
            }
            schema::manifest(document)
        });
        let read = read.map_err(|error| invalid(Some(path), &error, format.note()))?;
        Ok(HostManifest { path: Some(path.to_owned()), ..read })
    }

    /// Reads a manifest from text in YAML, without expanding variables.
    ///
    /// ```
    /// use wasmcloud_host::{ErrorKind, HostManifest};
    ///
    /// let manifest = HostManifest::from_yaml("labels: { zone: cellar }\nactors: [echo.wasm]")?;
    /// assert_eq!((manifest.labels["zone"].as_str(), manifest.actors.len()), ("cellar", 1));
    ///
    /// let refused = HostManifest::from_yaml("actor: [echo.wasm]").unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
    /// assert!(refused.to_string().contains("line 1, column 1"));
    /// # Ok::<(), wasmcloud_host::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidManifest` if the manifest is malformed.
    pub fn from_yaml(text: &str) -> Result<HostManifest> {
        wasmcloud_document::yaml::read(text).and_then(schema::manifest).map_err(|error| invalid(None, &error, ""))
    }

    /// Reads a manifest from text in TOML, without expanding variables.
    ///
    /// # Errors
    /// `InvalidManifest` if the manifest is malformed.
    pub fn from_toml(text: &str) -> Result<HostManifest> {
        wasmcloud_document::toml::read(text).and_then(schema::manifest).map_err(|error| invalid(None, &error, ""))
    }

    /// Returns the JSON Schema of manifests.
    pub fn json_schema() -> &'static str {
        JSON_SCHEMA
    }

    /// Expands variables in the values of a manifest. `variables` returns the value of a name, or `None` if it is not set. Do
    /// not expand a manifest twice: the values of variables would be expanded too.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use wasmcloud_host::HostManifest;
    ///
    /// let variables = HashMap::from([("ZONE".to_owned(), "cellar".to_owned())]);
    /// let manifest = HostManifest::from_yaml("labels: { zone: '${ZONE}', shelf: '${SHELF:3}' }")?;
    /// let manifest = manifest.expand(|name| variables.get(name).cloned())?;
    /// assert_eq!((manifest.labels["zone"].as_str(), manifest.labels["shelf"].as_str()), ("cellar", "3"));
    /// # Ok::<(), wasmcloud_host::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidManifest` if a variable is not set and has no default, or is malformed. The text names the key.
    pub fn expand(self, variables: impl Fn(&str) -> Option<String>) -> Result<HostManifest> {
        self.expand_by(&|name| Ok(variables(name)))
    }

    fn expand_by(mut self, variables: Variables<'_>) -> Result<HostManifest> {
        let mut expansion = Expansion::new(variables);
        let expanded =
            self.each_text(&mut |key, text| expansion.expand(text).map_err(|reason| DocumentError::at(key(), reason)));
        expanded.map_err(|error| invalid(self.path.as_deref(), &error, ""))?;
        Ok(self)
    }

    /// Visits all values that are texts.
    fn each_text(&mut self, visit: TextVisitor<'_>) -> Result<(), DocumentError> {
        if let Some(name) = &mut self.name {
            visit(&|| "name".to_owned(), name)?;
        }
        for (name, value) in &mut self.labels {
            visit(&|| format!("labels.{}", printable(name)), value)?;
        }
        for (number, actor) in self.actors.iter_mut().enumerate() {
            visit(&|| format!("actors[{number}].image_ref"), &mut actor.image_ref)?;
        }
        for (number, capability) in self.capabilities.iter_mut().enumerate() {
            visit(&|| format!("capabilities[{number}].image_ref"), &mut capability.image_ref)?;
            if let Some(link_name) = &mut capability.link_name {
                visit(&|| format!("capabilities[{number}].link_name"), link_name)?;
            }
        }
        for (number, link) in self.links.iter_mut().enumerate() {
            visit(&|| format!("links[{number}].actor"), &mut link.actor)?;
            visit(&|| format!("links[{number}].contract_id"), &mut link.contract_id)?;
            visit(&|| format!("links[{number}].provider_id"), &mut link.provider_id)?;
            if let Some(link_name) = &mut link.link_name {
                visit(&|| format!("links[{number}].link_name"), link_name)?;
            }
            for (name, value) in &mut link.values {
                visit(&|| format!("links[{number}].values.{}", printable(name)), value)?;
            }
            for (name, secret) in &mut link.secrets {
                let (ManifestSecret::File(text) | ManifestSecret::Env(text)) = secret;
                visit(&|| format!("links[{number}].values.{}.secret", printable(name)), text)?;
            }
        }
        Ok(())
    }

    /// Returns the name of the manifest in errors.
    pub(crate) fn title(&self) -> String {
        name(self.path.as_deref())
    }

    /// Returns the name by which hosts remember what the manifest started, if it has one.
    pub(crate) fn application_name(&self) -> Option<String> {
        let of_file = || self.path.as_deref()?.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        self.name.clone().or_else(of_file).filter(|name| is_name(name))
    }

    /// Returns the folder that relative paths begin at, if the manifest was read from a file.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.path.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty())
    }
}

/// Visits a text of a manifest. The first argument returns its key for errors.
type TextVisitor<'a> = &'a mut dyn FnMut(&dyn Fn() -> String, &mut String) -> Result<(), DocumentError>;

impl fmt::Debug for ManifestLink {
    /// Writes only the names of the values, because the values may contain secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&String> = self.values.keys().collect();
        names.sort();
        f.debug_struct("ManifestLink")
            .field("actor", &self.actor)
            .field("contract_id", &self.contract_id)
            .field("provider_id", &self.provider_id)
            .field("link_name", &self.link_name)
            .field("value_names", &names)
            .field("secrets", &self.secrets)
            .finish()
    }
}

/// Reads the text of a manifest.
fn read(path: &Path) -> Result<String> {
    wasmcloud_document::read_text(path).map_err(|error| match error {
        TextError::Unreadable(error) => {
            Error::new(ErrorKind::Io, format!("cannot read the manifest {}", path.display())).caused_by(error)
        }
        TextError::Invalid(error) => invalid(Some(path), &error, ""),
    })
}

fn invalid(path: Option<&Path>, error: &DocumentError, note: &str) -> Error {
    Error::new(ErrorKind::InvalidManifest, format!("{} is invalid: {error}{note}", name(path)))
}

fn name(path: Option<&Path>) -> String {
    path.map_or_else(|| "the manifest".to_owned(), |path| format!("the manifest {}", path.display()))
}

/// Returns whether a text can be the name of a manifest.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 128;
    !text.is_empty() && text.chars().count() <= LONGEST && !text.chars().any(char::is_control)
}
