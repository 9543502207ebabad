//! An actor of the era that keeps files, through its front door, and the example that runs it.

use std::net::SocketAddr;

use clap::Parser as _;
use reqwest::{Client, Response, StatusCode};
use wasmcloud_host::builtin::HttpServer;

use super::super::kit::{Backend, Tenant, with_provider};
use super::client::bytes;
use super::{CONTRACT, Directory, S3};
use crate::signing::sign;
use crate::support::{soon, values, with_host};

#[path = "../../../../examples/file_drop.rs"]
#[allow(dead_code, reason = "what belongs to the command line is not run here")]
mod example;

const HTTP: &str = "wasmcloud:httpserver";

/// Asks for a file until it is there, or is said not to be.
async fn get(url: &str) -> Response {
    soon(async {
        loop {
            let response = reqwest::get(url).await.unwrap();
            if response.status() != StatusCode::SERVICE_UNAVAILABLE {
                return response;
            }
            assert_eq!(response.headers()["retry-after"], "1");
        }
    })
    .await
}

/// Puts a file of some chunks, has it listed, given back and removed.
async fn drop_files(address: SocketAddr) {
    let (client, file) = (Client::new(), bytes(300_000));
    let url = |name: &str| format!("http://{address}/{name}");
    for (name, body) in [("picture.png", file.clone()), ("empty", Vec::new())] {
        let put = soon(client.put(url(name)).body(body.clone()).send()).await.unwrap();
        assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
        let got = get(&url(name)).await;
        assert_eq!(got.status(), 200);
        assert!(got.bytes().await.unwrap() == body);
    }
    assert_eq!(get(&url("")).await.text().await.unwrap(), "0\tempty\n300000\tpicture.png\n");
    assert_eq!(soon(client.delete(url("empty")).send()).await.unwrap().status(), 200);
    assert_eq!(soon(client.delete(url("empty")).send()).await.unwrap().status(), 404);
    assert_eq!(get(&url("empty")).await.status(), 404);
}

async fn through_the_front_door(backend: &impl Backend) {
    with_provider(backend, async |host, provider| {
        let http = HttpServer::new(None);
        let server = http.capability().unwrap();
        let server_id = server.id();
        host.start_native_capability(server).await.unwrap();
        let actor = sign("file_drop").capability(HTTP).capability(CONTRACT).actor();
        let key = actor.public_key();
        host.start_actor(actor).await.unwrap();
        host.set_link(&key, CONTRACT, None, provider, backend.values(Tenant::A)).await.unwrap();
        let port = values(&[("PORT", "0"), ("BIND", "127.0.0.1")]);
        host.set_link(&key, HTTP, None, server_id, port).await.unwrap();
        drop_files(http.address(&key).unwrap()).await;
    })
    .await;
}

#[actix_rt::test]
async fn files_are_kept_in_a_directory() {
    through_the_front_door(&Directory::new()).await;
}

#[actix_rt::test]
async fn files_are_kept_in_s3() {
    if let Some(s3) = S3::new() {
        through_the_front_door(&s3).await;
    }
}

#[actix_rt::test]
async fn the_example_keeps_files_beyond_a_restart() {
    let directory = Directory::new();
    let root = directory.path("files");
    for _ in 0..2 {
        with_host(async |host| {
            let arguments = example::Arguments::parse_from(["file_drop", "--port", "0", "--directory", &root]);
            drop_files(example::serve(&host, &arguments).await.unwrap()).await;
        })
        .await;
    }
    assert_eq!(std::fs::read(directory.path("files/files/picture.png")).unwrap(), bytes(300_000));
}
