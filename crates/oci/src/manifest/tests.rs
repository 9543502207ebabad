//! Tests of reading and writing manifests.

use super::*;

fn layer(media_type: &str) -> serde_json::Value {
    json!({"mediaType": media_type, "digest": Digest::of(b"x").to_string(), "size": 1})
}

fn manifest(config: &str, layers: &[serde_json::Value]) -> serde_json::Value {
    let config = json!({"mediaType": config, "digest": Digest::of(b"{}").to_string(), "size": 2});
    json!({"schemaVersion": 2, "config": config, "layers": layers})
}

fn kind_of(config: &str, layer_type: &str) -> Option<Kind> {
    read(manifest(config, &[layer(layer_type)]).to_string().as_bytes()).unwrap().kind
}

fn refusal(manifest: &serde_json::Value) -> String {
    let error = read(manifest.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciRefused);
    error.to_string()
}

#[test]
fn all_layouts_are_read() {
    assert_eq!(kind_of(media::ACTOR_CONFIG, media::ACTOR_LAYER), Some(Kind::Actor));
    assert_eq!(kind_of(media::CNCF_CONFIG, media::CNCF_LAYER), Some(Kind::Actor));
    assert_eq!(kind_of(media::PROVIDER_CONFIG, media::PROVIDER_LAYER), Some(Kind::Provider));
    assert_eq!(kind_of(media::PROVIDER_CONFIG, "application/vnd.oci.image.layer.v1.tar"), Some(Kind::Provider));
    assert_eq!(kind_of("application/x", "application/vnd.oci.image.layer.v1.tar"), None);
}

#[test]
fn a_media_type_of_the_manifest_is_optional() {
    let mut manifest = manifest(media::CNCF_CONFIG, &[layer(media::CNCF_LAYER)]);
    for media_type in [OCI_IMAGE_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE] {
        manifest["mediaType"] = json!(media_type);
        read(manifest.to_string().as_bytes()).unwrap();
    }
    manifest["mediaType"] = json!("text/plain");
    assert!(refusal(&manifest).contains("text/plain"));
}

#[test]
fn other_documents_are_refused() {
    assert!(refusal(&json!({"schemaVersion": 2, "manifests": []})).contains("index"));
    assert!(refusal(&json!({"schemaVersion": 1})).contains("schema version 1"));
    assert!(refusal(&json!([])).contains("something else than a manifest"));
    assert!(refusal(&manifest("x", &[])).contains("no layer"));
    assert!(refusal(&manifest("x", &[layer("application/x-tar")])).contains("application/x-tar"));
    assert!(refusal(&manifest("x", &[layer(media::CNCF_LAYER), layer(media::CNCF_LAYER)])).contains("several"));
    let mut bad = layer(media::CNCF_LAYER);
    bad["size"] = json!(-1);
    assert!(refusal(&manifest("x", &[bad.clone()])).contains("negative"));
    bad["size"] = json!(1);
    bad["digest"] = json!("sha256:../../etc/passwd");
    assert!(refusal(&manifest("x", &[bad])).contains("digest"));
}

#[test]
fn what_is_written_is_read() {
    for (kind, layout) in
        [(Kind::Actor, Layout::Wasmcloud), (Kind::Actor, Layout::Cncf), (Kind::Provider, Layout::Wasmcloud)]
    {
        let digest = Digest::of(b"content");
        let written = write(kind, layout, &digest, 7).unwrap();
        assert_eq!(read(&written.manifest).unwrap(), Layer { digest: digest.clone(), size: 7, kind: Some(kind) });
        assert_eq!(write(kind, layout, &digest, 7).unwrap().manifest, written.manifest);
    }
}
