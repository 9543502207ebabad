//! Manifests: which layer holds the content, and how manifests are written.

use std::str::FromStr;

use oci_client::manifest::{IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use serde::Deserialize;
use serde_json::json;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::digest::Digest;
use crate::media::{self, Kind, Layout};

/// The largest manifest that is read: what registries accept at most.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;

/// The media types for the header `Accept`: those of manifests that are read, and of an index, which is refused with a text
/// of its own. Without them a registry would say that there is nothing.
pub(crate) const ACCEPTED: &str = "application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json";

/// The media type of the manifests that are written.
pub(crate) const WRITTEN: &str = OCI_IMAGE_MEDIA_TYPE;

/// The layer that holds a module or an archive.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Names the blob.
    pub(crate) digest: Digest,
    /// How large the manifest says the blob is.
    pub(crate) size: u64,
    /// What the manifest says the blob is, if it does.
    pub(crate) kind: Option<Kind>,
}

/// What tells a manifest from an index of manifests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    schema_version: u64,
    media_type: Option<String>,
    manifests: Option<serde_json::Value>,
}

/// Finds the layer of a module or archive in a manifest, with or without a `mediaType`.
pub(crate) fn read(bytes: &[u8]) -> Result<Layer> {
    let form: Form = serde_json::from_slice(bytes).map_err(malformed)?;
    check_form(&form)?;
    let manifest: OciImageManifest = serde_json::from_slice(bytes).map_err(malformed)?;
    let mut known = manifest.layers.iter().filter_map(|layer| Some((layer, media::layer(&layer.media_type)?)));
    let Some((layer, row)) = known.next() else {
        return Err(no_layer(&manifest.layers));
    };
    if known.next().is_some() {
        return Err(refused("the manifest has several layers that hold modules or archives: push them one by one"));
    }
    let size = u64::try_from(layer.size).map_err(|_| refused("the manifest has a layer of a negative size"))?;
    let digest = Digest::from_str(&layer.digest)
        .map_err(|error| refused("the manifest has a layer whose digest is not supported").caused_by(error))?;
    let kind = row.kind.or_else(|| Kind::of_config(&manifest.config.media_type));
    Ok(Layer { digest, size, kind })
}

/// Checks that a document is the manifest of one image.
fn check_form(form: &Form) -> Result<()> {
    if form.manifests.is_some() {
        return Err(refused("the reference names an index of manifests: name one of them by its digest"));
    }
    if form.schema_version != 2 {
        return Err(refused(format!(
            "the manifest has the schema version {}, and 2 is needed: push it again with a newer tool",
            form.schema_version
        )));
    }
    match form.media_type.as_deref() {
        None | Some(OCI_IMAGE_MEDIA_TYPE | IMAGE_MANIFEST_MEDIA_TYPE) => Ok(()),
        Some(other) => Err(refused(format!("the manifest has the unknown media type '{other}'"))),
    }
}

fn malformed(error: serde_json::Error) -> Error {
    refused("the registry answered something else than a manifest: check the reference").caused_by(error)
}

fn no_layer(layers: &[OciDescriptor]) -> Error {
    let found: Vec<&str> = layers.iter().take(8).map(|layer| layer.media_type.as_str()).collect();
    refused(format!(
        "the manifest has no layer that holds a module or a provider archive, but [{}]: check that the reference names an \
         actor or a provider",
        found.join(", ")
    ))
}

fn refused(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::OciRefused, text)
}

/// A manifest and the configuration that it refers to, ready to be pushed.
#[derive(Debug)]
pub(crate) struct Written {
    /// The bytes of the manifest.
    pub(crate) manifest: Vec<u8>,
    /// The bytes of the configuration.
    pub(crate) config: Vec<u8>,
}

/// Writes the manifest of content. The same content yields the same bytes.
pub(crate) fn write(kind: Kind, layout: Layout, digest: &Digest, size: u64) -> Result<Written> {
    let (config_type, layer_type) = match (kind, layout) {
        (Kind::Actor, Layout::Wasmcloud) => (media::ACTOR_CONFIG, media::ACTOR_LAYER),
        (Kind::Actor, Layout::Cncf) => (media::CNCF_CONFIG, media::CNCF_LAYER),
        (Kind::Provider, _) => (media::PROVIDER_CONFIG, media::PROVIDER_LAYER),
    };
    let config = match config_type {
        media::CNCF_CONFIG => cncf_config(digest).to_string().into_bytes(),
        _ => b"{}".to_vec(),
    };
    let manifest = OciImageManifest {
        media_type: Some(WRITTEN.to_owned()),
        config: descriptor(config_type, &Digest::of(&config), config.len() as u64),
        layers: vec![descriptor(layer_type, digest, size)],
        ..OciImageManifest::default()
    };
    let manifest = serde_json::to_vec(&manifest)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot write the manifest").caused_by(error))?;
    Ok(Written { manifest, config })
}

/// Returns the configuration that the layout of the CNCF demands. The date is fixed, so that pushes can be repeated.
fn cncf_config(layer: &Digest) -> serde_json::Value {
    json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": "wasm",
        "os": "wasip1",
        "layerDigests": [layer.to_string()],
    })
}

fn descriptor(media_type: &str, digest: &Digest, size: u64) -> OciDescriptor {
    OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest.to_string(),
        size: i64::try_from(size).unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    }
}

#[cfg(test)]
mod tests;
