//! Metrics: what is counted of calls, children, HTTP and the lattice, and how it is served.

mod bounds;
mod served;
mod unserved;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use wasmcloud_host::{ActorOptions, ErrorKind, Host, HostBuilder, Limits, Restart, RestartPolicy};

use crate::signing::{Signing, sign};
use crate::support::{PROBE, host_answer, host_call, kind, probed_caller, soon, until, with_host_of};

fn builder() -> HostBuilder {
    HostBuilder::new().with_shards(2).with_health_interval(None).with_metrics()
}

/// The series of a host: by name and labels, as they are written.
struct Series(BTreeMap<String, f64>);

impl Series {
    fn of(host: &Host) -> Series {
        Series::read(&host.metrics().encode().unwrap())
    }

    fn read(text: &str) -> Series {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        let read: Vec<(String, f64)> = series.collect();
        let series: BTreeMap<String, f64> = read.iter().cloned().collect();
        assert_eq!(series.len(), read.len(), "a series is there twice");
        Series(series)
    }

    /// The value of a series, by its name and labels.
    fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied()
    }

    /// The names of all series, without the suffixes of histograms.
    fn families(&self) -> BTreeSet<&str> {
        let name = |series: &'_ str| series.split(['{', ' ']).next().unwrap_or_default().len();
        let names = self.0.keys().map(|series| &series[..name(series)]);
        let base = |name: &'_ str| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .map_or(name.len(), str::len)
        };
        names.map(|name| if name.contains("duration_seconds") { &name[..base(name)] } else { name }).collect()
    }

    /// The calls of a target with an outcome, of all operations.
    fn calls(&self, target: &str, outcome: &str) -> f64 {
        let (begin, end) = (format!("wasmcloud_calls_total{{target=\"{target}\","), format!("outcome=\"{outcome}\"}}"));
        self.0
            .iter()
            .filter(|(series, _)| series.starts_with(&begin) && series.ends_with(&end))
            .map(|(_, calls)| calls)
            .sum()
    }
}

/// The label of an actor that the tests have signed.
fn label(key: &str, guest: &str) -> String {
    format!("{} {guest}", &key[..12])
}

fn call_series(target: &str, operation: &str, outcome: &str) -> String {
    format!("wasmcloud_calls_total{{target=\"{target}\",operation=\"{operation}\",outcome=\"{outcome}\"}}")
}

async fn start_with(host: &Host, signing: &Signing, options: ActorOptions) -> String {
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor_with(actor, options).await.unwrap();
    key
}

async fn start(host: &Host, signing: &Signing) -> String {
    start_with(host, signing, ActorOptions::new()).await
}

#[actix_rt::test]
async fn calls_are_counted_by_target_operation_and_outcome() {
    with_host_of(builder(), async |host| {
        let echo = start(&host, &sign("echo")).await;
        let error = start(&host, &sign("error")).await;
        let quick = Limits::new().call_deadline(Duration::from_millis(50));
        let spin = start_with(&host, &sign("spin"), ActorOptions::new().limits(quick)).await;
        for _ in 0..20 {
            host.call_actor(&echo, "Echo", b"ping").await.unwrap();
        }
        assert_eq!(kind(host.call_actor(&echo, "NoSuchOperation", b"").await), ErrorKind::UnknownOperation);
        assert_eq!(kind(host.call_actor(&error, "Any", b"").await), ErrorKind::ActorFailed);
        assert_eq!(kind(soon(host.call_actor(&spin, "Spin", b"")).await), ErrorKind::DeadlineExceeded);
        assert_eq!(kind(host.call_actor("nobody", "Any", b"").await), ErrorKind::ActorNotFound);

        let series = Series::of(&host);
        let [echo, error, spin] =
            [(echo, "echo"), (error, "error"), (spin, "spin")].map(|(key, name)| label(&key, name));
        assert_eq!(series.get(&call_series(&echo, "Echo", "ok")), Some(20.0));
        // An operation that nobody serves is not told by its name.
        assert_eq!(series.get(&call_series(&echo, "other", "error")), Some(1.0));
        assert_eq!(series.get(&call_series(&error, "Any", "error")), Some(1.0));
        assert_eq!(series.get(&call_series(&spin, "Spin", "timeout")), Some(1.0));
        assert_eq!(series.get(&call_series("absent", "other", "error")), Some(1.0));
        assert_eq!(series.get(&call_series("absent", "other", "refused")), Some(0.0));

        let duration = |suffix: &str, target: &str| {
            series.get(&format!("wasmcloud_call_duration_seconds_{suffix}{{target=\"{target}\"}}"))
        };
        let timed = duration("count", &echo).unwrap();
        assert!((1.0..=21.0).contains(&timed), "{timed}");
        assert_eq!(duration("count", &spin), Some(1.0));
        assert!(duration("sum", &spin).unwrap() >= 0.05);
        let late = format!("wasmcloud_call_duration_seconds_bucket{{target=\"{spin}\",le=\"0.032768\"}}");
        assert_eq!(series.get(&late), Some(0.0), "it took 50 ms");
    })
    .await;
}

#[actix_rt::test]
async fn calls_that_no_instance_serves_are_counted_for_their_target() {
    with_host_of(builder(), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let short = ActorOptions::new().limits(Limits::new().mailbox_length(1));
        let relay = sign("host_call").capability(PROBE).actor();
        let full = relay.public_key();
        host.start_actor_with(relay, short).await.unwrap();
        let provider = host.providers().await.unwrap()[0].id.clone();
        host.set_link(&full, PROBE, None, provider, HashMap::new()).await.unwrap();

        // One call waits in the probe, and the mailbox takes no second one.
        let wait = host_call("", PROBE, "Wait", b"");
        let waiting = host.call_actor(&full, "Any", &wait);
        let refused = async {
            probe.arrived.notified().await;
            let busy = kind(host.call_actor(&full, "Any", b"").await);
            let during = Series::of(&host);
            probe.release.add_permits(1);
            (busy, during)
        };
        let (answer, (busy, during)) = soon(futures_util::future::join(waiting, refused)).await;
        assert_eq!((host_answer(&answer.unwrap()).unwrap(), busy), (b"released".to_vec(), ErrorKind::Busy));
        let full = label(&full, "host_call");
        assert_eq!(during.get(&format!("wasmcloud_calls_in_flight{{target=\"{full}\"}}")), Some(1.0));
        assert_eq!(during.get(&format!("wasmcloud_mailbox_messages{{target=\"{full}\"}}")), Some(0.0));

        // An actor without the capability, and a provider without a link, are refused.
        let bare = start(&host, &sign("host_call")).await;
        let denied = host.call_actor(&bare, "Any", &host_call("", PROBE, "Echo", b"")).await.unwrap();
        assert!(host_answer(&denied).is_err());
        let dispatcher = probe.dispatcher(&caller);
        assert_eq!(kind(dispatcher.dispatch(&bare, "Any", Vec::new()).await), ErrorKind::NotLinked);

        let series = Series::of(&host);
        assert_eq!(series.calls(&full, "ok"), 1.0);
        assert_eq!(series.calls(&full, "busy"), 1.0);
        assert_eq!(series.calls(&label(&bare, "host_call"), "refused"), 1.0);
        assert_eq!(series.get(&call_series("absent", "other", "refused")), Some(1.0));
        let probed = series.0.keys().find(|series| series.contains("operation=\"Wait\"")).unwrap();
        assert!(probed.contains(" test provider\"") && series.get(probed) == Some(1.0), "{probed}");
        let contract = format!("wasmcloud_provider_call_duration_seconds_count{{contract=\"{PROBE}\"}}");
        assert_eq!(series.get(&contract), Some(1.0));
    })
    .await;
}

#[actix_rt::test]
async fn figures_outlast_restarts_updates_and_scalings_and_end_with_a_stop() {
    with_host_of(builder().enable_live_updates(), async |host| {
        let mut signing = sign("trap");
        let policy = RestartPolicy::new().intensity(3, Duration::from_secs(60));
        let key = start_with(&host, &signing, ActorOptions::new().restart(policy)).await;
        let target = label(&key, "trap");
        let entity = |name: &str| format!("wasmcloud_{name}{{entity=\"{target}\"}}");
        assert_eq!(Series::of(&host).get(&entity("crashes_total")), Some(0.0));
        for _ in 0..2 {
            assert_eq!(kind(host.call_actor(&key, "Trap", b"").await), ErrorKind::ActorTrapped);
        }
        until(async || Series::of(&host).get(&entity("restarts_total")) == Some(2.0)).await;
        signing.set_revision(2);
        host.update_actor(&key, None, &signing.bytes()).await.unwrap();
        host.scale_actor(&key, 3).await.unwrap();
        let series = Series::of(&host);
        assert_eq!(series.get(&entity("crashes_total")), Some(2.0));
        assert_eq!(series.get(&entity("entity_failed")), Some(0.0));
        assert_eq!(series.calls(&target, "error"), 2.0);
        let running = format!("wasmcloud_actor_instances{{actor=\"{target}\",state=\"running\"}}");
        assert_eq!(series.get(&running), Some(3.0));
        assert!(series.get(&format!("wasmcloud_actor_memory_bytes{{actor=\"{target}\"}}")).unwrap() >= 3.0 * 65_536.0);

        host.stop_actor(&key).await.unwrap();
        let series = Series::of(&host);
        assert!(!series.0.keys().any(|series| series.contains(&target)));
        // A later start counts from zero.
        host.start_actor(signing.actor()).await.unwrap();
        assert_eq!(Series::of(&host).get(&entity("crashes_total")), Some(0.0));
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_has_failed_and_the_fuel_of_one_that_computes_are_told() {
    with_host_of(builder(), async |host| {
        let temporary = RestartPolicy::new().restart(Restart::Temporary);
        let key = start_with(&host, &sign("trap"), ActorOptions::new().restart(temporary)).await;
        assert_eq!(kind(host.call_actor(&key, "Trap", b"").await), ErrorKind::ActorTrapped);
        let failed = format!("wasmcloud_entity_failed{{entity=\"{}\"}}", label(&key, "trap"));
        until(async || Series::of(&host).get(&failed) == Some(1.0)).await;
        assert_eq!(kind(host.call_actor(&key, "Trap", b"").await), ErrorKind::ChildFailed);
        assert_eq!(Series::of(&host).calls(&label(&key, "trap"), "error"), 2.0);
        assert_eq!(Series::of(&host).get("wasmcloud_events_total{kind=\"failed\"}"), Some(1.0));

        let quick = Limits::new().call_deadline(Duration::from_millis(20));
        let spin = start_with(&host, &sign("spin"), ActorOptions::new().limits(quick)).await;
        let _ = soon(host.call_actor(&spin, "Spin", b"")).await.unwrap_err();
        let fuel = format!("wasmcloud_actor_fuel_total{{actor=\"{}\"}}", label(&spin, "spin"));
        assert!(Series::of(&host).get(&fuel).unwrap() > 100_000.0);
    })
    .await;
}

#[actix_rt::test]
async fn a_host_without_metrics_counts_no_calls() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let key = start(&host, &sign("echo")).await;
        host.call_actor(&key, "Echo", b"ping").await.unwrap();
        let series = Series::of(&host);
        assert!(!series.0.keys().any(|series| series.contains(&key[..12])));
        assert_eq!(series.get("wasmcloud_events_total{kind=\"started\"}"), Some(1.0));
    })
    .await;
}
