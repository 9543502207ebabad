//! What is true of S3 alone, and its bad days.

use super::super::kit::{Backend, Tenant, with_provider};
use super::S3;
use super::client::{Client, bytes};
use crate::support::soon;

#[actix_rt::test]
async fn objects_have_names_that_others_can_read() {
    let Some(s3) = soon(S3::new()).await else { return };
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

#[actix_rt::test]
async fn while_the_server_is_down_calls_fail_and_afterwards_they_do_not() {
    let Some(s3) = soon(S3::new()).await else { return };
    with_provider(&s3, async |host, provider| {
        let client = Client::start(&host, &provider, s3.values(Tenant::A)).await;
        client.create("c").await;
        client.upload("c", "b", &bytes(100), 10).await.unwrap();
        s3.server.kill();
        let refusal = client.list("c").await.unwrap_err();
        assert!(!refusal.contains("secret"), "{refusal}");
        assert!(client.upload("c", "b", &bytes(100), 10).await.is_err());
        soon(s3.server.start_again()).await;
        client.create("c").await;
        client.upload("c", "b", &bytes(100), 10).await.unwrap();
        assert_eq!(client.download("c", "b", 10).await.unwrap(), bytes(100));
    })
    .await;
}
