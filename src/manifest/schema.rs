//! The keys of a manifest, and the types of their values.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::document::{Content, DocumentError, Entry, Node, Position, inner};
use super::quantity;
use super::{
    HostManifest, ManifestActor, ManifestCapability, ManifestIsolation, ManifestLimits, ManifestLink, ManifestRestart,
};
use crate::supervisor::placement::Placement;
use crate::supervisor::restart::Restart;

/// Reads a manifest from a document.
pub(super) fn manifest(document: Node) -> Result<HostManifest, DocumentError> {
    let mut fields = Fields::of(document, String::new(), &["labels", "actors", "capabilities", "links"])?;
    Ok(HostManifest {
        labels: fields.take("labels").map_or_else(|| Ok(BTreeMap::new()), named_values)?,
        actors: fields.list("actors", actor)?,
        capabilities: fields.list("capabilities", capability)?,
        links: fields.list("links", link)?,
        path: None,
    })
}

/// Reads an actor: the path of its module, or a mapping of the path and options.
fn actor(node: Node, key: String) -> Result<ManifestActor, DocumentError> {
    if !matches!(node.content, Content::Mapping(_)) {
        return text(node, key).map(ManifestActor::from);
    }
    let mut fields = Fields::of(node, key, &["image_ref", "instances", "placement", "limits", "restart"])?;
    Ok(ManifestActor {
        image_ref: fields.required("image_ref")?,
        instances: fields.quantity("instances", quantity::count)?,
        placement: fields.one_of("placement", &PLACEMENTS)?,
        limits: fields.take("limits").map_or_else(|| Ok(ManifestLimits::default()), limits)?,
        restart: fields.take("restart").map_or_else(|| Ok(ManifestRestart::default()), restart)?,
    })
}

const PLACEMENTS: [(&str, Placement); 3] =
    [("near", Placement::Near), ("spread", Placement::Spread), ("dedicated", Placement::Dedicated)];

const RESTARTS: [(&str, Restart); 3] =
    [("permanent", Restart::Permanent), ("transient", Restart::Transient), ("temporary", Restart::Temporary)];

fn limits((node, key): (Node, String)) -> Result<ManifestLimits, DocumentError> {
    let known = ["memory_bytes", "stack_bytes", "message_bytes", "table_elements", "mailbox_length", "call_deadline"];
    let mut fields = Fields::of(node, key, &known)?;
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
    let known = ["restart", "intensity", "period", "in_a_row", "second_delay", "longest_delay"];
    let mut fields = Fields::of(node, key, &known)?;
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
    let mut fields = Fields::of(node, key, &["image_ref", "link_name", "isolation"])?;
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
        let mut fields = Fields::of(node, key, &["process"])?;
        let Some((node, key)) = fields.take("process") else { return Ok(process(None, None)) };
        let mut fields = Fields::of(node, key, &["memory_bytes", "open_files"])?;
        let memory_bytes = fields.quantity("memory_bytes", quantity::bytes)?;
        return Ok(process(memory_bytes, fields.quantity("open_files", quantity::number)?));
    }
    let known = [("in_process", ManifestIsolation::InProcess), ("process", process(None, None))];
    one_of(node, key, &known)
}

fn link(node: Node, key: String) -> Result<ManifestLink, DocumentError> {
    let mut fields = Fields::of(node, key, &["actor", "contract_id", "provider_id", "link_name", "values"])?;
    Ok(ManifestLink {
        actor: fields.required("actor")?,
        contract_id: fields.required("contract_id")?,
        provider_id: fields.required("provider_id")?,
        link_name: fields.optional("link_name")?,
        values: fields.take("values").map_or_else(|| Ok(HashMap::new()), named_values)?,
    })
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
                let reason = format!("the key is unknown; the known keys are {}", known.join(", "));
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

/// Reads a mapping with any keys. Its values may be texts, numbers and booleans.
fn named_values<T: FromIterator<(String, String)>>((node, name): (Node, String)) -> Result<T, DocumentError> {
    let Content::Mapping(entries) = node.content else { return Err(wrong(&node, &name, "a mapping")) };
    let value = |entry: Entry| match entry.value.content {
        Content::Text(text) | Content::Literal(text) => Ok((entry.key, text)),
        Content::Nothing => {
            let error = DocumentError::at(inner(&name, &entry.key), "it has no value: write an empty text as \"\"");
            Err(error.at_position(entry.position))
        }
        _ => Err(wrong(&entry.value, &inner(&name, &entry.key), "a text, a number or a boolean")),
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
