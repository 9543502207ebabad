//! Traces: the spans of calls, what collectors receive of them, and what is passed on to others.
//!
//! # Layout
//! - `collector`: a collector that keeps what it receives
//! - `whole`: whole traces, through actors, hosts and providers
//! - `export`: the export: the binary's, and collectors that do not answer
//! - `outcomes`: calls that were given up or late, traces that clients name, and several exports
//! - here: what subscribers of `tracing` see

mod collector;
mod export;
mod outcomes;
mod whole;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use wasmcloud_host::{ErrorKind, HostBuilder};

use crate::signing::sign;
use crate::support::{host_answer, host_call, kind, with_host_of};

/// A span as a subscriber saw it.
#[derive(Debug, Clone, Default)]
struct Seen {
    target: String,
    /// The fields, and `parent`: the subscriber's own name of the span around it.
    fields: BTreeMap<String, String>,
}

impl Seen {
    fn get(&self, field: &str) -> &str {
        self.fields.get(field).map(String::as_str).unwrap_or_default()
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name().to_owned(), value.to_owned());
    }
}

/// Keeps the spans of hosts that have ended.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Vec<Seen>>>);

impl<S: Subscriber + for<'span> LookupSpan<'span>> Layer<S> for Keeper {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut seen = Seen { target: attributes.metadata().target().to_owned(), ..Seen::default() };
        attributes.record(&mut seen);
        if let Some(parent) = span.parent() {
            seen.fields.insert("inside".to_owned(), parent.metadata().target().to_owned());
        }
        span.extensions_mut().insert(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        let Some(seen) = extensions.get_mut::<Seen>() else { return };
        values.record(seen);
        if seen.fields.contains_key("outcome") {
            self.0.lock().unwrap().push(seen.clone());
        }
    }
}

impl Keeper {
    /// The spans with this target, in the order in which they ended.
    fn of(&self, target: &str) -> Vec<Seen> {
        self.0.lock().unwrap().iter().filter(|seen| seen.target == target).cloned().collect()
    }

    fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// Runs the test that calls this in a process of its own, where a subscriber concerns no other test. Answers false there.
fn runs_elsewhere() -> bool {
    const ALONE: &str = "WASMCLOUD_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return false;
    }
    let thread = std::thread::current();
    let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
    alone.args([thread.name().unwrap(), "--exact", "--nocapture"]).env(ALONE, "1");
    let ended = alone.output().unwrap();
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
    true
}

/// Runs a test with a host of one shard, this thread, whose spans are kept.
async fn with_spans(builder: HostBuilder, test: impl AsyncFnOnce(wasmcloud_host::Host, Keeper)) {
    let keeper = Keeper::default();
    let _subscribed = subscriber::set_default(tracing_subscriber::registry().with(keeper.clone()));
    with_host_of(builder.with_shards(1), async |host| test(host, keeper).await).await;
}

#[actix_rt::test]
async fn a_subscriber_sees_the_spans_of_a_call_inside_of_each_other() {
    with_spans(HostBuilder::new(), async |host, keeper| {
        let caller = sign("host_call").actor();
        let caller_key = caller.public_key();
        let echo = sign("tiny_echo").actor();
        let echo_key = echo.public_key();
        host.start_actor(caller).await.unwrap();
        host.start_actor(echo).await.unwrap();
        let reply = host.call_actor(&caller_key, "Any", &host_call("", &echo_key, "Echo", b"x")).await.unwrap();
        assert_eq!(host_answer(&reply).unwrap(), b"x");

        let [inner_call, outer_call] = keeper.of("wasmcloud::call").try_into().unwrap();
        let [inner, outer] = keeper.of("wasmcloud::actor").try_into().unwrap();
        let chain = [&outer_call, &outer, &inner_call, &inner];
        for pair in chain.windows(2) {
            assert_eq!(pair[1].get("parent_span_id"), pair[0].get("span_id"));
            assert_eq!(pair[1].get("trace_id"), pair[0].get("trace_id"));
            assert_eq!(pair[1].get("inside"), pair[0].target);
        }
        assert_eq!((outer_call.get("parent_span_id"), outer_call.get("trace_id").len()), ("", 32));
        for span in chain {
            assert_eq!((span.get("outcome"), span.get("wasmcloud.host")), ("ok", &*host.id()));
            assert_eq!(span.get("otel.status_code"), "");
        }
        assert_eq!(outer_call.get("wasmcloud.origin"), "the host");
        assert_eq!(inner_call.get("wasmcloud.origin"), format!("actor {caller_key}"));
        assert_eq!(inner_call.get("otel.name"), format!("call {}/Echo", &echo_key[..12]));
        assert_eq!((inner.get("wasmcloud.actor"), inner.get("rpc.method")), (&*echo_key, "Echo"));
    })
    .await;
}

#[actix_rt::test]
async fn traps_refusals_and_late_answers_are_failures_of_their_spans() {
    let builder = HostBuilder::new().with_call_deadline(std::time::Duration::from_millis(300));
    with_spans(builder, async |host, keeper| {
        let failure = |target: &str| {
            let spans = keeper.of(target);
            let last = spans.last().unwrap();
            assert_eq!((last.get("outcome"), last.get("otel.status_code")), ("error", "ERROR"));
            assert!(!last.get("otel.status_description").is_empty());
            last.get("error.type").to_owned()
        };
        for (guest, operation, expected) in [
            ("trap", "Trap", ErrorKind::ActorTrapped),
            ("error", "Any", ErrorKind::ActorFailed),
            ("spin", "Spin", ErrorKind::DeadlineExceeded),
        ] {
            let actor = sign(guest).actor();
            let key = actor.public_key();
            host.start_actor(actor).await.unwrap();
            keeper.clear();
            assert_eq!(kind(host.call_actor(&key, operation, b"").await), expected);
            assert_eq!(
                (failure("wasmcloud::call"), failure("wasmcloud::actor")),
                (expected.name().into(), expected.name().into())
            );
        }

        let actor = sign("host_call").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        let refused = host_call("", "wasmcloud:keyvalue", "Get", b"");
        keeper.clear();
        host_answer(&host.call_actor(&key, "Any", &refused).await.unwrap()).unwrap_err();
        let [refused, _] = keeper.of("wasmcloud::call").try_into().unwrap();
        assert_eq!(refused.get("error.type"), "CapabilityDenied");
        keeper.clear();
        assert_eq!(kind(host.call_actor("nobody", "Any", b"").await), ErrorKind::ActorNotFound);
        assert_eq!(failure("wasmcloud::call"), "ActorNotFound");
    })
    .await;
}

#[actix_rt::test]
async fn names_that_guests_invent_cannot_forge_lines_in_spans() {
    with_spans(HostBuilder::new(), async |host, keeper| {
        let evil = Some("evil\n\u{1b}[31m".to_owned());
        let signing = sign("host_call").claims(|claims| claims.metadata.as_mut().unwrap().name = evil);
        let actor = signing.actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        let hostile = ["Do\nERROR \u{1b}[2J", &"x".repeat(3_000)].concat();
        keeper.clear();
        let call = host_call("", "no\none\u{202e}", &hostile, b"");
        host_answer(&host.call_actor(&key, "Any", &call).await.unwrap()).unwrap_err();
        for target in ["wasmcloud::call", "wasmcloud::actor"] {
            for (field, text) in keeper.of(target).iter().flat_map(|seen| &seen.fields) {
                assert!(text.len() < 2_000, "{field} is long");
                assert_eq!(wasmcloud_host::escaped(text), *text, "{field}");
            }
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_trace_that_is_not_sampled_has_no_spans() {
    with_spans(HostBuilder::new().with_trace_sampling(0.0), async |host, keeper| {
        let actor = sign("tiny_echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        for _ in 0..20 {
            host.call_actor(&key, "Echo", b"x").await.unwrap();
        }
        assert!(keeper.of("wasmcloud::call").is_empty() && keeper.of("wasmcloud::actor").is_empty());
    })
    .await;
}

/// Keeps the lines of the program's log.
struct Lines(Mutex<Vec<String>>);

impl log::Log for Lines {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("wasmcloud::")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(format!("{} {} {}", record.level(), record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

#[actix_rt::test]
async fn users_of_log_see_spans_at_debug_and_none_at_info() {
    if runs_elsewhere() {
        return;
    }
    static LINES: Lines = Lines(Mutex::new(Vec::new()));
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let actor = sign("tiny_echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        host.call_actor(&key, "Echo", b"x").await.unwrap();
        assert_eq!(*LINES.0.lock().unwrap(), [""; 0]);
        log::set_max_level(log::LevelFilter::Debug);
        host.call_actor(&key, "Echo", b"x").await.unwrap();
        let lines = LINES.0.lock().unwrap().clone();
        assert!(lines.len() == 2 && lines[0].starts_with("DEBUG wasmcloud::call call"), "{lines:?}");
        assert!(lines[1].contains(&format!("wasmcloud.actor={key}")), "{lines:?}");
    })
    .await;
}
