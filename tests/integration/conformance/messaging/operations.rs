//! Each operation with ordinary, empty, huge, binary, unicode and hostile input, the same on each backend.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::super::kit::{Backend, Caller, with_provider};
use super::{CONTRACT, Embedded, Nats, messenger, publish, request, request_within, with};
use crate::support::until;

async fn run_all(backend: &impl Backend) {
    bodies_of_any_kind_are_answered(backend).await;
    subjects_are_heard_by_their_rules(backend).await;
    each_message_reaches_one_of_a_group(backend).await;
    what_nobody_answers_is_an_error_in_time(backend).await;
    what_is_no_call_is_refused(backend).await;
    an_actor_that_fails_is_brought_the_next_message(backend).await;
    a_link_that_ends_is_brought_nothing(backend).await;
}

async fn bodies_of_any_kind_are_answered(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        messenger(&host, &provider, with(backend, &[("SUBSCRIPTION", "echo.>")])).await;
        let caller = Caller::start(&host, CONTRACT, 4).await;
        caller.link(&provider, with(backend, &[])).await.unwrap();
        let every_byte: Vec<u8> = (0..=255).collect();
        let largest = vec![0xa5; 1024 * 1024];
        for body in [&b"ordinary"[..], b"", &every_byte, "\u{1f980} \u{0} é".as_bytes(), &largest] {
            let answer = request(&caller, "echo.back", body).await.unwrap();
            assert!(answer.body == body && answer.reply_to.is_empty() && answer.subject.starts_with("_INBOX."));
        }
        let refusal = request(&caller, "echo.back", &vec![0; 1024 * 1024 + 1]).await.unwrap_err();
        assert!(refusal.contains("BODY_LIMIT"), "{refusal}");
        assert!(request(&caller, "echo.é.\u{1f980}", b"x").await.is_ok());
        // Many at once, none mixed up.
        let answers = (0..100).map(async |number: u32| {
            assert_eq!(request(&caller, "echo.many", &number.to_be_bytes()).await.unwrap().body, number.to_be_bytes());
        });
        join_all(answers).await;
        let numbers: Vec<_> = join_all((0..3).map(|_| request(&caller, "echo.next", b""))).await;
        let numbers: HashSet<_> = numbers.into_iter().map(|answer| answer.unwrap().body).collect();
        assert_eq!(numbers, HashSet::from([b"0", b"1", b"2"].map(|number| number.to_vec())));
    })
    .await;
}

async fn subjects_are_heard_by_their_rules(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        for (name, filters) in [("one", "news.*.keep"), ("all", "news.>"), ("exact", "news.a.keep, other.keep")] {
            let filters = format!("{filters},{name}.list");
            messenger(&host, &provider, with(backend, &[("SUBSCRIPTION", &filters)])).await;
        }
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(backend, &[])).await.unwrap();
        for subject in ["news.a.keep", "news.b.keep", "news.a.b.keep", "news.keep", "other.keep"] {
            publish(&caller, subject, "", subject.as_bytes()).await.unwrap();
        }
        let kept = async |name: &str| {
            let listed = request(&caller, &format!("{name}.list"), b"").await.unwrap().body;
            let mut lines: Vec<_> = String::from_utf8(listed).unwrap().lines().map(ToOwned::to_owned).collect();
            lines.sort();
            lines
        };
        for (name, heard) in [
            ("one", &["news.a.keep", "news.b.keep"][..]),
            ("all", &["news.a.b.keep", "news.a.keep", "news.b.keep", "news.keep"]),
            ("exact", &["news.a.keep", "other.keep"]),
        ] {
            until(async || kept(name).await == heard).await;
        }
    })
    .await;
}

async fn each_message_reaches_one_of_a_group(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        for name in ["first", "second", "third"] {
            let filters = format!("jobs.keep,{name}.list");
            let values = with(backend, &[("SUBSCRIPTION", &filters), ("QUEUEGROUP_NAME", "workers")]);
            messenger(&host, &provider, values).await;
        }
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(backend, &[])).await.unwrap();
        for number in 0..60 {
            publish(&caller, "jobs.keep", "", number.to_string().as_bytes()).await.unwrap();
        }
        let kept = async |name: &str| {
            let listed = request(&caller, &format!("{name}.list"), b"").await.unwrap().body;
            String::from_utf8(listed).unwrap().lines().map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let all = async || [kept("first").await, kept("second").await, kept("third").await];
        until(async || all().await.concat().len() >= 60).await;
        let all = all().await;
        assert!(all.iter().all(|jobs| !jobs.is_empty()), "one of them had nothing to do: {all:?}");
        let jobs = all.concat();
        assert_eq!((jobs.len(), jobs.into_iter().collect::<HashSet<_>>().len()), (60, 60));
    })
    .await;
}

async fn what_nobody_answers_is_an_error_in_time(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        messenger(&host, &provider, with(backend, &[("SUBSCRIPTION", "silent.fail")])).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(backend, &[])).await.unwrap();
        let refusal = request(&caller, "to.nobody", b"x").await.unwrap_err();
        assert!(refusal.contains("no subscriber"), "it does not wait for its time to be up: {refusal}");
        let begin = Instant::now();
        let refusal = request_within(&caller, "silent.fail", b"x", 100).await.unwrap_err();
        assert!(refusal.contains("no answer from") && begin.elapsed() >= Duration::from_millis(100), "{refusal}");
        publish(&caller, "to.nobody", "nobody.either", b"x").await.unwrap();
    })
    .await;
}

async fn what_is_no_call_is_refused(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(backend, &[])).await.unwrap();
        let long = "a".repeat(1025);
        for subject in ["", ".", "a.", "a b", "a.*", ">", "a\r\nPUB b 0\r\n", "a\0", &long] {
            assert!(publish(&caller, subject, "", b"x").await.is_err(), "{subject:?}");
            assert!(request(&caller, subject, b"x").await.is_err(), "{subject:?}");
            if !subject.is_empty() {
                assert!(publish(&caller, "a", subject, b"x").await.is_err(), "{subject:?}");
            }
        }
        for timeout in [0, -1, i64::MIN] {
            assert!(request_within(&caller, "a", b"x", timeout).await.unwrap_err().contains("timeout"));
        }
        for message in [&b""[..], b"\xff", b"\xc0", b"\xdf\xff\xff\xff\xff", b"\x83\xa7subject\xc6\xff\xff\xff\xff"] {
            assert!(caller.call("Publish", message).await.is_err());
            assert!(caller.call("Request", message).await.is_err());
        }
        assert!(caller.call("Subscribe", b"\x80").await.is_err());
        publish(&caller, "a", "", b"x").await.unwrap();
    })
    .await;
}

async fn an_actor_that_fails_is_brought_the_next_message(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        messenger(&host, &provider, with(backend, &[("SUBSCRIPTION", "do.*"), ("CONCURRENCY", "1")])).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(backend, &[])).await.unwrap();
        for _ in 0..20 {
            publish(&caller, "do.fail", "", b"x").await.unwrap();
        }
        assert_eq!(request(&caller, "do.echo", b"still here").await.unwrap().body, b"still here");
    })
    .await;
}

async fn a_link_that_ends_is_brought_nothing(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        let subscribed = with(backend, &[("SUBSCRIPTION", "end.*")]);
        let messenger = messenger(&host, &provider, subscribed.clone()).await;
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, with(backend, &[])).await.unwrap();
        assert!(request(&caller, "end.echo", b"x").await.is_ok());
        host.remove_link(&messenger, CONTRACT, None).await.unwrap();
        until(async || request(&caller, "end.echo", b"x").await.is_err_and(|error| error.contains("no subscriber")))
            .await;
        host.set_link(&messenger, CONTRACT, None, provider, subscribed).await.unwrap();
        assert!(request(&caller, "end.echo", b"x").await.is_ok());
        host.stop_actor(&messenger).await.unwrap();
        until(async || request(&caller, "end.echo", b"x").await.is_err_and(|error| error.contains("no subscriber")))
            .await;
    })
    .await;
}

#[actix_rt::test]
async fn operations_do_what_they_should_on_the_embedded_broker() {
    run_all(&Embedded).await;
}

#[actix_rt::test]
async fn operations_do_what_they_should_on_nats() {
    run_all(&Nats::new()).await;
}
