//! The embedded broker knows the subjects that a NATS server knows, and hears them alike.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::super::kit::{Caller, with_provider};
use super::super::nats_server::{Conversation, NatsServer};
use super::{CONTRACT, Embedded, messenger, request, with};

fn filter() -> impl Strategy<Value = String> {
    let part = prop_oneof![4 => "[ab]", 2 => Just("*".to_owned()), 1 => Just(">".to_owned()), 1 => "[a*>]{0,2}"];
    proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join("."))
}

fn subject() -> impl Strategy<Value = String> {
    proptest::collection::vec("[ab]|a\\*", 1..5).prop_map(|parts| parts.join("."))
}

/// What the server makes of a subscription: which of these subjects it hears, unless it refuses it.
fn heard_by_server(server: &mut Conversation, filter: &str, subjects: &[String]) -> Option<Vec<bool>> {
    let refused = server.tell(&format!("SUB {filter} 1\r\n")).iter().any(|line| line.starts_with("-ERR"));
    let heard = subjects.iter().map(|subject| {
        let lines = server.tell(&format!("PUB {subject} 0\r\n\r\n"));
        lines.iter().any(|line| line.starts_with("MSG"))
    });
    let heard = (!refused).then(|| heard.collect());
    server.tell("UNSUB 1\r\n");
    heard
}

#[actix_rt::test]
async fn subscriptions_hear_what_they_would_hear_from_a_nats_server() {
    let server = NatsServer::start();
    let mut runner = TestRunner::default();
    with_provider(&Embedded, async |host, provider| {
        let listener = messenger(&host, &provider, with(&Embedded, &[])).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(&Embedded, &[])).await.unwrap();
        let (mut accepted, mut heard_any) = (0, 0);
        for _ in 0..120 {
            let filter = filter().new_tree(&mut runner).unwrap().current();
            if filter.is_empty() {
                // That is no line of the protocol.
                continue;
            }
            let subjects: Vec<_> = (0..12).map(|_| subject().new_tree(&mut runner).unwrap().current()).collect();
            // A server that has refused a subscription may hang up.
            let expected = heard_by_server(&mut server.connect(), &filter, &subjects);
            let linked = host
                .set_link(&listener, CONTRACT, None, provider.clone(), with(&Embedded, &[("SUBSCRIPTION", &filter)]))
                .await;
            assert_eq!(linked.is_ok(), expected.is_some(), "{filter:?}: {linked:?}");
            let Some(expected) = expected else { continue };
            accepted += 1;
            for (subject, expected) in subjects.iter().zip(expected) {
                let heard = request(&caller, subject, b"").await;
                assert_eq!(heard.is_ok(), expected, "{filter:?} {subject:?}: {heard:?}");
                heard_any += usize::from(expected);
            }
        }
        assert!(accepted > 20 && heard_any > 50, "{accepted} {heard_any}");
    })
    .await;
}
