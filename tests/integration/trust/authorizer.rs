//! The authorizer decides about every call, link and start, and its faults affect nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use wasmcloud_host::jwt::{self, Claims};
use wasmcloud_host::{
    Authorizer, Decision, ErrorKind, EventKind, Host, HostBuilder, LinkState, Origin, WasmCloudEntity,
};

use crate::signing::sign;
use crate::support::{PROBE, Probe, host_answer, host_call, kind, soon, with_host_of};

/// Notes what it is asked, and decides by the operation, or by the name of what is to be loaded.
#[derive(Clone)]
struct Judge {
    asked: Arc<Mutex<Vec<String>>>,
    /// Told of each question that it takes its time for.
    thinking: Arc<Notify>,
    /// As many answers as it may give to such questions of the operation `Wait`.
    answers: Arc<Semaphore>,
}

impl Default for Judge {
    fn default() -> Self {
        Judge { asked: Arc::default(), thinking: Arc::default(), answers: Arc::new(Semaphore::new(0)) }
    }
}

impl Judge {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn decide(&self, what: &str) -> Decision {
        match what {
            "Refuse" => Decision::Now(Err("not on a Sunday".into())),
            "No" => false.into(),
            "Panic" => panic!("deliberate panic"),
            "Later" => Decision::later(async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(())
            }),
            "LaterRefuse" => Decision::later(async { Err("not even later".into()) }),
            "LaterPanic" => Decision::later(async { panic!("deliberate later panic") }),
            "Hang" => Decision::later(std::future::pending()),
            "Wait" => {
                self.thinking.notify_one();
                let answers = self.answers.clone();
                Decision::later(async move {
                    answers.acquire().await?.forget();
                    Ok(())
                })
            }
            _ => true.into(),
        }
    }
}

impl Authorizer for Judge {
    fn can_load(&self, claims: &Claims<jwt::Actor>) -> Decision {
        self.decide(&claims.name())
    }

    fn can_load_provider(&self, claims: &Claims<jwt::CapabilityProvider>) -> Decision {
        self.decide(&claims.metadata.as_ref().unwrap().vendor)
    }

    fn can_invoke(&self, origin: Origin<'_>, target: &WasmCloudEntity, operation: &str) -> Decision {
        let origin = match origin {
            Origin::Actor(claims) => WasmCloudEntity::Actor(claims.subject.clone()).to_string(),
            Origin::Provider(claims) => format!("provider {}", claims.subject),
            _ => WasmCloudEntity::Host.to_string(),
        };
        self.asked.lock().unwrap().push(format!("{origin}: {operation} of {target}"));
        self.decide(operation)
    }
}

/// What each operation comes to, if it is refused: the kind, and a part of the text.
const REFUSALS: [(&str, ErrorKind, &str); 6] = [
    ("Refuse", ErrorKind::Unauthorized, "not on a Sunday"),
    ("No", ErrorKind::Unauthorized, "no reason"),
    ("Panic", ErrorKind::Unauthorized, "deliberate panic"),
    ("LaterRefuse", ErrorKind::Unauthorized, "not even later"),
    ("LaterPanic", ErrorKind::Unauthorized, "deliberate later panic"),
    ("Hang", ErrorKind::DeadlineExceeded, "did not decide in time"),
];

/// A host with a judge, and on it: the guest `host_call` linked to a probe.
async fn with_judge(test: impl AsyncFnOnce(Host, Judge, Probe, String)) {
    let judge = Judge::default();
    let deadline = Duration::from_millis(if cfg!(debug_assertions) { 700 } else { 300 });
    let builder = HostBuilder::new().with_shards(2).with_call_deadline(deadline).with_authorizer(judge.clone());
    with_host_of(builder, async |host| {
        let (probe, caller) = crate::support::probed_caller(&host).await;
        assert_eq!(judge.asked().len(), 1, "about the link");
        test(host, judge, probe, caller).await;
    })
    .await;
}

#[actix_rt::test]
async fn seed_defect_06_the_authorizer_is_asked_about_calls_of_the_host_of_actors_and_of_providers() {
    with_judge(async |host, judge, probe, caller| {
        let provider = host.providers().await.unwrap().remove(0);
        let echo = sign("tiny_echo").alias("echo");
        host.start_actor(echo.actor()).await.unwrap();
        let echo = echo.claims.subject;
        host.call_actor("echo", "Greet", b"").await.unwrap();
        assert_eq!(judge.asked(), [format!("the host: Greet of actor {echo}")]);
        for (name, target) in [("echo", format!("actor {echo}")), (PROBE, format!("provider {}", provider.id))] {
            host.call_actor(&caller, "Any", &host_call("", name, "Echo", b"")).await.unwrap();
            let asked = judge.asked();
            assert_eq!(asked[0], format!("the host: Any of actor {caller}"));
            assert!(asked[1].starts_with(&format!("actor {caller}: Echo of {target}")), "{asked:?}");
            assert_eq!(asked.len(), 2);
        }
        probe.dispatcher(&caller).dispatch(&caller, "Any", host_call("", "echo", "Echo", b"")).await.unwrap();
        assert_eq!(judge.asked()[0], format!("provider {}: Any of actor {caller}", provider.id));

        // None of them is waved through.
        assert_eq!(kind(host.call_actor("echo", "Refuse", b"").await), ErrorKind::Unauthorized);
        let refused = probe.dispatcher(&caller).dispatch(&caller, "Refuse", vec![]).await;
        assert_eq!(kind(refused), ErrorKind::Unauthorized);
        let reply = host.call_actor(&caller, "Any", &host_call("", PROBE, "Refuse", b"")).await.unwrap();
        assert!(host_answer(&reply).unwrap_err().contains("not on a Sunday"));
        assert_eq!(probe.calls(), ["Echo"]);
    })
    .await;
}

#[actix_rt::test]
async fn whatever_it_does_concerns_one_call_alone() {
    with_judge(async |host, _, probe, caller| {
        let dispatcher = probe.dispatcher(&caller);
        let echo = host_call("", PROBE, "Echo", b"x");
        for (operation, refused, text) in REFUSALS {
            let (from_host, from_provider) = soon(async {
                futures_util::join!(
                    host.call_actor(&caller, operation, &echo),
                    dispatcher.dispatch(&caller, operation, echo.clone()),
                )
            })
            .await;
            for error in [from_host.unwrap_err(), from_provider.unwrap_err()] {
                assert_eq!(error.kind(), refused, "{operation}");
                assert!(error.to_string().contains(text) && error.to_string().contains("Judge"), "{error}");
            }
            if operation != "Hang" {
                let call = host_call("", PROBE, operation, b"");
                let reply = host.call_actor(&caller, "Any", &call).await.unwrap();
                let error = host_answer(&reply).unwrap_err();
                assert!(error.contains(text) && error.contains("Judge"), "{error}");
            }
            assert_eq!(host_answer(&host.call_actor(&caller, "Any", &echo).await.unwrap()).unwrap(), b"x");
        }
        // An actor that waits for it has run out of time itself.
        let hanging = host.call_actor(&caller, "Any", &host_call("", PROBE, "Hang", b"")).await;
        assert_eq!(kind(soon(async { hanging }).await), ErrorKind::DeadlineExceeded);
        assert!(probe.calls().iter().all(|operation| operation == "Echo"));
    })
    .await;
}

#[actix_rt::test]
async fn an_answer_that_takes_time_is_waited_for() {
    with_judge(async |host, judge, probe, caller| {
        let later = host_call("", PROBE, "Later", b"");
        // The probe knows no such operation, so it was asked.
        let reply = host.call_actor(&caller, "Later", &later).await.unwrap();
        assert!(host_answer(&reply).unwrap_err().contains("deliberate failure of Later"));
        assert_eq!(judge.asked().len(), 2, "once for each call");
        probe.dispatcher(&caller).dispatch(&caller, "Later", later.clone()).await.unwrap();
        // A thread without any runtime may call, too.
        let (elsewhere, key) = (host.clone(), caller.clone());
        let (answer, answered) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let called = futures_executor::block_on(elsewhere.call_actor(&key, "Later", &later));
            answer.send(called.map(drop)).unwrap();
        });
        soon(answered).await.unwrap().unwrap();
        thread.join().unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn a_name_that_resolves_to_another_target_meanwhile_is_decided_again() {
    let judge = Judge::default();
    with_host_of(HostBuilder::new().with_shards(1).with_authorizer(judge.clone()), async |host| {
        let first = sign("tiny_echo").alias("moving");
        let second = sign("tiny_echo").alias("moving").issued_like(&first);
        host.start_actor(first.actor()).await.unwrap();
        let call = host.call_actor("moving", "Wait", b"x");
        let meanwhile = async {
            judge.thinking.notified().await;
            host.stop_actor(&first.claims.subject).await.unwrap();
            host.start_actor(second.actor()).await.unwrap();
            judge.answers.add_permits(1);
            judge.thinking.notified().await;
            judge.answers.add_permits(1);
        };
        let (answer, ()) = soon(async { futures_util::join!(call, meanwhile) }).await;
        assert_eq!(answer.unwrap(), b"x");
        let about = [&first, &second].map(|signing| format!("the host: Wait of actor {}", signing.claims.subject));
        assert_eq!(judge.asked(), about);
    })
    .await;
}

/// Refuses links, as long as it is told to.
#[derive(Clone, Default)]
struct Gatekeeper {
    closed: Arc<Mutex<bool>>,
}

impl Authorizer for Gatekeeper {
    fn can_invoke(&self, origin: Origin<'_>, target: &WasmCloudEntity, operation: &str) -> Decision {
        let link = matches!((origin, target), (Origin::Actor(_), WasmCloudEntity::Capability { .. }));
        (!(link && operation == "BindActor" && *self.closed.lock().unwrap())).into()
    }
}

#[actix_rt::test]
async fn a_link_that_it_refuses_is_not_established() {
    let keeper = Gatekeeper::default();
    with_host_of(HostBuilder::new().with_shards(1).with_authorizer(keeper.clone()), async |host| {
        let probe = Probe::default();
        let (capability, signing) = (probe.capability(), sign("host_call").capability(PROBE));
        let (provider, key) = (capability.id(), &signing.claims.subject);
        host.start_actor(signing.actor()).await.unwrap();
        host.start_native_capability(capability).await.unwrap();
        let link = async |values| host.set_link(key, PROBE, None, provider.clone(), values).await;
        let close = |closed| *keeper.closed.lock().unwrap() = closed;
        let mut events = host.monitor(WasmCloudEntity::Actor(key.clone()));
        close(true);
        assert_eq!(kind(link(HashMap::new()).await), ErrorKind::Unauthorized);
        assert_eq!(host.link_state(key, PROBE, None), None);
        assert!(matches!(soon(events.next()).await.unwrap().kind, EventKind::LinkRefused { .. }));
        assert_eq!(probe.seen(), []);

        // A change that it refuses leaves what was in effect.
        close(false);
        link(HashMap::new()).await.unwrap();
        close(true);
        assert_eq!(kind(link(crate::support::values(&[("a", "b")])).await), ErrorKind::Unauthorized);
        assert_eq!(host.link_state(key, PROBE, None), Some(LinkState::Established));
        assert_eq!(host.link_definitions().await.unwrap()[0].values, HashMap::new());
        let echo = host_call("", PROBE, "Echo", b"x");
        assert_eq!(host_answer(&host.call_actor(key, "Any", &echo).await.unwrap()).unwrap(), b"x");

        // It is asked again when the link is established anew.
        host.stop_actor(key).await.unwrap();
        host.start_actor(signing.actor()).await.unwrap();
        assert!(matches!(host.link_state(key, PROBE, None), Some(LinkState::Refused(_))));
        let reply = host.call_actor(key, "Any", &echo).await.unwrap();
        assert!(host_answer(&reply).unwrap_err().contains("does not allow"));
    })
    .await;
}

#[actix_rt::test]
async fn it_decides_what_is_loaded() {
    let judge = Judge::default();
    let builder = HostBuilder::new()
        .with_shards(1)
        .with_call_deadline(Duration::from_millis(300))
        .enable_live_updates()
        .with_authorizer(judge);
    with_host_of(builder, async |host| {
        let named = |name: &str| {
            sign("tiny_echo").claims(|claims| claims.metadata.as_mut().unwrap().name = Some(name.to_owned()))
        };
        let provided = |vendor: &str| {
            let mut claims = crate::support::provider_claims(PROBE);
            claims.metadata.as_mut().unwrap().vendor = vendor.to_owned();
            wasmcloud_host::NativeCapability::from_async(Probe::default(), None, claims).unwrap()
        };
        for (name, refused, text) in REFUSALS {
            let actor = soon(host.start_actor(named(name).actor())).await.unwrap_err();
            let provider = soon(host.start_native_capability(provided(name))).await.unwrap_err();
            for error in [actor, provider] {
                assert_eq!(error.kind(), refused, "{name}");
                assert!(error.to_string().contains(text), "{error}");
            }
        }
        let inventory = host.inventory().unwrap();
        assert!(inventory.actors.is_empty() && inventory.providers.is_empty());
        for name in ["Later", "Any"] {
            host.start_actor(named(name).actor()).await.unwrap();
            host.start_native_capability(provided(name)).await.unwrap();
        }
        let mut update = named("Any");
        host.start_actor(update.actor()).await.unwrap();
        update = update.revision(2).claims(|claims| claims.metadata.as_mut().unwrap().name = Some("Refuse".into()));
        let refused = host.update_actor(&update.claims.subject, None, &update.bytes()).await;
        assert_eq!(kind(refused), ErrorKind::Unauthorized);
    })
    .await;
}
