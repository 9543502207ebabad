//! Secrets that a manifest names and does not contain. They are read on the host that applies the manifest, just before it
//! does.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_document::printable;

use crate::link::{HOST_PREFIX, mark_secrets};

/// The size of the largest secret. Unit: bytes.
const LARGEST_SECRET: usize = 64 * 1024;

/// The prefix of the variables that a manifest from elsewhere may name.
const PREFIX_OF_VARIABLES: &str = "WASMCLOUD_SECRET_";

/// Where a secret is. A value of a link that refers to a secret is read by the host that applies the manifest, and is never
/// shown: not by listings, events, logs, plans or `Debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestSecret {
    /// The path of a file with the secret. A relative path begins at the folder of the manifest. A newline at the end is not
    /// part of the secret. The path is within [`HostBuilder::with_secrets_folder`](crate::HostBuilder::with_secrets_folder)
    /// if the manifest came from elsewhere.
    File(String),
    /// The name of an environment variable of the host. It begins with `WASMCLOUD_SECRET_` if the manifest came from
    /// elsewhere.
    Env(String),
}

/// Where the secrets of a manifest may be.
#[derive(Debug, Clone)]
pub(crate) enum SecretSources {
    /// Any file and variable. Relative paths begin at this folder.
    Any(Option<PathBuf>),
    /// Files of this folder, and variables with a prefix: the manifest came from elsewhere.
    Restricted(Option<PathBuf>),
}

/// Returns the values of a link, with its secrets.
///
/// # Errors
/// `InvalidArgument` for a name that is reserved, and for a source that the manifest may not name; `Io` if a secret cannot be
/// read. No value is repeated.
pub(super) fn values(
    plain: &HashMap<String, String>,
    secrets: &BTreeMap<String, ManifestSecret>,
    sources: &SecretSources,
) -> Result<HashMap<String, String>> {
    let mut values = plain.clone();
    for name in plain.keys().chain(secrets.keys()) {
        if name.starts_with(HOST_PREFIX) {
            let message = format!("values.{}: names that begin with {HOST_PREFIX} are reserved", printable(name));
            return Err(argument(message));
        }
    }
    for (name, secret) in secrets {
        let value = if name.contains(',') {
            Err(argument("the name of a secret value contains a comma"))
        } else if plain.contains_key(name) {
            Err(argument("it is a secret and a plain value"))
        } else {
            secret.read(sources)
        };
        let value = value.map_err(|error| {
            Error::new(error.kind(), format!("the link value {}", printable(name))).caused_by(error)
        })?;
        values.insert(name.clone(), value);
    }
    mark_secrets(&mut values, secrets.keys());
    Ok(values)
}

impl ManifestSecret {
    /// Reads the secret.
    fn read(&self, sources: &SecretSources) -> Result<String> {
        match self {
            ManifestSecret::File(path) => read_file(&sources.locate(path)?),
            ManifestSecret::Env(name) => {
                sources.expect_variable(name)?;
                read_variable(name)
            }
        }
    }
}

impl SecretSources {
    /// Returns the file that a path leads to.
    fn locate(&self, path: &str) -> Result<PathBuf> {
        match self {
            SecretSources::Any(Some(folder)) => Ok(folder.join(path)),
            SecretSources::Any(None) => Ok(PathBuf::from(path)),
            SecretSources::Restricted(None) => Err(argument(
                "this host reads no secret files for manifests from elsewhere: set the folder of its secrets (see \
                 HostBuilder::with_secrets_folder, or `wasmcloud run --secrets-folder`), or name a variable that begins with WASMCLOUD_SECRET_",
            )),
            SecretSources::Restricted(Some(folder)) => {
                let is_inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
                if !is_inside || path.is_empty() {
                    let message = "a manifest from elsewhere names secret files by their paths within the host's folder of \
                                   secrets, without ..";
                    return Err(argument(message));
                }
                Ok(folder.join(path))
            }
        }
    }

    fn expect_variable(&self, name: &str) -> Result<()> {
        match self {
            SecretSources::Restricted(_) if !name.starts_with(PREFIX_OF_VARIABLES) => {
                let message = format!(
                    "a manifest from elsewhere may not read the variable {}: name one that begins with \
                     {PREFIX_OF_VARIABLES}",
                    printable(name)
                );
                Err(argument(message))
            }
            _ => Ok(()),
        }
    }
}

/// Reads a file that contains a secret.
fn read_file(path: &Path) -> Result<String> {
    let problem = |reason: &str| Error::new(ErrorKind::Io, format!("the secret file {} {reason}", path.display()));
    if path.exists() && !path.is_file() {
        return Err(problem("is not a regular file"));
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_SECRET as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|error| problem("cannot be read").caused_by(error))?;
    if bytes.len() > LARGEST_SECRET {
        return Err(problem(&format!("is larger than the limit of {LARGEST_SECRET} bytes")));
    }
    // The error of the conversion would hold the bytes.
    let mut secret = String::from_utf8(bytes).map_err(|_| problem("is not UTF-8"))?;
    if secret.ends_with('\n') {
        secret.pop();
    }
    if secret.ends_with('\r') {
        secret.pop();
    }
    if secret.is_empty() { Err(problem("is empty")) } else { Ok(secret) }
}

fn read_variable(name: &str) -> Result<String> {
    let problem = |reason| {
        let message = format!("the variable {} of the host's environment {reason}", printable(name));
        Err(Error::new(ErrorKind::Io, message))
    };
    // The standard library panics over names that no variable can have.
    if name.is_empty() || name.contains(['=', '\0']) {
        return problem("cannot exist: its name is empty, or contains = or NUL");
    }
    match std::env::var(name) {
        Ok(value) if value.is_empty() => problem("is empty"),
        Ok(value) => Ok(value),
        Err(std::env::VarError::NotPresent) => problem("is not set"),
        Err(std::env::VarError::NotUnicode(_)) => problem("is not UTF-8"),
    }
}

fn argument(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(secret: ManifestSecret, sources: &SecretSources) -> Result<String> {
        let values = values(&HashMap::new(), &BTreeMap::from([("PASSWORD".to_owned(), secret)]), sources)?;
        assert_eq!(values["__wasmcloud_secrets"], "PASSWORD");
        Ok(values["PASSWORD"].clone())
    }

    #[test]
    fn secrets_come_from_files_and_variables() {
        let folder = tempfile::tempdir().unwrap();
        let sources = SecretSources::Any(Some(folder.path().to_owned()));
        for (content, expected) in
            [("hunter2", "hunter2"), ("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), ("a\nb\n", "a\nb")]
        {
            std::fs::write(folder.path().join("password"), content).unwrap();
            assert_eq!(read(ManifestSecret::File("password".into()), &sources).unwrap(), expected);
        }
        assert_eq!(read(ManifestSecret::Env("PATH".into()), &sources).unwrap(), std::env::var("PATH").unwrap());
        let refused = |secret| read(secret, &sources).unwrap_err();
        for content in [vec![b'x'; LARGEST_SECRET + 1], b"hunter\xff".to_vec(), Vec::new(), b"\n".to_vec()] {
            std::fs::write(folder.path().join("password"), content).unwrap();
            let refused = refused(ManifestSecret::File("password".into()));
            assert_eq!(refused.kind(), ErrorKind::Io);
            assert!(refused.to_string().contains("PASSWORD") && !refused.to_string().contains("hunter"), "{refused}");
        }
        for secret in ["", "missing", "/dev/zero"] {
            assert_eq!(refused(ManifestSecret::File(secret.into())).kind(), ErrorKind::Io, "{secret}");
        }
        for secret in ["", "A=B", "A\0", "WASMCLOUD_TEST_NOT_SET"] {
            assert_eq!(refused(ManifestSecret::Env(secret.into())).kind(), ErrorKind::Io, "{secret:?}");
        }
    }

    #[test]
    fn manifests_from_elsewhere_reach_no_other_secrets() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("redis")).unwrap();
        std::fs::write(folder.path().join("redis/password"), "hunter2").unwrap();
        let sources = SecretSources::Restricted(Some(folder.path().to_owned()));
        assert_eq!(read(ManifestSecret::File("redis/password".into()), &sources).unwrap(), "hunter2");
        for path in ["", "/etc/passwd", "../password", "redis/../../password", ".", ".."] {
            let refused = read(ManifestSecret::File(path.into()), &sources).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{path}");
        }
        let refused = read(ManifestSecret::File("password".into()), &SecretSources::Restricted(None)).unwrap_err();
        assert!(refused.to_string().contains("with_secrets_folder"), "{refused}");
        let refused = read(ManifestSecret::Env("PATH".into()), &sources).unwrap_err();
        assert!(refused.to_string().contains("WASMCLOUD_SECRET_"), "{refused}");
    }

    #[test]
    fn names_are_neither_reserved_nor_ambiguous() {
        let secret = || ManifestSecret::Env("PATH".to_owned());
        let sources = SecretSources::Any(None);
        let plain = |name: &str| HashMap::from([(name.to_owned(), "hunter2".to_owned())]);
        for (plain, secrets) in [
            (plain("__wasmcloud_secrets"), BTreeMap::new()),
            (HashMap::new(), BTreeMap::from([("__wasmcloud_x".to_owned(), secret())])),
            (HashMap::new(), BTreeMap::from([("A,B".to_owned(), secret())])),
            (plain("A"), BTreeMap::from([("A".to_owned(), secret())])),
        ] {
            let refused = values(&plain, &secrets, &sources).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
            assert!(!refused.to_string().contains("hunter2"));
        }
        assert_eq!(values(&plain("A"), &BTreeMap::new(), &sources).unwrap(), plain("A"), "no secret, no mark");
    }
}
