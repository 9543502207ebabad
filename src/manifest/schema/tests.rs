//! The keys of manifests, and errors in them.

use proptest::prelude::*;
use wasmcloud_document::{json, toml, yaml};

use super::*;

fn read(text: &str) -> Result<HostManifest, String> {
    yaml::read(text).and_then(manifest).map_err(|error| error.to_string())
}

#[test]
fn optional_keys_may_be_empty() {
    let empty = HostManifest::default();
    for text in ["{}", "labels:\nactors:\ncapabilities:\nlinks:\n", "labels: {}\nactors: []"] {
        assert_eq!(read(text), Ok(empty.clone()), "{text}");
    }
    let link = read("links: [{actor: a, contract_id: 'b:c', provider_id: V, link_name: , values: }]").unwrap().links;
    assert_eq!((link[0].link_name.as_deref(), link[0].values.len()), (None, 0));
}

#[test]
fn numbers_and_booleans_keep_the_text_in_which_they_are_written() {
    let manifest = read(
        "labels: {rack: 007}\nlinks: [{actor: a, contract_id: 'b:c', provider_id: V, \
                         values: {PORT: 08080, TLS: yes, RATIO: 1.50, LATE: true, EMPTY: ''}}]",
    )
    .unwrap();
    let value = |name: &str| manifest.links[0].values[name].clone();
    assert_eq!(manifest.labels["rack"], "007");
    let names = ["PORT", "TLS", "RATIO", "LATE", "EMPTY"];
    assert_eq!(names.map(value), ["08080", "yes", "1.50", "true", ""]);
}

#[test]
fn secrets_are_references() {
    let link = |values: &str| {
        read(&format!("links: [{{actor: a, contract_id: b, provider_id: c, values: {values}}}]"))
            .map(|manifest| manifest.links[0].clone())
    };
    let read = link("{A: {secret: {file: a/b}}, B: {secret: {env: C}}, D: plain}").unwrap();
    assert_eq!(read.secrets["A"], ManifestSecret::File("a/b".to_owned()));
    assert_eq!(read.secrets["B"], ManifestSecret::Env("C".to_owned()));
    assert_eq!((read.secrets.len(), read.values.len(), read.values["D"].as_str()), (2, 1, "plain"));
    for values in [
        "{A: {secret: hunter2}}",
        "{A: {secrets: {file: a}}}",
        "{A: {secret: {file: a, env: b}}}",
        "{A: {secret: {}}}",
        "{A: {}}",
        "{A: {secret: {files: hunter2}}}",
    ] {
        let error = link(values).unwrap_err();
        assert!(error.contains("links[0].values.A") && error.contains("line 1"), "{values}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn unknown_keys_are_answered_with_the_key_that_was_meant() {
    for (key, meant) in [
        ("actor", Some("actors")),
        ("Links", Some("links")),
        ("capabilites", Some("capabilities")),
        ("label", Some("labels")),
        ("providers", None),
        ("x", None),
        ("", None),
    ] {
        let error = read(&format!("{{'{key}': []}}")).unwrap_err();
        let hint = meant.map(|meant| format!("did you mean {meant}?"));
        assert_eq!(error.contains("did you mean"), hint.is_some(), "{error}");
        assert!(hint.is_none_or(|hint| error.contains(&hint)), "{error}");
    }
}

/// Every key of the reader is in the JSON Schema, and every key of the schema is known to the reader.
#[test]
fn the_json_schema_agrees_with_the_reader() {
    let schema: serde_json::Value = serde_json::from_str(HostManifest::json_schema()).unwrap();
    let defined = &schema["$defs"];
    let keys = |object: &serde_json::Value| {
        assert_eq!(object["additionalProperties"], false, "{object}");
        let mut keys: Vec<String> = object["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let sorted = |known: &[&str]| {
        let mut known: Vec<String> = known.iter().map(|key| (*key).to_owned()).collect();
        known.sort();
        known
    };
    assert_eq!(keys(&schema), sorted(&MANIFEST));
    let objects: [(&str, &[&str]); 9] = [
        ("actor", &ACTOR),
        ("limits", &LIMITS),
        ("restart", &RESTART),
        ("capability", &CAPABILITY),
        ("isolation", &ISOLATION),
        ("process", &PROCESS),
        ("link", &LINK),
        ("secretValue", &SECRET_VALUE),
        ("secret", &SECRET),
    ];
    for (name, known) in objects {
        assert_eq!(keys(&defined[name]), sorted(known), "{name}");
    }
    let closed = HostManifest::json_schema().matches("\"additionalProperties\": false").count();
    assert_eq!(closed, objects.len() + 1, "the schema has no other mapping with known keys");
    let words = |name: &str| -> Vec<String> {
        defined[name]["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(words("placement"), PLACEMENTS.map(|(word, _)| word));
    assert_eq!(words("restartCondition"), RESTARTS.map(|(word, _)| word));
}

/// The reader takes every key that it knows: none is accepted and ignored.
#[test]
fn every_known_key_has_an_effect() {
    let values = [
        ("image_ref", "a"),
        ("instances", "2"),
        ("placement", "spread"),
        ("limits", "{call_deadline: 5s}"),
        ("restart", "{in_a_row: 3}"),
        ("link_name", "l"),
        ("isolation", "process"),
        ("actor", "a"),
        ("contract_id", "a:b"),
        ("provider_id", "V"),
        ("values", "{A: b}"),
        ("memory_bytes", "1"),
        ("stack_bytes", "1"),
        ("message_bytes", "1"),
        ("table_elements", "1"),
        ("mailbox_length", "1"),
        ("call_deadline", "1s"),
        ("intensity", "1"),
        ("period", "1s"),
        ("in_a_row", "1"),
        ("second_delay", "1s"),
        ("longest_delay", "1s"),
        ("open_files", "1"),
        ("name", "n"),
        ("labels", "{a: b}"),
        ("actors", "[a]"),
        ("capabilities", "[{image_ref: a}]"),
        ("links", "[{actor: a, contract_id: b, provider_id: c}]"),
    ];
    let value = |key: &str| values.iter().find(|(known, _)| *known == key).unwrap().1;
    let differ = |known: &[&str], required: &[&str], around: &dyn Fn(String) -> String| {
        let write = |keys: &[&str]| {
            let entries: Vec<String> = keys.iter().map(|key| format!("{key}: {}", value(key))).collect();
            read(&around(format!("{{{}}}", entries.join(", ")))).unwrap()
        };
        let least = write(required);
        for key in known.iter().filter(|key| !required.contains(key)) {
            assert_ne!(write(&[required, &[*key]].concat()), least, "{key}");
        }
    };
    differ(&MANIFEST, &[], &|mapping| mapping);
    differ(&ACTOR, &["image_ref"], &|mapping| format!("actors: [{mapping}]"));
    differ(&LIMITS, &[], &|mapping| format!("actors: [{{image_ref: a, limits: {mapping}}}]"));
    let restart = |mapping: String| format!("actors: [{{image_ref: a, restart: {mapping}}}]");
    differ(&["intensity", "period", "in_a_row", "second_delay", "longest_delay"], &[], &restart);
    assert_ne!(read(&restart("{restart: temporary}".into())), read(&restart("{restart: transient}".into())));
    differ(&CAPABILITY, &["image_ref"], &|mapping| format!("capabilities: [{mapping}]"));
    let process = |mapping| format!("capabilities: [{{image_ref: a, isolation: {{process: {mapping}}}}}]");
    differ(&PROCESS, &[], &process);
    differ(&LINK, &["actor", "contract_id", "provider_id"], &|mapping| format!("links: [{mapping}]"));
}

#[test]
fn errors_name_the_key_and_position_and_do_not_repeat_the_value() {
    let link = "actor: a, contract_id: b, provider_id: c";
    for (text, name, position) in [
        ("[]".to_owned(), "it is a list", "line 1, column 1"),
        ("hunter2".to_owned(), "it is a text", "line 1, column 1"),
        ("label: {a: b}".to_owned(), "label ", "line 1, column 1"),
        ("actors: hunter2".to_owned(), "actors ", "line 1, column 9"),
        ("actors: [1]".to_owned(), "actors[0] ", "line 1, column 10"),
        ("actors: [a, ]\nactors: [b]".to_owned(), "actors", "line 2, column 1"),
        ("labels: [hunter2]".to_owned(), "labels ", "line 1, column 9"),
        ("labels:\n  zone:\n    deep: hunter2".to_owned(), "labels.zone ", "line 3, column 5"),
        ("labels: {zone: }".to_owned(), "labels.zone ", "line 1, column 10"),
        ("capabilities: [{link_name: a}]".to_owned(), "capabilities[0].image_ref ", "line 1, column 16"),
        ("capabilities: [hunter2]".to_owned(), "capabilities[0] ", "line 1, column 16"),
        ("capabilities: [{image_ref: a, name: b}]".to_owned(), "capabilities[0].name ", "line 1, column 31"),
        ("links: [{actor: a, contract_id: b}]".to_owned(), "links[0].provider_id ", "line 1, column 9"),
        ("actors: [{image_ref: a, instances: hunter2}]".to_owned(), "actors[0].instances ", "line 1, column 36"),
        ("actors: [{image_ref: a, instances: 0}]".to_owned(), "actors[0].instances ", "line 1, column 36"),
        ("actors: [{image_ref: a, placement: hunter2}]".to_owned(), "actors[0].placement ", "line 1, column 36"),
        ("actors: [{image_ref: a, limits: {memory: 1}}]".to_owned(), "limits.memory ", "line 1, column 34"),
        ("capabilities: [{image_ref: a, isolation: hunter2}]".to_owned(), ".isolation ", "line 1, column 42"),
        (format!("links: [{{{link}, values: hunter2}}]"), "links[0].values ", "line 1, column 60"),
        (format!("links: [{{{link}, values: {{A: [hunter2]}}}}]"), "links[0].values.A ", "line 1, column 64"),
        (format!("links: [{{{link}, '<<': {{A: hunter2}}}}]"), "links[0].<< ", "line 1, column 52"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.contains(name) && error.contains(position) && !error.contains("hunter2"), "{text}: {error}");
    }
}

proptest! {
    /// Nothing panics, neither a library nor this, and what is read is judged without a panic.
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = yaml::read(&text).and_then(manifest);
        let _ = json::read(&text).and_then(manifest);
        let _ = toml::read(&text).and_then(manifest);
    }

    #[test]
    fn any_pieces_of_toml_are_read_or_refused(pieces in prop::collection::vec(prop::sample::select(TOML_PIECES.to_vec()), 0..40)) {
        let _ = toml::read(&pieces.concat()).and_then(manifest);
    }

    #[test]
    fn any_pieces_of_yaml_are_read_or_refused(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..40)) {
        let text = pieces.concat();
        let _ = yaml::read(&text).and_then(manifest);
        let _ = json::read(&text).and_then(manifest);
    }
}

/// What TOML is made of, and manifests.
const TOML_PIECES: [&str; 24] = [
    "labels",
    "actors",
    "links",
    "values",
    "image_ref",
    "a",
    "1",
    " = ",
    ".",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ", ",
    "\n",
    "'",
    "\"",
    "\"\"\"",
    "# ",
    "1979-05-27",
    "true",
    "secret",
];

/// What YAML is made of, and manifests.
const PIECES: [&str; 36] = [
    "labels",
    "actors",
    "capabilities",
    "links",
    "values",
    "image_ref",
    "actor",
    "a",
    "1",
    "~",
    ": ",
    ":",
    "- ",
    "-",
    "? ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "\n",
    "\n  ",
    "\n    ",
    "'",
    "\"",
    "|\n",
    ">-\n",
    "&a ",
    "*a",
    "!!str ",
    "<<",
    "# ",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "\t",
];
