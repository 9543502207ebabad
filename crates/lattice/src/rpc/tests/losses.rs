//! Hosts that are replaced or lost under load.

use super::*;
use crate::testing::{Proxy, Server, ServerOptions, run};

/// What became of calls.
#[derive(Debug, Default)]
struct Ends {
    offered: AtomicU64,
    answered: AtomicU64,
    unknown: AtomicU64,
    others: Mutex<Vec<Error>>,
    is_over: AtomicBool,
}

impl Ends {
    fn note(&self, end: Result<Vec<u8>>) {
        match end {
            Ok(_) => drop(self.answered.fetch_add(1, Ordering::SeqCst)),
            Err(error) if error.kind() == ErrorKind::OutcomeUnknown => {
                eprintln!("{error}");
                self.unknown.fetch_add(1, Ordering::SeqCst);
            }
            Err(error) => self.others.lock().unwrap().push(error),
        }
    }

    fn counts(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        (read(&self.offered), read(&self.answered), read(&self.unknown))
    }

    /// Calls with 32 callers at a time until it is over.
    async fn load(&self, caller: &Host) {
        let calls = (0..32).map(|_| async {
            while !self.is_over.load(Ordering::SeqCst) {
                let number = self.offered.fetch_add(1, Ordering::SeqCst);
                let mut payload = number.to_le_bytes().to_vec();
                payload.resize(8 + usize::try_from(number % 8).unwrap(), 0);
                self.note(caller.call("Wait", payload).await);
            }
        });
        futures_util::future::join_all(calls).await;
    }

    async fn more(&self, calls: u64) {
        let before = self.answered.load(Ordering::SeqCst);
        eventually("calls go on", || self.answered.load(Ordering::SeqCst) >= before + calls).await;
    }
}

async fn replace_hosts_under_load(server: &Server) {
    let ledger: Arc<Ledger> = Arc::default();
    let caller = Plan::caller(server.address()).start().await;
    let mut hosts = Vec::new();
    for _ in 0..2 {
        hosts.push(Plan::new(server.address(), &ledger).start().await);
        caller.finds(hosts.last().unwrap()).await;
    }
    let ends = Ends::default();
    let replace = async {
        for round in 0..6 {
            ends.more(100).await;
            hosts.remove(0).leave().await;
            let plan = Plan::new(server.address(), &ledger);
            hosts.push(plan.start().await);
            // A host that is found by its subject alone is called, too.
            if round % 2 == 0 {
                caller.finds(hosts.last().unwrap()).await;
            }
        }
        ends.more(100).await;
        ends.is_over.store(true, Ordering::SeqCst);
    };
    tokio::join!(ends.load(&caller), replace);
    let (offered, answered, unknown) = ends.counts();
    assert!(ends.others.lock().unwrap().is_empty(), "{:?}", ends.others.lock().unwrap());
    assert_eq!((answered, unknown), (offered, 0));
    assert_eq!((ledger.executed(), ledger.executed_twice()), (offered, 0));
}

#[test]
fn a_rolling_restart_loses_no_call() {
    run(async { replace_hosts_under_load(&Server::start()).await });
}

#[test]
fn an_entity_that_is_closed_and_opened_again_loses_no_call() {
    run(async {
        let server = Server::start();
        let ledger: Arc<Ledger> = Arc::default();
        let hosts =
            [Plan::new(server.address(), &ledger).start().await, Plan::new(server.address(), &ledger).start().await];
        let caller = Plan::caller(server.address()).start().await;
        let ends = Ends::default();
        let reopen = async {
            for round in 0..20 {
                let host = &hosts[round % 2];
                ends.more(20).await;
                host.handler.is_gone.store(true, Ordering::SeqCst);
                host.source.set(&[]);
                host.membership.inventory_changed();
                host.rpc.close(&actor()).await;
                ends.more(20).await;
                host.handler.is_gone.store(false, Ordering::SeqCst);
                host.rpc.open(&actor()).await.unwrap();
                host.source.set(&["MACTOR"]);
                host.membership.inventory_changed();
            }
            ends.is_over.store(true, Ordering::SeqCst);
        };
        tokio::join!(ends.load(&caller), reopen);
        let (offered, answered, unknown) = ends.counts();
        assert!(ends.others.lock().unwrap().is_empty(), "{:?}", ends.others.lock().unwrap());
        assert_eq!((answered, unknown), (offered, 0));
        assert_eq!((ledger.executed(), ledger.executed_twice()), (offered, 0));
    });
}

#[test]
fn calls_in_flight_to_a_host_that_is_killed_have_an_unknown_outcome_and_no_other_fails() {
    run(async {
        let server = Server::start();
        let ledger: Arc<Ledger> = Arc::default();
        let survivor = Plan::new(server.address(), &ledger).start().await;
        let caller = Plan::caller(server.address()).start().await;
        let proxy = Proxy::to(server.socket()).await;
        let short = |options: LatticeOptions| options.heartbeat_interval(Duration::from_millis(300));
        let victim = Plan { set: short, ..Plan::new(proxy.address(), &ledger) }.start().await;
        caller.finds(&survivor).await;
        caller.finds(&victim).await;
        let ends = Ends::default();
        let kill = async {
            ends.more(200).await;
            // The server sees the end of the connection, as it does that of a process.
            drop(proxy);
            ends.more(200).await;
            eventually("its end is noticed", || caller.membership.hosts_of(&actor()).hosts.len() == 1).await;
            ends.more(200).await;
            ends.is_over.store(true, Ordering::SeqCst);
        };
        tokio::join!(ends.load(&caller), kill);
        let (offered, answered, unknown) = ends.counts();
        assert!(ends.others.lock().unwrap().is_empty(), "{:?}", ends.others.lock().unwrap());
        assert_eq!(offered, answered + unknown);
        assert!(unknown <= 32, "{unknown} of {offered}");
        assert_eq!(ledger.executed_twice(), 0);
        assert!(ledger.executed() >= answered && ledger.executed() <= offered);
        drop((survivor, victim));
    });
}

#[test]
fn a_host_that_was_restarted_with_its_key_is_called_again() {
    run(async {
        let server = Server::start();
        let ledger: Arc<Ledger> = Arc::default();
        let caller = Plan::caller(server.address()).start().await;
        let seed = KeyPair::new_server().seed().unwrap();
        for round in 0..3_u64 {
            let key = KeyPair::from_seed(&seed).unwrap();
            let host = Plan { key, ..Plan::new(server.address(), &ledger) }.start().await;
            for call in 0..50_u64 {
                caller.call("Echo", (round * 50 + call).to_le_bytes().to_vec()).await.unwrap();
            }
            eventually("there is a session", || caller.rpc.0.edge.sessions().has(&host.key)).await;
            host.leave().await;
        }
        assert_eq!((ledger.executed(), ledger.executed_twice()), (150, 0));
    });
}

#[test]
fn closing_waits_for_calls_that_the_server_has_sent() {
    run(async {
        let server = Server::with(ServerOptions::default());
        let serving = Plan::new(server.address(), &Arc::default()).start().await;
        let caller = Plan::caller(server.address()).start().await;
        caller.finds(&serving).await;
        let calls = (0..40).map(|number| caller.call("Wait", vec![number; 30 + usize::from(number)]));
        let close = async {
            eventually("some run", || serving.handler.running.load(Ordering::SeqCst) > 0).await;
            serving.rpc.close_all().await;
            assert_eq!(serving.rpc.in_progress(), 0);
        };
        let (ends, ()) = tokio::join!(futures_util::future::join_all(calls), close);
        let not_found =
            |end: &Result<Vec<u8>>| end.as_ref().is_err_and(|error| error.kind() == ErrorKind::ActorNotFound);
        assert!(ends.iter().all(|end| end.is_ok() || not_found(end)), "{ends:?}");
        let refused = serving.rpc.open(&actor()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LatticeUnavailable);
    });
}
