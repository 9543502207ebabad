//! The service and the client against each other, over a real NATS server.

mod nats_server;

use std::collections::BTreeMap;

use nkeys::KeyPair;
use serde_json::json;
use tokio::sync::Notify;
use wasmcloud_lattice::ConnectionOptions;
use wasmcloud_telemetry::state::{ActorState, HostState};

use super::*;
use crate::client::ControlClient;
use crate::event::kinds;
use crate::message::{EntityEntry, HostSummary, InventoryPage, PageRequest};
use crate::outcome::Settled;
use nats_server::NatsServer;

const PATIENCE: Duration = Duration::from_secs(20);

/// A host that carries orders out as the reference of an actor tells: `fail`, `panic`, `wait` until it is released, or at once.
#[derive(Default)]
struct Obedient {
    host: String,
    release: Notify,
    failures: std::sync::Mutex<Vec<String>>,
}

impl ControlHandler for Obedient {
    fn summary(&self) -> HostSummary {
        let (known_hosts, version) = (Some(1), Some("1".to_owned()));
        HostSummary { id: self.host.clone(), known_hosts, version, ..HostSummary::default() }
    }

    fn page(&self, request: &PageRequest) -> InventoryPage {
        let entry =
            |number: usize| EntityEntry { id: number.to_string(), kind: "actor".to_owned(), ..EntityEntry::default() };
        let entries = (0..5_000).skip(request.offset).map(entry).collect();
        InventoryPage { host_id: self.host.clone(), total: 5_000, entries, ..InventoryPage::default() }
    }

    fn state(&self) -> Result<Arc<HostState>> {
        let mut state = HostState::default();
        state.host.id.clone_from(&self.host);
        state.actors =
            (0..5_000).map(|number| ActorState { id: number.to_string(), ..ActorState::default() }).collect();
        Ok(Arc::new(state))
    }

    fn can_run_actor(&self, request: &ActorAuctionRequest) -> bool {
        request.constraints.is_empty()
    }

    fn can_run_provider(&self, _: &ProviderAuctionRequest) -> bool {
        false
    }

    fn carry_out(self: Arc<Self>, order: Order) -> Work {
        Box::pin(async move {
            let Order::StartActor(command) = &order else { return Carried::default() };
            match command.actor_ref.as_str() {
                "fail" => Err(Error::new(ErrorKind::Untrusted, "deliberately")).into(),
                "panic" => panic!("deliberate panic"),
                "wait" => {
                    self.release.notified().await;
                    Carried { result: Some(json!(7)), failure: None }
                }
                _ => Carried::default(),
            }
        })
    }

    fn failed(&self, order: &Order, _: &Error) {
        self.failures.lock().unwrap().push(order.name().to_owned());
    }
}

struct Scene {
    _server: NatsServer,
    host: String,
    handler: Arc<Obedient>,
    service: ControlService,
    client: ControlClient,
}

impl Scene {
    async fn new() -> Scene {
        let server = NatsServer::start();
        let host = KeyPair::new_server().public_key();
        let handler = Arc::new(Obedient { host: host.clone(), ..Obedient::default() });
        let namespace = Namespace::default();
        let connection = Connection::start(&ConnectionOptions::new(server.url()), &namespace, "control").unwrap();
        let service = ControlService::start(ControlSettings {
            namespace,
            host: host.clone(),
            connection,
            authority: ControlAuthority::new([], Duration::from_secs(60)).unwrap(),
            handler: handler.clone(),
        });
        let client = ControlClient::connect(ConnectionOptions::new(server.url()), "default", PATIENCE).await.unwrap();
        let scene = Scene { _server: server, host, handler, service: service.unwrap(), client };
        while scene.client.inventory_page(&scene.host, &PageRequest::default()).await.is_err() {
            sleep(Duration::from_millis(5)).await;
        }
        scene
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE * 2, test).await.expect("the test ends in time") });
}

#[test]
fn the_outcome_is_told_if_it_is_known_in_time() {
    run(async {
        let scene = Scene::new().await;
        assert_eq!(scene.client.start_actor(&scene.host, "good", None).await.unwrap(), Settled::Done);
        let refused = scene.client.start_actor(&scene.host, "fail", None).await.unwrap_err();
        assert_eq!((refused.kind(), refused.to_string()), (ErrorKind::Untrusted, "deliberately".to_owned()));
        assert_eq!(*scene.handler.failures.lock().unwrap(), ["start_actor"]);
        assert_eq!(scene.service.counts().failed, 1);
    });
}

#[test]
fn an_order_that_panics_is_an_error_and_the_service_goes_on() {
    run(async {
        let scene = Scene::new().await;
        let refused = scene.client.start_actor(&scene.host, "panic", None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Internal);
        assert_eq!(scene.client.start_actor(&scene.host, "good", None).await.unwrap(), Settled::Done);
    });
}

#[test]
fn orders_beyond_those_that_are_carried_out_at_a_time_are_refused_as_busy() {
    run(async {
        let scene = Scene::new().await;
        let impatient = scene.client.clone().wait(Duration::ZERO);
        let mut watch = impatient.watch(Some(&scene.host)).await.unwrap();
        let mut accepted = Vec::new();
        for _ in 0..ORDERS {
            accepted.push(impatient.start_actor(&scene.host, "wait", None).await.unwrap());
        }
        let refused = impatient.start_actor(&scene.host, "wait", None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Busy);
        let mut progress = 0;
        let last = accepted.pop().unwrap();
        let release = async {
            for _ in 0..ORDERS {
                scene.handler.release.notify_waiters();
                sleep(Duration::from_millis(1)).await;
            }
        };
        let settle = watch.settle(last, PATIENCE, |event| match event.kind.as_str() {
            kinds::PROGRESS => progress += 1,
            _ => assert_eq!(event.detail.get("result"), Some(&json!(7))),
        });
        let (settled, ()) = futures_util::future::join(settle, release).await;
        settled.unwrap();
        assert!(progress > 0);
        assert_eq!(scene.client.start_actor(&scene.host, "good", None).await.unwrap(), Settled::Done);
    });
}

#[test]
fn questions_are_answered_and_auctions_by_those_that_could() {
    run(async {
        let scene = Scene::new().await;
        assert_eq!(scene.client.hosts().await.unwrap()[0].id, scene.host);
        assert_eq!(scene.client.only_host().await.unwrap(), scene.host);
        let inventory = scene.client.whole_inventory(&scene.host).await.unwrap();
        assert_eq!((inventory.actors.len(), inventory.providers.len()), (5_000, 0));
        let state = scene.client.whole_state(&scene.host, None).await.unwrap();
        assert_eq!((state.host.id, state.actors.len()), (scene.host.clone(), 5_000));
        assert_eq!(scene.client.auction_actor("a/b:1", BTreeMap::new()).await.unwrap()[0].host_id, scene.host);
        // The silence of a host that could not run it is known by its answer to another question.
        let constraints = BTreeMap::from([("zone".to_owned(), "a".to_owned())]);
        assert_eq!(scene.client.auction_actor("a/b:1", constraints).await.unwrap(), []);
        assert_eq!(scene.client.auction_provider("a/b:1", "default", BTreeMap::new()).await.unwrap(), []);
    });
}

#[test]
fn an_event_is_told_with_its_host_and_time() {
    run(async {
        let scene = Scene::new().await;
        let mut events = scene.client.events(&crate::event::EventFilter::default()).await.unwrap();
        scene.service.tell(ControlEvent::new(kinds::HOST_LABELED)).await.unwrap();
        let event = events.next().await.unwrap().unwrap();
        assert!(event.host == scene.host && event.at > 1_700_000_000_000);
        let bad = scene.service.tell(ControlEvent::new("a.b")).await.unwrap_err();
        assert_eq!(bad.kind(), ErrorKind::InvalidArgument);
    });
}

#[test]
fn a_connection_ends_with_the_last_client_and_the_last_subscription() {
    run(async {
        let Scene { _server: server, service, .. } = &Scene::new().await;
        let second = ControlClient::connect(ConnectionOptions::new(server.url()), "default", PATIENCE).await.unwrap();
        let connection = second.connection.clone();
        let mut events = second.events(&crate::event::EventFilter::default()).await.unwrap();
        drop(second);
        service.tell(ControlEvent::new(kinds::HOST_LABELED)).await.unwrap();
        assert!(events.next().await.unwrap().is_ok());
        drop(events);
        assert!(!connection.joined().await);
    });
}

#[test]
fn nothing_is_answered_after_a_host_has_left() {
    run(async {
        let scene = Scene::new().await;
        scene.service.leave().await;
        let gone = scene.client.cordon(&scene.host).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::LatticeUnavailable);
    });
}
