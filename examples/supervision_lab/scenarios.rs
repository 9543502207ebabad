//! The scenarios: their faults, and the expected outcomes.

use std::time::Duration;

use futures_util::future::{LocalBoxFuture, join};
use wasmcloud_host::{BoxedError, ErrorKind, EventKind, Experiment, InjectedFault, RestartPolicy, WasmCloudEntity};

use crate::echo_provider::CONTRACT;
use crate::lab::{Lab, Load, Request, event, is, small, small_limits};
use crate::signing::sign;
use crate::timeline::{Counts, Expectation, Report};

type Played = Result<(), BoxedError>;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    act: for<'a> fn(&'a Lab) -> LocalBoxFuture<'a, Played>,
    expect: fn(&Report, u64) -> Vec<Expectation>,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "one-crash",
        about: "one of a hundred calls makes the actor crash: its caller is told, all others are answered",
        act: |lab| Box::pin(one_crash(lab)),
        expect: |report, _| one_crash_expected(report),
    },
    Scenario {
        name: "crash-loop",
        about: "an actor that only crashes fails, its calls are rejected at once, and an explicit start revives it",
        act: |lab| Box::pin(crash_loop(lab)),
        expect: |report, _| crash_loop_expected(report),
    },
    Scenario {
        name: "poison",
        about: "one payload in twenty crashes the actor: only the caller that sent it gets an error",
        act: |lab| Box::pin(poison(lab)),
        expect: |report, _| poison_expected(report),
    },
    Scenario {
        name: "provider-dies",
        about: "a provider panics under load and restarts slowly: calls wait for it, and its links are re-established",
        act: |lab| Box::pin(provider_dies(lab)),
        expect: |report, _| provider_dies_expected(report),
    },
    Scenario {
        name: "update",
        about: "an actor is updated under load: no call fails, and a stale revision is refused",
        act: |lab| Box::pin(update(lab)),
        expect: |report, _| update_expected(report),
    },
    Scenario {
        name: "cycle",
        about: "A calls B calls A: refused at once while A has one instance, answered by the other one when it has two",
        act: |lab| Box::pin(cycle(lab)),
        expect: |report, _| cycle_expected(report),
    },
    Scenario {
        name: "storm",
        about: "random crashes, delays and losses: the outcomes of the calls follow from the seed",
        act: |lab| Box::pin(storm(lab)),
        expect: storm_expected,
    },
];

impl Scenario {
    pub(crate) async fn play(&self, seed: u64) -> Result<Report, BoxedError> {
        let lab = Lab::open(seed).await?;
        let acted = (self.act)(&lab).await;
        let (entries, calls) = lab.close().await;
        acted.map_err(|error| format!("{} cannot be played: {error}", self.name))?;
        let mut report = Report { name: self.name, about: self.about, entries, calls, expectations: Vec::new() };
        report.expectations = (self.expect)(&report, seed);
        let Counts { offered, answered, failed, lost } = report.counts();
        let adds_up = lost == 0 && answered + failed == offered && offered > 0;
        report.expectations.push(Expectation::new("no call is lost", adds_up));
        let told = report.entries.iter().all(|entry| !matches!(entry.kind, EventKind::Lagged { .. }));
        report.expectations.push(Expectation::new("no event is missed", told));
        Ok(report)
    }
}

async fn one_crash(lab: &Lab) -> Played {
    let actor = lab.start("worker", sign("tiny_echo").actor(), small()).await?;
    let experiment = Experiment::seeded(lab.seed).crash_nth(50);
    lab.host.experiment(&WasmCloudEntity::Actor(actor.clone()), experiment)?;
    lab.load(Load::new(4, 25, 10), |number| Request::new(&actor, "Echo", &payload(number))).await;
    Ok(())
}

fn one_crash_expected(report: &Report) -> Vec<Expectation> {
    let told = report.failures().all(|(_, why, text)| is(why, ErrorKind::ActorTrapped) && text.contains("experiment"));
    vec![
        Expectation::new("one call fails, and its caller is told why", report.counts().failed == 1 && told),
        Expectation::new("the actor crashes once and is restarted once", {
            report.times("worker", is_crash) == 1 && report.times("worker", is_restart) == 1
        }),
    ]
}

async fn crash_loop(lab: &Lab) -> Played {
    let signed = sign("trap");
    let policy = RestartPolicy::new().in_a_row(5).delays(Duration::from_millis(20), Duration::from_millis(160));
    let options = || small().restart(policy);
    let victim = lab.start("victim", signed.actor(), options()).await?;
    let bystander = lab.start("bystander", sign("tiny_echo").actor(), small()).await?;
    let mut events = lab.host.monitor(WasmCloudEntity::Actor(victim.clone()));
    let crash = async {
        lab.load(Load::new(1, 10, 15), |number| Request::new(&victim, "Trap", &payload(number))).await;
        event(&mut events, |kind| matches!(kind, EventKind::Failed { .. })).await?;
        lab.host.start_actor_with(signed.actor(), options()).await?;
        lab.load(Load::new(1, 8, 15), |number| Request::new(&victim, "Echo", &payload(number))).await;
        Ok(())
    };
    let stand_by = lab.load(Load::new(2, 28, 20), |number| Request::new(&bystander, "Echo", &payload(number)));
    join(crash, stand_by).await.0
}

fn crash_loop_expected(report: &Report) -> Vec<Expectation> {
    let failures = |kind| report.failures().filter(|(_, why, _)| is(why, kind)).count();
    let (trapped, refused) = (failures(ErrorKind::ActorTrapped), failures(ErrorKind::ChildFailed));
    let failed = |kind: &EventKind| matches!(kind, EventKind::Failed { .. });
    vec![
        Expectation::new("five restarts, then the victim fails", {
            report.times("victim", is_restart) == 5 && report.times("victim", failed) == 1 && trapped == 6
        }),
        Expectation::new("the other calls to it fail, and are told so", refused == 4),
        Expectation::new("it answers again after an explicit start, and the bystander always", {
            let started = report.times("victim", |kind| *kind == EventKind::Started);
            started == 2 && report.counts().answered == 8 + 2 * 28
        }),
    ]
}

async fn poison(lab: &Lab) -> Played {
    let actor = lab.start("worker", sign("trap").actor(), small()).await?;
    let request = |number| {
        let operation = if number % 20 == 7 { "Trap" } else { "Echo" };
        Request::new(&actor, operation, &payload(number))
    };
    lab.load(Load::new(4, 50, 8), request).await;
    Ok(())
}

fn poison_expected(report: &Report) -> Vec<Expectation> {
    let trapped = report.failures().all(|(_, why, _)| is(why, ErrorKind::ActorTrapped));
    vec![
        Expectation::new("the ten calls with poison fail, and no other", report.counts().failed == 10 && trapped),
        Expectation::new(
            "the actor is restarted after each, and does not fail",
            report.times("worker", is_restart) == 10,
        ),
    ]
}

async fn provider_dies(lab: &Lab) -> Played {
    let actor = lab.start("caller", sign("host_call").capability(CONTRACT).actor(), small().instances(4)).await?;
    let experiment = Experiment::seeded(lab.seed).crash_nth(60).slow_start(Duration::from_millis(60));
    lab.start_provider("backend", &actor, experiment).await?;
    lab.load(Load::new(8, 20, 10), |number| Request::to_provider(&actor, &payload(number))).await;
    Ok(())
}

fn provider_dies_expected(report: &Report) -> Vec<Expectation> {
    let told = report.failures().all(|(_, _, text)| text.contains("panicked"));
    let linked = report.times("caller", |kind| matches!(kind, EventKind::Linked { .. }));
    let waited = report.calls.iter().any(|call| call.ended.saturating_sub(call.began) >= Duration::from_millis(50));
    vec![
        Expectation::new("one call fails, and is told of the panic", report.counts().failed == 1 && told),
        Expectation::new("the provider is restarted, and told of its link again", {
            report.times("backend", is_restart) == 1 && linked == 2
        }),
        Expectation::new("calls wait for the provider instead of failing", waited),
    ]
}

async fn update(lab: &Lab) -> Played {
    let signed = sign("tiny_echo");
    let actor = lab.start("worker", signed.actor(), small().instances(2)).await?;
    let (first, second) = (
        signed.bytes(),
        signed
            .claims(|claims| {
                claims.metadata.get_or_insert_default().rev = Some(2);
            })
            .bytes(),
    );
    let updates = async {
        tokio::time::sleep(Duration::from_millis(120)).await;
        lab.host.update_actor(&actor, None, &second).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        match lab.host.update_actor(&actor, None, &first).await {
            Err(refusal) if refusal.kind() == ErrorKind::UpdateRefused => Ok(()),
            other => Err(format!("a stale revision should have been refused: {other:?}").into()),
        }
    };
    let load = lab.load(Load::new(8, 50, 6), |number| Request::new(&actor, "Echo", &payload(number)));
    join(updates, load).await.0
}

fn update_expected(report: &Report) -> Vec<Expectation> {
    let refused = |kind: &EventKind| matches!(kind, EventKind::UpdateRefused { .. });
    vec![
        Expectation::new("no call fails for the update", report.counts().failed == 0),
        Expectation::new("the actor goes from revision 1 to 2, and not back", {
            let updated = EventKind::Updated { from: 1, to: 2 };
            report.times("worker", |kind| *kind == updated) == 1 && report.times("worker", refused) == 1
        }),
    ]
}

async fn cycle(lab: &Lab) -> Played {
    let actor_a = lab.start("A", sign("host_call").actor(), small()).await?;
    let actor_b = lab.start("B", sign("host_call").actor(), small()).await?;
    let target = lab.start("target", sign("tiny_echo").actor(), small()).await?;
    let request = |number| {
        let last = Request::new(&target, "Echo", &payload(number)).by_way_of(&actor_a);
        last.by_way_of(&actor_b).by_way_of(&actor_a)
    };
    lab.load(Load::new(1, 10, 10), request).await;
    lab.host.scale_actor(&actor_a, 2).await?;
    lab.load(Load::new(1, 10, 10), request).await;
    Ok(())
}

fn cycle_expected(report: &Report) -> Vec<Expectation> {
    let named =
        report.failures().all(|(_, _, text)| text.contains("waits for this call already") && text.contains(" -> "));
    let at_once = report.failures().all(|(took, ..)| took < Duration::from_secs(1));
    vec![
        Expectation::new("with one instance, all ten calls fail, and the cycle is named", {
            report.counts().failed == 10 && named
        }),
        Expectation::new("they fail at once, far from their deadline", at_once),
        Expectation::new("with two instances, all ten are answered", report.counts().answered == 10),
    ]
}

/// How many calls the storm has, from how many callers.
const STORM: Load = Load::new(6, 40, 6);

/// What happens in the storm.
fn storm_plan(seed: u64) -> Experiment {
    let delays = Duration::from_millis(2)..=Duration::from_millis(12);
    Experiment::seeded(seed).crash_with_probability(0.04).drop_with_probability(0.02).delay(delays, 0.15)
}

async fn storm(lab: &Lab) -> Played {
    let options = small().limits(small_limits().call_deadline(Duration::from_millis(300)));
    let actor = lab.start("worker", sign("tiny_echo").actor(), options).await?;
    let bystander = lab.start("bystander", sign("tiny_echo").actor(), small()).await?;
    lab.host.experiment(&WasmCloudEntity::Actor(actor.clone()), storm_plan(lab.seed))?;
    let storm = lab.load(STORM, |number| Request::new(&actor, "Echo", &payload(number)));
    let stand_by = lab.load(Load::new(2, 20, 20), |number| Request::new(&bystander, "Echo", &payload(number)));
    join(storm, stand_by).await;
    Ok(())
}

fn storm_expected(report: &Report, seed: u64) -> Vec<Expectation> {
    let calls = (STORM.callers * STORM.calls) as u64;
    let planned: Vec<_> = (1..=calls).filter_map(|call| storm_plan(seed).fault_of(call)).collect();
    let count = |is_it: fn(&InjectedFault) -> bool| planned.iter().filter(|fault| is_it(fault)).count();
    let crashes = count(|fault| matches!(fault, InjectedFault::Crash { .. }));
    let drops = count(|fault| matches!(fault, InjectedFault::Drop { .. }));
    let failures = |kind| report.failures().filter(|(_, why, _)| is(why, kind)).count();
    let injected = report.times("worker", |kind| matches!(kind, EventKind::Injected { .. }));
    vec![
        Expectation::new(format!("the {crashes} crashes that the seed stands for, and no others"), {
            failures(ErrorKind::ActorTrapped) == crashes && report.times("worker", is_restart) == crashes
        }),
        Expectation::new(format!("the {drops} lost calls that it stands for end by their deadline"), {
            failures(ErrorKind::DeadlineExceeded) == drops
        }),
        Expectation::new("all else is answered", {
            injected == planned.len() && report.counts().failed == crashes + drops
        }),
    ]
}

/// A payload that no other call of a scenario has.
fn payload(number: usize) -> Vec<u8> {
    format!("call {number}").into_bytes()
}

fn is_crash(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Crashed { .. })
}

fn is_restart(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Restarted { .. })
}
