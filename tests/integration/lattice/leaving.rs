//! Hosts that are cordoned, leave, and come back.

use std::cell::Cell;
use std::rc::Rc;

use wasmcloud_host::{ErrorKind, EventKind, Host};

use super::{Lattice, acquainted, run_actor, runs, stop, until_seen};
use crate::signing::sign;
use crate::support::{kind, soon, until};

#[actix_rt::test]
async fn a_cordoned_host_takes_no_calls_of_others_and_goes_on_with_its_own() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let echo = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    there.cordon().await.unwrap();
    until_seen(&here, |view| view.hosts.iter().any(|peer| peer.is_cordoned)).await;
    until(async || kind_of(&here, &echo).await == Some(ErrorKind::ActorNotFound)).await;
    assert_eq!(there.call_actor(&echo, "Echo", b"own").await.unwrap(), b"own");
    there.uncordon().await.unwrap();
    until(async || here.call_actor(&echo, "Echo", b"again").await.is_ok()).await;
    stop(&[here, there]).await;
}

async fn kind_of(host: &Host, actor: &str) -> Option<ErrorKind> {
    soon(host.call_actor(actor, "Echo", b"x")).await.err().map(|error| error.kind())
}

#[actix_rt::test]
async fn a_host_that_stops_says_so_and_is_no_route_any_more() {
    let lattice = Lattice::start();
    let [here, there] = lattice.hosts().await;
    let echo = run_actor(&there, &sign("tiny_echo"), &[&here]).await;
    let mut events = here.events();
    let left = there.id();
    there.stop().await;
    soon(async { while events.next().await.unwrap().kind != (EventKind::PeerLeft { host: left.clone() }) {} }).await;
    assert_eq!(kind(soon(here.call_actor(&echo, "Echo", b"")).await), ErrorKind::ActorNotFound);
    here.stop().await;
}

#[actix_rt::test]
async fn a_rolling_restart_of_two_hosts_under_load_loses_no_call() {
    let lattice = Lattice::start();
    let [caller, mut one, mut other] = lattice.hosts().await;
    let signing = sign("tiny_echo");
    let echo = run_actor(&one, &signing, &[&caller]).await;
    run_actor(&other, &signing, &[&caller]).await;
    let is_over = Rc::new(Cell::new(false));
    let load = (0..16_u32).map(|number| {
        let (caller, echo, is_over) = (caller.clone(), echo.clone(), is_over.clone());
        actix_rt::spawn(async move {
            let mut answered = 0_u32;
            while !is_over.get() {
                let answer = caller.call_actor(&echo, "Echo", &number.to_le_bytes()).await;
                assert_eq!(answer.unwrap(), number.to_le_bytes());
                answered += 1;
            }
            answered
        })
    });
    let load: Vec<_> = load.collect();
    for _ in 0..3 {
        for host in [&mut one, &mut other] {
            host.stop().await;
            *host = lattice.host().await;
            acquainted(&[caller.clone(), host.clone()]).await;
            run_actor(host, &signing, &[&caller]).await;
        }
    }
    is_over.set(true);
    let mut answered = 0;
    for calls in load {
        answered += soon(calls).await.unwrap();
    }
    assert!(answered > 100, "{answered}");
    assert_eq!(caller.lattice().unwrap().counts.unknown, 0);
    assert!(runs(&caller.lattice().unwrap(), &one.id(), &echo));
    stop(&[caller, one, other]).await;
}
