//! The events of 2021, byte for byte, and the bounds of heartbeats.

use super::*;

/// The events of 2021 as they were captured. Each is an object with the hexadecimal payload.
fn captured_events() -> Vec<Vec<u8>> {
    let text = include_str!("captured.json");
    let hexadecimal: Vec<String> = serde_json::from_str(text).unwrap();
    hexadecimal.iter().map(|text| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()).collect()
}

#[test]
fn captured_events_are_read_and_written_byte_for_byte() {
    let events = captured_events();
    assert!(events.len() == 16, "{}", events.len());
    for bytes in events {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let envelope: Envelope<EraEvent> =
            serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {text}"));
        let Header { host_origin, timestamp } = envelope.header;
        let written = encode(&envelope.event, &host_origin, timestamp).unwrap();
        assert_eq!(std::str::from_utf8(&written).unwrap(), text);
        assert_eq!(origin(&bytes), Some(host_origin));
    }
}

#[test]
fn a_stopped_provider_is_told_without_its_image() {
    let event = EraEvent::ProviderStopped {
        contract_id: "a:b".to_owned(),
        link_name: "default".to_owned(),
        provider_id: "V".to_owned(),
    };
    let json = encode(&event, "N", 7).unwrap();
    let expected = r#"{"event":{"ProviderStopped":{"contract_id":"a:b","link_name":"default","provider_id":"V"}},"header":{"host_origin":"N","timestamp":7}}"#;
    assert_eq!(json, expected);
}

#[test]
fn garbage_and_keys_of_other_kinds_are_from_no_host() {
    let event = |key: &str| encode(&EraEvent::HostStarted, key, 1).unwrap();
    let host = KeyPair::new_server().public_key();
    assert_eq!(origin(&event(&host)), Some(host));
    let deep = "[".repeat(100_000);
    for bad in [&event("N1")[..], &event(&KeyPair::new_module().public_key()), b"", b"{}", b"\xff", deep.as_bytes()] {
        assert_eq!(origin(bad), None);
    }
}

#[test]
fn large_heartbeats_become_several_that_fit() {
    let id = |number: usize| format!("{:0>56}", number);
    let entity = |number| EraEntity { id: id(number), health: EraHealth::Running };
    let entities = EraEntities((0..10_000).map(entity).collect());
    let claims = |number| Actor { name: Some("a\"b".to_owned()), ..Actor::default() }.claims("A", id(number));
    let largest = 64 * 1024;
    let (events, left_out) = heartbeats((0..1_000).map(claims).collect(), entities.clone(), largest);
    let (mut told, mut known) = (Vec::new(), 0);
    for event in events {
        assert!(encode(&event, &id(0), u64::MAX).unwrap().len() <= largest);
        let EraEvent::Heartbeat { claims, entities } = event else { panic!("a heartbeat") };
        told.extend(entities.0);
        known += claims.len();
    }
    assert_eq!((told, known, left_out), (entities.0, 1_000, 0));
}

#[test]
fn an_item_that_fits_no_message_is_counted() {
    let health = EraHealth::Unhealthy("x".repeat(2000));
    let entities = EraEntities(vec![EraEntity { id: "M".to_owned(), health }]);
    let (events, left_out) = heartbeats(Vec::new(), entities, 1024);
    assert_eq!((events.len(), left_out), (1, 1), "an empty heartbeat is still one");
}

#[test]
fn the_number_of_hosts_is_bounded_and_silent_ones_are_forgotten() {
    let (mut hosts, now) = (EraHosts::default(), Instant::now());
    for number in 0..2 * MOST_HOSTS {
        let is_new = hosts.hear(number.to_string(), now);
        assert_eq!(is_new, number < MOST_HOSTS, "{number}");
        assert!(!hosts.hear(number.to_string(), now), "{number}");
    }
    assert_eq!(hosts.iter().count(), MOST_HOSTS);
    let later = now + Duration::from_secs(60);
    hosts.hear("7".to_owned(), later);
    hosts.forget(later, Duration::from_secs(30));
    assert_eq!(hosts.iter().count(), 1);
}
