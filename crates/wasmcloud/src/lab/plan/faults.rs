//! The faults of a plan.

use wasmcloud_document::{Content, DocumentError, Field, Fields, Node, quantity};

use super::expect::expectations;
use super::values::{probability, up_to};
use super::{Faults, Rule};
use crate::lab::entity_name::EntityName;
use crate::lab::expectation::{Expectation, Scope};

pub(super) const FAULTS: [&str; 8] =
    ["actor", "provider", "link_name", "crash", "drop", "delay", "slow_start", "expect"];
pub(super) const CRASH: [&str; 3] = ["nth", "every", "probability"];
pub(super) const DROP: [&str; 2] = ["nth", "probability"];
pub(super) const DELAY: [&str; 3] = ["from", "to", "probability"];

/// Reads the faults of an actor or provider.
pub(super) fn faults(node: Node, key: String) -> Result<(Faults, Vec<Expectation>), DocumentError> {
    let position = node.position;
    let refused = |reason: &str| DocumentError::at(&key, reason).at_position(position);
    let mut fields = Fields::of(node, key.clone(), &FAULTS)?;
    let link_name = fields.optional("link_name")?;
    let entity = match (fields.optional("actor")?, fields.optional("provider")?, link_name) {
        (Some(actor), None, None) => EntityName::Actor(actor),
        (None, Some(name), link_name) => {
            EntityName::Provider { name, link_name: link_name.unwrap_or_else(|| "default".to_owned()) }
        }
        _ => return Err(refused("it should have either actor, or provider, which can have a link_name")),
    };
    let mut rules = each(&mut fields, "crash", crash)?;
    rules.extend(each(&mut fields, "drop", drop_rule)?);
    rules.extend(each(&mut fields, "delay", delay)?);
    let slow_start = fields.quantity("slow_start", quantity::duration)?;
    let expect = expectations(&mut fields, Scope::Entity(entity.clone()))?;
    Ok((Faults { entity, rules, slow_start }, expect))
}

/// Reads one mapping, or a list of them.
fn each(
    fields: &mut Fields,
    key: &str,
    read: impl Fn(Node, String) -> Result<Rule, DocumentError>,
) -> Result<Vec<Rule>, DocumentError> {
    let Some(Field { node, key: name }) = fields.take(key) else { return Ok(Vec::new()) };
    match node.content {
        Content::List(nodes) => {
            nodes.into_iter().enumerate().map(|(number, node)| read(node, format!("{name}[{number}]"))).collect()
        }
        _ => Ok(vec![read(node, name)?]),
    }
}

fn crash(node: Node, key: String) -> Result<Rule, DocumentError> {
    let position = node.position;
    let mut fields = Fields::of(node, key.clone(), &CRASH)?;
    let given = [
        fields.quantity("nth", up_to::<1_000_000_000>)?.map(Rule::CrashNth),
        fields.quantity("every", up_to::<1_000_000_000>)?.map(Rule::CrashEvery),
        fields.quantity("probability", probability)?.map(Rule::CrashBy),
    ];
    only(given, "nth, every or probability").map_err(|reason| DocumentError::at(key, reason).at_position(position))
}

fn drop_rule(node: Node, key: String) -> Result<Rule, DocumentError> {
    let position = node.position;
    let mut fields = Fields::of(node, key.clone(), &DROP)?;
    let given = [
        fields.quantity("nth", up_to::<1_000_000_000>)?.map(Rule::DropNth),
        fields.quantity("probability", probability)?.map(Rule::DropBy),
    ];
    only(given, "nth or probability").map_err(|reason| DocumentError::at(key, reason).at_position(position))
}

fn only<const N: usize>(given: [Option<Rule>; N], names: &str) -> Result<Rule, String> {
    let mut given = given.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(rule), None) => Ok(rule),
        _ => Err(format!("it should have one of {names}")),
    }
}

fn delay(node: Node, key: String) -> Result<Rule, DocumentError> {
    let position = node.position;
    let mut fields = Fields::of(node, key.clone(), &DELAY)?;
    let by = fields.quantity("probability", probability)?.unwrap_or(1.0);
    let to = fields.quantity("to", quantity::duration)?;
    let from = fields.quantity("from", quantity::duration)?;
    match (from.or(to), to.or(from)) {
        (Some(from), Some(to)) if from <= to => Ok(Rule::Delay { from, to, by }),
        _ => {
            let reason = "it should have from, to or both, which are durations such as 5ms, and from is not above to";
            Err(DocumentError::at(key, reason).at_position(position))
        }
    }
}
