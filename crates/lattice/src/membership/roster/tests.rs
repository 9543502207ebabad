//! Unit tests of the roster, with times that the tests make up.

use nkeys::KeyPair;

use super::super::beat::tests::beat;
use super::*;

const WINDOW: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(100);

fn roster() -> Roster {
    Roster::new("me".to_owned(), 1, WINDOW)
}

fn heard(roster: &mut Roster, beat: &Heartbeat, now: Instant) -> Vec<MembershipEvent> {
    roster.check(beat, beat.sent_at).unwrap();
    roster.hear(beat.clone(), now)
}

#[test]
fn a_silent_host_is_down_after_two_intervals() {
    let (mut roster, start) = (roster(), Instant::now());
    let beat = beat(&KeyPair::new_server(), 1, 0);
    roster.settle(start);
    assert!(heard(&mut roster, &beat, start).contains(&MembershipEvent::Up { host: beat.host.clone() }));
    let due = start + INTERVAL * 2;
    assert_eq!(roster.next_due(), Some(due));
    assert_eq!(roster.judge(due - Duration::from_millis(1)), []);
    assert_eq!(roster.judge(due), [MembershipEvent::Down { host: beat.host }]);
    assert_eq!(roster.judge(due + INTERVAL), [], "once");
    assert_eq!(roster.next_due(), None);
}

#[test]
fn no_host_is_judged_before_the_connection_has_settled_for_two_intervals() {
    let (mut roster, start) = (roster(), Instant::now());
    let beat = beat(&KeyPair::new_server(), 1, 0);
    roster.settle(start);
    heard(&mut roster, &beat, start);
    roster.unsettle();
    assert_eq!((roster.judge(start + WINDOW), roster.next_due()), (vec![], None));
    let again = start + WINDOW;
    roster.settle(again);
    assert_eq!(roster.next_due(), Some(again + INTERVAL * 2));
    assert_eq!(roster.judge(again + INTERVAL), []);
    assert_eq!(roster.judge(again + INTERVAL * 2).len(), 1);
}

#[test]
fn replayed_and_outdated_heartbeats_are_refused_also_after_the_host_has_left() {
    let (mut roster, now) = (roster(), Instant::now());
    let key = KeyPair::new_server();
    let (first, second) = (beat(&key, 1, 0), beat(&key, 2, 0));
    heard(&mut roster, &second, now);
    assert_eq!(roster.check(&second, 0), Err(Refusal::Replayed));
    assert_eq!(roster.check(&first, 0), Err(Refusal::Replayed));
    let earlier = Heartbeat { incarnation: 6, sequence: 99, ..first.clone() };
    assert_eq!(roster.check(&earlier, 0), Err(Refusal::Replayed));
    let outside = WINDOW.as_millis() as u64 + 1;
    assert_eq!(roster.check(&beat(&key, 3, 0), outside), Err(Refusal::WrongTime));
    assert_eq!(roster.check(&beat(&key, 3, outside), 0), Err(Refusal::WrongTime));
    let leaving = Heartbeat { kind: BeatKind::Leaving, ..beat(&key, 3, 0) };
    assert_eq!(heard(&mut roster, &leaving, now), [MembershipEvent::Left { host: key.public_key() }]);
    roster.forget(now + WINDOW);
    assert_eq!(roster.check(&second, 0), Err(Refusal::Replayed));
    roster.forget(now + WINDOW * 3);
    assert!(roster.peer(&key.public_key()).is_none());
}

#[test]
fn a_restarted_host_is_up_again() {
    let (mut roster, now) = (roster(), Instant::now());
    let key = KeyPair::new_server();
    heard(&mut roster, &beat(&key, 9, 0), now);
    let restarted = Heartbeat { incarnation: 8, is_cordoned: false, ..beat(&key, 1, 0) };
    assert_eq!(heard(&mut roster, &restarted, now), [MembershipEvent::Up { host: key.public_key() }]);
}

#[test]
fn a_cordon_is_told_once() {
    let (mut roster, now) = (roster(), Instant::now());
    let key = KeyPair::new_server();
    let host = key.public_key();
    let free = |sequence| Heartbeat { is_cordoned: false, ..beat(&key, sequence, 0) };
    let cordon = |is_cordoned| MembershipEvent::Cordon { host: host.clone(), is_cordoned, is_draining: false };
    assert_eq!(heard(&mut roster, &free(1), now).len(), 1);
    assert_eq!(heard(&mut roster, &beat(&key, 2, 0), now), [cordon(true)]);
    assert_eq!(heard(&mut roster, &beat(&key, 3, 0), now), []);
    assert!(!roster.peer(&host).unwrap().is_available());
    assert_eq!(heard(&mut roster, &free(4), now), [cordon(false)]);
    assert!(roster.peer(&host).unwrap().is_available());
}

#[test]
fn the_number_of_hosts_is_bounded_and_departed_ones_make_room() {
    let (mut roster, now) = (roster(), Instant::now());
    let key = KeyPair::new_server();
    for number in 0..MOST_HOSTS {
        let beat = Heartbeat { host: number.to_string(), ..beat(&key, 1, 0) };
        heard(&mut roster, &beat, now);
    }
    let further = beat(&key, 1, 0);
    assert_eq!(roster.check(&further, 0), Err(Refusal::Full));
    let leaving = Heartbeat { host: "7".to_owned(), kind: BeatKind::Leaving, ..beat(&key, 2, 0) };
    heard(&mut roster, &leaving, now);
    heard(&mut roster, &further, now);
    assert_eq!(roster.peers().count(), MOST_HOSTS);
    assert!(roster.peer("7").is_none() && roster.peer(&further.host).is_some());
}

#[test]
fn a_second_host_with_the_key_of_this_one_is_told() {
    let mut roster = roster();
    let own = |sent_at| Heartbeat { host: "me".to_owned(), ..beat(&KeyPair::new_server(), 1, sent_at) };
    assert!(!roster.is_own(&own(2)));
    assert_eq!(roster.check(&own(1), 1), Err(Refusal::Replayed), "from the earlier life of this host");
    assert_eq!(heard(&mut roster, &own(2), Instant::now()), [MembershipEvent::DuplicateKey]);
    assert_eq!(roster.check(&own(2), 2), Err(Refusal::Replayed), "the same one again");
    assert_eq!(roster.peers().count(), 0);
}
