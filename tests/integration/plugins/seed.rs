//! The example of the page that the project was asked for by, with nothing changed but file paths: its HTTP server is a
//! provider from an archive.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::time::Duration;

use actix_rt::time::sleep;
use wasmcloud_host::{Actor, HostBuilder, NativeCapability, ProviderArchive};

use super::built;
use crate::signing::sign;

fn par_from_file(file: &str) -> Result<ProviderArchive, Box<dyn Error + Sync + Send>> {
    let mut f = File::open(file)?;
    let mut buf = Vec::new();
    f.read_to_end(&mut buf)?;
    Ok(ProviderArchive::try_load(&buf)?)
}

/// `PORT` stands for the seed's 8080, which may be in use.
async fn example(echo_path: &str, httpserver_path: &str, web_port: u32) -> Result<(), Box<dyn Error + Sync + Send>> {
    let h = HostBuilder::new().build();
    h.start().await?;
    let echo = Actor::from_file(echo_path)?;
    let actor_id = echo.public_key();
    h.start_actor(echo).await?;

    // Read a cross-platform provider archive file
    let arc = par_from_file(httpserver_path)?;
    let websrv = NativeCapability::from_archive(&arc, None)?;
    let websrv_id = websrv.id();

    let mut webvalues: HashMap<String, String> = HashMap::new();
    webvalues.insert("PORT".to_string(), format!("{}", web_port));
    // Establish a link between the actor and a capability provider
    h.set_link(&actor_id, "wasmcloud:httpserver", None, websrv_id, webvalues).await?;
    // Start the web server provider (which auto-establishes the link)
    h.start_native_capability(websrv).await?;
    // Let the web server start
    sleep(Duration::from_millis(500)).await;
    let url = format!("http://localhost:{}/demo?test=kthxbye", web_port);

    let resp = reqwest::get(&url).await?;
    assert!(resp.status().is_success());
    let v: serde_json::Value = serde_json::from_slice(&resp.bytes().await?)?;
    assert_eq!("test=kthxbye", v["query_string"].as_str().unwrap());
    h.stop().await;
    Ok(())
}

#[actix_rt::test]
async fn the_example_of_the_seed_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (echo, server) = (folder.path().join("echo.wasm"), folder.path().join("httpserver.par.gz"));
    std::fs::write(&echo, sign("echo").capability("wasmcloud:httpserver").bytes()).unwrap();
    std::fs::write(&server, built::archive("wasmcloud:httpserver", built::http_server())).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    example(echo.to_str().unwrap(), server.to_str().unwrap(), free.into()).await.unwrap();
}
