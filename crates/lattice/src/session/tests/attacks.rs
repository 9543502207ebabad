//! What an attacker tries that reads, repeats, changes and sends messages, and that may have sessions of its own.

use super::*;
use crate::session::frame::{Frame, HandshakeId, Step};
use crate::session::noise::{self, Identity, NoiseKeys, Opened, Parties, Role};
use snow::HandshakeState;

/// An attacker that knows the protocol and has a host key, but not that of the host that it claims to be.
struct Attacker {
    noise: NoiseKeys,
    key: KeyPair,
}

impl Attacker {
    fn new() -> Attacker {
        Attacker { noise: NoiseKeys::generate(&Namespace::default()).unwrap(), key: KeyPair::new_server() }
    }

    /// Begins a handshake in the name of a host, and reads the answer.
    fn begin(&self, claimed: &str, victim: &Host) -> (HandshakeId, HandshakeState) {
        let id = [3; 16];
        let parties = Parties { initiator: claimed, responder: &victim.key };
        let mut state = self.noise.begin(Role::Initiator, &id, parties).unwrap();
        let hello = noise::write(&mut state, &[]).unwrap();
        let answer = reply(victim, &Frame { id, step: Step::Hello { claimed, noise: &hello } }.write());
        let Step::Answer(answer) = Frame::read(&answer).unwrap().step else { panic!("no answer") };
        Opened::read(&mut state, answer).unwrap().verify(Role::Responder).unwrap();
        (id, state)
    }

    fn identity(&self, host: &str) -> Identity {
        Identity { host: host.into(), incarnation: 1, key_id: 2, lifetime: LIFETIME, messages: 1000, endorsement: None }
    }
}

fn finish(id: HandshakeId, message: &[u8]) -> Vec<u8> {
    Frame { id, step: Step::Finish(message) }.write()
}

#[test]
fn a_stolen_session_is_of_no_use() {
    let (one, victim) = pair();
    let thief = host();
    connect(&thief, &victim);
    let seen = one.call(&victim, &DIGEST);
    // Its own MAC with the key identifier of another host, in its own name and in that of the other host.
    let stolen = Authenticator { key_id: seen.key_id, ..thief.call(&victim, &DIGEST) };
    assert_eq!(victim.refusal(&thief, &DIGEST, from_ref(&stolen)), CallRefusal::Forged);
    assert_eq!(victim.refusal(&one, &DIGEST, &[stolen]), CallRefusal::Forged);
    // The whole authenticator of another host in its own name, and its own in the name of another host.
    assert_eq!(victim.refusal(&thief, &DIGEST, from_ref(&seen)), CallRefusal::Forged);
    let own = thief.call(&victim, &DIGEST);
    assert_eq!(victim.refusal(&one, &DIGEST, &[own]), CallRefusal::Forged);
    // The same with the incarnation that the other host names in its calls.
    let as_thief = victim.verify_call(&thief.key, one.incarnation(), &DIGEST, from_ref(&seen));
    assert_eq!(as_thief.unwrap_err(), CallRefusal::Forged);
    assert_eq!(victim.counts().forged, 5);
    victim.accept(&one, &DIGEST, &[seen]).unwrap();
}

#[test]
fn a_mac_of_another_direction_is_refused() {
    let (one, other) = pair();
    let call = one.call(&other, &DIGEST);
    let proof = other.accept(&one, &DIGEST, from_ref(&call)).unwrap();
    let (key_id, answer) = other.authenticate_answer(&proof, &DIGEST);
    // An answer as a call, and a call as an answer, each to both hosts.
    for (host, from) in [(&one, &other), (&other, &one)] {
        let own_id = host.table().newest(&from.key).own_id;
        for mac in [answer, call.mac] {
            if host.key == one.key || mac != call.mac {
                let as_call = Authenticator { key_id: own_id, counter: 0, mac };
                assert_eq!(host.refusal(from, &DIGEST, &[as_call]), CallRefusal::Forged);
            }
        }
        assert!(!host.verify_answer(&from.key, own_id, &DIGEST, &call.mac));
    }
    assert!(!other.verify_answer(&one.key, other.table().newest(&one.key).own_id, &DIGEST, &answer));
    assert!(one.verify_answer(&other.key, key_id, &DIGEST, &answer));
}

#[test]
fn a_replayed_call_is_refused() {
    let (one, other) = pair();
    let calls: Vec<_> = (0..100).map(|_| one.call(&other, &DIGEST)).collect();
    for call in calls.iter().rev() {
        other.accept(&one, &DIGEST, from_ref(call)).unwrap();
    }
    for call in &calls {
        assert_eq!(other.refusal(&one, &DIGEST, from_ref(call)), CallRefusal::Replayed);
    }
    // With others around it, and after a rotation.
    connect(&one, &other);
    let mut hidden = vec![Authenticator { key_id: 1, counter: 1, mac: [1; 16] }; 10];
    hidden.push(calls[0].clone());
    assert_eq!(other.refusal(&one, &DIGEST, &hidden), CallRefusal::Replayed);
    assert_eq!(other.counts().replayed, 101);
    assert_eq!(CallRefusal::Replayed.retry(), None);
}

#[test]
fn reflected_messages_are_refused() {
    let (one, other) = (host(), host());
    let hello = one.begin(&other.key).unwrap();
    assert_eq!(one.receive(&hello), Err(HandshakeError::WrongHost));
    // In the name of another host: the handshake that is under way has the same identifier.
    let Step::Hello { noise, .. } = Frame::read(&hello).unwrap().step else { panic!() };
    let mut id = Frame::read(&hello).unwrap().id;
    let renamed = |id| Frame { id, step: Step::Hello { claimed: &other.key, noise } }.write();
    assert_eq!(one.receive(&renamed(id)), Err(HandshakeError::TooMany));
    id[0] ^= 1;
    let own_answer = reply(&one, &renamed(id));
    let mut own_answer_back = own_answer.clone();
    own_answer_back[2] ^= 1;
    assert_eq!(one.receive(&own_answer_back), Err(HandshakeError::Forged));
    assert_eq!(one.receive(&own_answer), Err(HandshakeError::Unknown));
    let answer = reply(&other, &hello);
    assert_eq!(other.receive(&answer), Err(HandshakeError::Unknown));
    let finish = reply(&one, &answer);
    assert_eq!(one.receive(&finish), Err(HandshakeError::Unknown));
    let confirm = other.receive(&finish).unwrap().reply.unwrap();
    assert_eq!(other.receive(&confirm), Err(HandshakeError::Unknown));
    one.receive(&confirm).unwrap();
    // A call that comes back, as it is and with the key identifier of its sender.
    let call = one.call(&other, &DIGEST);
    assert_eq!(one.refusal(&other, &DIGEST, from_ref(&call)), CallRefusal::SessionNotUsed);
    let own_id = one.table().newest(&other.key).own_id;
    let returned = Authenticator { key_id: own_id, ..call };
    assert_eq!(one.refusal(&other, &DIGEST, &[returned]), CallRefusal::Forged);
}

#[test]
fn a_host_with_a_session_is_not_downgraded() {
    let (one, other) = pair();
    let call = one.call(&other, &DIGEST);
    assert!(other.is_expected(&one.key));
    // The attacker removes the authenticator, or replaces it by those for other hosts.
    assert_eq!(other.refusal(&one, &DIGEST, &[]), CallRefusal::SessionNotUsed);
    let foreign = Authenticator { key_id: call.key_id ^ 1, ..call };
    assert_eq!(other.refusal(&one, &DIGEST, &[foreign]), CallRefusal::SessionNotUsed);
    // A handshake that anyone can begin in its name does not end the session.
    let (id, mut state) = Attacker::new().begin(&one.key, &other);
    let garbage = noise::write(&mut state, &[0; 152]).unwrap();
    assert_eq!(other.receive(&finish(id, &garbage)), Err(HandshakeError::Forged));
    assert_eq!(other.refusal(&one, &DIGEST, &[]), CallRefusal::SessionNotUsed);
    assert_eq!(other.counts().sessions_not_used, 3);
    one.talk(&other);
}

#[test]
fn a_replayed_handshake_is_refused() {
    let (one, other) = (host(), host());
    let first = connect(&one, &other);
    for message in [&first.finish, &first.answer, &first.confirm] {
        assert_eq!(other.receive(message), Err(HandshakeError::Unknown));
        assert_eq!(one.receive(message), Err(HandshakeError::Unknown));
    }
    // The first message is answered anew, but with another ephemeral key: the old third one does not fit.
    let answer = reply(&other, &first.hello);
    assert_ne!(answer, first.answer);
    assert_eq!(other.receive(&first.hello), Err(HandshakeError::TooMany), "it is under way");
    assert_eq!(other.receive(&first.finish), Err(HandshakeError::Forged));
    assert_eq!(one.receive(&answer), Err(HandshakeError::Unknown));
    // In a later handshake, old messages do not fit either.
    let hello = one.begin(&other.key).unwrap();
    let mut old = first.answer.clone();
    old[2..18].copy_from_slice(&hello[2..18]);
    assert_eq!(one.receive(&old), Err(HandshakeError::Forged));
    assert_eq!((one.table().len(), other.table().len()), (1, 1));
    one.talk(&other);
}

#[test]
fn the_third_message_of_another_handshake_is_refused() {
    let (one, attacker, victim) = (host(), host(), host());
    let hello = one.begin(&victim.key).unwrap();
    let answer = reply(&victim, &hello);
    let own = reply(&attacker, &reply(&victim, &attacker.begin(&victim.key).unwrap()));
    let Step::Finish(noise) = Frame::read(&own).unwrap().step else { panic!() };
    let mixed = finish(Frame::read(&hello).unwrap().id, noise);
    assert_eq!(victim.receive(&mixed), Err(HandshakeError::Forged));
    let true_finish = reply(&one, &answer);
    assert_eq!(victim.receive(&true_finish).unwrap().established, Some(one.key));
    assert_eq!(victim.receive(&own).unwrap().established, Some(attacker.key));
}

#[test]
fn a_host_cannot_claim_the_key_of_another() {
    let (one, victim) = (host(), host());
    let attacker = Attacker::new();
    // It names another host and signs with its own key.
    let (id, mut state) = attacker.begin(&one.key, &victim);
    let identity = attacker.identity(&one.key);
    let message = attacker.noise.prove(&mut state, Role::Initiator, &identity, &attacker.key).unwrap();
    assert_eq!(victim.receive(&finish(id, &message)), Err(HandshakeError::Forged));
    // It claims to be another host at first, and then proves its own key.
    let (id, mut state) = attacker.begin(&one.key, &victim);
    let own = attacker.key.public_key();
    let identity = attacker.identity(&own);
    let message = attacker.noise.prove(&mut state, Role::Initiator, &identity, &attacker.key).unwrap();
    assert_eq!(victim.receive(&finish(id, &message)), Err(HandshakeError::WrongHost));
    // It signs as the other side.
    let (id, mut state) = attacker.begin(&own, &victim);
    let message = attacker.noise.prove(&mut state, Role::Responder, &identity, &attacker.key).unwrap();
    assert_eq!(victim.receive(&finish(id, &message)), Err(HandshakeError::Forged));
    // Keys of other kinds than a host's are none.
    let user = KeyPair::new_user().public_key();
    let hello = Frame { id, step: Step::Hello { claimed: &user, noise: &[1; 32] } }.write();
    assert_eq!(victim.receive(&hello), Err(HandshakeError::Malformed));
    assert!(!victim.has(&one.key) && !victim.has(&own) && victim.counts().established == 0);
}

#[test]
fn a_proof_cannot_be_passed_on() {
    let (one, victim) = (host(), host());
    let attacker = Attacker::new();
    // The host proves its key to the attacker, with which it wants a session.
    let hello = one.begin(&attacker.key.public_key()).unwrap();
    let Frame { id, step: Step::Hello { noise: first, .. } } = Frame::read(&hello).unwrap() else { panic!() };
    let own = attacker.key.public_key();
    let parties = Parties { initiator: &one.key, responder: &own };
    let mut state = attacker.noise.begin(Role::Responder, &id, parties).unwrap();
    noise::read(&mut state, first).unwrap();
    let identity = attacker.identity(&own);
    let answer = attacker.noise.prove(&mut state, Role::Responder, &identity, &attacker.key).unwrap();
    let finished = reply(&one, &Frame { id, step: Step::Answer(&answer) }.write());
    let Step::Finish(third) = Frame::read(&finished).unwrap().step else { panic!() };
    let proof = noise::read(&mut state, third).unwrap();
    // The attacker presents this proof to another host.
    let (id, mut state) = attacker.begin(&one.key, &victim);
    let message = noise::write(&mut state, &proof).unwrap();
    assert_eq!(victim.receive(&finish(id, &message)), Err(HandshakeError::Forged));
    // A host that answers in place of another is not taken for it.
    let hello = one.begin(&victim.key).unwrap();
    let Frame { id, step: Step::Hello { noise: first, .. } } = Frame::read(&hello).unwrap() else { panic!() };
    let parties = Parties { initiator: &one.key, responder: &victim.key };
    let mut state = attacker.noise.begin(Role::Responder, &id, parties).unwrap();
    noise::read(&mut state, first).unwrap();
    let answer = attacker.noise.prove(&mut state, Role::Responder, &identity, &attacker.key).unwrap();
    let answer = Frame { id, step: Step::Answer(&answer) }.write();
    assert_eq!(one.receive(&answer), Err(HandshakeError::WrongHost));
    assert!(!one.has(&victim.key) && !one.has(&own));
}

#[test]
fn a_peer_cannot_shorten_sessions_beyond_reason() {
    let victim = host();
    for (lifetime, messages) in [(0, 1000), (999, 1000), (LIFETIME, 0), (LIFETIME, 15)] {
        let attacker = Attacker::new();
        let own = attacker.key.public_key();
        let (id, mut state) = attacker.begin(&own, &victim);
        let identity = Identity { lifetime, messages, ..attacker.identity(&own) };
        let message = attacker.noise.prove(&mut state, Role::Initiator, &identity, &attacker.key).unwrap();
        assert_eq!(victim.receive(&finish(id, &message)), Err(HandshakeError::Malformed));
    }
}

#[test]
fn a_key_identifier_that_two_hosts_have_chosen_hides_no_session() {
    let (one, other) = pair();
    let good = one.call(&other, &DIGEST);
    let same = Authenticator { counter: 5, mac: [0; 16], ..good.clone() };
    other.accept(&one, &DIGEST, &[same.clone(), good, same]).unwrap();
}
