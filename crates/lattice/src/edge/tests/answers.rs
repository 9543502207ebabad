//! Answers, and what becomes of them on their way.

use super::*;
use crate::wire::{Response, Retry};

/// Returns the answer of a host to a call, with the payload `answer`.
fn answered(host: &Edge, call: &Sealed) -> Bytes {
    let admitted = host.admit(&call.bytes, Arrival::Direct).unwrap();
    host.answer(&admitted.reply, Outcome::Payload(b"answer".to_vec()))
}

#[track_caller]
fn expect_refused(caller: &Edge, call: &Sealed, answer: &[u8], reason: Refusal) {
    let before = caller.counts().refused(reason);
    let error = caller.open(call, answer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown, "{error}");
    assert_eq!(caller.counts().refused(reason), before + 1, "{error}");
}

fn change(answer: &[u8], change: impl FnOnce(&mut Response)) -> Vec<u8> {
    let mut response = Response::decode(answer, MESSAGE_BYTES).unwrap();
    change(&mut response);
    response.encode(PayloadForm::Binary)
}

#[test]
fn answers_are_opened_in_both_modes() {
    let (one, other) = pair();
    for (_, call) in [sealed(&one, &other), with_token(&one, &other)] {
        let answer = answered(&other, &call);
        assert!(matches!(one.open(&call, &answer).unwrap(), Answer::Payload(payload) if payload == b"answer"));
    }
    let (_, call) = sealed(&one, &other);
    let admitted = other.admit(&call.bytes, Arrival::Direct).unwrap();
    let failed = Error::new(ErrorKind::NotLinked, "no link");
    let answer = other.answer(&admitted.reply, Outcome::Failed(&failed));
    assert!(matches!(one.open(&call, &answer).unwrap(), Answer::Failed(error) if error.kind() == ErrorKind::NotLinked));
}

#[test]
fn changed_answers_are_refused() {
    let (one, other) = pair();
    let third = edge();
    for (_, call) in [sealed(&one, &other), with_token(&one, &other)] {
        let answer = answered(&other, &call);
        let forged = [
            change(&answer, |answer| answer.payload.push(0)),
            change(&answer, |answer| answer.error = Some("no".to_owned())),
            change(&answer, |answer| answer.extension.as_mut().unwrap().retry = Some(Retry::Elsewhere)),
            change(&answer, |answer| answer.extension.as_mut().unwrap().retry = Some(Retry::WithToken)),
            change(&answer, |answer| answer.extension.as_mut().unwrap().kind = Some("Busy".to_owned())),
        ];
        for forged in forged {
            expect_refused(&one, &call, &forged, Refusal::Forged);
        }
        let unsealed = change(&answer, |answer| {
            let extension = answer.extension.as_mut().unwrap();
            (extension.key_id, extension.mac, extension.signature) = (None, None, None);
        });
        expect_refused(&one, &call, &unsealed, Refusal::Downgraded);
        expect_refused(&one, &call, &change(&answer, |answer| answer.extension = None), Refusal::Downgraded);
        let renamed = change(&answer, |answer| answer.extension.as_mut().unwrap().host = third.host().to_string());
        expect_refused(&one, &call, &renamed, Refusal::WrongDestination);
        let (_, later) = sealed(&one, &other);
        expect_refused(&one, &later, &answer, Refusal::WrongDestination);
        expect_refused(&one, &call, &vec![0x80; 64 << 20], Refusal::TooLarge);
        expect_refused(&one, &call, b"garbage", Refusal::Malformed);
        let both = change(&answer, |answer| {
            answer.extension.as_mut().unwrap().transfer = Some(Transfer { id: [1; 16], size: 1, hash: [1; 32] });
        });
        expect_refused(&one, &call, &both, Refusal::Malformed);
    }
}

#[test]
fn an_answer_to_the_same_identifier_in_another_call_is_forged() {
    let (one, other) = pair();
    let (mut call, first) = sealed(&one, &other);
    let answer = answered(&other, &first);
    call.payload.push(4);
    let second = one.seal(&mut call, Some(other.host()), LIMIT, false).unwrap();
    expect_refused(&one, &second, &answer, Refusal::Forged);
}

/// Any cluster could be made up where any host is trusted.
#[test]
fn no_cluster_speaks_for_a_host_that_was_named() {
    let (one, other) = pair();
    let forger = Plan { cluster: Some(KeyPair::new_cluster()), ..Plan::default() }.edge();
    for (_, call) in [sealed(&one, &other), with_token(&one, &other)] {
        let mut response = Response {
            payload: Vec::new(),
            error: Some("again".to_owned()),
            invocation_id: call.id.clone(),
            extension: Some(crate::wire::ResponseExtension::new(other.host())),
        };
        let extension = response.extension.as_mut().unwrap();
        extension.retry = Some(Retry::WithToken);
        extension.cluster.clone_from(&forger.cluster);
        let digest = forger.digester.response(&call.exact(), &response);
        let signature = forger.signer().sign(&digest).unwrap();
        response.extension.as_mut().unwrap().signature = Some(signature.try_into().unwrap());
        expect_refused(&one, &call, &response.encode(PayloadForm::Binary), Refusal::Forged);
    }
}

#[test]
fn a_host_that_was_restarted_asks_for_a_token_and_answers_of_before_are_still_verified() {
    let (one, other) = pair();
    let (_, early) = sealed(&one, &other);
    let answer = answered(&other, &early);
    other.sessions().forget(one.host());
    let (mut call, late) = sealed(&one, &other);
    let refusal = refused(&other, &late.bytes, Arrival::Direct, Refusal::NoSession).unwrap();
    assert!(matches!(one.open(&late, &refusal).unwrap(), Answer::Retry(Retry::WithToken)));
    let again = one.seal(&mut call, Some(other.host()), LIMIT, true).unwrap();
    other.admit(&again.bytes, Arrival::Direct).unwrap();
    assert!(matches!(one.open(&early, &answer).unwrap(), Answer::Payload(_)));
}

#[test]
fn hosts_of_a_cluster_answer_shared_calls_with_the_signature_of_the_cluster() {
    let seed = KeyPair::new_cluster().seed().unwrap();
    let cluster = || KeyPair::from_seed(&seed).unwrap();
    let member = || {
        let trust = HostTrust::new([], [cluster().public_key()]);
        Plan { cluster: Some(cluster()), trust, ..Plan::default() }.edge()
    };
    let (one, other, stranger) = (member(), member(), edge());
    let (_, call) = shared(&one);
    let admitted = other.admit(&call.bytes, SHARED).unwrap();
    let answer = other.answer(&admitted.reply, Outcome::Payload(vec![1]));
    assert!(matches!(one.open(&call, &answer).unwrap(), Answer::Payload(_)));
    let admitted = stranger.admit(&call.bytes, SHARED).unwrap();
    let answer = stranger.answer(&admitted.reply, Outcome::Payload(vec![1]));
    expect_refused(&one, &call, &answer, Refusal::Untrusted);
}
