//! The table of all metrics: what the registry serves, and what the reference is made of.

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// It only grows, from the start of what it counts.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution, in buckets that double from 1 us to 67 s.
    Histogram,
}

/// A metric: a family of series that differ in their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// The kind.
    pub kind: MetricKind,
    /// The unit, such as `seconds`. `None` for a plain number.
    pub unit: Option<&'static str>,
    /// What it tells.
    pub help: &'static str,
    /// The names of the labels.
    pub labels: &'static [&'static str],
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, unit: None, help, labels }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, unit: None, help, labels }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Histogram, unit: Some("seconds"), help, labels }
}

impl Metric {
    const fn in_bytes(mut self) -> Metric {
        self.unit = Some("bytes");
        self
    }

    const fn in_seconds(mut self) -> Metric {
        self.unit = Some("seconds");
        self
    }
}

pub(super) const HOST_INFO: Metric =
    gauge("wasmcloud_host_info", &["host", "version"], "1, with the public key and the version of the host.");
pub(super) const UPTIME: Metric =
    gauge("wasmcloud_host_uptime_seconds", &[], "Time since the start of the host.").in_seconds();
pub(super) const CALLS: Metric = counter(
    "wasmcloud_calls_total",
    &["target", "operation", "outcome"],
    "Calls that have ended, by actor or provider, operation and outcome: ok, error, timeout, refused, busy or \
     cancelled. At most 16 operations of a target are told one by one, and in all 988 combinations of target, \
     operation and outcome. Calls to targets that do not run here have the target absent.",
);
pub(super) const CALL_DURATION: Metric = histogram(
    "wasmcloud_call_duration_seconds",
    &["target"],
    "Time from when an instance takes a call out of its mailbox until its answer. While calls of an instance \
     follow each other within 20 us, one in 16 is timed and stands for the others. Only 32 targets have buckets of \
     their own: those that were called first, providers before actors. wasmcloud_call_seconds_total has 999.",
);
pub(super) const CALL_TIME: Metric = counter(
    "wasmcloud_call_seconds_total",
    &["target"],
    "Sum of the time of all calls, timed like wasmcloud_call_duration_seconds.",
)
.in_seconds();
pub(super) const TIMED_CALLS: Metric = counter(
    "wasmcloud_timed_calls_total",
    &["target"],
    "Calls that wasmcloud_call_seconds_total is the time of: those that an instance has served, and no refused ones.",
);
pub(super) const IN_FLIGHT: Metric = gauge(
    "wasmcloud_calls_in_flight",
    &["target"],
    "Calls that have begun and wait or compute for longer than one step.",
);
pub(super) const MAILBOX: Metric =
    gauge("wasmcloud_mailbox_messages", &["target"], "Calls that wait in the mailboxes of an actor.");
pub(super) const MAILBOX_CAPACITY: Metric = gauge(
    "wasmcloud_mailbox_capacity",
    &["target"],
    "Calls that the mailboxes of an actor hold. Those beyond it are refused as busy.",
);
pub(super) const INSTANCES: Metric = gauge(
    "wasmcloud_actor_instances",
    &["actor", "state"],
    "Instances of an actor, by the state of the actor: running, restarting, failed or stopping.",
);
pub(super) const CRASHES: Metric =
    counter("wasmcloud_crashes_total", &["entity"], "Crashes of an actor's instances, or of a provider.");
pub(super) const RESTARTS: Metric =
    counter("wasmcloud_restarts_total", &["entity"], "Instances that were replaced after a crash or an interruption.");
pub(super) const FAILED: Metric =
    gauge("wasmcloud_entity_failed", &["entity"], "1 if an actor or provider has failed and stays down, else 0.");
pub(super) const DISTRUSTED: Metric = gauge(
    "wasmcloud_entity_distrusted",
    &["entity"],
    "1 while calls to and from an actor or provider are rejected, since its token has expired or the trust policy does \
     not accept it, else 0.",
);
pub(super) const FUEL: Metric = counter(
    "wasmcloud_actor_fuel_total",
    &["actor"],
    "Fuel that an actor has used, about one unit for each instruction. It grows in steps of up to 262,144.",
);
pub(super) const MEMORY: Metric =
    gauge("wasmcloud_actor_memory_bytes", &["actor"], "Linear memory of all instances of an actor.").in_bytes();
pub(super) const STACKS: Metric = gauge("wasmcloud_stacks", &[], "Stacks that guests hold.");
pub(super) const STACK_BYTES: Metric =
    gauge("wasmcloud_stacks_bytes", &[], "Address space of the stacks that guests hold.").in_bytes();
pub(super) const COMPILE_DURATION: Metric =
    histogram("wasmcloud_compile_duration_seconds", &["compiler"], "Time that the compilation of a module took.");
pub(super) const CACHE_REQUESTS: Metric = counter(
    "wasmcloud_artifact_cache_requests_total",
    &["result"],
    "Modules that were looked up in the artifact cache, by result: hit or miss.",
);
pub(super) const LINKS: Metric =
    gauge("wasmcloud_links", &["state"], "Links, by state: established, pending or refused.");
pub(super) const PROVIDER_CALL_DURATION: Metric = histogram(
    "wasmcloud_provider_call_duration_seconds",
    &["contract"],
    "Time that the providers of a contract took for a call, timed like wasmcloud_call_duration_seconds.",
);
pub(super) const HTTP_REQUESTS: Metric = counter(
    "wasmcloud_http_requests_total",
    &["status"],
    "HTTP requests to linked actors, by the status of the response.",
);
pub(super) const HTTP_DURATION: Metric = histogram(
    "wasmcloud_http_request_duration_seconds",
    &[],
    "Time from the head of an HTTP request to the head of its response.",
);
pub(super) const EVENTS: Metric = counter("wasmcloud_events_total", &["kind"], "Events of the host, by kind.");
pub(super) const LATTICE_CONNECTED: Metric = gauge(
    "wasmcloud_lattice_connected",
    &[],
    "1 if the host is part of its lattice, else 0. There is no series without a lattice.",
);
pub(super) const LATTICE_HOSTS: Metric = gauge(
    "wasmcloud_lattice_hosts",
    &["state"],
    "Hosts of the lattice that this host knows, itself included, by state: up, down or left. A host that fell silent is \
     down until it is heard again, for a day at most; one that has left is told for two minutes.",
);
pub(super) const LATTICE_MESSAGES: Metric = counter(
    "wasmcloud_lattice_messages_total",
    &["direction", "kind"],
    "Messages that came in from the NATS server and went out to it, by kind: call, heartbeat, advertisement, \
     control or other. An answer is other.",
);
pub(super) const LATTICE_BYTES: Metric =
    counter("wasmcloud_lattice_bytes_total", &["direction"], "Bytes of these messages.").in_bytes();
pub(super) const LATTICE_RECONNECTS: Metric =
    counter("wasmcloud_lattice_reconnects_total", &[], "Connections to the NATS server after the first one.");
pub(super) const LATTICE_REFUSED: Metric = counter(
    "wasmcloud_lattice_refused_total",
    &["reason"],
    "Messages of the lattice that were refused, by reason. Those without a known session are answered and sent \
     again: they are no attack.",
);
pub(super) const LATTICE_SLOW_CONSUMER: Metric = counter(
    "wasmcloud_lattice_slow_consumer_total",
    &[],
    "Reports that messages of the lattice were dropped, because the host read them too slowly.",
);

pub(super) const OTLP_SPANS: Metric = counter(
    "wasmcloud_otlp_spans_total",
    &["result"],
    "Spans by what became of them: exported to the collector, failed, which it refused or did not answer for, or dropped \
     unsent. There is no series without an export of spans.",
);
pub(super) const OTLP_WAITING: Metric =
    gauge("wasmcloud_otlp_waiting_spans", &[], "Spans that wait for the collector.");

/// All metrics of a host, in the order of the names' parts. Those of the lattice are there if the host was built with one, and
/// those of spans if it exports them.
pub const METRICS: &[Metric] = &[
    HOST_INFO,
    UPTIME,
    CALLS,
    CALL_DURATION,
    CALL_TIME,
    TIMED_CALLS,
    IN_FLIGHT,
    MAILBOX,
    MAILBOX_CAPACITY,
    INSTANCES,
    CRASHES,
    RESTARTS,
    FAILED,
    DISTRUSTED,
    FUEL,
    MEMORY,
    STACKS,
    STACK_BYTES,
    COMPILE_DURATION,
    CACHE_REQUESTS,
    LINKS,
    PROVIDER_CALL_DURATION,
    HTTP_REQUESTS,
    HTTP_DURATION,
    EVENTS,
    LATTICE_CONNECTED,
    LATTICE_HOSTS,
    LATTICE_MESSAGES,
    LATTICE_BYTES,
    LATTICE_RECONNECTS,
    LATTICE_REFUSED,
    LATTICE_SLOW_CONSUMER,
    OTLP_SPANS,
    OTLP_WAITING,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_and_units_are_conventional() {
        let names: HashSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for Metric { name, kind, unit, help, .. } in METRICS {
            assert_eq!(name.ends_with("_total"), *kind == MetricKind::Counter, "{name}");
            assert!(name.starts_with("wasmcloud_") && help.ends_with('.'), "{name}");
            let base = name.trim_end_matches("_total");
            for base_unit in ["seconds", "bytes"] {
                assert_eq!(base.ends_with(base_unit), *unit == Some(base_unit), "{name}");
            }
        }
    }
}
