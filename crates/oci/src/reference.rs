//! References: how actors and provider archives in registries are named.

use std::fmt;
use std::str::FromStr;

use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::digest::Digest;

/// The tag that stands for whatever was pushed last.
const LATEST: &str = "latest";

/// The name of an actor or provider archive in a registry: `registry/repository:tag` or `registry/repository@sha256:...`.
///
/// A name without a registry belongs to Docker Hub, as with other tools. Where there are both a tag and a digest, the
/// digest decides.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    inner: oci_client::Reference,
    digest: Option<Digest>,
    /// The tag as it was written: the grammar puts `latest` where there is none.
    tag: Option<String>,
}

impl Reference {
    /// Returns the address of the registry: host, and port if it is not the usual one.
    pub fn registry(&self) -> &str {
        self.inner.resolve_registry()
    }

    /// Returns the path of the repository in the registry.
    pub fn repository(&self) -> &str {
        self.inner.repository()
    }

    /// Returns the tag, if the reference has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest of the manifest, if the reference has one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns the same repository with a digest and without a tag.
    #[must_use]
    pub fn with_digest(&self, digest: &Digest) -> Reference {
        let inner = self.inner.clone_with_digest(digest.to_string());
        Reference { inner, digest: Some(digest.clone()), tag: None }
    }

    /// Refuses a reference that names different content from one push to the next.
    ///
    /// # Errors
    /// `InvalidArgument` if there is no digest, and the tag is `latest` or missing.
    pub fn check_pinned(&self) -> Result<()> {
        let fault = match (&self.digest, self.tag()) {
            (Some(_), _) => return Ok(()),
            (None, Some(LATEST)) => "has the tag latest",
            (None, None) => "has no tag",
            (None, Some(_)) => return Ok(()),
        };
        Err(Error::new(
            ErrorKind::InvalidArgument,
            format!(
                "the reference '{self}' {fault}, which names other content after each push: give a version as its tag, \
                 give a digest, or allow the tag latest"
            ),
        ))
    }

    /// Returns what the paths of manifests end with: the digest, or else the tag.
    pub(crate) fn target(&self) -> String {
        match &self.digest {
            Some(digest) => digest.to_string(),
            None => self.tag.clone().unwrap_or_else(|| LATEST.to_owned()),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = |cause: String| {
            let shown: String = text.chars().take(300).collect();
            Error::new(
                ErrorKind::InvalidArgument,
                format!("'{shown}' is not a reference to a registry: write registry/repository:tag: {cause}"),
            )
        };
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(invalid(format!("leave out '{scheme}://'")));
        }
        let inner = oci_client::Reference::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let digest = inner.digest().map(Digest::from_str).transpose()?;
        let is_tagged = digest.is_some() || text.ends_with(&format!(":{LATEST}")) || inner.tag() != Some(LATEST);
        let tag = inner.tag().filter(|_| is_tagged).map(str::to_owned);
        Ok(Reference { inner, digest, tag })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.inner.registry(), self.inner.repository())?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Reference {
        text.parse().unwrap()
    }

    #[test]
    fn the_parts_are_found() {
        let reference = parsed("wasmcloud.azurecr.io/echo:0.2.0");
        assert_eq!(reference.registry(), "wasmcloud.azurecr.io");
        assert_eq!(reference.repository(), "echo");
        assert_eq!(reference.tag(), Some("0.2.0"));
        assert_eq!(reference.to_string(), "wasmcloud.azurecr.io/echo:0.2.0");
        assert_eq!(parsed("localhost:5000/a/b/c:1").registry(), "localhost:5000");
        assert_eq!(parsed("echo:1").to_string(), "docker.io/library/echo:1");
    }

    #[test]
    fn a_digest_decides() {
        let digest = Digest::of(b"");
        let reference = parsed(&format!("example.com/echo:latest@{digest}"));
        assert_eq!(reference.digest(), Some(&digest));
        assert_eq!(reference.target(), digest.to_string());
        reference.check_pinned().unwrap();
        let pinned = parsed("example.com/echo:1").with_digest(&digest);
        assert_eq!(pinned.to_string(), format!("example.com/echo@{digest}"));
        assert_eq!(parsed(&pinned.to_string()), pinned);
    }

    #[test]
    fn moving_tags_are_refused() {
        for text in ["example.com/echo", "example.com/echo:latest", "localhost:5000/echo"] {
            let error = parsed(text).check_pinned().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains("give a version"), "{error}");
        }
        parsed("example.com/echo:latest-1").check_pinned().unwrap();
        assert_eq!(parsed("example.com/echo").tag(), None);
        assert_eq!(parsed("example.com/echo").target(), "latest");
    }

    #[test]
    fn malformed_references_are_refused() {
        let long = format!("example.com/{}:1", "a".repeat(300));
        let sha512 = format!("example.com/echo@sha512:{}", "0".repeat(128));
        for text in
            ["", "https://example.com/echo:1", "Echo:1", "example.com/echo:", "a b", &long, &sha512, "x@sha256:00"]
        {
            assert_eq!(text.parse::<Reference>().unwrap_err().kind(), ErrorKind::InvalidArgument, "{text}");
        }
    }
}
