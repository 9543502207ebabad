//! What is true of S3 alone, and its bad days.

use super::super::disks::on_a_full_disk;
use super::super::kit::{Backend, Tenant, with_provider};
use super::S3;
use super::client::{Client, bytes};
use crate::support::soon;

#[actix_rt::test]
async fn objects_have_names_that_others_can_read() {
    let Some(s3) = S3::new() else { return };
    with_provider(&s3, async |host, provider| {
        let client = Client::start(&host, &provider, s3.values(Tenant::A)).await;
        client.create("Poems").await;
        client.upload("Poems", "a poem.txt", b"roses", 2).await.unwrap();
        let object = format!("{}/blobs/A/%2550oems/a%2520poem.txt", s3.server.endpoint());
        // The server looks at who asks, but not at the signature.
        let who = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        let found = soon(reqwest::Client::new().get(&object).header("authorization", who).send()).await.unwrap();
        assert_eq!(found.text().await.unwrap(), "roses");
    })
    .await;
}

#[test]
fn without_room_for_what_is_on_its_way_an_upload_fails_and_gives_its_room_back() {
    const NAME: &str =
        "conformance::blob_store::s3::without_room_for_what_is_on_its_way_an_upload_fails_and_gives_its_room_back";
    on_a_full_disk(NAME, 4, async || {
        let Some(s3) = S3::new() else { return };
        with_provider(&s3, async |host, provider| {
            let client = Client::start(&host, &provider, s3.values(Tenant::A)).await;
            client.create("c").await;
            client.upload("c", "b", &bytes(1 << 20), 1 << 18).await.unwrap();
            for _ in 0..3 {
                let refusal = client.upload("c", "b", &bytes(8 << 20), 1 << 20).await.unwrap_err();
                assert!(refusal.contains("could not be written"), "{refusal}");
            }
            assert!(client.download("c", "b", 1 << 20).await.unwrap() == bytes(1 << 20), "what was there stays");
            client.upload("c", "b", &bytes(3 << 20), 1 << 20).await.unwrap();
            assert!(client.download("c", "b", 1 << 20).await.unwrap() == bytes(3 << 20));
        })
        .await;
    });
}
