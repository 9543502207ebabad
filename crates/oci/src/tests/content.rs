//! What an honest registry answers.

use std::collections::HashMap;

use super::server::{Answer, answer};
use crate::Digest;
use crate::manifest;
use crate::media::{Kind, Layout};

/// What an honest registry has in its repository `echo`, with the tag `1`.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) manifest: Vec<u8>,
    pub(super) blob: Vec<u8>,
}

impl Content {
    /// Returns the content with a blob.
    pub(super) fn new(blob: Vec<u8>) -> Self {
        let written = manifest::write(Kind::Actor, Layout::Wasmcloud, &Digest::of(&blob), blob.len() as u64).unwrap();
        Content { manifest: written.manifest, blob }
    }

    /// Returns the path of the manifest by its tag.
    pub(super) const TAG: &str = "/v2/echo/manifests/1";

    /// Returns the path of the blob.
    pub(super) fn blob_path(&self) -> String {
        format!("/v2/echo/blobs/{}", Digest::of(&self.blob))
    }

    /// Answers as an honest registry.
    pub(super) fn answer(&self, path: &str) -> Answer {
        let by_digest = format!("/v2/echo/manifests/{}", Digest::of(&self.manifest));
        let known: HashMap<String, &Vec<u8>> = HashMap::from([
            (Self::TAG.to_owned(), &self.manifest),
            (by_digest, &self.manifest),
            (self.blob_path(), &self.blob),
        ]);
        match known.get(path) {
            Some(&bytes) => answer(200, &[&format!("Docker-Content-Digest: {}", Digest::of(bytes))], bytes.clone()),
            None => answer(404, &[], r#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}"#),
        }
    }
}
