//! Which keys a manifest has, and what they hold.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::document::{Content, Entry, Fault, Node, Place, inner};
use super::quantity;
use super::{
    HostManifest, ManifestActor, ManifestCapability, ManifestIsolation, ManifestLimits, ManifestLink, ManifestRestart,
};
use crate::supervisor::placement::Placement;
use crate::supervisor::restart::Restart;

/// The manifest that a document is.
pub(super) fn manifest(document: Node) -> Result<HostManifest, Fault> {
    let mut fields = Fields::of(document, String::new(), &["labels", "actors", "capabilities", "links"])?;
    Ok(HostManifest {
        labels: fields.take("labels").map_or_else(|| Ok(BTreeMap::new()), named_values)?,
        actors: fields.list("actors", actor)?,
        capabilities: fields.list("capabilities", capability)?,
        links: fields.list("links", link)?,
        path: None,
    })
}

/// An actor: where its module lies, and where it is a mapping, how it is to run.
fn actor(node: Node, key: String) -> Result<ManifestActor, Fault> {
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

fn limits((node, key): (Node, String)) -> Result<ManifestLimits, Fault> {
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

fn restart((node, key): (Node, String)) -> Result<ManifestRestart, Fault> {
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

fn capability(node: Node, key: String) -> Result<ManifestCapability, Fault> {
    let mut fields = Fields::of(node, key, &["image_ref", "link_name", "isolation"])?;
    Ok(ManifestCapability {
        image_ref: fields.required("image_ref")?,
        link_name: fields.optional("link_name")?,
        isolation: fields.take("isolation").map(isolation).transpose()?,
    })
}

/// Where a provider runs: `in_process`, `process`, or a process with bounds of its own.
fn isolation((node, key): (Node, String)) -> Result<ManifestIsolation, Fault> {
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

fn link(node: Node, key: String) -> Result<ManifestLink, Fault> {
    let mut fields = Fields::of(node, key, &["actor", "contract_id", "provider_id", "link_name", "values"])?;
    Ok(ManifestLink {
        actor: fields.required("actor")?,
        contract_id: fields.required("contract_id")?,
        provider_id: fields.required("provider_id")?,
        link_name: fields.optional("link_name")?,
        values: fields.take("values").map_or_else(|| Ok(HashMap::new()), named_values)?,
    })
}

/// The entries of a mapping whose keys are known.
struct Fields {
    /// What the mapping is called; nothing for the document.
    name: String,
    place: Option<Place>,
    entries: HashMap<String, Entry>,
}

impl Fields {
    /// Refuses what is no mapping, and keys that are not among those.
    fn of(node: Node, name: String, known: &[&str]) -> Result<Fields, Fault> {
        let place = node.place;
        let Content::Mapping(entries) = node.content else {
            return Err(wrong(&node, &name, &format!("a mapping of {}", known.join(", "))));
        };
        for entry in &entries {
            if !known.contains(&entry.key.as_str()) {
                let reason = format!("there is no such key; there are {}", known.join(", "));
                return Err(Fault::at(inner(&name, &entry.key), reason).placed(entry.place));
            }
        }
        let entries = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Ok(Fields { name, place, entries })
    }

    /// What a key holds, and what that is called. A key that holds nothing is as good as none.
    fn take(&mut self, key: &str) -> Option<(Node, String)> {
        let value = self.entries.remove(key)?.value;
        if matches!(value.content, Content::Nothing) { None } else { Some((value, inner(&self.name, key))) }
    }

    fn optional(&mut self, key: &str) -> Result<Option<String>, Fault> {
        self.take(key).map(|(node, name)| text(node, name)).transpose()
    }

    /// A quantity, such as a number of bytes, in a form that `read` knows. Variables may have made a text of it.
    fn quantity<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, &'static str>) -> Result<Option<T>, Fault> {
        let Some((node, name)) = self.take(key) else { return Ok(None) };
        match &node.content {
            Content::Text(text) | Content::Literal(text) => {
                read(text).map(Some).map_err(|expected| Fault::at(&name, expected).placed(node.place))
            }
            _ => Err(wrong(&node, &name, "a number")),
        }
    }

    fn one_of<T: Clone>(&mut self, key: &str, known: &[(&str, T)]) -> Result<Option<T>, Fault> {
        self.take(key).map(|(node, name)| one_of(node, name, known)).transpose()
    }

    fn required(&mut self, key: &str) -> Result<String, Fault> {
        let missing = Fault::at(inner(&self.name, key), "it is missing").placed(self.place);
        self.optional(key)?.ok_or(missing)
    }

    fn list<T>(&mut self, key: &str, read: impl Fn(Node, String) -> Result<T, Fault>) -> Result<Vec<T>, Fault> {
        let Some((node, name)) = self.take(key) else { return Ok(Vec::new()) };
        let Content::List(nodes) = node.content else { return Err(wrong(&node, &name, "a list")) };
        nodes.into_iter().enumerate().map(|(number, node)| read(node, format!("{name}[{number}]"))).collect()
    }
}

/// A mapping from any names to values, which may be numbers and truth values too.
fn named_values<T: FromIterator<(String, String)>>((node, name): (Node, String)) -> Result<T, Fault> {
    let Content::Mapping(entries) = node.content else { return Err(wrong(&node, &name, "a mapping")) };
    let value = |entry: Entry| match entry.value.content {
        Content::Text(text) | Content::Literal(text) => Ok((entry.key, text)),
        Content::Nothing => {
            let fault = Fault::at(inner(&name, &entry.key), "it has no value: an empty one is written \"\"");
            Err(fault.placed(entry.place))
        }
        _ => Err(wrong(&entry.value, &inner(&name, &entry.key), "a text, a number or a truth value")),
    };
    entries.into_iter().map(value).collect()
}

/// What one of some known words stands for.
fn one_of<T: Clone>(node: Node, name: String, known: &[(&str, T)]) -> Result<T, Fault> {
    let place = node.place;
    let word = text(node, name.clone())?;
    let found = known.iter().find(|(known, _)| *known == word).map(|(_, value)| value.clone());
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        Fault::at(name, format!("it should be one of {}", words.join(", "))).placed(place)
    })
}

fn text(node: Node, name: String) -> Result<String, Fault> {
    match node.content {
        Content::Text(text) => Ok(text),
        Content::Literal(_) => Err(wrong(&node, &name, "a text: put it in quotes")),
        _ => Err(wrong(&node, &name, "a text")),
    }
}

/// What is wrong with something that is not what it should be. It does not repeat it: that may be a secret.
fn wrong(node: &Node, name: &str, expected: &str) -> Fault {
    Fault::at(name, format!("it is {} and should be {expected}", node.kind())).placed(node.place)
}

#[cfg(test)]
mod tests {
    use super::super::document::yaml;
    use super::*;

    fn read(text: &str) -> Result<HostManifest, String> {
        yaml::read(text).and_then(manifest).map_err(|fault| fault.to_string())
    }

    #[test]
    fn what_can_be_left_out_can_be_empty() {
        let empty = HostManifest::default();
        for text in ["{}", "labels:\nactors:\ncapabilities:\nlinks:\n", "labels: {}\nactors: []"] {
            assert_eq!(read(text), Ok(empty.clone()), "{text}");
        }
        let link =
            read("links: [{actor: a, contract_id: 'b:c', provider_id: V, link_name: , values: }]").unwrap().links;
        assert_eq!((link[0].link_name.as_deref(), link[0].values.len()), (None, 0));
    }

    #[test]
    fn numbers_and_truth_values_are_kept_as_they_are_written() {
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
    fn what_is_wrong_is_named_with_its_place_and_not_repeated() {
        let link = "actor: a, contract_id: b, provider_id: c";
        for (text, name, place) in [
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
            let fault = read(&text).unwrap_err();
            assert!(fault.contains(name) && fault.contains(place) && !fault.contains("hunter2"), "{text}: {fault}");
        }
    }
}
