//! Providers, from an empty folder to a call of an actor.

use wasmcloud_host::{ErrorKind, Host, Isolation, NativeCapability, ProviderArchive};

use super::project::Project;
use crate::plugins::apart;
use crate::signing::sign;
use crate::support::{host_answer, host_call, kind, soon, values, with_host};

/// Packs the provider as the README says, and runs it.
fn pack(project: &mut Project, name: &str) -> ProviderArchive {
    project.follow("wasmcloud keys gen account");
    project.follow("wasmcloud keys gen service");
    assert!(project.follow("wasmcloud par create").starts_with("Signed "));
    let host = project.start("wasmcloud run", "");
    assert_eq!(host.line(" runs: "), format!("{name}.yaml runs: 0 actor(s), 1 provider(s)"));
    host.stop();
    ProviderArchive::from_file(project.path(&format!("{name}.par.gz"))).unwrap()
}

/// Starts a provider in a process of its own, and greets through it.
async fn greet(host: &Host, archive: &ProviderArchive, contract: &str) {
    let capability = NativeCapability::from_archive_isolated(archive, None, Isolation::Process(apart())).unwrap();
    let provider = capability.id();
    soon(host.start_native_capability(capability)).await.unwrap();
    let actor = sign("host_call").capability(contract).actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    let link =
        async |pairs: &[(&str, &str)]| soon(host.set_link(&key, contract, None, provider.clone(), values(pairs))).await;
    let call = async |operation: &str, message: &[u8]| {
        let payload = host_call("", contract, operation, message);
        host_answer(&soon(host.call_actor(&key, "Any", &payload)).await.unwrap())
    };
    link(&[]).await.unwrap();
    assert_eq!(call("Greet", b"world").await.unwrap(), b"Hello, world!");
    assert_eq!(call("Greet", b"").await.unwrap(), b"Hello, !");
    link(&[("GREETING", "Good morning")]).await.unwrap();
    assert_eq!(call("Greet", b"world").await.unwrap(), b"Good morning, world!");
    assert_eq!(kind(link(&[("GREETING", "")]).await), ErrorKind::LinkRefused);
    assert_eq!(kind(link(&[("GREETING", &"x".repeat(101))]).await), ErrorKind::LinkRefused);
    assert_eq!(call("Greet", b"you").await.unwrap(), b"Good morning, you!", "the earlier link stays");
    assert!(call("Nope", b"").await.unwrap_err().contains(contract));
    soon(host.stop_provider(&provider, contract, None)).await.unwrap();
}

#[actix_rt::test]
async fn a_provider_in_rust() {
    let mut project = Project::make("provider clock-one");
    project.run("rustfmt --check --edition 2024 src/lib.rs");
    assert!(project.follow("cargo test").contains("3 passed"));
    project.follow("cargo build");
    let archive = pack(&mut project, "clock-one");
    with_host(async |host| greet(&host, &archive, "example:clock-one").await).await;
    project.end();
}

#[actix_rt::test]
async fn a_provider_in_c() {
    let mut project = Project::make("provider clock-two --lang c --contract test:clock");
    project.run("CFLAGS='-O1 -Werror' make --silent test && make --silent clean");
    assert!(project.follow("make test").contains("all is well"));
    project.follow("make");
    let archive = pack(&mut project, "clock-two");
    with_host(async |host| greet(&host, &archive, "test:clock").await).await;
    project.end();
}
