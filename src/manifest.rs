//! Host manifests: files that say what a host runs and what joins it.
//!
//! Reading a manifest and carrying it out are two things. Reading is pure but for the one file: text becomes a
//! `document`, a document becomes a [`HostManifest`], and variables are expanded in what that says. Checking it against
//! the files that it names and against a host makes a `plan` of it, which is what the host carries out.
//!
//! # Layout
//! - `document`: text of YAML or JSON as a tree, within bounds
//! - `schema`: which keys there are, and what they hold
//! - `quantity`: numbers with units
//! - `options`: how actors and providers are to run
//! - `expansion`: `${VARIABLE:default}`
//! - `reference`: what the place of a module or archive stands for
//! - `plan`: a manifest checked: every module and archive read, every name resolved
//! - `failure`: which entries failed, and why

mod document;
mod expansion;
mod failure;
mod options;
pub(crate) mod plan;
mod quantity;
mod reference;
mod schema;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::escaped;

use document::{Fault, LARGEST_TEXT};
use expansion::Expansion;
pub use failure::{EntryFailure, ManifestFailures};
pub use options::{ManifestActor, ManifestIsolation, ManifestLimits, ManifestRestart};

/// What a host is to run, and what joins it: read from a file of YAML or JSON, carried out by
/// [`Host::apply_manifest`](crate::Host::apply_manifest).
///
/// ```yaml
/// labels:
///   zone: cellar
/// actors:
///   - counter.wasm                        # a signed module
///   - image_ref: thumbnails.wasm          # the same, and how it is to run; all but `image_ref` can be left out
///     instances: ${REPLICAS:2}
///     placement: spread                   # near, spread or dedicated: see Placement
///     limits:                             # see Limits; memory_bytes, stack_bytes, message_bytes, table_elements,
///       memory_bytes: 32MiB               # mailbox_length, call_deadline
///       call_deadline: 5s
///     restart:                            # see RestartPolicy; restart (permanent, transient, temporary), intensity,
///       intensity: 5                      # period, in_a_row, second_delay, longest_delay
///       period: 1m
/// capabilities:
///   - image_ref: builtin:keyvalue         # a provider that comes with the host
///   - image_ref: builtin:httpserver
///     link_name: default                  # the name that it runs under, `default` if left out
///   - image_ref: clock.par.gz             # the archive of a plugin
///     isolation:                          # in_process (the default), process, or a process with bounds of its own
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
/// ```
///
/// Numbers of bytes are written like `65536`, `64KiB`, `32MiB` or `1GiB`, spans of time like `500ms`, `5s`, `2m` or `1h`.
///
/// All keys but `image_ref` and `actor`, `contract_id`, `provider_id` can be left out, and there are no others. A key that
/// is not known, one that is there twice, and one that holds something else than it should are errors. Labels and values of
/// links may be numbers and truth values, and reach whoever reads them as they are written; in JSON, numbers must be whole.
/// Everything else is text; what looks like a number goes in quotes.
///
/// # Modules and archives
///
/// Actors are the paths of signed modules. The `image_ref` of a capability is the path of a provider archive, or `builtin:` and a
/// name:
///
/// | reference | provider | public key |
/// |---|---|---|
/// | `builtin:blobstore` | `BlobStore` | `VDPAIWMF5OXZVZWAKJKVLZVHOQ423LNDXL4QJBQVIT7LDGXWOQ3IWQUB` |
/// | `builtin:extras` | [`Extras`](crate::builtin::Extras); a link to it starts it, too | `VDHPKGFKDI34Y4RN4PWWZHRYZ6373HYRSNNEM4UTDLLOGO5B37TSVREP` |
/// | `builtin:httpclient` | `HttpClient` | `VB7M6YTQJHKCTGLQOQE33ZCE6OF4FI6DCSBOWRLBJ7357QIOI267ILK2` |
/// | `builtin:httpserver` | `HttpServer` | `VBW2SATI6KGCM7PJFVP7FULS2UEFACLKGLJRJKF3ICHO7AEOLZRPDDRB` |
/// | `builtin:keyvalue` | `KeyValue` | `VBU6NIRGQTHFV7XF7YR777RELSVQLLGZJV3SFIO4IH7VVS6MEHHA6SP3` |
/// | `builtin:logging` | [`Logging`](crate::builtin::Logging) | `VBHIMVFEU4YTNTOHBKBVDDI6IBYJJLY6NXQGTUOOPAD6PKTFMUQL27PQ` |
/// | `builtin:messaging` | `Messaging` | `VAIXHLIZYF25MTVQYBUE5F3PSYTZBEQ2GPVWOFSMLGOKON5FZCLSO7VE` |
///
/// A relative path begins at the folder of the manifest. Where there is no such file, it begins at the working directory, as
/// it did in wasmCloud 0.18, and there is a line on the log. (Paths among a link's values are the provider's business: they
/// begin at the working directory.) References to registries are recognised and refused.
///
/// # Variables
///
/// `${NAME:default}` in a text stands for the variable of that name, and where it is not set, for the default: whatever
/// comes up to the next `}`. `${NAME:-default}` is the same, and as in a shell, the default also stands for a variable that is set
/// to nothing; so a default that begins with a minus is written `${NAME:--1}`. The shell's other forms (`:=`, `:?`, `:+`) are
/// errors. `${NAME}` is an error where the variable is not set. `$${` stands for `${`.
///
/// Variables are expanded after the file has been read, once, in texts and not in keys: whatever a variable holds,
/// it remains one text or number and cannot become a list, another key, or another variable. In YAML, a text with a variable needs
/// quotes inside of `{…}`, where `}` would end the mapping, and where the default begins with a space.
///
/// # Bounds
///
/// A manifest has at most 1 MiB, 16 levels, one document, and with aliases and variables expanded, 8 MiB. Aliases and
/// anchors of YAML can be used; tags and merge keys cannot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostManifest {
    /// Labels to be added to those of the host.
    pub labels: BTreeMap<String, String>,
    /// The actors.
    pub actors: Vec<ManifestActor>,
    /// The providers.
    pub capabilities: Vec<ManifestCapability>,
    /// What joins them, in the order in which it is established.
    pub links: Vec<ManifestLink>,
    /// The file that it was read from, if it was.
    path: Option<PathBuf>,
}

/// A provider of a [`HostManifest`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManifestCapability {
    /// The path of its archive, or `builtin:` and a name.
    pub image_ref: String,
    /// The link name that it is to run under; `default` if not given.
    pub link_name: Option<String>,
    /// Where the library of an archive runs. Default: in the host's process. Providers that come with the host run there.
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
    /// The link's name; `default` if not given.
    pub link_name: Option<String>,
    /// What the provider is told about this link. May hold secrets.
    pub values: HashMap<String, String>,
}

impl HostManifest {
    /// Reads a manifest from a file: YAML where its name ends in `.yaml` or `.yml` (in capitals too) or has no extension, JSON
    /// otherwise. With `expand_env`, variables are expanded from the environment.
    ///
    /// This reads the file where it is called, so call it from a place that may block.
    ///
    /// # Errors
    /// `Io` where the file cannot be read; `InvalidManifest`, naming the file, the key, and where known, line and column.
    pub fn from_path(path: impl AsRef<Path>, expand_env: bool) -> Result<HostManifest> {
        let path = path.as_ref();
        let text = read(path)?;
        let format = Format::of(path);
        let read = format.read(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text)).and_then(|mut document| {
            if expand_env {
                let mut expansion = Expansion::new(&expansion::environment);
                document.each_text(&mut |text| expansion.expand(text))?;
            }
            schema::manifest(document)
        });
        let read = read.map_err(|fault| invalid(Some(path), &fault, format.note()))?;
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
    /// `InvalidManifest`.
    pub fn from_yaml(text: &str) -> Result<HostManifest> {
        document::yaml::read(text).and_then(schema::manifest).map_err(|fault| invalid(None, &fault, ""))
    }

    /// Reads a manifest from text in JSON, without expanding variables.
    ///
    /// # Errors
    /// `InvalidManifest`.
    pub fn from_json(text: &str) -> Result<HostManifest> {
        document::json::read(text).and_then(schema::manifest).map_err(|fault| invalid(None, &fault, ""))
    }

    /// Expands variables in the texts of a manifest from anywhere: `variables` answers with what a name stands for. What has been expanded should not be
    /// expanded again.
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
    /// `InvalidManifest`, naming the key, for a variable that is not set and has no default, and for what is malformed.
    pub fn expand(self, variables: impl Fn(&str) -> Option<String>) -> Result<HostManifest> {
        self.expand_by(&|name| Ok(variables(name)))
    }

    fn expand_by(mut self, variables: expansion::Variables<'_>) -> Result<HostManifest> {
        let mut expansion = Expansion::new(variables);
        let expanded =
            self.each_text(&mut |key, text| expansion.expand(text).map_err(|reason| Fault::at(key(), reason)));
        expanded.map_err(|fault| self.invalid(&fault))?;
        Ok(self)
    }

    /// Goes through all texts but keys, each with what it is called in errors.
    fn each_text(&mut self, visit: Visit<'_>) -> Result<(), Fault> {
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
        }
        Ok(())
    }

    /// What it is called in errors.
    pub(crate) fn name(&self) -> String {
        name(self.path.as_deref())
    }

    fn invalid(&self, fault: &Fault) -> Error {
        invalid(self.path.as_deref(), fault, "")
    }
}

/// What is done with each text: it gets a way to name it, and the text.
type Visit<'a> = &'a mut dyn FnMut(&dyn Fn() -> String, &mut String) -> Result<(), Fault>;

impl fmt::Debug for ManifestLink {
    /// Shows the names of the values only: among the values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<&String> = self.values.keys().collect();
        names.sort();
        f.debug_struct("ManifestLink")
            .field("actor", &self.actor)
            .field("contract_id", &self.contract_id)
            .field("provider_id", &self.provider_id)
            .field("link_name", &self.link_name)
            .field("value_names", &names)
            .finish()
    }
}

/// The text of a manifest, of which no more is read than it may have.
fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST_TEXT as u64 + 1).read_to_end(&mut bytes)).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read the manifest {}", path.display())).caused_by(error)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        // A character that was cut by the bound is no fault of the file's.
        let reason = match error.as_bytes().len() {
            length if length > LARGEST_TEXT => document::too_large(),
            _ => "it is no text in UTF-8".to_owned(),
        };
        invalid(Some(path), &Fault::of_document(reason), "")
    })
}

fn invalid(path: Option<&Path>, fault: &Fault, note: &str) -> Error {
    Error::new(ErrorKind::InvalidManifest, format!("{} is invalid: {fault}{note}", name(path)))
}

/// What some editors put before the first character of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a manifest is written in, as its name tells.
#[derive(Debug, Clone, Copy)]
enum Format {
    Yaml,
    Json,
    /// JSON because the ending of the name is no other format's.
    JsonByDefault,
}

impl Format {
    fn of(path: &Path) -> Format {
        let Some(extension) = path.extension() else { return Format::Yaml };
        let is = |known: &str| extension.eq_ignore_ascii_case(known);
        if is("yaml") || is("yml") {
            Format::Yaml
        } else if is("json") {
            Format::Json
        } else {
            Format::JsonByDefault
        }
    }

    fn read(self, text: &str) -> Result<document::Node, Fault> {
        match self {
            Format::Yaml => document::yaml::read(text),
            Format::Json | Format::JsonByDefault => document::json::read(text),
        }
    }

    /// What an error says besides, so that a name that was meant to stand for YAML does not puzzle its author.
    fn note(self) -> &'static str {
        match self {
            Format::JsonByDefault => " (it was read as JSON: the name of a manifest in YAML ends in .yaml or .yml)",
            Format::Yaml | Format::Json => "",
        }
    }
}

fn name(path: Option<&Path>) -> String {
    path.map_or_else(|| "the manifest".to_owned(), |path| format!("the manifest {}", path.display()))
}

/// A name as it is shown: short, and without control characters.
fn printable(name: &str) -> String {
    escaped(shorten(name)).into_owned()
}
