//! What is read from which files, and how variables are expanded in them.

use wasmcloud_host::{ErrorKind, HostManifest, ManifestActor};

use super::{Folder, failures};
use crate::signing::{guest, sign};
use crate::support::{keep_log, kind, logged, with_host};

#[test]
fn the_extension_tells_the_format() {
    let folder = Folder::new();
    let echo = [ManifestActor::from("echo.wasm".to_owned())];
    for name in ["host", "host.yaml", "host.yml", "host.YAML", "host.Yml"] {
        for mark in ["", "\u{feff}"] {
            let path = folder.write(name, format!("{mark}actors:\n- echo.wasm"));
            assert_eq!(HostManifest::from_path(&path, false).unwrap().actors, echo, "{name}");
        }
    }
    let path = folder.write("host.JSON", "\u{feff}{\"actors\": [\"echo.wasm\"]}");
    assert_eq!(HostManifest::from_path(path, false).unwrap().actors, echo);
    for name in ["host.json", "host.manifest"] {
        let path = folder.write(name, r#"{"actors": ["echo.wasm"], "labels": {"rack": 7}}"#);
        let manifest = HostManifest::from_path(&path, false).unwrap();
        assert_eq!((manifest.actors.len(), manifest.labels["rack"].as_str()), (1, "7"));
        let refused = HostManifest::from_path(folder.write(name, "actors:\n- echo.wasm"), false).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
        assert!(refused.to_string().contains(name) && refused.to_string().contains("line 1"), "{refused}");
        assert_eq!(refused.to_string().contains("it was read as JSON"), name == "host.manifest", "{refused}");
    }
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let folder = Folder::new();
    let read = |path| HostManifest::from_path(path, true);
    let missing = read(folder.path("missing.yaml")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.to_string().contains("missing.yaml"));
    assert_eq!(kind(read(folder.path(""))), ErrorKind::Io);
    for bytes in [b"labels: {a: \xff}".to_vec(), vec![b'#'; 1024 * 1024 + 1], "é".repeat(600_000).into_bytes(), vec![]]
    {
        assert_eq!(kind(read(folder.write("host.yaml", bytes))), ErrorKind::InvalidManifest);
    }
    #[cfg(unix)]
    assert_eq!(kind(read("/dev/zero".into())), ErrorKind::InvalidManifest);
}

#[test]
fn the_environment_is_expanded_where_it_is_asked_for() {
    let folder = Folder::new();
    let path = folder.write("host.yaml", "labels: {a: '${PATH}', b: '${WASMCLOUD_TEST_NOT_SET:x}'}");
    let (as_it_is, expanded) =
        (HostManifest::from_path(&path, false).unwrap(), HostManifest::from_path(&path, true).unwrap());
    assert_eq!(as_it_is.labels["a"], "${PATH}");
    assert_eq!(expanded.labels["a"], std::env::var("PATH").unwrap());
    assert_eq!(expanded.labels["b"], "x");
    let text =
        "actors: [{image_ref: a, instances: '${WASMCLOUD_TEST_NOT_SET:3}', limits: {memory_bytes: '${NONE:1}MiB'}}]";
    let actor = &HostManifest::from_path(folder.write("host.yaml", text), true).unwrap().actors[0];
    assert_eq!((actor.instances, actor.limits.memory_bytes), (Some(3), Some(1024 * 1024)));
    let path = folder.write("host.yaml", "actors: ['${WASMCLOUD_TEST_NOT_SET}']");
    let refused = HostManifest::from_path(&path, true).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
    let refused = refused.to_string();
    assert!(
        ["host.yaml", "actors[0] (line 1, column 10)", "WASMCLOUD_TEST_NOT_SET"]
            .iter()
            .all(|part| refused.contains(part)),
        "{refused}"
    );
}

#[test]
fn every_text_is_expanded_and_none_becomes_anything_else() {
    let text = "
        labels: {A: '${A}'}
        actors: ['${A}']
        capabilities: [{image_ref: '${A}', link_name: '${A}'}]
        links: [{actor: '${A}', contract_id: '${A}', provider_id: '${A}', link_name: '${A}', values: {'${A}': '${A}'}}]
        ";
    let wild = "x: [1]\nactors: ['${A}', \"$${\"]";
    let manifest = HostManifest::from_yaml(text).unwrap().expand(|_| Some(wild.to_owned())).unwrap();
    assert_eq!((manifest.labels["A"].as_str(), manifest.actors.len()), (wild, 1));
    assert_eq!(manifest.actors[0].image_ref, wild);
    let (capability, link) = (&manifest.capabilities[0], &manifest.links[0]);
    assert_eq!((capability.image_ref.as_str(), capability.link_name.as_deref()), (wild, Some(wild)));
    assert_eq!((link.actor.as_str(), link.contract_id.as_str(), link.provider_id.as_str()), (wild, wild, wild));
    assert_eq!((link.link_name.as_deref(), link.values["${A}"].as_str()), (Some(wild), wild));
}

#[actix_rt::test]
async fn paths_begin_beside_the_manifest_and_then_where_the_program_runs() {
    keep_log();
    let folder = Folder::new();
    // Beside the manifest there is a signed module of this name; where the tests run there is another file, and others.
    let key = folder.actor("Cargo.toml", &sign("echo"));
    with_host(async |host| {
        let manifest = folder.manifest("actors: [Cargo.toml]").unwrap();
        host.apply_manifest(manifest).await.unwrap();
        assert_eq!(host.actors().await.unwrap(), std::slice::from_ref(&key));
        let manifest = folder.manifest("actors: [src/main.rs, src]").unwrap();
        let refused = host.apply_manifest(manifest).await.unwrap_err();
        assert_eq!(failures(&refused)[0].1, ErrorKind::InvalidModule, "it was found");
        assert_eq!(failures(&refused)[1].1, ErrorKind::Io, "it is no file");
        let told = |line: &String| line.contains("src/main.rs is taken from the working directory");
        assert!(logged().iter().any(told));
    })
    .await;
}

#[actix_rt::test]
async fn a_module_is_read_no_further_than_it_may_be_large() {
    let folder = Folder::new();
    let large = std::fs::File::create(folder.path("large.wasm")).unwrap();
    // A file of many terabytes that takes no room.
    large.set_len(1 << 42).unwrap();
    folder.write("unsigned.wasm", guest("echo"));
    with_host(async |host| {
        let manifest = folder.manifest("actors: [large.wasm, unsigned.wasm]").unwrap();
        let refused = host.apply_manifest(manifest).await.unwrap_err();
        let kinds: Vec<ErrorKind> = failures(&refused).into_iter().map(|(_, kind)| kind).collect();
        assert_eq!(kinds, [ErrorKind::InvalidModule, ErrorKind::Unsigned]);
    })
    .await;
}
