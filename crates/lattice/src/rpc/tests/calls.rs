//! Calls and their ends: answers, sessions, deadlines, cancellation, large payloads.

use super::*;
use crate::testing::{Proxy, Server, run};

/// Starts a host that runs the actor, and one that calls it.
async fn pair(server: &Server) -> (Host, Host) {
    let serving = Plan::new(server.address(), &Arc::default()).start().await;
    let caller = Plan::caller(server.address()).start().await;
    caller.finds(&serving).await;
    (serving, caller)
}

#[test]
fn a_call_is_answered_with_a_token_first_and_then_with_a_session() {
    run(async {
        let server = Server::start();
        let (serving, caller) = pair(&server).await;
        assert_eq!(caller.call("Echo", b"one".to_vec()).await.unwrap(), b"one");
        let sessions = || caller.rpc.0.edge.sessions().has(&serving.key);
        eventually("there is a session", sessions).await;
        let before = serving.rpc.counts().edge;
        for number in 0..20_u8 {
            assert_eq!(caller.call("Echo", vec![number]).await.unwrap(), vec![number]);
        }
        let after = serving.rpc.counts().edge;
        assert_eq!((after.by_session - before.by_session, after.by_token), (20, before.by_token));
        assert_eq!((after.attacks(), caller.rpc.counts().edge.attacks()), (0, 0));
        assert_eq!((serving.handler.ledger.executed(), serving.handler.ledger.executed_twice()), (21, 0));
        let last = serving.handler.last.lock().unwrap().take().unwrap();
        assert_eq!((&last.host, last.operation.as_str()), (&caller.key, "Echo"));
        assert!(last.remaining.is_some_and(|left| left <= Duration::from_secs(30)));
        let error = caller.call("Fail", vec![]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotLinked, "{error}");
        assert_eq!((caller.rpc.0.answers.len(), serving.rpc.in_progress()), (0, 0));
    });
}

#[test]
fn callers_share_the_hosts_of_an_entity() {
    run(async {
        let server = Server::start();
        let ledger = Arc::default();
        let one = Plan::new(server.address(), &ledger).start().await;
        let other = Plan::new(server.address(), &ledger).start().await;
        let caller = Plan::caller(server.address()).start().await;
        caller.finds(&one).await;
        caller.finds(&other).await;
        let calls = (0..64_u64).map(|caller_number| {
            let caller = &caller;
            async move {
                for call in 0..10_u64 {
                    let payload = (caller_number * 10 + call).to_le_bytes().to_vec();
                    assert_eq!(caller.call("Echo", payload.clone()).await.unwrap(), payload);
                }
            }
        });
        futures_util::future::join_all(calls).await;
        assert_eq!((ledger.executed(), ledger.executed_twice()), (640, 0));
        let served = (one.rpc.counts().served, other.rpc.counts().served);
        assert!(served.0 > 100 && served.1 > 100 && served.0 + served.1 == 640, "{served:?}");
    });
}

#[test]
fn a_target_that_no_host_runs_is_not_found_at_once() {
    run(async {
        let server = Server::start();
        let caller = Plan::caller(server.address()).start().await;
        let error = caller.call_within("Echo", vec![], Duration::from_secs(600)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActorNotFound, "{error}");
        assert_eq!(caller.rpc.counts().unknown, 0);
    });
}

#[test]
fn a_call_goes_to_the_other_host_when_the_first_one_does_not_run_the_target_any_more() {
    run(async {
        let server = Server::start();
        let (one, caller) = pair(&server).await;
        let other = Plan::new(server.address(), &one.handler.ledger).start().await;
        caller.finds(&other).await;
        one.handler.is_gone.store(true, Ordering::SeqCst);
        for number in 0..50_u8 {
            assert_eq!(caller.call("Echo", vec![number]).await.unwrap(), vec![number]);
        }
        assert_eq!((one.handler.ledger.executed(), other.rpc.counts().served), (50, 50));
        assert!(caller.rpc.counts().sent_again > 0);
        other.handler.is_gone.store(true, Ordering::SeqCst);
        let error = caller.call("Echo", vec![]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ActorNotFound, "{error}");
    });
}

#[test]
fn a_deadline_ends_a_call_and_cancels_it() {
    run(async {
        let server = Server::start();
        let (serving, caller) = pair(&server).await;
        for _ in 0..3 {
            let limit = Duration::from_millis(200);
            let start = Instant::now();
            let error = caller.call_within("Hang", vec![], limit).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
            assert!(start.elapsed() >= limit);
        }
        let passed = caller.call_within("Echo", vec![9], Duration::ZERO).await.unwrap_err();
        assert_eq!(passed.kind(), ErrorKind::DeadlineExceeded, "{passed}");
        assert_eq!(serving.handler.ledger.times(&[9]), 0);
        eventually("the calls are cancelled", || serving.handler.dropped.load(Ordering::SeqCst) == 3).await;
        eventually("they are counted", || serving.rpc.counts().cancelled == 3 && serving.rpc.in_progress() == 0).await;
        assert_eq!((caller.rpc.counts().unknown, caller.rpc.0.answers.len()), (3, 0));
    });
}

#[test]
fn the_future_of_a_call_is_dropped_when_its_caller_drops_it() {
    run(async {
        let server = Server::start();
        let (serving, caller) = pair(&server).await;
        for round in 1..=20 {
            {
                let call = caller.call("Hang", vec![round]);
                let started = eventually("it runs", || serving.handler.running.load(Ordering::SeqCst) == 1);
                tokio::select! {
                    biased;
                    answer = call => panic!("{answer:?}"),
                    () = started => {}
                }
            }
            eventually("it is dropped", || serving.handler.dropped.load(Ordering::SeqCst) == u64::from(round)).await;
        }
        eventually("no call is left", || serving.rpc.in_progress() == 0).await;
        assert_eq!(caller.rpc.0.answers.len(), 0);
    });
}

#[test]
fn a_call_that_is_cancelled_before_it_arrives_is_cancelled() {
    run(async {
        let server = Server::start();
        let (serving, _) = pair(&server).await;
        let secret = [3; 16];
        serving.rpc.0.cancellable.reveal(&secret);
        let commitment = *blake3::hash(&secret).as_bytes();
        let mut call = cancellation::Cancelled::add(&serving.rpc.0, commitment).unwrap();
        cancellation::Cancelled::wait(Some(&mut call)).await;
    });
}

#[test]
fn calls_beyond_the_limit_are_refused_as_busy() {
    run(async {
        let server = Server::start();
        let serving = Plan { calls_at_once: 4, ..Plan::new(server.address(), &Arc::default()) }.start().await;
        let caller = Plan::caller(server.address()).start().await;
        caller.finds(&serving).await;
        let calls = (0..20).map(|_| caller.call("Wait", vec![0; 100]));
        let ends = futures_util::future::join_all(calls).await;
        let busy = ends.iter().filter(|end| end.as_ref().is_err_and(|error| error.kind() == ErrorKind::Busy)).count();
        let answered = ends.iter().filter(|end| end.is_ok()).count();
        assert_eq!((answered, busy), (4, 16));
        assert_eq!((serving.rpc.counts().busy, serving.rpc.counts().served), (16, 4));
        caller.call("Echo", vec![]).await.unwrap();
    });
}

#[test]
fn large_payloads_pass_in_both_directions_and_leave_nothing() {
    run(async {
        let server = Server::start();
        let (serving, caller) = pair(&server).await;
        for round in 0..8_u8 {
            let payload = vec![round; 5 << 20];
            assert_eq!(caller.call("Echo", payload.clone()).await.unwrap(), payload);
        }
        assert_eq!(caller.call("Grow", vec![]).await.unwrap().len(), 5 << 20);
        let offered = || serving.transfers.counts().offered_now + caller.transfers.counts().offered_now;
        eventually("nothing is offered any more", || offered() == 0 && serving.rpc.in_progress() == 0).await;
        assert_eq!((serving.handler.ledger.executed(), serving.handler.ledger.executed_twice()), (9, 0));
    });
}

#[test]
fn the_outcome_is_unknown_when_the_connection_is_lost() {
    run(async {
        let server = Server::start();
        let proxy = Proxy::to(server.socket()).await;
        let serving = Plan::new(server.address(), &Arc::default()).start().await;
        let caller = Plan::caller(proxy.address()).start().await;
        caller.finds(&serving).await;
        let calls = (0..10).map(|number| caller.call("Hang", vec![number]));
        let cut = async {
            eventually("they run", || serving.handler.running.load(Ordering::SeqCst) == 10).await;
            proxy.cut();
        };
        let (ends, ()) = tokio::join!(futures_util::future::join_all(calls), cut);
        assert!(ends.into_iter().all(|end| end.unwrap_err().kind() == ErrorKind::OutcomeUnknown));
        assert!(caller.connection.joined().await);
        assert_eq!(caller.call("Echo", vec![1, 2]).await.unwrap(), [1, 2]);
        assert_eq!(caller.rpc.0.answers.len(), 0);
    });
}

#[test]
fn calls_work_in_both_directions_after_a_restart_of_the_server() {
    run(async {
        let mut server = Server::start();
        let one = Plan::new(server.address(), &Arc::default()).start().await;
        let other = Plan { ids: vec!["MOTHER"], ..Plan::new(server.address(), &Arc::default()) }.start().await;
        for round in 0..3_u8 {
            other.finds(&one).await;
            assert_eq!(other.call("Echo", vec![round]).await.unwrap(), [round]);
            let target = WasmCloudEntity::Actor("MOTHER".to_owned());
            eventually("it is found", || !one.membership.hosts_of(&target).hosts.is_empty()).await;
            let back = OutgoingCall { target, ..outgoing("Echo", vec![round], Duration::from_secs(30)) };
            assert_eq!(one.rpc.call(back).await.unwrap(), [round]);
            let epochs = [&one, &other].map(|host| host.connection.watch().borrow().epoch);
            server.restart();
            for (host, epoch) in [&one, &other].into_iter().zip(epochs) {
                eventually("it is connected again", || host.connection.watch().borrow().epoch > epoch).await;
                assert!(host.connection.joined().await);
            }
        }
    });
}

#[test]
fn keys_rotate_under_load() {
    run(async {
        let server = Server::start();
        let few = |options: LatticeOptions| options.session_messages(64);
        let serving = Plan { set: few, ..Plan::new(server.address(), &Arc::default()) }.start().await;
        let caller = Plan { set: few, ..Plan::caller(server.address()) }.start().await;
        caller.finds(&serving).await;
        for round in 0..100_u64 {
            let calls = (0..16_u64).map(|number| caller.call("Echo", (round * 16 + number).to_le_bytes().to_vec()));
            for end in futures_util::future::join_all(calls).await {
                end.unwrap();
            }
        }
        let ledger = &serving.handler.ledger;
        assert_eq!((ledger.executed(), ledger.executed_twice()), (1600, 0));
        let counts = serving.rpc.counts().edge;
        assert!(counts.by_session > 200 && counts.attacks() == 0, "{counts:?}");
        assert!(caller.rpc.0.edge.sessions().counts().established > 3);
    });
}

#[test]
fn subjects_that_several_providers_share_are_served_until_the_last_one_is_closed() {
    run(async {
        let server = Server::start();
        let (serving, _) = pair(&server).await;
        let provider = |link_name: &str| WasmCloudEntity::Capability {
            id: "VPROVIDER".to_owned(),
            contract_id: "a:b".to_owned(),
            link_name: link_name.to_owned(),
        };
        let is_served = || serving.rpc.0.served.lock().unwrap().contains_key("wasmbus.rpc.default.VPROVIDER.a_b");
        tokio::join!(async { serving.rpc.open(&provider("a b")).await.unwrap() }, async {
            serving.rpc.open(&provider("a.b")).await.unwrap()
        },);
        serving.rpc.close(&provider("a b")).await;
        assert!(is_served());
        serving.rpc.close(&provider("a.b")).await;
        assert!(!is_served());
        assert_eq!(serving.rpc.open(&WasmCloudEntity::Host).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    });
}
