//! Random guests, a provider that freezes, links that hang, and a plugin that is killed at any moment, while actors and
//! providers are started, stopped, updated, scaled and linked. Afterwards each child runs and answers, or has failed for a
//! stated reason.
//!
//! The tests run a few rounds. To run more, from another seed:
//!
//! ```sh
//! WASMCLOUD_STRESS_SEED=1000 WASMCLOUD_STRESS_ROUNDS=500 cargo test --all-features --test integration stress
//! ```
#![cfg(target_os = "linux")]

mod chance;
mod freezer;
mod guest;
mod world;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use wasmcloud_host::{ChildState, ErrorKind, EventKind, Health, LinkState, Result, WasmCloudEntity};

use crate::signing::sign;
use crate::support::{host_answer, host_call, in_own_process, until, values};
use world::{Provider, World, children};

/// How much happens in a round.
const STEPS: usize = 150;

/// How often a call is tried again whose time was up.
const TRIES: usize = 20;

/// How long what is under way may take to end when nothing is frozen any more.
const PATIENCE: Duration = Duration::from_secs(100);

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |value| value.parse().unwrap())
}

#[test]
fn whatever_happens_each_child_runs_or_has_failed_for_a_stated_reason() {
    in_own_process("stress::whatever_happens_each_child_runs_or_has_failed_for_a_stated_reason", async || {
        let first = setting("WASMCLOUD_STRESS_SEED", 1);
        for seed in first..first + setting("WASMCLOUD_STRESS_ROUNDS", 3) {
            eprintln!("the round of WASMCLOUD_STRESS_SEED={seed}");
            round(seed).await;
        }
    });
}

async fn round(seed: u64) {
    let mut world = World::start(seed).await;
    let probers = [prober(&world, 0).await, prober(&world, 1).await];
    for _ in 0..STEPS {
        world.step();
        world.pause().await;
    }
    tokio::time::timeout(PATIENCE, world.thaw()).await.expect("what was under way does not end");
    // The last process that was killed may not have been missed yet, and nothing tells that nothing more happens.
    tokio::time::sleep(Duration::from_millis(200)).await;
    settle(&world).await;
    let crashed = crashed(&mut world).await;
    expect_actors(&world, &probers, &crashed).await;
    for (provider, prober) in world.providers.iter().zip(&probers) {
        expect_provider(&world, provider, prober, &crashed).await;
    }
    tokio::time::timeout(PATIENCE, world.host.stop()).await.expect("the host does not stop");
    until(async || children().is_empty()).await;
}

/// Starts an actor to which nothing happens, linked to a provider.
async fn prober(world: &World, provider: usize) -> String {
    let Provider { contract, .. } = &world.providers[provider];
    let actor = sign("host_call").capability(contract).actor();
    let key = actor.public_key();
    world.host.start_actor(actor).await.unwrap();
    let id = world.providers[provider].id();
    // The provider may just be starting; then the link waits for it.
    world.host.set_link(&key, contract, None, id, values(&[])).await.unwrap();
    key
}

/// Waits until nothing is being restarted.
async fn settle(world: &World) {
    let restarting = |state: &ChildState| matches!(state, ChildState::Restarting { .. });
    let settled = async {
        loop {
            let inventory = world.host.inventory().unwrap();
            let actors = inventory.actors.iter().map(|actor| &actor.state);
            if !actors.chain(inventory.providers.iter().map(|provider| &provider.state)).any(restarting) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, settled).await;
    in_time.unwrap_or_else(|_| panic!("something is restarted for ever: {:#?}", world.host.inventory()));
}

/// What has crashed.
async fn crashed(world: &mut World) -> HashSet<WasmCloudEntity> {
    let mut crashed = HashSet::new();
    // All there are, however many a task may usually take at once.
    while let Some(event) = tokio::task::unconstrained(world.events.next()).now_or_never().flatten() {
        match event.kind {
            EventKind::Crashed { .. } => {
                crashed.insert(event.entity);
            }
            EventKind::Lagged { missed } => panic!("{missed} events were missed"),
            _ => {}
        }
    }
    crashed
}

/// What has failed has done so for a reason, and after it has crashed.
fn expect_reason(state: &ChildState, entity: &WasmCloudEntity, crashed: &HashSet<WasmCloudEntity>) {
    match state {
        ChildState::Failed { reason } => assert!(!reason.is_empty() && crashed.contains(entity), "{entity}: {reason}"),
        state => assert_eq!(*state, ChildState::Running, "{entity}"),
    }
}

/// Calls an actor. On a machine that is busy with others the time of a call is short: it is tried again where that is up.
async fn call(world: &World, actor: &str, operation: &str, message: &[u8]) -> Result<Vec<u8>> {
    let mut answer = world.host.call_actor(actor, operation, message).await;
    for _ in 0..TRIES {
        match &answer {
            Err(error) if error.kind() == ErrorKind::DeadlineExceeded => {}
            _ => break,
        }
        answer = world.host.call_actor(actor, operation, message).await;
    }
    answer
}

/// Each actor that runs answers, with each of its instances.
async fn expect_actors(world: &World, probers: &[String], crashed: &HashSet<WasmCloudEntity>) {
    for actor in world.host.inventory().unwrap().actors {
        expect_reason(&actor.state, &WasmCloudEntity::Actor(actor.key.clone()), crashed);
        if actor.state == ChildState::Running && !probers.contains(&actor.key) {
            let pings = (0..actor.instances * 2).map(|_| call(world, &actor.key, "Ping", b""));
            for answer in join_all(pings).await {
                answer.unwrap_or_else(|error| panic!("{} runs and does not answer: {error}", actor.key));
            }
        }
    }
}

/// A provider that runs is well, and serves an actor that is linked to it.
async fn expect_provider(world: &World, provider: &Provider, prober: &str, crashed: &HashSet<WasmCloudEntity>) {
    let (id, contract) = (provider.id(), provider.contract);
    let inventory = world.host.inventory().unwrap();
    let Some(found) = inventory.providers.into_iter().find(|found| found.id == id) else { return };
    let entity =
        WasmCloudEntity::Capability { id: id.clone(), contract_id: contract.to_owned(), link_name: found.link_name };
    expect_reason(&found.state, &entity, crashed);
    if found.state != ChildState::Running {
        return;
    }
    assert_eq!(world.host.health_of(entity.clone()).await.unwrap(), Health::Healthy, "{entity}");
    let state = world.host.link_state(prober, contract, None);
    if let Some(LinkState::Refused(reason)) = &state {
        // It was told of in a moment in which its provider died. That is stated, and mended by who reads it.
        assert!(!reason.is_empty());
        world.host.set_link(prober, contract, None, id, values(&[])).await.unwrap();
    } else {
        assert_eq!(state, Some(LinkState::Established), "{entity}");
    }
    let payload = host_call("", contract, if contract == world::PLUGIN { "Add" } else { "Work" }, b"1");
    let reply = call(world, prober, "Any", &payload).await.unwrap();
    host_answer(&reply).unwrap_or_else(|refusal| panic!("{entity} runs and does not answer: {refusal}"));
}
