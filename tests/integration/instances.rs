//! Actors of several instances, and their placement.

use futures_util::future::{join, join_all};
use wasmcloud_host::{ActorOptions, ErrorKind, Host, HostBuilder, Limits, Placement};

use crate::signing::sign;
use crate::support::{
    PROBE, Probe, host_answer, host_call, in_own_process, kind, soon, until, values, with_host, with_host_of,
};

async fn start(host: &Host, guest: &str, options: ActorOptions) -> String {
    let actor = sign(guest).actor();
    let key = actor.public_key();
    host.start_actor_with(actor, options).await.unwrap();
    key
}

/// Starts the guest `host_call` linked to a probe.
async fn start_probed(host: &Host, options: ActorOptions) -> (Probe, String) {
    let probe = Probe::default();
    let capability = probe.capability();
    let provider = capability.id();
    host.start_native_capability(capability).await.unwrap();
    let actor = sign("host_call").capability(PROBE).actor();
    let key = actor.public_key();
    host.start_actor_with(actor, options).await.unwrap();
    host.set_link(&key, PROBE, None, provider, values(&[])).await.unwrap();
    (probe, key)
}

#[actix_rt::test]
async fn an_actor_serves_as_many_messages_at_once_as_it_has_instances() {
    for (instances, placement) in
        [(1, Placement::Near), (3, Placement::Near), (2, Placement::Spread), (2, Placement::Dedicated)]
    {
        with_host(async |host| {
            let options = ActorOptions::new().instances(instances).placement(placement);
            let (probe, key) = start_probed(&host, options).await;
            let wait = host_call("", PROBE, "Wait", b"");
            let calls = join_all((0..instances + 2).map(|_| host.call_actor(&key, "Any", &wait)));
            let release = async {
                until(async || probe.calls().len() == instances).await;
                // The others are in mailboxes, and stay there for now.
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(probe.calls().len(), instances);
                probe.release.add_permits(instances + 2);
            };
            let (answers, ()) = soon(join(calls, release)).await;
            assert!(answers.iter().all(|answer| host_answer(answer.as_ref().unwrap()).unwrap() == b"released"));
        })
        .await;
    }
}

#[actix_rt::test]
async fn a_message_goes_to_an_idle_instance_on_its_own_shard() {
    with_host(async |host| {
        let limits = Limits::new().memory_bytes(10 * 65_536);
        let key = start(&host, "grow", ActorOptions::new().instances(2).limits(limits)).await;
        // What one instance has grown by stays its own, so the second refusal shows that it was the same one.
        assert_eq!(host.call_actor(&key, "GrowBy", b"5").await.unwrap(), b"ok");
        for _ in 0..20 {
            assert_eq!(host.call_actor(&key, "GrowBy", b"5").await.unwrap(), b"refused");
        }
    })
    .await;
}

#[actix_rt::test]
async fn an_actor_that_calls_itself_is_served_by_another_instance_where_there_is_one() {
    with_host(async |host| {
        let key = start(&host, "host_call", ActorOptions::new().instances(2)).await;
        let once = host_call("", &key, "Any", b"too short to be a host call");
        let reply = soon(host.call_actor(&key, "Any", &once)).await.unwrap();
        let refusal = host_answer(&reply).unwrap_err();
        assert!(!refusal.contains("waits for this call"), "{refusal}");

        let twice = host_call("", &key, "Any", &once);
        let reply = soon(host.call_actor(&key, "Any", &twice)).await.unwrap();
        let refusal = host_answer(&host_answer(&reply).unwrap()).unwrap_err();
        assert!(refusal.contains("waits for this call already") && refusal.contains(&key), "{refusal}");
    })
    .await;
}

#[actix_rt::test]
async fn stopping_an_actor_waits_for_all_its_instances() {
    with_host(async |host| {
        let (probe, key) = start_probed(&host, ActorOptions::new().instances(2)).await;
        let wait = host_call("", PROBE, "Wait", b"");
        let calls = join_all((0..2).map(|_| host.call_actor(&key, "Any", &wait)));
        let stop = async {
            until(async || probe.calls().len() == 2).await;
            let release = async {
                until(async || crate::support::refuses_calls(&host, &key).await).await;
                probe.release.add_permits(2);
            };
            join(host.stop_actor(&key), release).await.0.unwrap();
        };
        let (answers, ()) = soon(join(calls, stop)).await;
        assert!(answers.iter().all(|answer| host_answer(answer.as_ref().unwrap()).unwrap() == b"released"));
        assert_eq!(kind(host.call_actor(&key, "Any", &wait).await), ErrorKind::ActorStopped);
    })
    .await;
}

#[actix_rt::test]
async fn an_instance_that_cannot_be_made_leaves_no_actor_behind() {
    with_host(async |host| {
        let module = wat::parse_str(
            r#"(module
                (memory (export "memory") 1)
                (func (export "wapc_init") unreachable)
                (func (export "__guest_call") (param i32 i32) (result i32) i32.const 1))"#,
        );
        let actor = crate::signing::sign_module("unreachable", module.unwrap()).actor();
        let options = ActorOptions::new().instances(3).placement(Placement::Dedicated);
        assert_eq!(kind(host.start_actor_with(actor.clone(), options.clone()).await), ErrorKind::ActorTrapped);
        assert!(host.actors().await.unwrap().is_empty());
        assert_eq!(kind(host.start_actor_with(actor, options).await), ErrorKind::ActorTrapped);
    })
    .await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_dedicated_thread_ends_with_its_actor() {
    in_own_process("instances::a_dedicated_thread_ends_with_its_actor", end_dedicated_threads);
}

#[cfg(target_os = "linux")]
async fn end_dedicated_threads() {
    fn arbiters() -> usize {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("actix-rt")).count()
    }
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let before = arbiters();
        let options = ActorOptions::new().instances(3).placement(Placement::Dedicated);
        let key = start(&host, "tiny_echo", options).await;
        assert_eq!(arbiters(), before + 3);
        assert_eq!(host.call_actor(&key, "Echo", b"x").await.unwrap(), b"x");
        host.stop_actor(&key).await.unwrap();
        assert_eq!(arbiters(), before);
    })
    .await;
}
