//! The spans of a host, at its boundaries with callers, actors, providers, links and other hosts. Their fields follow the
//! conventions of OpenTelemetry, and have the host's own names where those say nothing.
//!
//! | Target | A span for each |
//! |---|---|
//! | `wasmcloud::call` | call, from its resolution to its answer |
//! | `wasmcloud::actor` | call that an instance of an actor serves |
//! | `wasmcloud::provider` | call that a provider serves |
//! | `wasmcloud::link` | change of a link that a provider carries out |
//! | `wasmcloud::lattice` | call to another host, and from one |
//! | `wasmcloud::http` | request of HTTP, incoming and outgoing: see the providers |

use std::fmt;

use wasmcloud_core::call::CallContext;
use wasmcloud_core::call_span;
use wasmcloud_core::entity::{WasmCloudEntity, has_form_of_actor_key};
use wasmcloud_core::identity::InstanceNumber;
use wasmcloud_core::trace::{CallSpan, Shown, Tracing};

use crate::identity::{ActorIdentity, ProviderIdentity};

/// What all spans of calls of the runtime name as the system of the call.
const SYSTEM: &str = "wasmcloud";

/// The length at which a key is cut in the name of a span. Unit: bytes.
const SHORT_KEY: usize = 12;

/// Begins the span of a call that is to be resolved. `target` is the name that the caller gave.
#[inline]
pub(crate) fn call(
    tracing: &Tracing,
    context: CallContext,
    origin: &WasmCloudEntity,
    target: &str,
    operation: &str,
) -> (CallContext, CallSpan) {
    context.in_span(tracing, |host| {
        call_span!(
            "wasmcloud::call", "call", "internal", host, Title { verb: "call ", target, operation },
            rpc.system = SYSTEM,
            rpc.service = %Shown(target),
            rpc.method = %Shown(operation),
            wasmcloud.origin = %Origin(origin),
        )
    })
}

/// Begins the span of a call that an instance of an actor serves.
#[inline]
pub(crate) fn actor(
    tracing: &Tracing,
    context: CallContext,
    actor: &ActorIdentity,
    instance: InstanceNumber,
    operation: &str,
) -> (CallContext, CallSpan) {
    context.in_span(tracing, |host| {
        call_span!(
            "wasmcloud::actor", "actor", "internal", host, Title { verb: "", target: &actor.name, operation },
            rpc.system = SYSTEM,
            rpc.service = %Shown(&actor.name),
            rpc.method = %Shown(operation),
            wasmcloud.actor = %actor.key,
            wasmcloud.actor.revision = actor.revision,
            wasmcloud.instance = instance.0,
        )
    })
}

/// Begins the span of a call that a provider serves for an actor.
#[inline]
pub(crate) fn provider(
    tracing: &Tracing,
    context: CallContext,
    provider: &ProviderIdentity,
    caller: &str,
    operation: &str,
) -> (CallContext, CallSpan) {
    context.in_span(tracing, |host| {
        call_span!(
            "wasmcloud::provider", "provider", "internal", host,
            Title { verb: "", target: &provider.contract_id, operation },
            rpc.system = SYSTEM,
            rpc.service = %Shown(&provider.contract_id),
            rpc.method = %Shown(operation),
            wasmcloud.provider = %provider.key.id,
            wasmcloud.link_name = %Shown(&provider.key.link_name),
            wasmcloud.actor = %caller,
        )
    })
}

/// Begins the span of a change of a link. `change` is the provider's operation.
pub(crate) fn link(
    tracing: &Tracing,
    context: CallContext,
    provider: &ProviderIdentity,
    actor: &str,
    change: &str,
) -> CallSpan {
    let (_, span) = context.in_span(tracing, |host| {
        call_span!(
            "wasmcloud::link", "link", "internal", host,
            Title { verb: "link ", target: &provider.contract_id, operation: change },
            wasmcloud.provider = %provider.key.id,
            wasmcloud.contract = %Shown(&provider.contract_id),
            wasmcloud.link_name = %Shown(&provider.key.link_name),
            wasmcloud.actor = %actor,
        )
    });
    span
}

/// Begins the span of a call that another host is asked to serve.
pub(crate) fn to_lattice(
    tracing: &Tracing,
    context: CallContext,
    target: &WasmCloudEntity,
    operation: &str,
) -> (CallContext, CallSpan) {
    context.in_span(tracing, |host| {
        call_span!(
            "wasmcloud::lattice", "lattice", "client", host,
            Title { verb: "send ", target: name_of(target), operation },
            rpc.system = SYSTEM,
            rpc.service = %Shown(name_of(target)),
            rpc.method = %Shown(operation),
            network.protocol.name = "nats",
        )
    })
}

/// Begins the span of a call that another host has sent.
#[cfg(feature = "lattice")]
pub(crate) fn from_lattice(
    tracing: &Tracing,
    context: CallContext,
    origin: &WasmCloudEntity,
    target: &WasmCloudEntity,
    operation: &str,
) -> (CallContext, CallSpan) {
    context.in_span(tracing, |host| {
        call_span!(
            "wasmcloud::lattice", "lattice", "server", host,
            Title { verb: "receive ", target: name_of(target), operation },
            rpc.system = SYSTEM,
            rpc.service = %Shown(name_of(target)),
            rpc.method = %Shown(operation),
            network.protocol.name = "nats",
            wasmcloud.origin = %Origin(origin),
        )
    })
}

/// Returns the name of an entity in the name of a span.
fn name_of(entity: &WasmCloudEntity) -> &str {
    match entity {
        WasmCloudEntity::Actor(key) => key,
        WasmCloudEntity::Capability { contract_id, .. } => contract_id,
        _ => "",
    }
}

/// The caller of a call as a span shows it, with each name cut.
struct Origin<'a>(&'a WasmCloudEntity);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            WasmCloudEntity::Actor(key) => write!(f, "actor {}", Shown(key)),
            WasmCloudEntity::Capability { id, contract_id, link_name } => {
                write!(f, "provider {} (link name {}) for {}", Shown(id), Shown(link_name), Shown(contract_id))
            }
            _ => f.write_str("the host"),
        }
    }
}

/// The name of a span: the target and the operation, with public keys cut short.
struct Title<'a> {
    verb: &'a str,
    target: &'a str,
    operation: &'a str,
}

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_key = has_form_of_actor_key(self.target);
        let target = if is_key { &self.target[..SHORT_KEY] } else { self.target };
        write!(f, "{}{}/{}", self.verb, Shown(target), Shown(self.operation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_spans_are_short_and_harmless() {
        let key = nkeys::KeyPair::new_module().public_key();
        let title = |target: &str| Title { verb: "call ", target, operation: "Do\nIt" }.to_string();
        assert_eq!(title(&key), format!("call {}/Do\\nIt", &key[..12]));
        assert_eq!(title("wasmcloud:keyvalue"), "call wasmcloud:keyvalue/Do\\nIt");
    }

    #[test]
    fn callers_are_shown_as_elsewhere_and_cut() {
        let provider = |link_name: String| WasmCloudEntity::Capability {
            id: "V1".to_owned(),
            contract_id: "wasmcloud:keyvalue".to_owned(),
            link_name,
        };
        for entity in [WasmCloudEntity::Host, WasmCloudEntity::Actor("M1".to_owned()), provider("a\nb".to_owned())] {
            assert_eq!(Origin(&entity).to_string(), entity.to_string());
        }
        assert!(Origin(&provider("x".repeat(5_000))).to_string().len() < 400);
    }
}
