//! Tests of sessions between hosts whose messages the tests carry.

mod attacks;
mod bounds;
mod handshakes;
mod properties;
mod trust;

use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nkeys::KeyPair;

use super::*;

const LIFETIME: u64 = 600_000;
const DIGEST: Digest = [7; 32];

/// A host, and the key that others know it by.
struct Host {
    sessions: Arc<Sessions>,
    key: String,
}

impl std::ops::Deref for Host {
    type Target = Sessions;

    fn deref(&self) -> &Sessions {
        &self.sessions
    }
}

fn settings() -> SessionSettings {
    SessionSettings {
        namespace: Namespace::default(),
        key: Arc::new(KeyPair::new_server()),
        trust: HostTrust::default(),
        cluster_key: None,
        lifetime: Duration::from_millis(LIFETIME),
        messages: 1000,
        peers: 64,
    }
}

fn host() -> Host {
    host_with(settings())
}

fn host_with(settings: SessionSettings) -> Host {
    let key = settings.key.public_key();
    Host { sessions: Arc::new(Sessions::new(settings).unwrap()), key }
}

fn pair() -> (Host, Host) {
    let (one, other) = (host(), host());
    connect(&one, &other);
    (one, other)
}

/// The messages of a handshake.
struct Messages {
    hello: Vec<u8>,
    answer: Vec<u8>,
    finish: Vec<u8>,
    confirm: Vec<u8>,
}

/// Has one host begin a handshake with another, and carries its messages.
fn connect(one: &Host, other: &Host) -> Messages {
    let hello = one.begin(&other.key).unwrap();
    let answer = reply(other, &hello);
    let finish = reply(one, &answer);
    let last = other.receive(&finish).unwrap();
    assert_eq!(last.established.as_ref(), Some(&one.key));
    let confirm = last.reply.unwrap();
    let established = Reaction { reply: None, established: Some(other.key.clone()) };
    assert_eq!(one.receive(&confirm), Ok(established));
    assert!(one.has(&other.key) && other.has(&one.key));
    Messages { hello, answer, finish, confirm }
}

fn reply(host: &Host, message: &[u8]) -> Vec<u8> {
    let reaction = host.receive(message).unwrap();
    assert_eq!(reaction.established, None);
    reaction.reply.unwrap()
}

impl Host {
    fn skip(&self, milliseconds: u64) {
        self.clock.skipped.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Authenticates a call for one other host.
    fn call(&self, to: &Host, digest: &Digest) -> Authenticator {
        let [authenticator] = <[_; 1]>::try_from(self.authenticate_call(digest, from_ref(&to.key))).unwrap();
        authenticator
    }

    fn accept(
        &self,
        from: &Host,
        digest: &Digest,
        authenticators: &[Authenticator],
    ) -> std::result::Result<CallProof, CallRefusal> {
        self.verify_call(&from.key, from.incarnation(), digest, authenticators)
    }

    fn refusal(&self, from: &Host, digest: &Digest, authenticators: &[Authenticator]) -> CallRefusal {
        self.accept(from, digest, authenticators).unwrap_err()
    }

    /// Calls another host and has it answer.
    fn talk(&self, to: &Host) {
        let proof = to.accept(self, &DIGEST, &[self.call(to, &DIGEST)]).unwrap();
        assert_eq!(*proof.host, *self.key);
        let (key_id, mac) = to.authenticate_answer(&proof, &[8; 32]);
        assert!(self.verify_answer(&to.key, key_id, &[8; 32], &mac));
    }
}

#[test]
fn calls_and_answers_are_authenticated_in_both_directions() {
    let (one, other) = pair();
    for _ in 0..3 {
        one.talk(&other);
        other.talk(&one);
    }
    assert_eq!((one.counts().established, one.counts().begun, one.counts().answered), (1, 1, 0));
    assert_eq!((other.counts().established, other.counts().begun, other.counts().answered), (1, 0, 1));
    assert_eq!((one.counts().forged, other.counts().forged), (0, 0));
}

#[test]
fn a_call_has_an_authenticator_for_each_peer_with_a_session() {
    let (one, second) = pair();
    let third = host();
    connect(&third, &one);
    let stranger = host();
    let peers = [stranger.key.clone(), second.key.clone(), third.key.clone()];
    let authenticators = one.authenticate_call(&DIGEST, &peers);
    assert_eq!(authenticators.len(), 2);
    for peer in [&second, &third] {
        peer.accept(&one, &DIGEST, &authenticators).unwrap();
        assert_eq!(peer.refusal(&one, &DIGEST, &authenticators), CallRefusal::Replayed);
    }
    assert_eq!(stranger.refusal(&one, &DIGEST, &authenticators), CallRefusal::NoSession);
    let many = vec![second.key.clone(); 100];
    assert_eq!(one.authenticate_call(&DIGEST, &many).len(), MAX_AUTHENTICATORS);
}

#[test]
fn each_part_of_a_call_and_an_answer_is_protected() {
    let (one, other) = pair();
    let good = one.call(&other, &DIGEST);
    let wrong_counter = Authenticator { counter: good.counter + 1, ..good.clone() };
    let mut wrong_mac = good.clone();
    wrong_mac.mac[15] ^= 1;
    for bad in [wrong_counter, wrong_mac] {
        assert_eq!(other.refusal(&one, &DIGEST, &[bad]), CallRefusal::Forged);
    }
    assert_eq!(other.refusal(&one, &[9; 32], from_ref(&good)), CallRefusal::Forged);
    let other_incarnation = other.verify_call(&one.key, one.incarnation() ^ 1, &DIGEST, from_ref(&good));
    assert_eq!(other_incarnation.unwrap_err(), CallRefusal::Forged);
    let proof = other.accept(&one, &DIGEST, &[good]).unwrap();
    let (key_id, mac) = other.authenticate_answer(&proof, &[8; 32]);
    assert!(!one.verify_answer(&other.key, key_id, &[9; 32], &mac));
    assert!(!one.verify_answer(&other.key, key_id ^ 1, &[8; 32], &mac));
    assert!(!one.verify_answer(&one.key, key_id, &[8; 32], &mac));
    assert!(one.verify_answer(&other.key, key_id, &[8; 32], &mac));
    assert_eq!((other.counts().forged, one.counts().forged), (4, 3));
}

#[test]
fn threads_share_sessions() {
    fn assert_shared<T: Send + Sync>(_: &T) {}
    let (one, other) = pair();
    assert_shared(&*one.sessions);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| one.talk(&other)));
        }
        scope.spawn(|| connect(&other, &one));
    });
    assert_eq!((other.counts().replayed, other.counts().forged), (0, 0));
}
