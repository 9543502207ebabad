//! Hosts and control clients of 2021, which know nothing of current hosts.

use serde_json::json;
use wasmcloud_host::{ConnectionOptions, HostBuilder, LatticeOptions, LinkState};

use super::{Lattice, run_actor, run_probe, start};
use crate::era_client::EraClient;
use crate::signing::sign;
use crate::support::{PROBE, until, with_tested_compiler};

#[actix_rt::test]
async fn the_control_client_of_2021_calls_actors_asks_for_claims_and_advertises_links() {
    let lattice = Lattice::start();
    let options = LatticeOptions::new(ConnectionOptions::new(lattice.server.url()));
    let host = start(with_tested_compiler(HostBuilder::new().with_shards(1)).with_lattice(options)).await;
    let actor = run_actor(&host, &sign("host_call").capability(PROBE), &[]).await;
    let echo = run_actor(&host, &sign("tiny_echo"), &[]).await;
    let (_probe, provider) = run_probe(&host).await;
    if let Some(mut client) = EraClient::start(lattice.server.port).await {
        let called = client.tell(json!({"op": "call_actor", "actor": echo, "operation": "Echo", "hex": "c0ff"})).await;
        assert_eq!(called.unwrap()["hex"], "c0ff");
        let claims = client.tell(json!({"op": "get_claims"})).await.unwrap();
        assert!(claims.to_string().contains(&actor));
        let hosts = client.tell(json!({"op": "get_hosts", "wait_ms": 300})).await.unwrap();
        assert!(hosts.to_string().contains(&host.id()));
        let inventory = client.order("inventory", &host.id(), json!({})).await;
        assert!(inventory.to_string().contains(&actor));
        let link = json!({
            "op": "advertise_link", "actor": actor, "provider": provider, "contract": PROBE, "link": "default",
            "values": {"FROM": "2021"},
        });
        client.tell(link).await.unwrap();
        until(async || host.link_state(&actor, PROBE, None) == Some(LinkState::Established)).await;
    }
    host.stop().await;
}
