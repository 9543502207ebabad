//! The rules for labels of a host.

/// Returns whether a label is reserved for the host itself. Embedders and manifests cannot replace it.
pub(crate) fn is_reserved(key: &str) -> bool {
    key.starts_with("hostcore.")
}
