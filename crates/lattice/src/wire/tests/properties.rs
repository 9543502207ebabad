//! Properties of the format: what is written is read, and any bytes end in an answer.

use proptest::prelude::*;
use wasmcloud_core::entity::WasmCloudEntity;

use super::captured::captured;
use crate::namespace::Namespace;
use crate::wire::{
    ActorClaims, Authenticator, Digester, Extension, Invocation, LinkDefinition, LinkValue, PayloadForm, Response,
    ResponseExtension, Retry, TraceContext, Transfer, WaitingActor, WireError,
};

const MAX: usize = 1 << 20;

fn entities() -> impl Strategy<Value = WasmCloudEntity> {
    prop_oneof![
        Just(WasmCloudEntity::Host),
        "[A-Z0-9]{0,60}".prop_map(WasmCloudEntity::Actor),
        ("\\PC{0,40}", "\\PC{0,40}", "\\PC{0,40}")
            .prop_map(|(id, contract_id, link_name)| WasmCloudEntity::Capability { id, contract_id, link_name }),
    ]
}

fn transfers() -> impl Strategy<Value = Option<Transfer>> {
    any::<Option<([u8; 16], u64, [u8; 32])>>()
        .prop_map(|transfer| transfer.map(|(id, size, hash)| Transfer { id, size, hash }))
}

fn extensions() -> impl Strategy<Value = Extension> {
    let waiting = ("[A-Z]{0,20}", "[A-Z]{0,20}", any::<u64>()).prop_map(|(actor, host, instance)| WaitingActor {
        actor,
        host,
        instance,
    });
    let trace = ("\\PC{0,20}", "\\PC{0,20}").prop_map(|(parent, state)| TraceContext { parent, state });
    let authenticator =
        any::<(u64, u64, [u8; 16])>().prop_map(|(key_id, counter, mac)| Authenticator { key_id, counter, mac });
    (
        (1..u32::MAX, any::<u64>(), any::<u64>(), any::<u64>()),
        prop::collection::vec(waiting, 0..5),
        prop::option::of(trace),
        any::<Option<[u8; 32]>>(),
        prop::collection::vec(authenticator, 0..5),
        transfers(),
    )
        .prop_map(|(numbers, chain, trace, cancellation, authenticators, transfer)| {
            let (version, issued_at, remaining, incarnation) = numbers;
            let extension = Extension { version, incarnation, chain, trace, ..Extension::new(issued_at, remaining) };
            Extension { cancellation, authenticators, transfer, ..extension }
        })
}

prop_compose! {
    fn invocations()(
        origin in entities(), target in entities(), operation in "\\PC{0,300}",
        payload in prop::collection::vec(any::<u8>(), 0..70_000),
        id in "\\PC{0,40}", encoded_claims in "\\PC{0,40}", host_id in "\\PC{0,40}",
        extension in prop::option::of(extensions()),
    ) -> Invocation {
        Invocation { origin, target, operation, payload, id, encoded_claims, host_id, extension }
    }
}

prop_compose! {
    fn responses()(
        payload in prop::collection::vec(any::<u8>(), 0..300),
        error in prop::option::of("\\PC{0,40}"), invocation_id in "\\PC{0,40}",
        host in "\\PC{0,40}", cluster in prop::option::of("C{0,40}"), kind in prop::option::of("\\PC{0,40}"),
        retry in prop::option::of(prop_oneof![Just(Retry::WithToken), Just(Retry::AfterHandshake), Just(Retry::Elsewhere)]),
        key_id: Option<u64>, mac: Option<[u8; 16]>, signed: Option<[u8; 32]>, transfer in transfers(),
        is_extended: bool,
    ) -> Response {
        let signature = signed.map(|half| std::array::from_fn(|at| half[at % 32]));
        let extension = ResponseExtension { version: 1, host, cluster, kind, retry, key_id, mac, signature, transfer };
        Response { payload, error, invocation_id, extension: is_extended.then_some(extension) }
    }
}

/// Reads bytes as every kind of message. What is read is no larger than the bytes allow.
fn read_all(bytes: &[u8]) {
    if let Ok(invocation) = Invocation::decode(bytes, MAX) {
        assert!(invocation.payload.len() <= bytes.len());
    }
    if let Ok(response) = Response::decode(bytes, MAX) {
        assert!(response.payload.len() <= bytes.len());
    }
    let _ = LinkDefinition::decode(bytes, MAX);
    let _ = ActorClaims::decode(bytes, MAX);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_invocation_is_read_as_it_was_written(invocation in invocations(), is_array: bool) {
        let form = if is_array { PayloadForm::Array } else { PayloadForm::Binary };
        let bytes = invocation.encode(form);
        prop_assert_eq!(&Invocation::decode(&bytes, MAX).unwrap(), &invocation);
        prop_assert_eq!(Invocation::decode(&bytes[..bytes.len() - 1], MAX).unwrap_err(), WireError::Truncated);
    }

    #[test]
    fn a_response_is_read_as_it_was_written(response in responses(), is_array: bool) {
        let form = if is_array { PayloadForm::Array } else { PayloadForm::Binary };
        prop_assert_eq!(Response::decode(&response.encode(form), MAX).unwrap(), response);
    }

    #[test]
    fn a_link_is_read_as_it_was_written(names in prop::array::uniform4("\\PC{0,40}"),
                                        values in prop::collection::vec(("\\PC{0,20}", "\\PC{0,20}"), 0..20)) {
        let [actor_id, provider_id, link_name, contract_id] = names;
        let values = values.into_iter().map(|(name, value)| LinkValue { name, value }).collect();
        let link = LinkDefinition { actor_id, provider_id, link_name, contract_id, values };
        prop_assert_eq!(LinkDefinition::decode(&link.encode(), MAX).unwrap(), link);
    }

    #[test]
    fn different_calls_have_different_digests(one in invocations(), other in invocations()) {
        let digester = Digester::new(&Namespace::default());
        let seen = |invocation: &Invocation| Invocation {
            encoded_claims: String::new(),
            extension: invocation.extension.clone().map(|extension| Extension { authenticators: vec![], ..extension }),
            ..invocation.clone()
        };
        let same = seen(&one) == seen(&other);
        prop_assert_eq!(digester.invocation(&one) == digester.invocation(&other), same);
        prop_assert_eq!(digester.invocation(&one), digester.invocation(&seen(&one)));
    }

    #[test]
    fn a_digest_covers_each_part_of_a_transfer(call in invocations(), answer in responses(), id: [u8; 16], size: u64,
                                               hash: [u8; 32], at in 0..16_usize) {
        let transfer = Transfer { id, size, hash };
        let mut others = vec![None, Some(Transfer { size: size ^ 1 << at, ..transfer })];
        for (place, changed) in [(0, transfer), (1, transfer)] {
            let mut changed = changed;
            let byte = if place == 0 { &mut changed.id[at] } else { &mut changed.hash[at] };
            *byte ^= 1;
            others.push(Some(changed));
        }
        let digester = Digester::new(&Namespace::default());
        let digests = |transfer: Option<Transfer>| {
            let (mut call, mut answer) = (call.clone(), answer.clone());
            call.extension.get_or_insert_with(|| Extension::new(1, 2)).transfer = transfer;
            answer.extension.get_or_insert_with(|| ResponseExtension::new("N")).transfer = transfer;
            (digester.invocation(&call), digester.response(&[0; 32], &answer))
        };
        let found = digests(Some(transfer));
        for other in others {
            let other = digests(other);
            prop_assert!(found.0 != other.0 && found.1 != other.1);
        }
    }

    #[test]
    fn random_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_messages_end_in_an_answer(invocation in invocations(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut bytes = invocation.encode(PayloadForm::Binary);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        read_all(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        read_all(&bytes);
    }
}

#[test]
fn captured_messages_with_any_changed_byte_end_in_an_answer() {
    for message in
        [captured("encoded_claims").remove(0), captured("invocation_id").remove(0), captured("wascap").remove(0)]
    {
        let bytes = message.bytes();
        for at in 0..bytes.len() {
            for byte in [0, 0x7f, 0x91, 0xc0, 0xc1, 0xc6, 0xdb, 0xdd, 0xdf, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = byte;
                read_all(&changed);
            }
        }
    }
}

#[test]
fn garbage_with_huge_lengths_or_deep_nesting_is_refused_before_anything_is_allocated() {
    let huge = [0xff; 4];
    for marker in [0xc6, 0xc9, 0xdb, 0xdd, 0xdf] {
        let bytes = [&[0x81, 0xa3, b'm', b's', b'g', marker], &huge[..]].concat();
        assert!(Invocation::decode(&bytes, usize::MAX).is_err(), "{marker:x}");
        let unknown = [&[0x81, 0xa1, b'x', marker], &huge[..]].concat();
        assert_eq!(Invocation::decode(&unknown, usize::MAX), Err(WireError::Truncated));
        assert!(LinkDefinition::decode(&unknown, MAX).is_err() && ActorClaims::decode(&unknown, MAX).is_err());
    }
    for opening in [0x91, 0x81] {
        let nested = [vec![0x81, 0xa1, b'x'], vec![opening; 100_000]].concat();
        assert_eq!(Invocation::decode(&nested, MAX), Err(WireError::TooDeep));
        assert_eq!(ActorClaims::decode(&nested, MAX), Err(WireError::TooDeep));
    }
}

#[test]
fn an_invocation_of_64_mib_is_refused() {
    let bytes = vec![0x80; 64 << 20];
    assert_eq!(Invocation::decode(&bytes, MAX), Err(WireError::TooLarge { limit: MAX }));
    assert_eq!(Response::decode(&bytes, MAX), Err(WireError::TooLarge { limit: MAX }));
}

#[test]
fn chains_and_authenticators_are_bounded_in_number() {
    let mut extension = Extension::new(1, 1);
    let waiting = WaitingActor { actor: "M".to_owned(), host: "N".to_owned(), instance: 1 };
    extension.chain = vec![waiting; super::super::MAX_CHAIN + 1];
    let mut invocation = Invocation {
        origin: WasmCloudEntity::Host,
        target: WasmCloudEntity::Actor("M".to_owned()),
        operation: "Get".to_owned(),
        payload: vec![],
        id: "id".to_owned(),
        encoded_claims: String::new(),
        host_id: "N".to_owned(),
        extension: Some(extension.clone()),
    };
    let refusal =
        |invocation: &Invocation| Invocation::decode(&invocation.encode(PayloadForm::Binary), MAX).unwrap_err();
    assert_eq!(refusal(&invocation), WireError::TooLong("chain"));
    extension.chain.clear();
    let authenticator = Authenticator { key_id: 1, counter: 1, mac: [0; 16] };
    extension.authenticators = vec![authenticator; super::super::MAX_AUTHENTICATORS + 1];
    invocation.extension = Some(extension);
    assert_eq!(refusal(&invocation), WireError::TooLong("auth"));
}
