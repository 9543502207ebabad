//! What becomes of handshakes whose messages are lost, late or crossed, and of sessions that grow old.

use super::*;
use crate::session::attempts::TIMEOUT;
use crate::session::table::{ANSWER_GRACE, CALL_GRACE};

#[test]
fn two_hosts_that_begin_at_once_both_have_a_session() {
    let (one, other) = (host(), host());
    let hellos = [one.begin(&other.key).unwrap(), other.begin(&one.key).unwrap()];
    let answers = [reply(&other, &hellos[0]), reply(&one, &hellos[1])];
    let finishes = [reply(&one, &answers[0]), reply(&other, &answers[1])];
    let confirms = [other.receive(&finishes[0]).unwrap(), one.receive(&finishes[1]).unwrap()];
    // Each uses the session in which it is the responder, until the other one is confirmed.
    one.talk(&other);
    other.talk(&one);
    one.receive(&confirms[0].reply.clone().unwrap()).unwrap();
    other.receive(&confirms[1].reply.clone().unwrap()).unwrap();
    one.talk(&other);
    other.talk(&one);
    for host in [&one, &other] {
        assert_eq!((host.counts().established, host.table().len()), (2, 2));
        assert_eq!(host.attempts().len(), (0, 0));
    }
}

#[test]
fn a_handshake_is_begun_once_at_a_time() {
    let (one, other) = (host(), host());
    assert!(one.begin(&other.key).is_some());
    assert_eq!(one.begin(&other.key), None);
    assert!(one.begin(&host().key).is_some(), "of another peer");
    for no_peer in [one.key.as_str(), "", "N", &KeyPair::new_user().public_key()] {
        assert_eq!(one.begin(no_peer), None, "{no_peer:?}");
    }
}

#[test]
fn after_a_failure_the_next_handshake_waits_longer_and_longer() {
    let (one, other) = (host(), host());
    for pause in [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000] {
        assert!(one.begin(&other.key).is_some());
        one.give_up(&other.key);
        // The clock of the test goes on by itself, but hardly so far.
        one.skip(pause / 2);
        assert_eq!(one.begin(&other.key), None);
        one.skip(pause);
    }
    assert_eq!(one.counts().unanswered, 9);
    connect(&one, &other);
    one.give_up(&other.key);
    assert_eq!(one.counts().unanswered, 9, "nothing was under way");
    assert!(one.begin(&other.key).is_some(), "the failures are forgotten");
}

#[test]
fn a_handshake_that_is_not_answered_ends() {
    let (one, other) = (host(), host());
    let hello = one.begin(&other.key).unwrap();
    let answer = reply(&other, &hello);
    one.skip(TIMEOUT);
    assert_eq!(one.receive(&answer), Err(HandshakeError::Unknown));
    assert_eq!(one.counts().unanswered, 1);
    one.skip(1000);
    let finish = reply(&one, &reply(&other, &one.begin(&other.key).unwrap()));
    other.skip(TIMEOUT);
    assert_eq!(other.receive(&finish), Err(HandshakeError::Unknown));
    assert_eq!(other.attempts().len(), (0, 0));
    assert!(!one.has(&other.key) && !other.has(&one.key));
}

#[test]
fn a_peer_may_call_before_its_confirmation_arrives_or_without() {
    for is_late in [true, false] {
        let (one, other) = (host(), host());
        let finish = reply(&one, &reply(&other, &one.begin(&other.key).unwrap()));
        let confirm = other.receive(&finish).unwrap().reply.unwrap();
        assert!(!one.has(&other.key) && other.has(&one.key));
        assert!(one.authenticate_call(&DIGEST, from_ref(&other.key)).is_empty());
        // The host that waits for the confirmation may still use a token: the peer asks it to use the session.
        assert_eq!(other.refusal(&one, &DIGEST, &[]), CallRefusal::SessionNotUsed);
        other.talk(&one);
        assert!(one.has(&other.key), "the call is a confirmation");
        one.talk(&other);
        if is_late {
            one.receive(&confirm).unwrap();
        } else {
            one.skip(TIMEOUT);
            assert!(one.begin(&other.key).is_some());
        }
        assert_eq!((one.counts().established, one.counts().unanswered), (1, 0));
    }
}

#[test]
fn garbage_between_does_not_end_a_handshake() {
    let (one, other) = (host(), host());
    let damaged = |message: &[u8], place: usize| {
        let mut damaged = message.to_vec();
        damaged[place] ^= 1;
        damaged
    };
    let hello = one.begin(&other.key).unwrap();
    let answer = reply(&other, &hello);
    for place in [18, 60, answer.len() - 1] {
        assert_eq!(one.receive(&damaged(&answer, place)), Err(HandshakeError::Forged), "byte {place}");
    }
    assert_eq!(one.receive(&answer[..18]), Err(HandshakeError::Forged));
    let finish = reply(&one, &answer);
    for place in [18, 60] {
        assert_eq!(other.receive(&damaged(&finish, place)), Err(HandshakeError::Forged), "byte {place}");
    }
    let confirm = other.receive(&finish).unwrap().reply.unwrap();
    assert_eq!(one.receive(&damaged(&confirm, 20)), Err(HandshakeError::Forged));
    assert_eq!(one.receive(&confirm).unwrap().established, Some(other.key.clone()));
    one.talk(&other);
}

#[test]
fn sessions_rotate_before_they_end() {
    let (one, other) = pair();
    assert!(!one.is_due(&other.key) && !one.is_due(&host().key));
    for host in [&one, &other] {
        host.skip(LIFETIME * 3 / 4);
    }
    assert!(one.is_due(&other.key));
    assert!(!other.is_due(&one.key), "the host that began it rotates first");
    let in_flight = [one.call(&other, &DIGEST), other.call(&one, &DIGEST)];
    connect(&one, &other);
    assert!(!one.is_due(&other.key) && one.counts().rotations == 1 && other.counts().rotations == 1);
    let old = one.table().by_key(in_flight[1].key_id).unwrap().clone();
    let proof = other.accept(&one, &DIGEST, &in_flight[..1]).unwrap();
    one.accept(&other, &DIGEST, &in_flight[1..]).unwrap();
    assert_ne!(one.call(&other, &DIGEST).key_id, old.peer_id, "the new keys are used");
    // Answers arrive long after the old keys have ended.
    one.skip(LIFETIME / 4 + ANSWER_GRACE - 1000);
    let (key_id, mac) = other.authenticate_answer(&proof, &[8; 32]);
    assert_eq!(key_id, old.own_id);
    assert!(one.verify_answer(&other.key, key_id, &[8; 32], &mac));
    one.skip(1000);
    assert!(!one.verify_answer(&other.key, key_id, &[8; 32], &mac));
}

#[test]
fn an_expired_session_is_not_used_or_accepted() {
    let (one, other) = pair();
    let late = one.call(&other, &DIGEST);
    let later = one.call(&other, &DIGEST);
    other.skip(LIFETIME + CALL_GRACE - 1000);
    other.accept(&one, &DIGEST, &[late]).unwrap();
    other.skip(1000);
    assert_eq!(other.refusal(&one, &DIGEST, &[later]), CallRefusal::Expired);
    assert_eq!(other.refusal(&one, &DIGEST, &[]), CallRefusal::NoSession, "there is none to downgrade");
    assert!(!other.is_expected(&one.key));
    assert!(!other.has(&one.key) && other.is_due(&one.key));
    one.skip(LIFETIME);
    assert!(one.authenticate_call(&DIGEST, from_ref(&other.key)).is_empty());
    connect(&one, &other);
    assert_eq!(other.counts().expired, 1);
}

#[test]
fn a_session_ends_with_its_number_of_calls() {
    let one = host();
    let few = SessionSettings { messages: 20, ..settings() };
    let other = host_with(few);
    connect(&one, &other);
    for number in 0..20 {
        assert_eq!(one.is_due(&other.key), number >= 15, "{number}");
        one.talk(&other);
    }
    assert!(!one.has(&other.key) && other.has(&one.key), "the directions are counted apart");
    assert!(one.authenticate_call(&DIGEST, from_ref(&other.key)).is_empty());
    assert!(other.is_due(&one.key));
    // A host that has no call left is not asked to use its session.
    assert_eq!(other.refusal(&one, &DIGEST, &[]), CallRefusal::NoSession);
    let session = one.table().newest(&other.key);
    let mac = session.keys.send_call.mac(&DIGEST, 20);
    let beyond = Authenticator { key_id: session.peer_id, counter: 20, mac };
    assert_eq!(other.refusal(&one, &DIGEST, &[beyond]), CallRefusal::Expired);
    connect(&one, &other);
    one.talk(&other);
}

#[test]
fn the_shorter_lifetime_of_both_holds() {
    let one = host();
    let brief = SessionSettings { lifetime: Duration::from_secs(5), ..settings() };
    let other = host_with(brief);
    connect(&one, &other);
    one.skip(5_000);
    assert!(!one.has(&other.key));
}

#[test]
fn a_host_that_starts_again_replaces_its_sessions() {
    let key = Arc::new(KeyPair::new_server());
    let other = host();
    let before = host_with(SessionSettings { key: key.clone(), ..settings() });
    connect(&before, &other);
    let old = before.call(&other, &DIGEST);
    let after = host_with(SessionSettings { key, ..settings() });
    assert_ne!(before.incarnation(), after.incarnation());
    // Its first call is refused, since a session exists that it seems not to use; it has not been executed.
    let refusal = other.refusal(&after, &DIGEST, &[]);
    assert_eq!((refusal, refusal.retry()), (CallRefusal::SessionNotUsed, Some(crate::wire::Retry::AfterHandshake)));
    // The old keys are not valid in the name of the new start.
    assert_eq!(other.refusal(&after, &DIGEST, &[old]), CallRefusal::Forged);
    connect(&after, &other);
    after.talk(&other);
    other.talk(&after);
}

#[test]
fn forgotten_sessions_are_gone() {
    let (one, other) = pair();
    let before = one.call(&other, &DIGEST);
    other.forget(&one.key);
    assert!(!other.has(&one.key));
    assert_eq!(other.refusal(&one, &DIGEST, &[before]), CallRefusal::NoSession);
    // Forgotten while the confirmation is on its way.
    let finish = reply(&one, &reply(&other, &one.begin(&other.key).unwrap()));
    let confirm = other.receive(&finish).unwrap().reply.unwrap();
    one.forget(&other.key);
    assert_eq!(one.receive(&confirm), Err(HandshakeError::Unknown));
    assert!(!one.has(&other.key));
    connect(&one, &other);
    one.talk(&other);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let server = Arc::new(KeyPair::new_server());
    let public = Arc::new(KeyPair::from_public_key(&server.public_key()).unwrap());
    let bad = [
        SessionSettings { key: Arc::new(KeyPair::new_user()), ..settings() },
        SessionSettings { key: public, ..settings() },
        SessionSettings { lifetime: Duration::from_millis(999), ..settings() },
        SessionSettings { messages: 15, ..settings() },
        SessionSettings { peers: 0, ..settings() },
        SessionSettings { cluster_key: Some(server), ..settings() },
    ];
    for settings in bad {
        assert_eq!(Sessions::new(settings).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
}
