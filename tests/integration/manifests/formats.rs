//! YAML, JSON and TOML: three ways to write the same manifest.

use wasmcloud_host::{ErrorKind, HostManifest, ManifestSecret};

use super::Folder;

const YAML: &str = r#"
name: shop
labels: {zone: cellar, rack: "007", floor: -1, ratio: 1.50, wet: true}
actors:
  - echo.wasm
  - image_ref: registry.example/shop/cart:1.4.0
    instances: 2
    placement: spread
    limits: {memory_bytes: 32MiB, call_deadline: 5s}
    restart: {restart: transient, intensity: 5, period: 1m}
capabilities:
  - {image_ref: "builtin:keyvalue", link_name: aside}
  - {image_ref: clock.par.gz, isolation: {process: {memory_bytes: 268435456, open_files: 64}}}
links:
  - actor: cart
    contract_id: wasmcloud:keyvalue
    provider_id: builtin:keyvalue
    link_name: aside
    values: {URL: "redis://r", PASSWORD: {secret: {file: redis.password}}, TOKEN: {secret: {env: TOKEN}}}
"#;

const TOML: &str = r#"
name = "shop"

[labels]
zone = "cellar"
rack = "007"
floor = -1
ratio = "1.50"      # JSON has no other way to keep the zero
wet = true

[[actors]]
image_ref = "echo.wasm"

[[actors]]
image_ref = "registry.example/shop/cart:1.4.0"
instances = 2
placement = "spread"
limits = { memory_bytes = "32MiB", call_deadline = "5s" }
restart = { restart = "transient", intensity = 5, period = "1m" }

[[capabilities]]
image_ref = "builtin:keyvalue"
link_name = "aside"

[[capabilities]]
image_ref = "clock.par.gz"
isolation.process = { memory_bytes = 268_435_456, open_files = 64 }

[[links]]
actor = "cart"
contract_id = "wasmcloud:keyvalue"
provider_id = "builtin:keyvalue"
link_name = "aside"

[links.values]
URL = "redis://r"
PASSWORD.secret.file = "redis.password"
TOKEN.secret.env = "TOKEN"
"#;

const JSON: &str = r#"{
  "name": "shop",
  "labels": {"zone": "cellar", "rack": "007", "floor": -1, "ratio": "1.50", "wet": true},
  "actors": [
    "echo.wasm",
    {"image_ref": "registry.example/shop/cart:1.4.0", "instances": 2, "placement": "spread",
     "limits": {"memory_bytes": "32MiB", "call_deadline": "5s"},
     "restart": {"restart": "transient", "intensity": 5, "period": "1m"}}
  ],
  "capabilities": [
    {"image_ref": "builtin:keyvalue", "link_name": "aside"},
    {"image_ref": "clock.par.gz", "isolation": {"process": {"memory_bytes": 268435456, "open_files": 64}}}
  ],
  "links": [
    {"actor": "cart", "contract_id": "wasmcloud:keyvalue", "provider_id": "builtin:keyvalue", "link_name": "aside",
     "values": {"URL": "redis://r", "PASSWORD": {"secret": {"file": "redis.password"}}, "TOKEN": {"secret": {"env": "TOKEN"}}}}
  ]
}"#;

#[test]
fn the_same_manifest_in_yaml_json_and_toml_is_the_same() {
    let folder = Folder::new();
    let read = |name: &str, text: &str| {
        let mut manifest = HostManifest::from_path(folder.write(name, text), true).unwrap();
        // Each names its file in errors. All else is compared.
        assert!(manifest.name.take().is_some_and(|name| name == "shop"));
        (manifest.labels, manifest.actors, manifest.capabilities, manifest.links)
    };
    let yaml = read("host.yaml", YAML);
    assert_eq!(read("host.toml", TOML), yaml);
    assert_eq!(read("host.TOML", TOML), yaml);
    assert_eq!(read("host.json", JSON), yaml);
    assert_eq!(yaml.0["ratio"], "1.50");
    assert_eq!(yaml.3[0].secrets["PASSWORD"], ManifestSecret::File("redis.password".to_owned()));
    let shown = format!("{yaml:?}");
    assert!(shown.contains("PASSWORD") && !shown.contains("redis://r"), "{shown}");
}

#[test]
fn unknown_keys_are_named_with_line_column_and_suggestion_in_every_format() {
    let folder = Folder::new();
    for (name, text, key, place, meant) in [
        (
            "a.yaml",
            "actors:\n  - image_ref: a\n    instanses: 2\n",
            "actors[0].instanses",
            "line 3, column 5",
            "instances",
        ),
        (
            "a.json",
            "{\"actors\": [\n  {\"image_ref\": \"a\",\n   \"instanses\": 2}]}",
            "actors[0].instanses",
            "line 3, column 4",
            "instances",
        ),
        (
            "a.toml",
            "[[actors]]\nimage_ref = \"a\"\ninstanses = 2\n",
            "actors[0].instanses",
            "line 3, column 1",
            "instances",
        ),
        ("b.toml", "[label]\nzone = \"a\"\n", "label", "line 1, column 2", "labels"),
        ("b.json", "{\"label\": {}}", "label", "line 1, column 2", "labels"),
        (
            "c.toml",
            "links = [{ actor = \"é\", contract = \"c\" }]",
            "links[0].contract",
            "line 1, column 25",
            "contract_id",
        ),
        ("c.json", "{\"links\":[{\"actor\":\"a\",\"values\":{\"A\":{\"secrets\":{}}}}]}", "links[0]", "line 1", ""),
    ] {
        let refused = HostManifest::from_path(folder.write(name, text), false).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
        let refused = refused.to_string();
        assert!(refused.contains(name) && refused.contains(key) && refused.contains(place), "{refused}");
        assert!(meant.is_empty() || refused.contains(&format!("did you mean {meant}?")), "{refused}");
    }
}

#[test]
fn a_manifest_that_travels_says_the_same() {
    let portable =
        YAML.replace("- echo.wasm", "- registry.example/echo:1.0").replace("clock.par.gz", "registry.example/clock:1");
    let manifest = HostManifest::from_yaml(&portable).unwrap();
    let travelled = HostManifest::from_json(&manifest.to_json().unwrap()).unwrap();
    assert_eq!((&travelled.actors, &travelled.capabilities), (&manifest.actors, &manifest.capabilities));
    assert_eq!((&travelled.links, &travelled.name), (&manifest.links, &manifest.name));
    assert_eq!(travelled.to_json().unwrap(), manifest.to_json().unwrap());
    let refused = HostManifest::from_yaml(YAML).unwrap().to_json().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidManifest);
    let refused = refused.to_string();
    assert!(refused.contains("echo.wasm") && refused.contains("wasmcloud registry push"), "{refused}");
}
