//! Unit tests of heartbeats.

use proptest::prelude::*;

use super::*;

pub(crate) fn beat(key: &KeyPair, sequence: u64, sent_at: u64) -> Heartbeat {
    Heartbeat {
        kind: BeatKind::Alive,
        is_cordoned: true,
        is_draining: false,
        host: key.public_key(),
        incarnation: 7,
        sequence,
        sent_at,
        uptime: 5,
        interval: 100,
        protocol: PROTOCOL,
        software: "0.20.0".to_owned(),
        counts: EntityCounts::new(1, 2, 3),
        inventory_version: 9,
        endorsement: None,
    }
}

#[test]
fn a_heartbeat_is_read_as_it_was_written() {
    let (key, cluster) = (KeyPair::new_server(), KeyPair::new_cluster());
    let plain = beat(&key, 1, 2);
    let endorsement = Endorsement::new(&cluster, "default", &key.public_key());
    let endorsed = Heartbeat { endorsement, kind: BeatKind::Leaving, ..plain.clone() };
    for beat in [plain, endorsed] {
        let message = beat.sign("default", &key).unwrap();
        assert_eq!(message.len(), SIZE);
        let read = Heartbeat::read(&message).unwrap();
        assert_eq!(read.beat, beat);
        assert!(read.is_signed("default") && !read.is_signed("other"));
    }
}

#[test]
fn each_changed_byte_is_noticed() {
    let key = KeyPair::new_server();
    let message = beat(&key, 1, 2).sign("default", &key).unwrap();
    for place in 0..message.len() {
        let mut forged = message.clone();
        forged[place] ^= 1;
        let is_accepted = Heartbeat::read(&forged).is_some_and(|read| read.is_signed("default"));
        assert!(!is_accepted, "byte {place}");
    }
}

#[test]
fn only_the_key_of_the_host_signs_for_it() {
    let (key, other, user) = (KeyPair::new_server(), KeyPair::new_server(), KeyPair::new_user());
    let forged = beat(&key, 1, 2).sign("default", &other).unwrap();
    assert!(!Heartbeat::read(&forged).unwrap().is_signed("default"));
    let no_host = beat(&user, 1, 2).sign("default", &user).unwrap();
    assert!(!Heartbeat::read(&no_host).unwrap().is_signed("default"));
}

#[test]
fn an_endorsement_holds_for_its_host_alone() {
    let (cluster, host) = (KeyPair::new_cluster(), KeyPair::new_server().public_key());
    let endorsement = Endorsement::new(&cluster, "default", &host).unwrap();
    assert!(endorsement.is_signed("default", &host));
    assert!(!endorsement.is_signed("default", &KeyPair::new_server().public_key()));
    let stolen = Endorsement { cluster: KeyPair::new_cluster().public_key(), ..endorsement };
    assert!(!stolen.is_signed("default", &host));
}

proptest! {
    #[test]
    fn garbage_is_refused(message in proptest::collection::vec(any::<u8>(), 0..1200)) {
        prop_assert!(Heartbeat::read(&message).is_none_or(|read| !read.is_signed("default")));
    }
}
