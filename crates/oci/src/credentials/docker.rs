//! Docker's `config.json`: which registries it knows, and by what.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use data_encoding::{BASE64, BASE64_NOPAD};
use serde::Deserialize;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use super::{Credentials, Found, Helpers, helper, registry_of};

/// The largest file that is read.
const MAX_CONFIG: u64 = 1 << 20;

/// The key by which Docker keeps the credentials of Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What is used of the file.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

/// The credentials of one registry.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<Zeroizing<String>>,
    username: Option<String>,
    password: Option<Zeroizing<String>>,
    identitytoken: Option<Zeroizing<String>>,
    registrytoken: Option<Zeroizing<String>>,
}

/// Finds the credentials of a registry: by its own helper, by the helper for all, or in the file.
pub(super) async fn find(path: &Path, registry: &str, helpers: &Helpers) -> Result<Found> {
    let shown = path.display();
    let Some(config) = read(path).await? else {
        return Ok(Found { credentials: None, origin: format!("'{shown}' does not exist") });
    };
    let own = config.cred_helpers.iter().find(|(key, _)| registry_of(key) == registry);
    for name in own.map(|(_, name)| name).into_iter().chain(&config.creds_store).filter(|name| !name.is_empty()) {
        let key = if registry == registry_of(DOCKER_HUB) { DOCKER_HUB } else { registry };
        if let Some(credentials) = helper::ask(helpers, name, key).await? {
            let origin = format!("those of docker-credential-{name}");
            return Ok(Found { credentials: Some(credentials), origin });
        }
    }
    let entry = config.auths.into_iter().find(|(key, _)| registry_of(key) == registry);
    let credentials = match entry {
        Some((key, entry)) => {
            entry.into_credentials().map_err(|text| malformed(path, &format!("{text} for '{key}'")))?
        }
        None => None,
    };
    let origin = match &credentials {
        Some(_) => format!("those of '{shown}'"),
        None => format!("'{shown}' has none for {registry}"),
    };
    Ok(Found { credentials, origin })
}

/// Reads the file. `None`: there is none.
async fn read(path: &Path) -> Result<Option<Config>> {
    let size = tokio::fs::metadata(path).await.map(|data| data.len());
    let text = match size {
        Ok(size) if size > MAX_CONFIG => return Err(malformed(path, "it is larger than 1 MiB")),
        Ok(_) => tokio::fs::read(path).await,
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => {
            let text = Zeroizing::new(text);
            // The text of the parser's error could quote a secret, so only its position is told.
            let parsed = serde_json::from_slice(&text);
            parsed
                .map(Some)
                .map_err(|error| malformed(path, &format!("see line {}, column {}", error.line(), error.column())))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => {
            let text = format!("cannot read the credentials in '{}'", path.display());
            Err(Error::new(ErrorKind::Io, text).caused_by(error))
        }
    }
}

impl Entry {
    /// Returns the credentials of the entry. A token is preferred; `None`: the entry has nothing, as beside a helper.
    fn into_credentials(self) -> Result<Option<Credentials>, &'static str> {
        let filled = |secret: &Zeroizing<String>| !secret.is_empty();
        if let Some(token) = self.identitytoken.filter(filled) {
            return Ok(Some(Credentials::IdentityToken(token)));
        }
        if let Some(token) = self.registrytoken.filter(filled) {
            return Ok(Some(Credentials::RegistryToken(token)));
        }
        if let Some(auth) = self.auth.filter(filled) {
            return basic(&auth).map(Some);
        }
        match (self.username, self.password) {
            (Some(user), Some(password)) if !user.is_empty() => Ok(Some(Credentials::Basic { user, password })),
            _ => Ok(None),
        }
    }
}

/// Reads a name and a password in base64, with or without padding.
fn basic(auth: &str) -> Result<Credentials, &'static str> {
    let unpadded = auth.trim().trim_end_matches('=');
    let bytes = BASE64.decode(auth.trim().as_bytes()).or_else(|_| BASE64_NOPAD.decode(unpadded.as_bytes()));
    let bytes = Zeroizing::new(bytes.map_err(|_| "the value of auth is not base64")?);
    let text = std::str::from_utf8(&bytes).map_err(|_| "the value of auth is not text")?;
    let (user, password) = text.split_once(':').ok_or("the value of auth has no colon")?;
    // Some versions of Docker ended passwords with a zero byte.
    Ok(Credentials::basic(user, password.trim_end_matches('\0')))
}

fn malformed(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidArgument,
        format!("the credentials in '{}' are malformed: {why}: mend the file, or log in again", path.display()),
    )
}
