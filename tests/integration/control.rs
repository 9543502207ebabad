//! The control interface: operators ask hosts and give orders over a real NATS server.
//!
//! # Layout
//! - `era`: the control client of 2021, through every operation and all events
//! - `orders`: orders of current clients, and how they end
//! - `questions`: hosts, inventories, auctions and events
//! - `manifests`: plans and applications from afar
//! - `authority`: who may give orders
//! - `hostile`: requests that are not what they should be
//! - `seed_defects`: faults of the host of 2021

mod authority;
mod era;
mod hostile;
mod manifests;
mod orders;
mod questions;
mod seed_defects;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use wasmcloud_control::{ControlClient, ControlEvent, ControlEvents, EventFilter, Settled};
use wasmcloud_host::{ConnectionOptions, Host, HostBuilder};

use crate::lattice::{Lattice, start};
use crate::registries::Images;
use crate::support::soon;

/// How long a request may take. Tests wait for events, and none takes as long.
const PATIENCE: Duration = Duration::from_secs(20);

/// The client of a test.
async fn client(lattice: &Lattice) -> ControlClient {
    let connection = ConnectionOptions::new(lattice.server.url());
    let client = ControlClient::connect(connection, "default", PATIENCE).await.unwrap();
    client.call_with(lattice.cluster_seed()).unwrap()
}

/// A host that serves, and a client. The host knows a registry.
struct Scene {
    lattice: Lattice,
    images: Images,
    host: Host,
    client: ControlClient,
}

impl Scene {
    async fn new() -> Scene {
        Scene::with(|builder| builder).await
    }

    async fn with(configure: impl FnOnce(HostBuilder) -> HostBuilder) -> Scene {
        let lattice = Lattice::start();
        let images = Images::start();
        let builder = images.known_to(lattice.builder()).enable_live_updates().with_label("zone", "a");
        let host = start(configure(builder)).await;
        let client = client(&lattice).await;
        served(&client, &host).await;
        Scene { lattice, images, host, client }
    }

    fn id(&self) -> String {
        self.host.id()
    }
}

/// Waits until a host answers.
async fn served(client: &ControlClient, host: &Host) {
    let request = wasmcloud_control::message::PageRequest::default();
    soon(async {
        while client.inventory_page(&host.id(), &request).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Begins to hear the events of all hosts.
async fn events(client: &ControlClient) -> ControlEvents {
    client.events(&EventFilter::default()).await.unwrap()
}

/// Waits for an event of a kind.
async fn event(events: &mut ControlEvents, kind: &str) -> ControlEvent {
    soon(async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if event.kind == kind {
                return event;
            }
        }
    })
    .await
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn done(settled: wasmcloud_host::Result<Settled>) {
    assert_eq!(settled.unwrap(), Settled::Done);
}

/// Sends bytes to a subject of control, and returns the answer in JSON.
async fn ask(client: &async_nats::Client, subject: &str, content: &str) -> Value {
    let subject = format!("wasmbus.ctl.default.{subject}");
    let answer = soon(client.request(subject, content.to_owned().into())).await.unwrap();
    serde_json::from_slice(&answer.payload).unwrap()
}
