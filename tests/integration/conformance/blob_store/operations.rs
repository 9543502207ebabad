//! Each operation with ordinary, empty, huge, binary, unicode and hostile input, on each backend.

use serde_json::json;

use super::super::kit::{Backend, Tenant, with_provider};
use super::client::{Client, bytes, chunk};
use super::{Directory, S3};
use crate::support::soon;

/// Runs a test on each backend, with a client of its own.
async fn on_each(test: impl AsyncFn(&Client)) {
    on(&Directory::new(), &test).await;
    if let Some(s3) = S3::new() {
        on(&s3, &test).await;
    }
}

async fn on(backend: &impl Backend, test: &impl AsyncFn(&Client)) {
    with_provider(backend, async |host, provider| {
        test(&Client::start(&host, &provider, backend.values(Tenant::A)).await).await;
    })
    .await;
}

fn says<T: std::fmt::Debug>(result: Result<T, String>, reason: &str) {
    let refusal = result.expect_err("it should be refused");
    assert!(refusal.contains(reason), "{refusal}");
}

#[actix_rt::test]
async fn blobs_come_back_as_they_were_sent() {
    on_each(async |client| {
        client.create("c").await;
        for (id, length, size) in
            [("empty", 0, 1), ("one", 1, 1), ("even", 4096, 1024), ("odd", 5000, 1024), ("single", 700, 1 << 40)]
        {
            let sent = bytes(length);
            client.upload("c", id, &sent, size).await.unwrap();
            let info = client.ask("GetObjectInfo", json!({"blob_id": id, "container_id": "c"})).await.unwrap();
            assert_eq!(info, json!({"id": id, "container": {"id": "c"}, "byteSize": length}));
            for size in [1000, 4096, 1 << 20] {
                assert_eq!(client.download("c", id, size).await.unwrap(), sent);
            }
        }
        let listed = client.list("c").await.unwrap();
        let expected = [("empty", 0), ("even", 4096), ("odd", 5000), ("one", 1), ("single", 700)];
        assert_eq!(listed, expected.map(|(id, size)| (id.to_owned(), size)));
    })
    .await;
}

#[actix_rt::test]
async fn large_blobs_are_sent_in_parts() {
    on_each(async |client| {
        client.create("c").await;
        // Beyond two parts, ending within a third one and with a full one.
        for length in [12_345_678, 10 * 1024 * 1024] {
            let sent = bytes(length);
            client.upload("c", "large", &sent, 900_000).await.unwrap();
            assert!(client.download("c", "large", 1_000_000).await.unwrap() == sent);
        }
    })
    .await;
}

#[actix_rt::test]
async fn chunks_may_come_in_any_order_and_again() {
    on_each(async |client| {
        client.create("c").await;
        let sent = bytes(1000);
        let message = |number: u64| {
            let start = number as usize * 300;
            chunk("c", "b", number, 1000, 300, &sent[start..sent.len().min(start + 300)])
        };
        // The first chunk comes with the start.
        client.act("StartUpload", &message(0)).await.unwrap();
        for number in [3, 1, 1, 0, 3] {
            client.act("UploadChunk", &message(number)).await.unwrap();
            says(client.ask("GetObjectInfo", json!({"blob_id": "b", "container_id": "c"})).await, "no blob");
            assert_eq!(client.list("c").await.unwrap(), []);
        }
        says(client.act("UploadChunk", &chunk("c", "b", 1, 1000, 300, &[0; 300])).await, "other bytes");
        says(client.act("UploadChunk", &chunk("c", "b", 2, 1000, 300, &[0; 299])).await, "299 bytes");
        says(client.act("UploadChunk", &chunk("c", "b", 4, 1000, 300, b"")).await, "there are 4");
        says(client.act("UploadChunk", &chunk("c", "b", 2, 1001, 300, &[0; 300])).await, "1001");
        says(client.act("UploadChunk", &chunk("c", "b", 2, 1000, 301, &[0; 301])).await, "chunkSize");
        client.act("UploadChunk", &message(2)).await.unwrap();
        assert_eq!(client.download("c", "b", 99).await.unwrap(), sent);
        // The answer to any of them may have been lost.
        client.act("UploadChunk", &message(2)).await.unwrap();
        says(client.act("UploadChunk", &chunk("c", "b", 2, 1000, 300, &[0; 300])).await, "start it");
        says(client.act("UploadChunk", &chunk("c", "never", 0, 1, 1, b"x")).await, "start it");
    })
    .await;
}

#[actix_rt::test]
async fn a_blob_is_replaced_at_once_and_an_upload_begun_anew() {
    on_each(async |client| {
        client.create("c").await;
        client.upload("c", "b", b"before", 6).await.unwrap();
        client.act("StartUpload", &chunk("c", "b", 0, 9, 3, b"xxx")).await.unwrap();
        assert_eq!(client.download("c", "b", 6).await.unwrap(), b"before");
        client.upload("c", "b", b"after!", 3).await.unwrap();
        assert_eq!(client.download("c", "b", 6).await.unwrap(), b"after!");
        assert_eq!(client.list("c").await.unwrap(), [("b".to_owned(), 6)]);
    })
    .await;
}

#[actix_rt::test]
async fn containers_are_made_and_removed() {
    on_each(async |client| {
        for refusal in [
            client.upload("c", "b", b"x", 1).await,
            client.list("c").await.map(drop),
            client.remove("c", "b").await,
            client.remove_container("c").await,
            client.start_download("c", "b", 1, None).await,
        ] {
            says(refusal, "no container \"c\"");
        }
        client.create("c").await;
        client.create("c").await;
        assert_eq!(client.list("c").await.unwrap(), []);
        says(client.remove("c", "b").await, "no blob \"b\"");
        says(client.start_download("c", "b", 1, None).await, "no blob \"b\"");
        client.upload("c", "b", b"x", 1).await.unwrap();
        client.create("c").await;
        says(client.remove_container("c").await, "has blobs");
        assert_eq!(client.download("c", "b", 1).await.unwrap(), b"x");
        client.remove("c", "b").await.unwrap();
        says(client.remove("c", "b").await, "no blob");
        client.remove_container("c").await.unwrap();
        says(client.remove_container("c").await, "no container");
    })
    .await;
}

#[actix_rt::test]
async fn any_text_is_a_name() {
    on_each(async |client| {
        let long = "x".repeat(1024);
        let longer = format!("{}y", &long[..1023]);
        let names = [
            "",
            ".",
            "..",
            "/",
            "../escape",
            "/etc/passwd",
            "a/b",
            "a\\b",
            "a\0b",
            "\n",
            "%",
            "%_",
            "%2e",
            "README",
            "readme",
            "é",
            "e\u{301}",
            "日本語",
            "🦀",
            ".uploads",
            ".container",
            "con",
            "a ",
            " a",
            "-rf",
            "*",
            "a?b#c",
            &long,
            &longer,
        ];
        for (number, name) in names.into_iter().enumerate() {
            client.create(name).await;
            client.upload(name, name, number.to_string().as_bytes(), 1).await.unwrap();
            if number > 20 {
                client.upload(".", name, b"e", 1).await.unwrap();
            }
        }
        for (number, name) in names.into_iter().enumerate() {
            assert_eq!(client.download(name, name, 9).await.unwrap(), number.to_string().as_bytes(), "{name:?}");
            assert!(client.list(name).await.unwrap().contains(&(name.to_owned(), number.to_string().len() as u64)));
        }
        for name in names {
            for blob in client.list(name).await.unwrap() {
                client.remove(name, &blob.0).await.unwrap();
            }
            client.remove_container(name).await.unwrap();
        }
        let too_long = "x".repeat(1025);
        says(client.ask("CreateContainer", json!({"id": too_long})).await, "1025 bytes");
    })
    .await;
}

#[actix_rt::test]
async fn hostile_messages_are_refused_and_the_next_call_is_served() {
    on_each(async |client| {
        let nested = [vec![0x91; 100_000], vec![0xc0]].concat();
        let endless = b"\x81\xa5chunk\x81\xaachunkBytes\xdd\xff\xff\xff\xff";
        let messages: [&[u8]; 10] = [
            b"",
            b"\xc0",
            b"\xc1",
            b"\x80",
            b"garbage",
            b"\x81\xa2id\x01",
            b"\x81\xa2id\xa2\xff\xfe",
            endless,
            b"\xdf\xff\xff\xff\xff\xa2id\xa1a",
            &nested,
        ];
        for operation in [
            "CreateContainer",
            "RemoveContainer",
            "RemoveObject",
            "ListObjects",
            "GetObjectInfo",
            "StartUpload",
            "UploadChunk",
            "StartDownload",
        ] {
            for message in messages {
                says(client.call(operation, message).await, "not what the operation takes");
            }
        }
        says(client.call("Format", b"\x80").await, "no such operation");
        client.create("c").await;
        for (message, reason) in [
            (chunk("c", "b", 0, 1, 0, b"x"), "chunkSize is 0"),
            (chunk("c", "b", 0, u64::MAX, 1, b"x"), "BLOB_LIMIT"),
            (chunk("c", "b", 0, 0, 0, b"x"), "there are 0"),
            (chunk("c", "b", u64::MAX, 9, u64::MAX, b"x"), "there are 1"),
            (chunk("c", "b", 0, 1, 9, b"more"), "4 bytes"),
        ] {
            says(client.act("StartUpload", &message).await, reason);
        }
        says(client.start_download("c", "b", 0, None).await, "chunk_size is 0");
        says(client.start_download("c", "b", u64::MAX, None).await, "CHUNK_LIMIT");
        client.upload("c", "b", b"fine", 4).await.unwrap();
        assert_eq!(client.download("c", "b", 4).await.unwrap(), b"fine");
    })
    .await;
}

#[actix_rt::test]
async fn the_answer_to_a_chunk_brings_the_next() {
    on_each(async |client| {
        client.create("c").await;
        client.upload("c", "b", &bytes(100), 100).await.unwrap();
        let gate = client.hold_chunks();
        client.start_download("c", "b", 10, None).await.unwrap();
        for number in 0..9 {
            client.chunk(number).await;
            // The next one does not come before this one is answered.
            client.list("c").await.unwrap();
            assert_eq!(client.chunks(), number + 1);
            gate.add_permits(1);
        }
        gate.add_permits(1);
        client.chunk(9).await;
    })
    .await;
}

#[actix_rt::test]
async fn a_download_ends_when_the_actor_fails_or_its_link_ends() {
    on_each(async |client| {
        client.create("c").await;
        client.upload("c", "b", &bytes(100), 100).await.unwrap();
        client.start_download("c", "b", 1, Some("refuse")).await.unwrap();
        let gate = client.hold_chunks();
        client.start_download("c", "b", 1, None).await.unwrap();
        client.chunk(0).await;
        let contract = super::CONTRACT;
        let end = client.host.remove_link(&client.key, contract, None);
        let release = async {
            tokio::task::yield_now().await;
            gate.add_permits(100);
        };
        soon(futures_util::future::join(end, release)).await.0.unwrap();
        let sent = client.chunks();
        assert!(sent < 100, "{sent} chunks were sent");
        says(client.call("ListObjects", b"").await, "link");
        assert_eq!(client.chunks(), sent, "chunks were sent after the link had ended");
    })
    .await;
}
