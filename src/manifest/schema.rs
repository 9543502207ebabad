//! The keys of a manifest, and the types of their values.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use wasmcloud_document::{
    Content, DocumentError, Field, Fields, Node, named_values, one_of, quantity, scalar, text, wrong,
};

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

fn name(Field { node, key }: Field) -> Result<String, DocumentError> {
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

fn limits(Field { node, key }: Field) -> Result<ManifestLimits, DocumentError> {
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

fn restart(Field { node, key }: Field) -> Result<ManifestRestart, DocumentError> {
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
fn isolation(Field { node, key }: Field) -> Result<ManifestIsolation, DocumentError> {
    let process = |memory_bytes, open_files| ManifestIsolation::Process { memory_bytes, open_files };
    if matches!(node.content, Content::Mapping(_)) {
        let mut fields = Fields::of(node, key, &ISOLATION)?;
        let Some(Field { node, key }) = fields.take("process") else { return Ok(process(None, None)) };
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

fn link_values(values: Field) -> Result<Vec<(String, LinkValue)>, DocumentError> {
    named_values(values, |Field { node, key }| match node.content {
        Content::Mapping(_) => secret(node, key).map(LinkValue::Secret),
        Content::Text(text) | Content::Literal(text) => Ok(LinkValue::Plain(text)),
        _ => Err(wrong(&node, &key, "a text, a number, a boolean or {secret: …}")),
    })
}

/// Reads a reference to a secret: `{secret: {file: path}}` or `{secret: {env: NAME}}`.
fn secret(node: Node, key: String) -> Result<ManifestSecret, DocumentError> {
    let position = node.position;
    let mut fields = Fields::of(node, key.clone(), &SECRET_VALUE)?;
    let expected = || DocumentError::at(&key, "it should be {secret: {file: path}} or {secret: {env: NAME}}");
    let Some(Field { node, key: name }) = fields.take("secret") else { return Err(expected().at_position(position)) };
    let mut fields = Fields::of(node, name, &SECRET)?;
    match (fields.optional("file")?, fields.optional("env")?) {
        (Some(path), None) => Ok(ManifestSecret::File(path)),
        (None, Some(name)) => Ok(ManifestSecret::Env(name)),
        _ => Err(expected().at_position(position)),
    }
}

fn labels(labels: Field) -> Result<BTreeMap<String, String>, DocumentError> {
    Ok(named_values(labels, scalar)?.into_iter().collect())
}
