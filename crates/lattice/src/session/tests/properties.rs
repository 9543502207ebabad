//! Properties for any message and any history.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::session::frame::Frame;

/// A step in the history of three hosts.
#[derive(Debug, Clone)]
enum Action {
    Begin {
        from: usize,
        to: usize,
    },
    /// Delivers a message of a handshake that has been sent, maybe not for the first time.
    Deliver {
        message: usize,
        to: usize,
    },
    Call {
        from: usize,
        to: usize,
    },
    /// Delivers a call that has been sent, maybe not for the first time, in the name of a host.
    Accept {
        call: usize,
        claimed: usize,
        by: usize,
    },
    Forget {
        host: usize,
        peer: usize,
    },
    GiveUp {
        host: usize,
        peer: usize,
    },
    Wait {
        host: usize,
        milliseconds: u64,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let host = || 0..3_usize;
    prop_oneof![
        3 => (host(), host()).prop_map(|(from, to)| Action::Begin { from, to }),
        10 => (any::<usize>(), host()).prop_map(|(message, to)| Action::Deliver { message, to }),
        5 => (host(), host()).prop_map(|(from, to)| Action::Call { from, to }),
        8 => (any::<usize>(), host(), host()).prop_map(|(call, claimed, by)| Action::Accept { call, claimed, by }),
        1 => (host(), host()).prop_map(|(host, peer)| Action::Forget { host, peer }),
        1 => (host(), host()).prop_map(|(host, peer)| Action::GiveUp { host, peer }),
        1 => (host(), 0..LIFETIME / 2).prop_map(|(host, milliseconds)| Action::Wait { host, milliseconds }),
    ]
}

/// A call that has been sent.
struct Sent {
    from: usize,
    to: usize,
    digest: Digest,
    authenticators: Vec<Authenticator>,
}

/// Carries out a history. No call is accepted twice, or in the name of another host, or by another host.
fn run(hosts: &[Host], actions: Vec<Action>) -> std::result::Result<(), TestCaseError> {
    let mut messages: Vec<Vec<u8>> = Vec::new();
    let mut calls: Vec<Sent> = Vec::new();
    let mut accepted = HashSet::new();
    for action in actions {
        match action {
            Action::Begin { from, to } => messages.extend(hosts[from].begin(&hosts[to].key)),
            Action::Deliver { message, to } => {
                // The latest messages are the most likely ones to matter.
                let Some(index) = messages.len().checked_sub(1 + message % messages.len().clamp(1, 4)) else {
                    continue;
                };
                let reaction = hosts[to].receive(&messages[index]);
                messages.extend(reaction.ok().and_then(|reaction| reaction.reply));
            }
            Action::Call { from, to } => {
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&(calls.len() as u64).to_le_bytes());
                let authenticators = hosts[from].authenticate_call(&digest, &[hosts[to].key.clone()]);
                prop_assert_eq!(authenticators.len() == 1, hosts[from].has(&hosts[to].key));
                calls.push(Sent { from, to, digest, authenticators });
            }
            Action::Accept { call, claimed, by } if !calls.is_empty() => {
                let call = call % calls.len();
                let sent = &calls[call];
                if hosts[by].accept(&hosts[claimed], &sent.digest, &sent.authenticators).is_ok() {
                    prop_assert_eq!((claimed, by), (sent.from, sent.to));
                    prop_assert!(accepted.insert(call));
                }
            }
            Action::Accept { .. } => {}
            Action::Forget { host, peer } => hosts[host].forget(&hosts[peer].key),
            Action::GiveUp { host, peer } => hosts[host].give_up(&hosts[peer].key),
            Action::Wait { host, milliseconds } => hosts[host].skip(milliseconds),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happened_two_hosts_can_have_a_session(actions in prop::collection::vec(action(), 0..80)) {
        let hosts = [host(), host(), host()];
        run(&hosts, actions)?;
        for host in &hosts {
            host.skip(120_000);
        }
        connect(&hosts[0], &hosts[1]);
        hosts[0].talk(&hosts[1]);
        hosts[1].talk(&hosts[0]);
    }

    #[test]
    fn a_changed_message_establishes_nothing(message in 0..4_usize, place in any::<usize>(), change in 1..=255_u8) {
        let (one, other) = (host(), host());
        let mut is_failed = false;
        let mut current = one.begin(&other.key).unwrap();
        for step in 0..4 {
            if step == message {
                let place = place % current.len();
                current[place] ^= change;
            }
            let receiver = if step % 2 == 0 { &other } else { &one };
            match receiver.receive(&current) {
                Ok(Reaction { reply: Some(next), .. }) => current = next,
                Ok(_) => {}
                Err(_) => {
                    is_failed = true;
                    break;
                }
            }
        }
        prop_assert!(is_failed && !one.has(&other.key));
        prop_assert!(message == 3 || !other.has(&one.key));
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(
        mut message in prop::collection::vec(any::<u8>(), 0..600), kind in 0..6_u8, is_framed in any::<bool>(),
    ) {
        if is_framed && message.len() > 2 {
            message[0] = 1;
            message[1] = kind;
        }
        let frame = Frame::read(&message).ok().map(|frame| frame.write());
        prop_assert!(frame.is_none_or(|frame| frame == message), "what is read is written alike");
        prop_assert!(host().receive(&message).is_err());
    }

    #[test]
    fn garbage_for_a_handshake_under_way_never_panics(
        garbage in prop::collection::vec(any::<u8>(), 0..500), kind in 1..5_u8,
    ) {
        let (one, other) = (host(), host());
        let hello = one.begin(&other.key).unwrap();
        let answer = reply(&other, &hello);
        let message = [&[1, kind], &hello[2..18], &garbage].concat();
        prop_assert!(one.receive(&message).is_err());
        prop_assert!(other.receive(&message).is_err());
        let finish = reply(&one, &answer);
        prop_assert!(one.receive(&message).is_err());
        prop_assert!(other.receive(&finish).is_ok());
    }

    #[test]
    fn forged_authenticators_are_refused(
        forged in prop::collection::vec((any::<bool>(), any::<u64>(), any::<[u8; 16]>()), 0..70),
    ) {
        let (one, other) = pair();
        let key_id = one.call(&other, &DIGEST).key_id;
        let forged: Vec<_> = forged
            .into_iter()
            .map(|(is_known, counter, mac)| Authenticator { key_id: if is_known { key_id } else { counter }, counter, mac })
            .collect();
        prop_assert!(other.accept(&one, &DIGEST, &forged).is_err());
    }
}
