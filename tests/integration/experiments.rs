//! Experiments: each injected fault takes the path of a real one, and affects its entity alone.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use wasmcloud_host::{
    Actor, ActorOptions, ErrorKind, EventKind, Events, Experiment, Host, HostBuilder, InjectedFault, Limits,
    RestartPolicy, WasmCloudEntity,
};

use crate::signing::sign;
use crate::support::{PROBE, Probe, Seen, host_answer, host_call, kind, soon, values, with_host, with_host_of};

/// Longer than any test lasts.
const LONG: Duration = Duration::from_secs(3600);

async fn start(host: &Host, guest: &str, options: ActorOptions) -> (String, WasmCloudEntity) {
    let actor = sign(guest).actor();
    let key = actor.public_key();
    host.start_actor_with(actor, options).await.unwrap();
    (key.clone(), WasmCloudEntity::Actor(key))
}

/// Starts the guest `host_call` linked to a probe with which an experiment is made. Answers with the actor's key too.
async fn start_probed(host: &Host, experiment: Experiment) -> (Probe, String, WasmCloudEntity) {
    let probe = Probe::default();
    let capability = probe.capability();
    let id = capability.id();
    let under = |link_name: &str| {
        let link_name = link_name.to_owned();
        WasmCloudEntity::Capability { id: id.clone(), contract_id: PROBE.to_owned(), link_name }
    };
    // An empty link name is the default one.
    host.experiment(&under(""), experiment).unwrap();
    let provider = under("default");
    host.start_native_capability(capability).await.unwrap();
    let actor = sign("host_call").capability(PROBE).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    host.set_link(&key, PROBE, None, id, values(&[])).await.unwrap();
    (probe, key, provider)
}

fn with_deadline(deadline: Duration) -> ActorOptions {
    ActorOptions::new().limits(Limits::new().call_deadline(deadline))
}

async fn next(events: &mut Events) -> EventKind {
    soon(events.next()).await.unwrap().kind
}

/// What a call of a plan must come to.
fn outcome(fault: Option<InjectedFault>) -> Option<ErrorKind> {
    match fault {
        Some(InjectedFault::Crash { .. }) => Some(ErrorKind::ActorTrapped),
        Some(InjectedFault::Drop { .. }) => Some(ErrorKind::DeadlineExceeded),
        _ => None,
    }
}

#[actix_rt::test]
async fn what_happens_to_which_call_follows_from_the_seed() {
    let short = Duration::from_millis(1);
    let plan = |seed| {
        let experiment = Experiment::seeded(seed).crash_with_probability(0.2).drop_with_probability(0.05);
        experiment.delay(Duration::ZERO..=short, 0.2)
    };
    for seed in [1, 1, 2] {
        with_host(async |host| {
            let (key, entity) = start(&host, "tiny_echo", with_deadline(Duration::from_millis(250))).await;
            host.experiment(&entity, plan(seed)).unwrap();
            for call in 1..=60 {
                let answer = host.call_actor(&key, "Echo", b"hello").await;
                let planned = plan(seed).fault_of(call);
                assert_eq!(answer.err().map(|error| error.kind()), outcome(planned.clone()), "{call}: {planned:?}");
            }
        })
        .await;
    }
}

#[actix_rt::test]
async fn an_injected_crash_retires_the_instance_and_is_reported_as_injected() {
    with_host(async |host| {
        let options = ActorOptions::new().limits(Limits::new().memory_bytes(10 * 65_536));
        let (key, entity) = start(&host, "grow", options).await;
        let mut events = host.monitor(entity.clone());
        host.experiment(&entity, Experiment::seeded(1).crash_nth(2)).unwrap();
        assert_eq!(host.call_actor(&key, "Grow", b"").await.unwrap(), b"10");
        let error = host.call_actor(&key, "GrowBy", b"1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActorTrapped);
        assert!(error.to_string().contains("an experiment's crash in call 2"), "{error}");
        // A new instance has room that the old one had taken.
        assert_eq!(host.call_actor(&key, "GrowBy", b"1").await.unwrap(), b"ok");

        let fault = InjectedFault::Crash { call: 2 };
        assert_eq!(next(&mut events).await, EventKind::Injected { fault });
        let EventKind::Crashed { cause } = next(&mut events).await else { panic!("no crash is told") };
        assert!(cause.contains("an experiment's crash in call 2"), "{cause}");
        assert!(matches!(next(&mut events).await, EventKind::Restarted { attempt: 1, .. }));
    })
    .await;
}

#[actix_rt::test]
async fn the_restart_policy_applies_to_crashes_of_experiments() {
    with_host(async |host| {
        let options = ActorOptions::new().restart(RestartPolicy::new().in_a_row(2));
        let (key, entity) = start(&host, "tiny_echo", options).await;
        host.experiment(&entity, Experiment::seeded(1).crash_with_probability(1.0)).unwrap();
        let calls = join_all((0..5).map(|_| host.call_actor(&key, "Echo", b""))).await;
        let kinds: Vec<ErrorKind> = calls.into_iter().map(kind).collect();
        let (trapped, failed) = (ErrorKind::ActorTrapped, ErrorKind::ChildFailed);
        assert_eq!(kinds, [trapped, trapped, trapped, failed, failed]);
    })
    .await;
}

#[actix_rt::test]
async fn calls_are_counted_over_all_instances_and_restarts() {
    with_host(async |host| {
        let (key, entity) = start(&host, "tiny_echo", ActorOptions::new().instances(3)).await;
        host.experiment(&entity, Experiment::seeded(1).crash_every(4)).unwrap();
        for call in 1..=20 {
            let crashed = host.call_actor(&key, "Echo", b"").await.is_err();
            assert_eq!(crashed, call % 4 == 0, "call {call}");
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_lost_call_ends_at_its_deadline_and_delays_no_other() {
    with_host(async |host| {
        let (key, entity) = start(&host, "tiny_echo", with_deadline(Duration::from_millis(400))).await;
        let mut events = host.monitor(entity.clone());
        host.experiment(&entity, Experiment::seeded(1).drop_nth(1)).unwrap();
        let begin = Instant::now();
        let lost = async { (host.call_actor(&key, "Echo", b"").await, begin.elapsed()) };
        let others = async {
            for _ in 0..10 {
                assert_eq!(host.call_actor(&key, "Echo", b"hello").await.unwrap(), b"hello");
            }
            begin.elapsed()
        };
        let ((lost, ended), answered) = soon(join(lost, others)).await;
        assert_eq!(kind(lost), ErrorKind::DeadlineExceeded);
        assert!(answered < ended && ended >= Duration::from_millis(400), "{answered:?}, {ended:?}");
        assert_eq!(next(&mut events).await, EventKind::Injected { fault: InjectedFault::Drop { call: 1 } });
        // It has not crashed: what is told next is the breach of the deadline, and then its end.
        assert!(matches!(next(&mut events).await, EventKind::LimitBreached { .. }));
        host.stop_actor(&key).await.unwrap();
        assert_eq!(next(&mut events).await, EventKind::Stopped);
    })
    .await;
}

#[actix_rt::test]
async fn a_stop_does_not_wait_for_a_lost_call() {
    with_host(async |host| {
        let (key, entity) = start(&host, "tiny_echo", ActorOptions::new()).await;
        host.experiment(&entity, Experiment::seeded(1).drop_nth(1)).unwrap();
        let mut events = host.monitor(entity);
        let stop = async {
            next(&mut events).await;
            host.stop_actor(&key).await.unwrap();
        };
        let (lost, ()) = soon(join(host.call_actor(&key, "Echo", b""), stop)).await;
        assert_eq!(kind(lost), ErrorKind::ActorStopped);
    })
    .await;
}

#[actix_rt::test]
async fn a_delayed_call_is_answered_later_or_not_in_time() {
    with_host(async |host| {
        let (key, entity) = start(&host, "tiny_echo", with_deadline(Duration::from_millis(300))).await;
        let mut events = host.monitor(entity.clone());
        let by = Duration::from_millis(20);
        host.experiment(&entity, Experiment::seeded(1).delay(by..=by, 1.0)).unwrap();
        let begin = Instant::now();
        assert_eq!(host.call_actor(&key, "Echo", b"hello").await.unwrap(), b"hello");
        assert!(begin.elapsed() >= by);
        assert_eq!(next(&mut events).await, EventKind::Injected { fault: InjectedFault::Delay { call: 1, delay: by } });

        host.experiment(&entity, Experiment::seeded(1).delay(LONG..=LONG, 1.0)).unwrap();
        assert_eq!(kind(soon(host.call_actor(&key, "Echo", b"")).await), ErrorKind::DeadlineExceeded);
        // As always, who was not done in time is replaced.
        soon(async { while !matches!(next(&mut events).await, EventKind::Restarted { .. }) {} }).await;
        host.experiment(&entity, Experiment::seeded(1)).unwrap();
        assert_eq!(host.call_actor(&key, "Echo", b"hello").await.unwrap(), b"hello");
    })
    .await;
}

#[actix_rt::test]
async fn every_start_is_slow_if_it_is_to_be() {
    let actor = sign("tiny_echo").actor();
    let entity = WasmCloudEntity::Actor(actor.public_key());
    let by = Duration::from_millis(30);
    let builder = HostBuilder::new().with_experiment(&entity, Experiment::seeded(1).slow_start(by).crash_nth(1));
    with_host_of(builder, async |host| {
        let mut events = host.monitor(entity.clone());
        let begin = Instant::now();
        host.start_actor(actor.clone()).await.unwrap();
        assert!(begin.elapsed() >= by);
        let begin = Instant::now();
        let key = actor.public_key();
        assert_eq!(kind(host.call_actor(&key, "Echo", b"").await), ErrorKind::ActorTrapped);
        assert_eq!(host.call_actor(&key, "Echo", b"hello").await.unwrap(), b"hello");
        assert!(begin.elapsed() >= by);
        let slow = EventKind::Injected { fault: InjectedFault::SlowStart { delay: by } };
        assert_eq!(next(&mut events).await, slow);
        assert_eq!(next(&mut events).await, EventKind::Started);
        assert_eq!(next(&mut events).await, EventKind::Injected { fault: InjectedFault::Crash { call: 1 } });
        assert!(matches!(next(&mut events).await, EventKind::Crashed { .. }));
        assert_eq!(next(&mut events).await, slow);
    })
    .await;
}

#[actix_rt::test]
async fn a_start_that_is_too_slow_fails() {
    with_host(async |host| {
        let actor: Actor = sign("tiny_echo").actor();
        let entity = WasmCloudEntity::Actor(actor.public_key());
        host.experiment(&entity, Experiment::seeded(1).slow_start(LONG)).unwrap();
        let started = host.start_actor_with(actor, with_deadline(Duration::from_millis(20)));
        assert_eq!(kind(soon(started).await), ErrorKind::DeadlineExceeded);
    })
    .await;
}

#[actix_rt::test]
async fn a_crashed_provider_panics_and_gets_its_links_again() {
    with_host(async |host| {
        let (probe, actor, provider) = start_probed(&host, Experiment::seeded(1).crash_nth(2)).await;
        let mut events = host.monitor(provider);
        let call = host_call("", PROBE, "Echo", b"hello");
        for number in 1..=3 {
            let answer = host_answer(&soon(host.call_actor(&actor, "Any", &call)).await.unwrap());
            match answer {
                Ok(answer) => assert!(answer == b"hello" && number != 2),
                Err(error) => {
                    assert!(number == 2 && error.contains("panicked: an experiment's crash in call 2"), "{error}")
                }
            }
        }
        assert_eq!(next(&mut events).await, EventKind::Injected { fault: InjectedFault::Crash { call: 2 } });
        assert!(matches!(next(&mut events).await, EventKind::Crashed { .. }));
        assert!(matches!(next(&mut events).await, EventKind::Restarted { .. }));
        let bound = probe.seen().into_iter().filter(|seen| matches!(seen, Seen::Bound { .. })).count();
        assert_eq!((bound, probe.calls().len()), (2, 2));
    })
    .await;
}

#[actix_rt::test]
async fn calls_to_a_provider_are_lost_and_delayed_too() {
    let builder = HostBuilder::new().with_call_deadline(Duration::from_millis(500));
    with_host_of(builder, async |host| {
        let by = Duration::from_millis(20);
        let (probe, actor, _) = start_probed(&host, Experiment::seeded(1).drop_nth(1).delay(by..=by, 1.0)).await;
        let call = host_call("", PROBE, "Echo", b"hello");
        // Either the guest is told, or its own time is up at the same moment.
        let lost = soon(host.call_actor(&actor, "Any", &call)).await;
        assert!(lost.map_or_else(|error| error.kind() == ErrorKind::DeadlineExceeded, |reply| reply[0] == 0));
        assert_eq!(probe.calls().len(), 0);
        let begin = Instant::now();
        assert_eq!(host_answer(&host.call_actor(&actor, "Any", &call).await.unwrap()).unwrap(), b"hello");
        assert!(begin.elapsed() >= by);
    })
    .await;
}

#[actix_rt::test]
async fn an_experiment_affects_its_entity_alone_and_ends_with_the_next() {
    with_host(async |host| {
        let (subject, entity) = start(&host, "tiny_echo", ActorOptions::new()).await;
        let (bystander, other) = start(&host, "tiny_echo", ActorOptions::new()).await;
        let mut events = host.monitor(other);
        let always = || Experiment::seeded(1).crash_with_probability(1.0);
        host.experiment(&entity, always()).unwrap();
        for _ in 0..20 {
            assert_eq!(kind(host.call_actor(&subject, "Echo", b"").await), ErrorKind::ActorTrapped);
            host.call_actor(&bystander, "Echo", b"").await.unwrap();
        }
        // The next one counts from the beginning.
        host.experiment(&entity, Experiment::seeded(1).crash_nth(2)).unwrap();
        host.call_actor(&subject, "Echo", b"").await.unwrap();
        assert_eq!(kind(host.call_actor(&subject, "Echo", b"").await), ErrorKind::ActorTrapped);
        host.experiment(&entity, Experiment::seeded(1)).unwrap();
        host.call_actor(&subject, "Echo", b"").await.unwrap();
        host.stop_actor(&bystander).await.unwrap();
        assert_eq!(next(&mut events).await, EventKind::Stopped);
    })
    .await;
}

#[actix_rt::test]
async fn what_cannot_be_experimented_with_is_refused() {
    let provider = |id: &str| WasmCloudEntity::Capability {
        id: id.to_owned(),
        contract_id: PROBE.to_owned(),
        link_name: String::new(),
    };
    let wrong = [WasmCloudEntity::Host, WasmCloudEntity::Actor("echo".to_owned()), provider("Vé")];
    let builder = wrong.iter().fold(HostBuilder::new(), |builder, entity| {
        builder.with_experiment(entity, Experiment::seeded(1).crash_every(1))
    });
    with_host_of(builder, async |host| {
        for entity in &wrong {
            assert_eq!(kind(host.experiment(entity, Experiment::seeded(1))), ErrorKind::InvalidArgument);
        }
        let (key, _) = start(&host, "tiny_echo", ActorOptions::new()).await;
        host.call_actor(&key, "Echo", b"").await.unwrap();
    })
    .await;
}
