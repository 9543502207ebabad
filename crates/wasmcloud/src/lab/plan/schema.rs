//! The keys of a plan, and the types of their values.

use std::path::Path;
use std::time::Duration;

use wasmcloud_document::{Content, DocumentError, Field, Fields, Node, named_values, quantity, scalar, text};
use wasmcloud_host::{ManifestRestart, Restart};

use super::expect::expectations;
use super::faults::faults;
use super::payload::payload;
use super::values::{rate, shown_url, status, time, up_to};
use super::{ActorChange, End, Faults, HostChange, Load, Pace, Plan, Target};
use crate::lab::expectation::{Expectation, Scope};
use crate::lab::report::{MOST_LOADS, MOST_RUNS, SourceFile};

pub(super) const PLAN: [&str; 10] =
    ["name", "manifest", "seed", "runs", "warm_up", "host", "actors", "loads", "faults", "expect"];
pub(super) const HOST: [&str; 3] = ["shards", "call_deadline", "restart"];
pub(super) const ACTOR: [&str; 3] = ["image_ref", "instances", "restart"];
pub(super) const RESTART: [&str; 6] = ["restart", "intensity", "period", "in_a_row", "second_delay", "longest_delay"];
pub(super) const LOAD: [&str; 14] = [
    "name",
    "actor",
    "operation",
    "payload",
    "http",
    "answer",
    "callers",
    "pause",
    "rate",
    "calls",
    "duration",
    "start",
    "status",
    "expect",
];
pub(super) const HTTP: [&str; 4] = ["url", "method", "headers", "body"];
/// The most loads, and the most entries of faults, that a plan may have.
const MOST: usize = MOST_LOADS;

/// The words for the conditions of restarts.
const RESTARTS: [(&str, Restart); 3] =
    [("permanent", Restart::Permanent), ("transient", Restart::Transient), ("temporary", Restart::Temporary)];

/// Reads a plan from a document. `stem` is its name if it does not have one.
pub(super) fn plan(document: Node, folder: &Path, stem: String, source: SourceFile) -> Result<Plan, DocumentError> {
    let position = document.position;
    let mut fields = Fields::of(document, String::new(), &PLAN)?;
    let loads = limited(fields.list("loads", |node, key| load(node, key, folder))?, "loads")?;
    let faults = limited(fields.list("faults", faults)?, "faults")?;
    if loads.is_empty() {
        return Err(
            DocumentError::at("loads", "the key is missing: without a load, nothing is called").at_position(position)
        );
    }
    distinct_names(&loads)?;
    distinct_entities(&faults)?;
    let mut expect = expectations(&mut fields, Scope::All)?;
    expect.extend(loads.iter().flat_map(|(_, expect)| expect.clone()));
    expect.extend(faults.iter().flat_map(|(_, expect)| expect.clone()));
    Ok(Plan {
        name: fields.optional("name")?.unwrap_or(stem),
        manifest: folder.join(fields.required("manifest")?),
        seed: fields.quantity("seed", quantity::number)?.unwrap_or(1),
        runs: fields.quantity("runs", up_to::<{ MOST_RUNS as u64 }>)?.unwrap_or(1) as usize,
        warm_up: fields.quantity("warm_up", quantity::number)?.unwrap_or(0),
        host: fields.take("host").map(host).transpose()?.unwrap_or_default(),
        actors: fields.list("actors", actor)?,
        loads: loads.into_iter().map(|(load, _)| load).collect(),
        faults: faults.into_iter().map(|(faults, _)| faults).collect(),
        expect,
        source,
    })
}

fn limited<T>(list: Vec<T>, key: &str) -> Result<Vec<T>, DocumentError> {
    if list.len() <= MOST {
        return Ok(list);
    }
    Err(DocumentError::at(key, format!("there are {} entries, and the limit is {MOST}", list.len())))
}

/// Refuses loads of the same name.
fn distinct_names(loads: &[(Load, Vec<Expectation>)]) -> Result<(), DocumentError> {
    for (number, (load, _)) in loads.iter().enumerate() {
        if loads[..number].iter().any(|(other, _)| other.name == load.name) {
            let reason = "another load has the same name: give each one a name of its own";
            return Err(DocumentError::at(format!("loads[{number}].name"), reason));
        }
    }
    Ok(())
}

fn distinct_entities(faults: &[(Faults, Vec<Expectation>)]) -> Result<(), DocumentError> {
    for (number, (one, _)) in faults.iter().enumerate() {
        if faults[..number].iter().any(|(other, _)| other.entity == one.entity) {
            let reason = "the faults of the same actor or provider stand above: write all of them in one entry";
            return Err(DocumentError::at(format!("faults[{number}]"), reason));
        }
    }
    Ok(())
}

fn host(Field { node, key }: Field) -> Result<HostChange, DocumentError> {
    let position = node.position;
    let mut fields = Fields::of(node, key.clone(), &HOST)?;
    let shards = fields.quantity("shards", up_to::<1_024>)?.map(|shards| shards as usize);
    let call_deadline = fields.quantity("call_deadline", quantity::duration)?;
    let restart = fields.take("restart").map(restart).transpose()?.unwrap_or_default();
    let pairs = [
        (restart.intensity.is_some(), restart.period.is_some(), "intensity and period"),
        (restart.second_delay.is_some(), restart.longest_delay.is_some(), "second_delay and longest_delay"),
    ];
    for (one, other, names) in pairs {
        if one != other {
            let reason = format!("{names} belong together: give both");
            return Err(DocumentError::at(format!("{key}.restart"), reason).at_position(position));
        }
    }
    Ok(HostChange { shards, call_deadline, restart })
}

fn actor(node: Node, key: String) -> Result<ActorChange, DocumentError> {
    let mut fields = Fields::of(node, key, &ACTOR)?;
    Ok(ActorChange {
        image_ref: fields.required("image_ref")?,
        instances: fields.quantity("instances", quantity::count)?,
        restart: fields.take("restart").map(restart).transpose()?.unwrap_or_default(),
    })
}

fn restart(Field { node, key }: Field) -> Result<ManifestRestart, DocumentError> {
    let mut fields = Fields::of(node, key, &RESTART)?;
    let mut restart = ManifestRestart::default();
    restart.restart = fields.one_of("restart", &RESTARTS)?;
    restart.intensity = fields.quantity("intensity", quantity::number)?;
    restart.period = fields.quantity("period", quantity::duration)?;
    restart.in_a_row = fields.quantity("in_a_row", quantity::number)?;
    restart.second_delay = fields.quantity("second_delay", quantity::duration)?;
    restart.longest_delay = fields.quantity("longest_delay", quantity::duration)?;
    Ok(restart)
}

fn load(node: Node, key: String, folder: &Path) -> Result<(Load, Vec<Expectation>), DocumentError> {
    let position = node.position;
    let refused = |reason: &str| DocumentError::at(&key, reason).at_position(position);
    let mut fields = Fields::of(node, key.clone(), &LOAD)?;
    let target =
        target(&mut fields, folder)?.ok_or_else(|| refused("it should have either actor and operation, or http"))?;
    let name = fields.optional("name")?.unwrap_or_else(|| target.name());
    let pace = match (fields.quantity("pause", time)?, fields.quantity("rate", rate)?) {
        (Some(_), Some(_)) => {
            return Err(refused("it has both pause and rate: a pause is that of callers who wait for answers"));
        }
        (_, Some(rate)) => Pace::Open { rate },
        (pause, None) => Pace::Closed { pause: pause.unwrap_or(Duration::ZERO) },
    };
    let end = match (fields.quantity("calls", up_to::<1_000_000_000>)?, fields.quantity("duration", time)?) {
        (Some(calls), None) => End::Calls(calls),
        (None, Some(duration)) => End::After(duration),
        _ => return Err(refused("it should have either calls or duration, which end it")),
    };
    let default_callers = if matches!(pace, Pace::Open { .. }) { 256 } else { 1 };
    let load = Load {
        target,
        callers: fields.quantity("callers", up_to::<10_000>)?.unwrap_or(default_callers) as usize,
        pace,
        end,
        start: fields.quantity("start", time)?.unwrap_or(Duration::ZERO),
        answer: fields.take("answer").map(|answer| payload(answer, folder)).transpose()?,
        name: name.clone(),
    };
    Ok((load, expectations(&mut fields, Scope::Load(name))?))
}

/// Reads what is called. `None` unless it is either an actor or a URL.
fn target(fields: &mut Fields, folder: &Path) -> Result<Option<Target>, DocumentError> {
    let actor = fields.optional("actor")?;
    let operation = fields.optional("operation")?;
    let body = fields.take("payload").map(|body| payload(body, folder)).transpose()?;
    let status = fields.quantity("status", status)?;
    let http = fields.take("http").map(|target| http(target, folder, status)).transpose()?;
    Ok(match (actor, operation, body, http) {
        (Some(actor), Some(operation), payload, None) if status.is_none() => {
            Some(Target::Actor { actor, operation, payload: payload.unwrap_or_default() })
        }
        (None, None, None, Some(http)) => Some(http),
        _ => None,
    })
}

fn http(Field { node, key }: Field, folder: &Path, status: Option<u16>) -> Result<Target, DocumentError> {
    let default = |url| Target::Http { method: "GET".to_owned(), url, headers: Vec::new(), body: Vec::new(), status };
    if !matches!(node.content, Content::Mapping(_)) {
        return text(node, key).map(default);
    }
    let mut fields = Fields::of(node, key, &HTTP)?;
    Ok(Target::Http {
        url: fields.required("url")?,
        method: fields.optional("method")?.unwrap_or_else(|| "GET".to_owned()),
        headers: fields.take("headers").map(|headers| named_values(headers, scalar)).transpose()?.unwrap_or_default(),
        body: fields.take("body").map(|body| payload(body, folder)).transpose()?.unwrap_or_default(),
        status,
    })
}

impl Target {
    /// Returns the name of a load without a name of its own.
    fn name(&self) -> String {
        match self {
            Target::Actor { actor, operation, .. } => format!("{actor} {operation}"),
            Target::Http { method, url, .. } => format!("{method} {}", shown_url(url)),
        }
    }
}
