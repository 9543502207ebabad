//! Hosts that come, fall silent, leave, and come again.

use super::*;
use crate::testing::{Proxy, Server, run};

#[test]
fn a_host_that_joins_and_the_others_know_each_other_without_waiting_for_an_interval() {
    run(async {
        let server = Server::start();
        let mut hosts: Vec<Host> = Vec::new();
        for _ in 0..3 {
            let mut host = Host::start(&server.address(), LONG);
            for other in &mut hosts {
                host.sees(other).await;
                other.sees(&host).await;
            }
            hosts.push(host);
        }
        let peers = hosts[2].membership.peers();
        assert_eq!(peers.len(), 2);
        assert!(peers.iter().all(|peer| peer.version == "0.20.0" && peer.protocol == PROTOCOL && peer.is_available()));
    });
}

#[test]
fn hosts_that_join_together_know_each_other_after_few_heartbeats() {
    run(async {
        const HOSTS: usize = 50;
        let server = Server::start();
        let hosts: Vec<Host> = (0..HOSTS).map(|_| Host::start(&server.address(), LONG)).collect();
        eventually("all know all", || hosts.iter().all(|host| host.membership.peers().len() == HOSTS - 1)).await;
        let sent: u64 = hosts.iter().map(|host| host.membership.0.sequence.load(Ordering::Relaxed)).sum();
        // One by one it would be an answer to each from each.
        assert!(sent < (HOSTS * HOSTS) as u64, "{sent}");
    });
}

#[test]
fn a_silent_host_is_down_after_two_intervals_and_up_when_it_is_heard_again() {
    run(async {
        let server = Server::start();
        let proxy = Proxy::to(server.socket()).await;
        let mut observer = Host::start(&server.address(), SHORT);
        let silent = Host::start(&proxy.address(), SHORT);
        silent.source.set(["M1".to_owned()]);
        silent.membership.inventory_changed();
        let host = silent.key();
        observer.event(up(&host)).await;
        eventually("its actor is known", || observer.finds("M1", &[&silent])).await;
        let last_heard = observer.membership.peer(&host).unwrap().last_heard;
        proxy.partition();
        observer.event(down(&host)).await;
        assert!(last_heard.elapsed() >= SHORT * 2);
        assert_eq!(observer.membership.peer(&host).unwrap().status, PeerStatus::Down);
        assert!(observer.finds("M1", &[]), "a host that is down is no route");
        proxy.heal();
        observer.event(up(&host)).await;
        eventually("its actor is known again", || observer.finds("M1", &[&silent])).await;
    });
}

#[test]
fn a_host_that_leaves_is_gone_at_once() {
    run(async {
        let server = Server::start();
        let mut observer = Host::start(&server.address(), LONG);
        let leaver = Host::start(&server.address(), LONG);
        leaver.source.set(["M1".to_owned()]);
        leaver.membership.inventory_changed();
        let host = leaver.key();
        eventually("its actor is known", || observer.finds("M1", &[&leaver])).await;
        leaver.membership.leave(PATIENCE).await.unwrap();
        observer.event(MembershipEvent::Left { host: host.clone() }).await;
        assert!(observer.finds("M1", &[]));
        assert_eq!(observer.membership.peer(&host).unwrap().status, PeerStatus::Left);
        leaver.membership.leave(PATIENCE).await.unwrap();
        let gone = observer.membership.round_trip(&host, PATIENCE).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::LatticeUnavailable, "{gone}");
    });
}

#[test]
fn a_host_whose_own_connection_is_silent_declares_none_dead() {
    run(async {
        let server = Server::start();
        let proxy = Proxy::to(server.socket()).await;
        let mut observer = Host::start(&proxy.address(), SHORT);
        let other = Host::start(&server.address(), SHORT);
        observer.sees(&other).await;
        // The connection stays open, and the client notices nothing, since it seldom pings.
        proxy.partition();
        eventually("the connection is found bad, often", || observer.membership.counts().unsettled >= 5).await;
        assert!(observer.is_up(&other.key()));
        assert!(!observer.finds("M1", &[]), "further hosts may have come");
        proxy.heal();
        let heard = observer.membership.counts().heartbeats;
        eventually("it hears again", || observer.membership.counts().heartbeats > heard + 5).await;
        assert_eq!(observer.event(up(&other.key())).await, [], "up once");
        assert!(observer.events.is_empty() && observer.is_up(&other.key()));
        // One that really dies is noticed.
        other.connection.close(PATIENCE).await.unwrap();
        assert_eq!(observer.event(down(&other.key())).await, []);
    });
}

#[test]
fn a_restarted_server_makes_no_host_dead_and_a_host_that_dies_meanwhile_is_noticed() {
    run(async {
        let mut server = Server::start();
        let proxy = Proxy::to(server.socket()).await;
        let mut observer = Host::start(&server.address(), SHORT);
        let other = Host::start(&server.address(), SHORT);
        let doomed = Host::start(&proxy.address(), SHORT);
        observer.sees(&other).await;
        observer.sees(&doomed).await;
        server.kill();
        let attempts = observer.connection.counts().failed_attempts;
        tokio::time::sleep(SHORT * 4).await;
        eventually("attempts fail", || observer.connection.counts().failed_attempts > attempts + 3).await;
        assert!(observer.is_up(&other.key()) && observer.is_up(&doomed.key()));
        proxy.partition();
        server.restart();
        let before = observer.event(down(&doomed.key())).await;
        assert!(before.iter().all(|event| matches!(event, MembershipEvent::Up { .. })), "{before:?}");
        assert!(observer.is_up(&other.key()));
    });
}

#[test]
fn a_restarted_host_is_up_again_and_one_with_a_stolen_key_is_told() {
    run(async {
        let server = Server::start();
        let seed = KeyPair::new_server().seed().unwrap();
        let start = || {
            let key = KeyPair::from_seed(&seed).unwrap();
            Host::with(&server.address(), |options| options.heartbeat_interval(SHORT), key)
        };
        let mut observer = Host::start(&server.address(), SHORT);
        let mut first = start();
        observer.event(up(&first.key())).await;
        eventually("time passes", || clock() > first.membership.0.incarnation).await;
        let second = start();
        observer.event(up(&second.key())).await;
        first.event(MembershipEvent::DuplicateKey).await;
    });
}

#[test]
fn a_cordoned_host_is_no_route() {
    run(async {
        let server = Server::start();
        let mut observer = Host::start(&server.address(), LONG);
        let host = Host::start(&server.address(), LONG);
        host.source.set(["M1".to_owned()]);
        host.membership.inventory_changed();
        eventually("its actor is known", || observer.finds("M1", &[&host])).await;
        let cordon = |is_cordoned, is_draining| MembershipEvent::Cordon { host: host.key(), is_cordoned, is_draining };
        host.membership.set_cordoned(true, true);
        observer.event(cordon(true, true)).await;
        assert!(observer.finds("M1", &[]));
        host.membership.set_cordoned(false, false);
        observer.event(cordon(false, false)).await;
        assert!(observer.finds("M1", &[&host]));
    });
}

#[test]
fn the_way_to_another_host_is_measured() {
    run(async {
        let server = Server::start();
        let mut observer = Host::start(&server.address(), LONG);
        let other = Host::start(&server.address(), LONG);
        observer.sees(&other).await;
        let key = other.key();
        eventually("it is measured by itself", || {
            observer.membership.peer(&key).is_some_and(|peer| peer.round_trip.is_some())
        })
        .await;
        let time = observer.membership.round_trip(&key, PATIENCE).await.unwrap();
        assert_eq!(observer.membership.peer(&key).unwrap().round_trip, Some(time));
        let stranger = KeyPair::new_server().public_key();
        let error = observer.membership.round_trip(&stranger, PATIENCE).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LatticeUnavailable);
    });
}

#[test]
fn the_tasks_end_with_the_connection() {
    run(async {
        let server = Server::start();
        let mut host = Host::start(&server.address(), SHORT);
        let other = Host::start(&server.address(), SHORT);
        host.sees(&other).await;
        let shared = Arc::downgrade(&host.membership.0);
        host.connection.close(PATIENCE).await.unwrap();
        drop(host);
        eventually("nothing is left", || shared.strong_count() == 0).await;
    });
}
