//! Tests of advertisements against real servers.

mod answers;
mod era_client;
mod heard;
mod hostile;

use std::sync::Mutex;

use async_nats::Client;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::*;
use crate::options::ConnectionOptions;
use crate::registry::testing::{NatsServer, binaries};
use crate::wire::LinkValue;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test with each server.
fn with_servers<F: Future<Output = ()>>(test: impl Fn(NatsServer) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for binary in binaries() {
        eprintln!("with {}", binary.display());
        runtime.block_on(test(NatsServer::start_with(&binary, false)));
    }
}

/// What a host tells.
#[derive(Debug, Default)]
struct Told {
    claims: Mutex<Vec<ActorClaims>>,
    links: Mutex<Vec<LinkDefinition>>,
    inventory: Mutex<HostInventory>,
}

impl AdvertisementSource for Told {
    fn claims(&self) -> Vec<ActorClaims> {
        self.claims.lock().unwrap().clone()
    }

    fn links(&self) -> Vec<LinkDefinition> {
        self.links.lock().unwrap().clone()
    }

    fn listed_links(&self) -> Vec<LinkDefinition> {
        self.links()
    }

    fn uptime(&self) -> Duration {
        Duration::from_millis(8999)
    }

    fn inventory(&self) -> HostInventory {
        self.inventory.lock().unwrap().clone()
    }
}

/// A host that advertises, and a client of 2021 beside it.
struct Scene {
    host: String,
    told: Arc<Told>,
    connection: Connection,
    advertisements: Advertisements,
    received: Receiver<Advertised>,
    client: Client,
}

impl Scene {
    async fn new(server: &NatsServer) -> Scene {
        Scene::with(server, true, 10_000).await
    }

    async fn with(server: &NatsServer, accepts_claims: bool, room: usize) -> Scene {
        let host = KeyPair::new_server().public_key();
        let options = ConnectionOptions::new(server.url());
        let connection = Connection::start(&options, &Namespace::default(), "calls").unwrap();
        let (sender, received) = mpsc::channel(room);
        let told = Arc::<Told>::default();
        let lattice = LatticeOptions::new(options).accept_unsigned_claims(accepts_claims);
        let (calls, control) = (connection.clone(), connection.clone());
        let source = Arc::clone(&told) as Arc<dyn AdvertisementSource>;
        let advertisements = Advertisements::start(&lattice, &host, calls, control, source, sender).unwrap();
        let client = async_nats::connect(server.url()).await.unwrap();
        let scene = Scene { host, told, connection, advertisements, received, client };
        scene.until_served().await;
        scene
    }

    /// Waits until the host hears and answers.
    async fn until_served(&self) {
        for subject in ["wasmbus.ctl.default.get.claims", "wasmbus.rpc.default.claims", "wasmbus.rpc.default.remlinks"]
        {
            let waiting = async {
                // A request is the way to learn that there is a subscriber. An advertisement has no answer.
                while let Err(error) = self.request(subject).await {
                    if error != async_nats::RequestErrorKind::NoResponders {
                        break;
                    }
                    sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(PATIENCE, waiting).await.expect("the host subscribes in time");
        }
    }

    async fn request(&self, subject: &str) -> Result<Bytes, async_nats::RequestErrorKind> {
        let request = async_nats::Request::new().timeout(Some(Duration::from_millis(500)));
        let answer = self.client.send_request(subject.to_owned(), request).await;
        answer.map(|message| message.payload).map_err(|error| error.kind())
    }

    async fn ask(&self, request: &str) -> String {
        let answer = self.request(&format!("wasmbus.ctl.default.{request}")).await.unwrap();
        String::from_utf8(answer.to_vec()).unwrap()
    }

    async fn publish(&self, kind: &str, payload: impl Into<Bytes>) {
        self.client.publish(format!("wasmbus.rpc.default.{kind}"), payload.into()).await.unwrap();
    }

    async fn next(&mut self) -> Advertised {
        timeout(PATIENCE, self.received.recv()).await.expect("an advertisement comes in time").unwrap()
    }

    async fn until(&self, condition: impl Fn(AdvertisementCounts) -> bool) {
        let waiting = async {
            while !condition(self.advertisements.counts()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let counts = || self.advertisements.counts();
        timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("the counts stay at {:?}", counts()));
    }
}

fn link(name: &str) -> LinkDefinition {
    LinkDefinition {
        actor_id: KeyPair::new_module().public_key(),
        provider_id: KeyPair::new_service().public_key(),
        link_name: name.to_owned(),
        contract_id: "wasmcloud:keyvalue".to_owned(),
        values: vec![LinkValue { name: "URL".to_owned(), value: "redis://z".to_owned() }],
    }
}

fn claims(name: &str) -> ActorClaims {
    ActorClaims {
        expires: None,
        id: "5yBvog78bFoaf3pQ5xbspv".to_owned(),
        issued_at: 1_614_720_738,
        issuer: KeyPair::new_account().public_key(),
        subject: KeyPair::new_module().public_key(),
        not_before: None,
        metadata: wasmcloud_claims::jwt::Actor {
            name: Some(name.to_owned()),
            module_hash: "00".repeat(32),
            caps: Some(vec!["wasmcloud:keyvalue".to_owned(), "wasmcloud:logging".to_owned()]),
            ..wasmcloud_claims::jwt::Actor::default()
        },
    }
}

/// A message that hosts of 2021 sent.
#[derive(serde::Deserialize)]
struct Captured {
    step: String,
    role: String,
    subject: String,
    hex: String,
}

impl Captured {
    fn bytes(&self) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(self.hex.as_bytes()).unwrap()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }
}

fn captured(is_wanted: impl Fn(&Captured) -> bool) -> Vec<Captured> {
    let all: Vec<Captured> = serde_json::from_str(include_str!("../../fixtures/lattice.json")).unwrap();
    all.into_iter().filter(is_wanted).collect()
}
