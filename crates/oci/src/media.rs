//! Media types: how manifests say what a layer is.

/// The configuration of an actor, as tools of 2021 wrote it.
pub(crate) const ACTOR_CONFIG: &str = "application/vnd.wasmcloud.actor.archive.config";
/// The module of an actor, as tools of 2021 wrote it.
pub(crate) const ACTOR_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
/// The configuration of a provider archive.
pub(crate) const PROVIDER_CONFIG: &str = "application/vnd.wasmcloud.provider.archive.config";
/// A provider archive, compressed or not.
pub(crate) const PROVIDER_LAYER: &str = "application/vnd.wasmcloud.provider.archive.layer.v1+par";
/// The configuration in the layout of the CNCF.
pub(crate) const CNCF_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// A module in the layout of the CNCF.
pub(crate) const CNCF_LAYER: &str = "application/wasm";

/// What layer media types stand for. `None`: either kind, as the configuration or the content says.
const LAYERS: &[LayerType] = &[
    LayerType { name: ACTOR_LAYER, kind: Some(Kind::Actor) },
    LayerType { name: CNCF_LAYER, kind: Some(Kind::Actor) },
    LayerType { name: "application/vnd.wasm.content.layer.v1+wasm", kind: Some(Kind::Actor) },
    LayerType { name: PROVIDER_LAYER, kind: Some(Kind::Provider) },
    LayerType { name: "application/vnd.oci.image.layer.v1.tar", kind: None },
];

/// One row of the table of layers.
#[derive(Debug)]
pub(crate) struct LayerType {
    /// The media type.
    pub(crate) name: &'static str,
    /// What a layer of this type holds.
    pub(crate) kind: Option<Kind>,
}

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An actor: a WebAssembly module.
    Actor,
    /// A provider archive, `.par` or `.par.gz`.
    Provider,
}

/// How the manifest of an actor is written. Provider archives have one layout only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Layout {
    /// The media types that hosts and tools of 2021 read. This is the default.
    #[default]
    Wasmcloud,
    /// The layout of the CNCF for WebAssembly.
    Cncf,
}

impl Kind {
    /// Returns what content is by its first bytes, or `None` for neither.
    pub(crate) fn of_content(start: &[u8]) -> Option<Kind> {
        let is_tar = start.get(257..262) == Some(b"ustar");
        match start {
            [0, b'a', b's', b'm', ..] => Some(Kind::Actor),
            [0x1f, 0x8b, ..] => Some(Kind::Provider),
            _ if is_tar => Some(Kind::Provider),
            _ => None,
        }
    }

    /// Returns how people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Actor => "a WebAssembly module",
            Kind::Provider => "a provider archive",
        }
    }

    /// Returns the kind that a configuration announces.
    pub(crate) fn of_config(media_type: &str) -> Option<Kind> {
        match media_type {
            ACTOR_CONFIG | CNCF_CONFIG => Some(Kind::Actor),
            PROVIDER_CONFIG => Some(Kind::Provider),
            _ => None,
        }
    }
}

/// Returns the row of a layer's media type, without its parameters.
pub(crate) fn layer(media_type: &str) -> Option<&'static LayerType> {
    let name = media_type.split(';').next().unwrap_or_default().trim();
    LAYERS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_recognised() {
        assert_eq!(Kind::of_content(b"\0asm\x01\0\0\0"), Some(Kind::Actor));
        assert_eq!(Kind::of_content(&[0x1f, 0x8b, 8]), Some(Kind::Provider));
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        assert_eq!(Kind::of_content(&tar), Some(Kind::Provider));
        assert_eq!(Kind::of_content(b"<!doctype html>"), None);
        assert_eq!(Kind::of_content(b""), None);
    }
}
