//! The keys of a manifest, and the types of their values.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::document::{Content, DocumentError, Entry, Node, Position, inner};
use super::quantity;
use super::{
    HostManifest, ManifestActor, ManifestCapability, ManifestIsolation, ManifestLimits, ManifestLink, ManifestRestart,
    ManifestSecret, is_name,
};
use crate::supervisor::placement::Placement;
use crate::supervisor::restart::Restart;

const MANIFEST: [&str; 5] = ["name", "labels", "actors", "capabilities", "links"];
const ACTOR: [&str; 5] = ["image_ref", "instances", "placement", "limits", "restart"];
const LIMITS: [&str; 6] =
    ["memory_bytes", "stack_bytes", "message_bytes", "table_elements", "mailbox_length", "call_deadline"];
const RESTART: [&str; 6] = ["restart", "intensity", "period", "in_a_row", "second_delay", "longest_delay"];
const CAPABILITY: [&str; 3] = ["image_ref", "link_name", "isolation"];
const ISOLATION: [&str; 1] = ["process"];
const PROCESS: [&str; 2] = ["memory_bytes", "open_files"];
const LINK: [&str; 5] = ["actor", "contract_id", "provider_id", "link_name", "values"];
const SECRET_VALUE: [&str; 1] = ["secret"];
const SECRET: [&str; 2] = ["file", "env"];

/// The words for placements.
pub(super) const PLACEMENTS: [(&str, Placement); 3] =
    [("near", Placement::Near), ("spread", Placement::Spread), ("dedicated", Placement::Dedicated)];

/// The words for the conditions of restarts.
pub(super) const RESTARTS: [(&str, Restart); 3] =
    [("permanent", Restart::Permanent), ("transient", Restart::Transient), ("temporary", Restart::Temporary)];

/// Returns the word for a value.
pub(super) fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> Option<&'static str> {
    words.iter().find(|(_, known)| known == value).map(|(word, _)| *word)
}

/// Reads a manifest from a document.
pub(super) fn manifest(document: Node) -> Result<HostManifest, DocumentError> {
    let mut fields = Fields::of(document, String::new(), &MANIFEST)?;
    Ok(HostManifest {
        name: fields.take("name").map(name).transpose()?,
        labels: fields.take("labels").map_or_else(|| Ok(BTreeMap::new()), labels)?,
        actors: fields.list("actors", actor)?,
        capabilities: fields.list("capabilities", capability)?,
        links: fields.list("links", link)?,
        path: None,
        has_travelled: false,
    })
}

fn name((node, key): (Node, String)) -> Result<String, DocumentError> {
    let position = node.position;
    let name = text(node, key.clone())?;
    if is_name(&name) {
        return Ok(name);
    }
    Err(DocumentError::at(key, "it should be 1 to 128 characters without control characters").at_position(position))
}

/// Reads an actor: the reference of its module, or a mapping of the reference and options.
fn actor(node: Node, key: String) -> Result<ManifestActor, DocumentError> {
    if !matches!(node.content, Content::Mapping(_)) {
        return text(node, key).map(ManifestActor::from);
    }
    let mut fields = Fields::of(node, key, &ACTOR)?;
    Ok(ManifestActor {
        image_ref: fields.required("image_ref")?,
        instances: fields.quantity("instances", quantity::count)?,
        placement: fields.one_of("placement", &PLACEMENTS)?,
        limits: fields.take("limits").map_or_else(|| Ok(ManifestLimits::default()), limits)?,
        restart: fields.take("restart").map_or_else(|| Ok(ManifestRestart::default()), restart)?,
    })
}

fn limits((node, key): (Node, String)) -> Result<ManifestLimits, DocumentError> {
    let mut fields = Fields::of(node, key, &LIMITS)?;
    Ok(ManifestLimits {
        memory_bytes: fields.quantity("memory_bytes", quantity::bytes)?,
        stack_bytes: fields.quantity("stack_bytes", quantity::size)?,
        message_bytes: fields.quantity("message_bytes", quantity::size)?,
        table_elements: fields.quantity("table_elements", quantity::number)?,
        mailbox_length: fields.quantity("mailbox_length", quantity::count)?,
        call_deadline: fields.quantity("call_deadline", quantity::duration)?,
    })
}

fn restart((node, key): (Node, String)) -> Result<ManifestRestart, DocumentError> {
    let mut fields = Fields::of(node, key, &RESTART)?;
    Ok(ManifestRestart {
        restart: fields.one_of("restart", &RESTARTS)?,
        intensity: fields.quantity("intensity", quantity::number)?,
        period: fields.quantity::<Duration>("period", quantity::duration)?,
        in_a_row: fields.quantity("in_a_row", quantity::number)?,
        second_delay: fields.quantity("second_delay", quantity::duration)?,
        longest_delay: fields.quantity("longest_delay", quantity::duration)?,
    })
}

fn capability(node: Node, key: String) -> Result<ManifestCapability, DocumentError> {
    let mut fields = Fields::of(node, key, &CAPABILITY)?;
    Ok(ManifestCapability {
        image_ref: fields.required("image_ref")?,
        link_name: fields.optional("link_name")?,
        isolation: fields.take("isolation").map(isolation).transpose()?,
    })
}

/// Reads where a provider runs: `in_process`, `process`, or a mapping of the limits of a process.
fn isolation((node, key): (Node, String)) -> Result<ManifestIsolation, DocumentError> {
    let process = |memory_bytes, open_files| ManifestIsolation::Process { memory_bytes, open_files };
    if matches!(node.content, Content::Mapping(_)) {
        let mut fields = Fields::of(node, key, &ISOLATION)?;
        let Some((node, key)) = fields.take("process") else { return Ok(process(None, None)) };
        let mut fields = Fields::of(node, key, &PROCESS)?;
        let memory_bytes = fields.quantity("memory_bytes", quantity::bytes)?;
        return Ok(process(memory_bytes, fields.quantity("open_files", quantity::number)?));
    }
    let known = [("in_process", ManifestIsolation::InProcess), ("process", process(None, None))];
    one_of(node, key, &known)
}

fn link(node: Node, key: String) -> Result<ManifestLink, DocumentError> {
    let mut fields = Fields::of(node, key, &LINK)?;
    let (actor, contract_id) = (fields.required("actor")?, fields.required("contract_id")?);
    let (provider_id, link_name) = (fields.required("provider_id")?, fields.optional("link_name")?);
    let all = fields.take("values").map_or_else(|| Ok(Vec::new()), link_values)?;
    let mut link = ManifestLink { actor, contract_id, provider_id, link_name, ..ManifestLink::default() };
    for (name, value) in all {
        match value {
            LinkValue::Plain(value) => drop(link.values.insert(name, value)),
            LinkValue::Secret(secret) => drop(link.secrets.insert(name, secret)),
        }
    }
    Ok(link)
}

/// A value of a link.
enum LinkValue {
    Plain(String),
    Secret(ManifestSecret),
}

fn link_values((node, key): (Node, String)) -> Result<Vec<(String, LinkValue)>, DocumentError> {
    named_values((node, key), "a text, a number, a boolean or {secret: …}", |node, name| match node.content {
        Content::Mapping(_) => secret(node, name).map(|secret| Ok(LinkValue::Secret(secret))),
        Content::Text(text) | Content::Literal(text) => Ok(Ok(LinkValue::Plain(text))),
        _ => Ok(Err(node)),
    })
}

/// Reads a reference to a secret: `{secret: {file: path}}` or `{secret: {env: NAME}}`.
fn secret(node: Node, key: String) -> Result<ManifestSecret, DocumentError> {
    let position = node.position;
    let mut fields = Fields::of(node, key.clone(), &SECRET_VALUE)?;
    let expected = || DocumentError::at(&key, "it should be {secret: {file: path}} or {secret: {env: NAME}}");
    let Some((node, name)) = fields.take("secret") else { return Err(expected().at_position(position)) };
    let mut fields = Fields::of(node, name, &SECRET)?;
    match (fields.optional("file")?, fields.optional("env")?) {
        (Some(path), None) => Ok(ManifestSecret::File(path)),
        (None, Some(name)) => Ok(ManifestSecret::Env(name)),
        _ => Err(expected().at_position(position)),
    }
}

/// The entries of a mapping with known keys.
struct Fields {
    /// The key of the mapping in errors. Empty for the document.
    name: String,
    position: Option<Position>,
    entries: HashMap<String, Entry>,
}

impl Fields {
    /// Returns the entries of a mapping.
    ///
    /// # Errors
    /// An error if the value is not a mapping, or has an unknown key.
    fn of(node: Node, name: String, known: &[&str]) -> Result<Fields, DocumentError> {
        let position = node.position;
        let Content::Mapping(entries) = node.content else {
            return Err(wrong(&node, &name, &format!("a mapping of {}", known.join(", "))));
        };
        for entry in &entries {
            if !known.contains(&entry.key.as_str()) {
                let meant = closest(&entry.key, known).map(|meant| format!(": did you mean {meant}?"));
                let meant = meant.unwrap_or_default();
                let reason = format!("the key is unknown{meant} (known keys: {})", known.join(", "));
                return Err(DocumentError::at(inner(&name, &entry.key), reason).at_position(entry.position));
            }
        }
        let entries = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Ok(Fields { name, position, entries })
    }

    /// Removes the value of a key, and returns it with its full key. An empty value counts as absent.
    fn take(&mut self, key: &str) -> Option<(Node, String)> {
        let value = self.entries.remove(key)?.value;
        if matches!(value.content, Content::Nothing) { None } else { Some((value, inner(&self.name, key))) }
    }

    fn optional(&mut self, key: &str) -> Result<Option<String>, DocumentError> {
        self.take(key).map(|(node, name)| text(node, name)).transpose()
    }

    /// Reads a quantity, such as a size, with `read`. A text is accepted too, because it may result from a variable.
    fn quantity<T>(
        &mut self,
        key: &str,
        read: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Result<Option<T>, DocumentError> {
        let Some((node, name)) = self.take(key) else { return Ok(None) };
        match &node.content {
            Content::Text(text) | Content::Literal(text) => {
                read(text).map(Some).map_err(|expected| DocumentError::at(&name, expected).at_position(node.position))
            }
            _ => Err(wrong(&node, &name, "a number")),
        }
    }

    fn one_of<T: Clone>(&mut self, key: &str, known: &[(&str, T)]) -> Result<Option<T>, DocumentError> {
        self.take(key).map(|(node, name)| one_of(node, name, known)).transpose()
    }

    fn required(&mut self, key: &str) -> Result<String, DocumentError> {
        let missing = DocumentError::at(inner(&self.name, key), "the key is missing").at_position(self.position);
        self.optional(key)?.ok_or(missing)
    }

    fn list<T>(
        &mut self,
        key: &str,
        read: impl Fn(Node, String) -> Result<T, DocumentError>,
    ) -> Result<Vec<T>, DocumentError> {
        let Some((node, name)) = self.take(key) else { return Ok(Vec::new()) };
        let Content::List(nodes) = node.content else { return Err(wrong(&node, &name, "a list")) };
        nodes.into_iter().enumerate().map(|(number, node)| read(node, format!("{name}[{number}]"))).collect()
    }
}

/// Returns the known key that differs from this one in a few letters or in case.
fn closest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    /// Longer keys are no mistyped ones, and take long to compare.
    const LONGEST: usize = 40;
    if key.len() > LONGEST {
        return None;
    }
    let key = key.trim().to_lowercase().replace(['-', ' '], "_");
    let distance = |known: &&&str| strsim::osa_distance(&key, known);
    let nearest = known.iter().min_by_key(distance)?;
    // At most a third of the letters, so that short names do not all resemble each other.
    (distance(&nearest) <= (nearest.len() / 3).max(1)).then_some(*nearest)
}

fn labels(labels: (Node, String)) -> Result<BTreeMap<String, String>, DocumentError> {
    let labels = named_values(labels, "a text, a number or a boolean", |node, _| match node.content {
        Content::Text(text) | Content::Literal(text) => Ok(Ok(text)),
        _ => Ok(Err(node)),
    })?;
    Ok(labels.into_iter().collect())
}

/// Reads a mapping with any keys. `read` returns a value, or the node if it is of the wrong type.
fn named_values<T>(
    (node, name): (Node, String),
    expected: &str,
    read: impl Fn(Node, String) -> Result<Result<T, Node>, DocumentError>,
) -> Result<Vec<(String, T)>, DocumentError> {
    let Content::Mapping(entries) = node.content else { return Err(wrong(&node, &name, "a mapping")) };
    let value = |Entry { key, position, value }: Entry| {
        let name = inner(&name, &key);
        if matches!(value.content, Content::Nothing) {
            let error = DocumentError::at(name, "it has no value: write an empty text as \"\"");
            return Err(error.at_position(position));
        }
        match read(value, name.clone())? {
            Ok(value) => Ok((key, value)),
            Err(node) => Err(wrong(&node, &name, expected)),
        }
    };
    entries.into_iter().map(value).collect()
}

/// Returns the value that a known word stands for.
fn one_of<T: Clone>(node: Node, name: String, known: &[(&str, T)]) -> Result<T, DocumentError> {
    let position = node.position;
    let word = text(node, name.clone())?;
    let found = known.iter().find(|(known, _)| *known == word).map(|(_, value)| value.clone());
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        DocumentError::at(name, format!("it should be one of {}", words.join(", "))).at_position(position)
    })
}

fn text(node: Node, name: String) -> Result<String, DocumentError> {
    match node.content {
        Content::Text(text) => Ok(text),
        Content::Literal(_) => Err(wrong(&node, &name, "a text: put it in quotes")),
        _ => Err(wrong(&node, &name, "a text")),
    }
}

/// Returns the error for a value of the wrong type. The value is not repeated, because it may be a secret.
fn wrong(node: &Node, name: &str, expected: &str) -> DocumentError {
    DocumentError::at(name, format!("it is {} and should be {expected}", node.kind())).at_position(node.position)
}

#[cfg(test)]
mod tests {
    use super::super::document::yaml;
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
        let link =
            read("links: [{actor: a, contract_id: 'b:c', provider_id: V, link_name: , values: }]").unwrap().links;
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
        assert_eq!(closest("image-ref", &ACTOR), Some("image_ref"));
        assert_eq!(closest(&"actors".repeat(100_000), &MANIFEST), None);
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
}
