//! Hosts that lie, and requests of strangers.

use futures_util::StreamExt;

use super::*;

#[test]
fn a_wrong_hash_or_size_or_identifier_yields_no_payload() {
    run(async {
        let server = Server::start();
        let one = Host::start(&server.address(), "one").await;
        let other = Host::start(&server.address(), "other").await;
        let offer = one.transfers.offer(payload(MIB)).unwrap();
        let true_one = offer.transfer();
        let mut hash = true_one.hash;
        hash[31] ^= 1;
        assert_eq!(other.fails("one", Transfer { hash, ..true_one }).await, ErrorKind::LatticeRefused);
        for size in [0, 1, MIB as u64 - 1] {
            assert_eq!(other.fails("one", Transfer { size, ..true_one }).await, ErrorKind::LatticeRefused, "{size}");
        }
        for size in [MIB as u64 + 1, 64 * MIB as u64] {
            let kind = other.fails("one", Transfer { size, ..true_one }).await;
            assert_eq!(kind, ErrorKind::LatticeUnavailable, "{size}");
        }
        let unknown = Transfer { id: [0; 16], ..true_one };
        assert_eq!(other.fails("one", unknown).await, ErrorKind::LatticeUnavailable);
        assert!(one.transfers.counts().unknown > 0 && one.transfers.counts().malformed > 0);
        assert_eq!(other.fails("nowhere", true_one).await, ErrorKind::LatticeUnavailable);
        assert!(other.is_idle() && other.transfers.counts().fetches == 0);
    });
}

#[test]
fn garbage_requests_are_counted_and_disturb_no_transfer() {
    run(async {
        let server = Server::start();
        let one = Host::start(&server.address(), "one").await;
        let other = Host::start(&server.address(), "other").await;
        let payload = payload(4 * MIB);
        let offer = one.transfers.offer(payload.clone()).unwrap();
        assert!(other.fetch("one", offer.transfer()).await.unwrap() == payload);
        let id = data_encoding::HEXLOWER.encode(&offer.transfer().id);
        let subject = |id: &str| Namespace::default().peer(&format!("host.one.chunk.{id}.0"));
        let beyond = frame::Request { offset: u64::MAX, length: u32::MAX }.encode();
        let client = server.client().await;
        let mut sent = 0;
        for _ in 0..500 {
            for (id, payload) in [
                (&*id, Bytes::new()),
                (&id, beyond.clone()),
                (&id, Bytes::from_static(&[0xff; 13])),
                (&id[1..], frame::Request { offset: 0, length: 1 }.encode()),
                ("not-hex", Bytes::from_static(b"garbage")),
                (&"00".repeat(16), Bytes::from(vec![0; 10_000])),
            ] {
                client.publish_with_reply(subject(id), "nowhere", payload.clone()).await.unwrap();
                client.publish(subject(id), payload).await.unwrap();
                sent += 1;
            }
        }
        let found = other.fetch("one", offer.transfer()).await.unwrap();
        assert!(found == payload);
        let seen = || one.transfers.counts().malformed + one.transfers.counts().throttled;
        eventually("all garbage is counted", || seen() == sent).await;
    });
}

#[test]
fn a_stranger_with_the_identifier_cannot_have_a_payload_sent_without_end() {
    run(async {
        let server = Server::start();
        let one = Host::start(&server.address(), "one").await;
        let offer = one.transfers.offer(payload(MIB)).unwrap();
        let id = data_encoding::HEXLOWER.encode(&offer.transfer().id);
        let subject = Namespace::default().peer(&format!("host.one.chunk.{id}.0"));
        let request = frame::Request { offset: 0, length: u32::MAX }.encode();
        let client = server.client().await;
        eventually("it serves", || one.connection.state().is_joined()).await;
        for _ in 0..50 {
            client.publish_with_reply(subject.clone(), "nowhere", request.clone()).await.unwrap();
        }
        eventually("the rest is refused", || one.transfers.counts().exhausted + one.transfers.counts().throttled >= 46)
            .await;
        assert!(one.transfers.counts().chunk_bytes <= 4 * MIB as u64);
    });
}

#[test]
fn answers_that_are_no_chunks_are_refused() {
    run(async {
        let server = Server::start();
        let other = Host::start(&server.address(), "other").await;
        let client = server.client().await;
        let payload = payload(600_000);
        let transfer = Transfer { id: [7; 16], size: 600_000, hash: *blake3::hash(&payload).as_bytes() };
        for (answer, expected) in [
            (Bytes::from(vec![1; 300_000]), ErrorKind::LatticeRefused),
            (Bytes::from_static(&[1]), ErrorKind::LatticeRefused),
            (Bytes::new(), ErrorKind::LatticeUnavailable),
            // Chunks of the right size with another content, and shorter ones than requested.
            (Bytes::from(vec![1; 1024]), ErrorKind::LatticeRefused),
        ] {
            let mut requests = client.subscribe(Namespace::default().peer("host.liar.chunk.*.*")).await.unwrap();
            crate::testing::settled(&client).await;
            other.connection.round_trip(PATIENCE).await.unwrap();
            let lie = async {
                while let Some(request) = requests.next().await {
                    let length = frame::Request::decode(&request.payload).unwrap().length as usize;
                    // A last piece may be short.
                    let answer = if answer.len() == 1024 { answer.slice(..1024.min(length)) } else { answer.clone() };
                    client.publish(request.reply.unwrap(), answer).await.unwrap();
                }
            };
            let kind = tokio::select! {
                kind = other.fails("liar", transfer) => kind,
                () = lie => panic!("the subscription ended"),
            };
            assert_eq!(kind, expected, "{} bytes", answer.len());
        }
        assert!(other.is_idle());
    });
}

#[test]
fn a_host_whose_server_allows_less_sends_smaller_chunks() {
    run(async {
        let server = Server::start();
        let other = Host::start(&server.address(), "other").await;
        let client = server.client().await;
        let payload = payload(3 * MIB + 5);
        let transfer = Transfer { id: [7; 16], size: payload.len() as u64, hash: *blake3::hash(&payload).as_bytes() };
        let mut requests = client.subscribe(Namespace::default().peer("host.small.chunk.*.*")).await.unwrap();
        crate::testing::settled(&client).await;
        let mut longest = 0;
        let serve = async {
            let mut count = 0;
            while let Some(request) = requests.next().await {
                let frame::Request { offset, length } = frame::Request::decode(&request.payload).unwrap();
                let rest = payload.slice(usize::try_from(offset).unwrap()..);
                let chunk = rest.slice(..rest.len().min(length as usize).min(10_000));
                count += 1;
                // The limit is learned.
                if count > 8 {
                    longest = longest.max(length);
                }
                client.publish(request.reply.unwrap(), chunk).await.unwrap();
            }
        };
        let found = tokio::select! {
            found = other.fetch("small", transfer) => found.unwrap(),
            () = serve => panic!("the subscription ended"),
        };
        assert!(found == payload);
        assert_eq!(longest, 10_000);
    });
}
