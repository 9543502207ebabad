//! Limits: each breach has its own error, and affects no other actor.

use std::time::Duration;

use futures_util::future::join_all;
use wasmcloud_host::{ActorOptions, ErrorKind, Host, HostBuilder, Limits};

use crate::signing::sign;
use crate::support::{
    PROBE, host_answer, host_call, in_own_process, kind, probed_caller, soon, until, with_host, with_host_of,
};

async fn start_within(host: &Host, guest: &str, limits: Limits) -> String {
    let actor = sign(guest).actor();
    let key = actor.public_key();
    host.start_actor_with(actor, ActorOptions::new().limits(limits)).await.unwrap();
    key
}

#[actix_rt::test]
async fn an_actor_may_have_limits_of_its_own() {
    with_host(async |host| {
        let small = start_within(&host, "grow", Limits::new().memory_bytes(10 * 65_536)).await;
        let large = start_within(&host, "grow", Limits::new()).await;
        assert_eq!(host.call_actor(&small, "Grow", b"").await.unwrap(), b"10");
        assert_eq!(host.call_actor(&large, "GrowBy", b"1000").await.unwrap(), b"ok");

        let terse = start_within(&host, "large_reply", Limits::new().message_bytes(1000)).await;
        assert_eq!(host.call_actor(&terse, "Any", b"1000").await.unwrap().len(), 1000);
        let refused = host.call_actor(&terse, "Any", b"1001").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::MessageTooLarge);
        assert!(refused.to_string().contains("1001 bytes, 1000 are allowed"), "{refused}");

        let hasty = start_within(&host, "spin", Limits::new().call_deadline(Duration::from_millis(50))).await;
        assert_eq!(kind(soon(host.call_actor(&hasty, "Spin", b"")).await), ErrorKind::DeadlineExceeded);
        assert_eq!(host.call_actor(&hasty, "Echo", b"x").await.unwrap(), b"x");
    })
    .await;
}

#[actix_rt::test]
async fn a_module_that_begins_with_more_than_it_may_have_is_refused_with_the_figures() {
    with_host(async |host| {
        // The echo guest begins with 17 pages.
        let options = ActorOptions::new().limits(Limits::new().memory_bytes(65_536));
        let refused = host.start_actor_with(sign("echo").actor(), options).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidModule);
        assert!(refused.to_string().contains("17 pages of memory, 1 are allowed"), "{refused}");
        let options = ActorOptions::new().limits(Limits::new().module_bytes(1000));
        let refused = host.start_actor_with(sign("echo").actor(), options).await.unwrap_err();
        assert!(refused.to_string().contains("bytes, 1000 are allowed"), "{refused}");
        let options = ActorOptions::new().limits(Limits::new().table_elements(1));
        let refused = host.start_actor_with(sign("echo").actor(), options).await.unwrap_err();
        assert!(refused.to_string().contains("1 are allowed"), "{refused}");
    })
    .await;
}

#[actix_rt::test]
async fn a_module_that_takes_too_long_to_compile_is_refused_and_nothing_waits_for_it() {
    with_host(async |host| {
        let options = ActorOptions::new().limits(Limits::new().compile_deadline(Duration::ZERO));
        let actor = sign("echo").actor();
        let refused = host.start_actor_with(actor.clone(), options).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::DeadlineExceeded);
        assert!(refused.to_string().contains("was not compiled in 0ns"), "{refused}");
        host.start_actor(actor).await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn calls_under_way_are_bounded_for_an_actor_and_for_the_host() {
    let limits = Limits::new().calls_in_flight(5).mailbox_length(3);
    with_host_of(HostBuilder::new().with_shards(1).with_limits(limits), async |host| {
        let (probe, one) = probed_caller(&host).await;
        let two = start_within(&host, "tiny_echo", limits).await;
        let waits = host_call("", PROBE, "Wait", b"");
        let to_one = join_all((0..5).map(|_| host.call_actor(&one, "Any", &waits)));
        let rest = async {
            probe.arrived.notified().await;
            let to_two = join_all((0..4).map(|_| host.call_actor(&two, "Echo", b"x"))).await;
            probe.release.add_permits(3);
            to_two
        };
        let (to_one, to_two) = soon(futures_util::future::join(to_one, rest)).await;
        let count = |answers: Vec<wasmcloud_host::Result<Vec<u8>>>| {
            let (answered, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.is_ok());
            let refused: Vec<String> = refused.into_iter().map(|refusal| refusal.unwrap_err().to_string()).collect();
            (answered.len(), refused)
        };
        let (answered, refused) = count(to_one);
        assert_eq!((answered, refused.len()), (3, 2));
        assert!(refused.iter().all(|refusal| refusal.contains("mailboxes are full, each with 3")), "{refused:?}");
        let (answered, refused) = count(to_two);
        assert_eq!((answered, refused.len()), (2, 2));
        assert!(refused.iter().all(|refusal| refusal.contains("host is full: it has room for 5")), "{refused:?}");
        assert_eq!(host.call_actor(&two, "Echo", b"free again").await.unwrap(), b"free again");
    })
    .await;
}

#[actix_rt::test]
async fn a_guest_that_computes_for_a_cancelled_call_is_ended() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let spinner = start_within(&host, "spin", Limits::new()).await;
        let caller = start_within(&host, "host_call", Limits::new()).await;
        let through = host_call("", &spinner, "Spin", b"");
        // Directly, and as the last of a chain.
        for (actor, operation, message) in [(&spinner, "Spin", b"".as_slice()), (&caller, "Any", &through)] {
            let mut call = Box::pin(host.call_actor(actor, operation, message));
            for _ in 0..10 {
                assert!(futures_util::poll!(&mut call).is_pending());
                tokio::task::yield_now().await;
            }
            drop(call);
            // Its own deadline is as far away as that of what the test waits for.
            assert_eq!(soon(host.call_actor(&spinner, "Echo", b"free")).await.unwrap(), b"free");
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_chain_of_calls_is_as_long_as_it_may_be() {
    with_host_of(HostBuilder::new().with_limits(Limits::new().chain_depth(3)), async |host| {
        let mut keys = Vec::new();
        for _ in 0..5 {
            keys.push(start_within(&host, "host_call", Limits::new()).await);
        }
        // Each calls the next one; the last makes no call.
        let mut message = b"the end".to_vec();
        for target in keys.iter().skip(1).rev() {
            message = host_call("", target, "Any", &message);
        }
        let mut reply = Ok(host.call_actor(&keys[0], "Any", &message).await.unwrap());
        let mut passed = 0;
        while let Ok(answer) = &reply {
            reply = host_answer(answer);
            passed += 1;
        }
        assert_eq!(passed, 4);
        let refusal = reply.unwrap_err();
        assert!(refusal.contains("has passed through 4 actors: the limit is 3"), "{refusal}");
    })
    .await;
}

#[cfg(target_os = "linux")]
#[test]
fn actors_whose_modules_differ_in_their_token_alone_share_the_compiled_code() {
    in_own_process(
        "limits::actors_whose_modules_differ_in_their_token_alone_share_the_compiled_code",
        share_the_compiled_code,
    );
}

#[cfg(target_os = "linux")]
async fn share_the_compiled_code() {
    fn executable_maps() -> usize {
        std::fs::read_to_string("/proc/self/maps").unwrap().lines().filter(|line| line.contains(" r-xp ")).count()
    }
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let first = start_within(&host, "tiny_echo", Limits::new()).await;
        let with_one = executable_maps();
        let more = join_all((0..50).map(|_| start_within(&host, "tiny_echo", Limits::new()))).await;
        assert_eq!(executable_maps(), with_one);
        for key in more.iter().chain([&first]) {
            assert_eq!(host.call_actor(key, "Echo", b"x").await.unwrap(), b"x");
        }
        // Other bounds are other code.
        start_within(&host, "tiny_echo", Limits::new().memory_bytes(65_536 * 5)).await;
        assert!(executable_maps() > with_one);
    })
    .await;
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_actor_gives_its_stacks_back_and_can_be_called_again() {
    in_own_process("limits::an_idle_actor_gives_its_stacks_back_and_can_be_called_again", give_stacks_back);
}

#[cfg(target_os = "linux")]
async fn give_stacks_back() {
    fn maps() -> usize {
        std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
    }
    const ACTORS: usize = 50;
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        let mut keys = Vec::new();
        for _ in 0..ACTORS {
            keys.push(start_within(&host, "tiny_echo", Limits::new().idle_after(Duration::from_millis(40))).await);
        }
        for _ in 0..2 {
            for key in &keys {
                assert_eq!(host.call_actor(key, "Echo", b"x").await.unwrap(), b"x");
            }
            let busy = maps();
            until(async || maps() + ACTORS <= busy).await;
        }
    })
    .await;
}
