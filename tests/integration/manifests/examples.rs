//! The manifests of the examples, with actors signed as their users sign them, through their front doors.

use std::collections::{HashMap, HashSet};
use std::process::Command;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wasmcloud_host::{ErrorKind, Host, HostManifest};

use super::Folder;
use crate::conformance::nats_server::NatsServer;
use crate::conformance::server_process::free_port;
use crate::signing::in_repository;
use crate::support::{keep_log, logged, soon, until, with_host};

/// A folder with an example's manifest and all signed actors.
fn example(name: &str) -> Folder {
    let folder = Folder::new();
    let examples = in_repository("examples/manifests");
    let mut sign = Command::new(examples.join("sign"));
    let output = sign.arg(folder.path("")).env("WASMCLOUD", env!("CARGO_BIN_EXE_wasmcloud")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::copy(examples.join(format!("{name}.yaml")), folder.path("host.yaml")).unwrap();
    folder
}

/// Applies an example's manifest with variables, as others would have them in their environment.
async fn apply(host: &Host, folder: &Folder, variables: &[(&str, &str)]) -> wasmcloud_host::Result<()> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let manifest = HostManifest::from_path(folder.path("host.yaml"), false).unwrap();
    let manifest = manifest.expand(|name| variables.get(name).map(|value| (*value).to_owned())).unwrap();
    soon(host.apply_manifest(manifest)).await
}

/// Applies an example's manifest that serves HTTP, and answers with its URL.
async fn serve(host: &Host, folder: &Folder, variables: &[(&str, &str)]) -> String {
    // Another process may take the port before the server does. Then there is another one.
    for _ in 0..10 {
        let port = free_port().to_string();
        match apply(host, folder, &[variables, &[("PORT", &port)]].concat()).await {
            Ok(()) => return format!("http://127.0.0.1:{port}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ManifestIncomplete, "{error}"),
        }
    }
    panic!("there is no port");
}

#[actix_rt::test]
async fn the_counter_counts_beyond_a_restart() {
    let folder = example("counter");
    let store = folder.path("counts.redb");
    for expected in 1..=2 {
        with_host(async |host| {
            let url = serve(&host, &folder, &[("COUNTER_STORE", store.to_str().unwrap())]).await;
            let counted: Value = reqwest::get(format!("{url}/some/path")).await.unwrap().json().await.unwrap();
            assert_eq!(counted, json!({"counter": expected}));
            assert_eq!(host.labels().await["example"], "counter");
        })
        .await;
    }
}

#[actix_rt::test]
async fn the_proxy_reaches_whom_its_link_names() {
    let folder = example("proxy");
    let backend = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = backend.local_addr().unwrap();
    actix_rt::spawn(async move {
        while let Ok((mut stream, _)) = backend.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello").await;
        }
    });
    with_host(async |host| {
        let url = serve(&host, &folder, &[("ALLOWED_HOSTS", "127.0.0.1"), ("ALLOWED_NETWORKS", "127.0.0.1")]).await;
        let answer = soon(reqwest::get(format!("{url}/http://{address}/"))).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "hello"));
        let refused = soon(reqwest::get(format!("{url}/http://example.com/"))).await.unwrap();
        assert_ne!(refused.status(), 200);
    })
    .await;
}

#[actix_rt::test]
async fn the_file_drop_keeps_files() {
    let folder = example("file_drop");
    let directory = folder.path("files");
    with_host(async |host| {
        let url = serve(&host, &folder, &[("DIRECTORY", directory.to_str().unwrap())]).await;
        let put = soon(reqwest::Client::new().put(format!("{url}/note.txt")).body("a note").send()).await.unwrap();
        assert_eq!(put.status(), 201);
        let note = soon(async {
            loop {
                let got = reqwest::get(format!("{url}/note.txt")).await.unwrap();
                if got.status() != 503 {
                    return got.text().await.unwrap();
                }
            }
        });
        assert_eq!(note.await, "a note");
    })
    .await;
}

/// The lines of these workers on the log from a line on, as who did which job.
fn done(workers: &[String], from: usize) -> Vec<(String, String)> {
    let lines = logged().into_iter().skip(from);
    let ours = lines.filter(|line| workers.iter().any(|worker| line.contains(worker)));
    let said = ours.filter_map(|line| Some(line.split_once(" actor=")?.0.strip_prefix("WARN ")?.to_owned()));
    said.filter_map(|said| said.split_once(": ").map(|(who, job)| (who.to_owned(), job.to_owned()))).collect()
}

#[actix_rt::test]
async fn the_workers_share_jobs_by_nats() {
    keep_log();
    let (folder, server, before) = (example("work_queue"), NatsServer::start(), logged().len());
    with_host(async |host| {
        apply(&host, &folder, &[("NATS_URL", &server.url())]).await.unwrap();
        let workers = host.actors().await.unwrap();
        let client = async_nats::connect(server.url()).await.unwrap();
        // Until each of them has been there for a job.
        until(async || {
            let answer = client.request("jobs.log", "some work".into()).await;
            assert_eq!(&answer.unwrap().payload[..], b"some work");
            done(&workers, before).into_iter().map(|(who, _)| who).collect::<HashSet<_>>().len() == 3
        })
        .await;
    })
    .await;
}

#[actix_rt::test]
async fn the_workers_share_jobs_within_a_host() {
    #[derive(serde::Serialize)]
    struct Job<'a> {
        subject: &'a str,
        #[serde(rename = "replyTo")]
        reply_to: &'a str,
        body: &'a serde_bytes::Bytes,
    }
    keep_log();
    let (folder, before) = (example("work_queue"), logged().len());
    with_host(async |host| {
        apply(&host, &folder, &[]).await.unwrap();
        let workers = host.actors().await.unwrap();
        for number in 0..30 {
            let body = format!("job {number}");
            let job = Job { subject: "put.job", reply_to: "jobs.log", body: serde_bytes::Bytes::new(body.as_bytes()) };
            let job = rmp_serde::to_vec_named(&job).unwrap();
            host.call_actor("worker-1", "HandleMessage", &job).await.unwrap();
        }
        until(async || done(&workers, before).len() == 30).await;
        let jobs: HashSet<String> = done(&workers, before).into_iter().map(|(_, job)| job).collect();
        assert_eq!(jobs.len(), 30, "each job is done once");
    })
    .await;
}
