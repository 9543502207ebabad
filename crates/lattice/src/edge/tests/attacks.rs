//! Calls that are forged, changed, copied, misdirected, too old, too large.

use proptest::prelude::*;

use super::*;
use crate::wire::{Authenticator, TraceContext, WaitingActor, captured_invocations};

/// Changes a call in each of its fields.
fn changes(call: &Invocation) -> Vec<Invocation> {
    let changes: [fn(&mut Invocation); 15] = [
        |call| call.origin = WasmCloudEntity::Host,
        |call| call.target = WasmCloudEntity::Actor("MOTHER".to_owned()),
        |call| call.operation.push('x'),
        |call| call.payload.push(0),
        |call| call.payload.clear(),
        |call| call.id.push('x'),
        |call| call.host_id = KeyPair::new_server().public_key(),
        |call| extension(call).version += 1,
        |call| extension(call).issued_at += 1,
        |call| extension(call).remaining += 1,
        |call| extension(call).incarnation ^= 1,
        |call| extension(call).chain.push(WaitingActor { actor: "M".into(), host: "N".into(), instance: 1 }),
        |call| extension(call).trace = Some(TraceContext { parent: "a".into(), state: String::new() }),
        |call| extension(call).cancellation = Some([9; 32]),
        |call| {
            call.payload.clear();
            extension(call).transfer = Some(Transfer { id: [1; 16], size: 1, hash: [1; 32] });
        },
    ];
    let change = |change: &fn(&mut Invocation)| {
        let mut changed = call.clone();
        change(&mut changed);
        changed
    };
    changes.iter().map(change).collect()
}

#[test]
fn a_call_with_a_changed_field_is_forged() {
    let (one, other) = pair();
    for (call, sealed) in [sealed(&one, &other), with_token(&one, &other)] {
        for changed in changes(&call) {
            refused(&other, &encoded(&changed), Arrival::Direct, Refusal::Forged);
        }
        other.admit(&sealed.bytes, Arrival::Direct).unwrap();
    }
    assert_eq!((other.counts().by_session, other.counts().by_token), (1, 1));
}

#[test]
fn a_forged_mac_or_token_is_refused() {
    let (one, other) = pair();
    let (call, _) = sealed(&one, &other);
    for change in [|auth: &mut Authenticator| auth.mac[0] ^= 1, |auth: &mut Authenticator| auth.counter += 1] {
        let mut changed = call.clone();
        change(&mut extension(&mut changed).authenticators[0]);
        refused(&other, &encoded(&changed), Arrival::Direct, Refusal::Forged);
    }
    let (call, _) = with_token(&one, &other);
    let stranger = edge();
    let mut forged = call.clone();
    forged.encoded_claims = crate::token::sign(&call, &stranger.key, &stranger.digester, clock()).unwrap();
    refused(&other, &encoded(&forged), Arrival::Direct, Refusal::Untrusted);
    let mut damaged = call.clone();
    damaged.encoded_claims.replace_range(damaged.encoded_claims.len() - 8.., "AAAAAAAA");
    assert!(other.admit(&encoded(&damaged), Arrival::Direct).is_err());
    let garbage = Invocation { encoded_claims: "a.b.c".to_owned(), ..call };
    refused(&other, &encoded(&garbage), Arrival::Direct, Refusal::Malformed);
}

#[test]
fn a_call_is_admitted_once_whatever_is_stripped_of_its_copies() {
    let (one, other) = pair();
    let (call, by_session) = sealed(&one, &other);
    let admitted = other.admit(&by_session.bytes, Arrival::Direct).unwrap();
    assert_eq!(refused(&other, &by_session.bytes, Arrival::Direct, Refusal::Replayed), None);
    let mut stripped = call.clone();
    extension(&mut stripped).authenticators.clear();
    let answer = refused(&other, &encoded(&stripped), Arrival::Direct, Refusal::NoSession);
    assert_eq!(answer, None, "the call is in progress");
    drop(admitted);
    // The refusal of the copy says nothing about the call of the caller.
    let answer = refused(&other, &encoded(&stripped), Arrival::Direct, Refusal::NoSession).unwrap();
    assert_eq!(one.open(&by_session, &answer).unwrap_err().kind(), ErrorKind::OutcomeUnknown);
    let (call, by_token) = with_token(&one, &other);
    drop(other.admit(&by_token.bytes, Arrival::Direct).unwrap());
    assert_eq!(refused(&other, &by_token.bytes, Arrival::Direct, Refusal::Replayed), None);
    let mut with_both = call.clone();
    extension(&mut with_both).authenticators = vec![Authenticator { key_id: 1, counter: 1, mac: [0; 16] }];
    refused(&other, &encoded(&with_both), Arrival::Direct, Refusal::Replayed);
    let bare = Invocation { encoded_claims: String::new(), ..call };
    let answer = refused(&other, &encoded(&bare), Arrival::Direct, Refusal::NoSession).unwrap();
    assert!(one.open(&by_token, &answer).is_err());
}

#[test]
fn a_token_from_before_the_start_of_the_host_is_refused() {
    let (one, mut other) = (edge(), edge());
    let (_, before) = with_token(&one, &other);
    other.started_at = clock() + 1;
    let answer = refused(&other, &before.bytes, Arrival::Direct, Refusal::Expired).unwrap();
    let retry = one.open(&before, &answer).unwrap();
    assert!(matches!(retry, Answer::Retry(crate::wire::Retry::AfterHandshake)), "{retry:?}");
    connect(&one, &other);
    let (_, after) = sealed(&one, &other);
    other.admit(&after.bytes, Arrival::Direct).unwrap();
}

#[test]
fn calls_of_another_time_are_refused() {
    let (one, other) = pair();
    let sealed_at = |issued_at: u64| {
        let mut call = call(&one);
        call.extension = Some(Extension { issued_at, ..Extension::new(issued_at, 1000) });
        extension(&mut call).destination = Some(other.host().to_string());
        call.encoded_claims = crate::token::sign(&call, &one.key, &one.digester, issued_at).unwrap();
        encoded(&call)
    };
    let now = clock();
    assert!(refused(&other, &sealed_at(now - 61_000), Arrival::Direct, Refusal::Expired).is_some());
    assert!(refused(&other, &sealed_at(now + 61_000), Arrival::Direct, Refusal::FromFuture).is_some());
    let era = |issued_at: u64| {
        let mut call = Invocation { host_id: KeyPair::new_server().public_key(), ..call(&one) };
        let key = KeyPair::new_server();
        call.host_id = key.public_key();
        call.encoded_claims = crate::token::sign(&call, &key, &one.digester, issued_at).unwrap();
        encoded(&call)
    };
    refused(&other, &era(now - 62_000), SHARED, Refusal::Expired);
    refused(&other, &era(now + 62_000), SHARED, Refusal::FromFuture);
}

#[test]
fn a_call_of_another_namespace_is_forged() {
    let one = Plan { namespace: "cellar", ..Plan::default() }.edge();
    let other = edge();
    refused(&other, &with_token(&one, &other).1.bytes, Arrival::Direct, Refusal::Forged);
}

#[test]
fn a_call_on_the_wrong_subject_is_refused() {
    let (one, other, third) = (edge(), edge(), edge());
    connect(&one, &other);
    for (_, sealed) in [sealed(&one, &other), with_token(&one, &other)] {
        refused(&third, &sealed.bytes, Arrival::Direct, Refusal::WrongDestination);
        refused(&other, &sealed.bytes, SHARED, Refusal::WrongDestination);
    }
    let (_, shared) = shared(&one);
    refused(&other, &shared.bytes, Arrival::Direct, Refusal::WrongDestination);
    let elsewhere = Arrival::Shared("wasmbus.rpc.default.MOTHER");
    refused(&other, &shared.bytes, elsewhere, Refusal::WrongDestination);
    other.admit(&shared.bytes, SHARED).unwrap();
    let nameless = Invocation { host_id: "x.>".to_owned(), ..sealed(&one, &other).0 };
    refused(&other, &encoded(&nameless), Arrival::Direct, Refusal::Malformed);
}

#[test]
fn hosts_are_trusted_by_key_or_by_cluster() {
    let cluster = KeyPair::new_cluster();
    let seed = cluster.seed().unwrap();
    let friend = edge();
    let trust = HostTrust::new([friend.host().to_string()], [cluster.public_key()]);
    let guarded = Plan { trust, ..Plan::default() }.edge();
    let member = || Plan { cluster: Some(KeyPair::from_seed(&seed).unwrap()), ..Plan::default() }.edge();
    guarded.admit(&with_token(&friend, &guarded).1.bytes, Arrival::Direct).unwrap();
    guarded.admit(&with_token(&member(), &guarded).1.bytes, Arrival::Direct).unwrap();
    guarded.admit(&shared(&member()).1.bytes, SHARED).unwrap();
    let foreign = Plan { cluster: Some(KeyPair::new_cluster()), ..Plan::default() }.edge();
    for stranger in [edge(), foreign] {
        refused(&guarded, &with_token(&stranger, &guarded).1.bytes, Arrival::Direct, Refusal::Untrusted);
        refused(&guarded, &shared(&stranger).1.bytes, SHARED, Refusal::Untrusted);
    }
}

#[test]
fn a_stolen_session_is_of_no_use() {
    let (one, other) = pair();
    let thief = edge();
    let (call, _) = sealed(&one, &other);
    let stolen = Invocation { host_id: thief.host().to_string(), ..call };
    refused(&other, &encoded(&stolen), Arrival::Direct, Refusal::Forged);
}

#[test]
fn a_host_with_a_session_sends_no_call_of_2021() {
    let (one, other) = pair();
    let mut era = call(&one);
    era.encoded_claims = crate::token::sign(&era, &one.key, &one.digester, clock()).unwrap();
    refused(&other, &encoded(&era), SHARED, Refusal::Downgraded);
    refused(&other, &encoded(&era), Arrival::Direct, Refusal::Downgraded);
    let (call, _) = shared(&one);
    let stripped = Invocation { extension: None, ..call };
    refused(&edge(), &encoded(&stripped), SHARED, Refusal::Forged);
    refused(&other, &encoded(&stripped), SHARED, Refusal::Downgraded);
}

#[test]
fn messages_that_are_too_large_or_hold_two_payloads_are_refused() {
    let (one, other) = pair();
    assert_eq!(refused(&other, &vec![0x80; 64 << 20], Arrival::Direct, Refusal::TooLarge), None);
    let mut large = call(&one);
    large.payload = vec![1; MESSAGE_BYTES + 1];
    let large = one.seal(&mut large, Some(other.host()), LIMIT, false).unwrap();
    assert_eq!(refused(&other, &large.bytes, Arrival::Direct, Refusal::TooLarge), None);
    let mut both = call(&one);
    let transfer = Some(Transfer { id: [1; 16], size: 1, hash: [1; 32] });
    both.extension = Some(Extension { transfer, ..Extension::new(0, 0) });
    let both = one.seal(&mut both, Some(other.host()), LIMIT, false).unwrap();
    refused(&other, &both.bytes, Arrival::Direct, Refusal::Malformed);
}

#[test]
fn captured_calls_of_2021_are_admitted_once_and_answered_in_their_format() {
    let window = Duration::from_secs(20 * 365 * 24 * 60 * 60);
    let mut edge = Plan { window, ..Plan::default() }.edge();
    edge.started_at = 0;
    let calls = captured_invocations();
    assert!(calls.len() >= 10);
    for call in calls {
        let subject = edge.namespace.call(&call.target).unwrap();
        let bytes = call.encode(PayloadForm::Array);
        let admitted = edge.admit(&bytes, Arrival::Shared(&subject)).unwrap();
        assert_eq!(admitted.invocation, call);
        assert!(!admitted.reply.knows_retries());
        let answer = edge.answer(&admitted.reply, Outcome::Payload(vec![200; 3]));
        let answer = crate::wire::Response::decode(&answer, 10).unwrap();
        assert_eq!((answer.payload, answer.error, answer.extension), (vec![200; 3], None, None));
        assert_eq!(answer.invocation_id, call.id);
        let failed = Error::new(ErrorKind::NotLinked, "no link");
        let answer = edge.answer(&admitted.reply, Outcome::Failed(&failed));
        let answer = crate::wire::Response::decode(&answer, 1000).unwrap();
        assert!(answer.error.is_some_and(|text| text.contains("no link")) && answer.extension.is_none());
        refused(&edge, &bytes, Arrival::Shared(&subject), Refusal::Replayed);
        refused(&edge, &bytes, Arrival::Direct, Refusal::Downgraded);
    }
}

#[test]
fn a_flood_is_answered_within_bounds() {
    let (one, other) = (edge(), edge());
    let mut forged = with_token(&one, &other).0;
    forged.encoded_claims = "a.b.c".to_owned();
    let mut without_session = forged.clone();
    without_session.encoded_claims.clear();
    for (call, bound) in [(forged, ANSWERED_REFUSALS), (without_session, ANSWERED_RETRIES)] {
        let message = encoded(&call);
        let start = Instant::now();
        let is_answered = |_: &u32| other.admit(&message, Arrival::Direct).unwrap_err().answer.is_some();
        let answered = (0..bound + 1000).filter(is_answered).count() as u64;
        let seconds = start.elapsed().as_secs() + 2;
        assert!(answered > 0 && answered <= u64::from(bound) * seconds, "{answered}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn garbage_and_damaged_calls_end_in_an_answer(
        garbage in prop::collection::vec(any::<u8>(), 0..600), at: prop::sample::Index, byte: u8, is_shared: bool,
    ) {
        let (one, other) = (edge(), edge());
        let arrival = if is_shared { SHARED } else { Arrival::Direct };
        prop_assert!(other.admit(&garbage, arrival).is_err());
        let (_, sealed) = with_token(&one, &other);
        let mut damaged = sealed.bytes.to_vec();
        let at = at.index(damaged.len());
        damaged[at] = byte;
        let is_same = damaged == sealed.bytes;
        if let Ok(admitted) = other.admit(&damaged, Arrival::Direct) {
            prop_assert!(is_same || admitted.invocation.extension.is_some());
        }
        prop_assert!(one.open(&sealed, &garbage).is_err());
    }
}
