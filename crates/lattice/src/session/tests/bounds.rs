//! Floods, and the bounds that hold against them.

use super::*;
use crate::session::attempts::{MAX_ANSWERED, RATE, TIMEOUT};
use crate::session::frame::{Frame, Step};
use crate::session::table::CALL_GRACE;

/// Returns the first message of a handshake that anyone can send.
fn hello(number: u64, claimed: &str) -> Vec<u8> {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    let noise = [number as u8 | 1; 32];
    Frame { id, step: Step::Hello { claimed, noise: &noise } }.write()
}

#[test]
fn a_flood_of_first_messages_takes_bounded_memory_and_ends_nothing_else() {
    let (victim, friend) = pair();
    let other = host();
    let own = victim.begin(&other.key).unwrap();
    let claimed = KeyPair::new_server().public_key();
    let mut answered = 0;
    for number in 0..600 {
        if number % 100 == 0 {
            victim.skip(1000);
        }
        answered += u64::from(victim.receive(&hello(number, &claimed)).is_ok());
        assert!(victim.attempts().len().1 <= MAX_ANSWERED);
    }
    assert_eq!(answered, 600, "below the rate");
    for number in 600..10_000 {
        answered += u64::from(victim.receive(&hello(number, &friend.key)).is_ok());
    }
    assert!(answered < 600 + 3 * RATE, "{answered} were answered");
    assert_eq!(victim.counts().refused.too_many, 10_000 - answered);
    assert_eq!(victim.attempts().len(), (1, MAX_ANSWERED));
    // The session and the handshake that the victim began are as before.
    victim.talk(&friend);
    friend.talk(&victim);
    let finish = reply(&victim, &reply(&other, &own));
    let confirm = other.receive(&finish).unwrap().reply.unwrap();
    victim.receive(&confirm).unwrap();
    victim.talk(&other);
    // When the flood is over, others are answered again.
    victim.skip(TIMEOUT);
    connect(&host(), &victim);
    assert_eq!(victim.attempts().len(), (0, 0));
}

#[test]
fn the_number_of_peers_is_bounded_and_part_of_it_is_kept_for_those_that_are_called() {
    let small = SessionSettings { peers: 4, ..settings() };
    let victim = host_with(small);
    let strangers: Vec<_> = (0..3).map(|_| host()).collect();
    for stranger in &strangers {
        connect(stranger, &victim);
    }
    let next = host();
    let finish = reply(&next, &reply(&victim, &next.begin(&victim.key).unwrap()));
    assert_eq!(victim.receive(&finish), Err(HandshakeError::TooMany));
    let needed = host();
    connect(&victim, &needed);
    let answer = reply(&next, &victim.begin(&next.key).unwrap());
    assert_eq!(victim.receive(&answer), Err(HandshakeError::TooMany));
    // Hosts that have sessions rotate them, and those of others stay.
    for host in strangers.iter().chain([&needed]) {
        connect(host, &victim);
        host.talk(&victim);
        victim.talk(host);
    }
    // Sessions that have ended make room.
    victim.skip(LIFETIME + CALL_GRACE);
    connect(&host(), &victim);
    assert_eq!(victim.table().len(), 1);
}

#[test]
fn the_number_of_handshakes_that_a_host_begins_is_bounded() {
    let small = SessionSettings { peers: 3, ..settings() };
    let one = host_with(small);
    let peers: Vec<_> = (0..4).map(|_| KeyPair::new_server().public_key()).collect();
    let begun = peers.iter().filter(|peer| one.begin(peer).is_some()).count();
    assert_eq!((begun, one.attempts().len().0), (3, 3));
    one.skip(TIMEOUT);
    assert_eq!(one.begin(&peers[3]), None, "those that failed wait");
    one.skip(1000);
    assert!(one.begin(&peers[3]).is_some());
}

#[test]
fn sessions_with_one_peer_are_bounded() {
    let (one, other) = pair();
    let first = one.call(&other, &DIGEST);
    for _ in 0..20 {
        connect(&one, &other);
    }
    assert_eq!((one.table().len(), other.table().len()), (8, 8));
    assert_eq!(other.refusal(&one, &DIGEST, &[first]), CallRefusal::SessionNotUsed);
    one.talk(&other);
}

#[test]
fn handshakes_that_are_never_confirmed_do_not_displace_a_session() {
    let (one, other) = pair();
    for _ in 0..12 {
        // The third message is lost: the other host has no session of this handshake.
        reply(&one, &reply(&other, &one.begin(&other.key).unwrap()));
        one.give_up(&other.key);
        // More than the longest pause.
        for host in [&one, &other] {
            host.skip(46_000);
        }
        one.talk(&other);
        other.talk(&one);
    }
    assert_eq!((one.table().len(), other.table().len()), (8, 1));
}
