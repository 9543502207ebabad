//! Middlewares: the calls that they see, their order, the permitted changes, and the cost of their faults.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use wasmcloud_host::{
    ActorOptions, BoxedError, ErrorKind, Host, HostBuilder, Invocation, InvocationResponse, Limits, Middleware,
    WasmCloudEntity,
};

use crate::signing::{Signing, sign};
use crate::support::{
    PROBE, Probe, host_answer, host_call, kind, probed_caller, provider_claims, soon, until, with_host_of,
};

/// What a middleware has been shown, from one side.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    /// The name of the middleware, and of the method without the word that they share.
    place: String,
    origin: WasmCloudEntity,
    target: WasmCloudEntity,
    operation: String,
    payload: Result<Vec<u8>, ErrorKind>,
    number: u64,
}

type Notes = Arc<Mutex<Vec<Note>>>;

/// Notes down what it is shown, and changes nothing.
struct Recorder {
    name: &'static str,
    notes: Notes,
}

impl Recorder {
    fn before(&self, method: &str, invocation: &Invocation) -> Result<(), BoxedError> {
        let payload = Ok(invocation.message.clone());
        let (origin, target) = (invocation.origin().clone(), invocation.target().clone());
        let (operation, number) = (invocation.operation.clone(), invocation.number());
        let place = format!("{} {method}", self.name);
        self.notes.lock().unwrap().push(Note { place, origin, target, operation, payload, number });
        Ok(())
    }

    fn after(&self, method: &str, response: &InvocationResponse) -> Result<(), BoxedError> {
        let payload = response.answer.as_ref().map(Vec::clone).map_err(|error| error.kind());
        let (origin, target) = (response.origin().clone(), response.target().clone());
        let (operation, number) = (response.operation().to_owned(), response.number());
        let place = format!("{} {method}", self.name);
        self.notes.lock().unwrap().push(Note { place, origin, target, operation, payload, number });
        Ok(())
    }
}

impl Middleware for Recorder {
    fn actor_pre_invoke(&self, invocation: &mut Invocation) -> Result<(), BoxedError> {
        self.before("actor_pre", invocation)
    }

    fn actor_post_invoke(&self, response: &mut InvocationResponse) -> Result<(), BoxedError> {
        self.after("actor_post", response)
    }

    fn capability_pre_invoke(&self, invocation: &mut Invocation) -> Result<(), BoxedError> {
        self.before("capability_pre", invocation)
    }

    fn capability_post_invoke(&self, response: &mut InvocationResponse) -> Result<(), BoxedError> {
        self.after("capability_post", response)
    }
}

/// Does the same with all calls before they are sent.
struct Before<F>(F);

impl<F: Fn(&mut Invocation) -> Result<(), BoxedError> + Send + Sync> Middleware for Before<F> {
    fn actor_pre_invoke(&self, invocation: &mut Invocation) -> Result<(), BoxedError> {
        self.0(invocation)
    }

    fn capability_pre_invoke(&self, invocation: &mut Invocation) -> Result<(), BoxedError> {
        self.0(invocation)
    }
}

/// Does the same with all calls after they have ended.
struct After<F>(F);

impl<F: Fn(&mut InvocationResponse) -> Result<(), BoxedError> + Send + Sync> Middleware for After<F> {
    fn actor_post_invoke(&self, response: &mut InvocationResponse) -> Result<(), BoxedError> {
        self.0(response)
    }

    fn capability_post_invoke(&self, response: &mut InvocationResponse) -> Result<(), BoxedError> {
        self.0(response)
    }
}

fn builder() -> HostBuilder {
    HostBuilder::new().with_shards(2)
}

/// A builder with one middleware that notes down what it is shown.
fn recorded() -> (Notes, HostBuilder) {
    let notes = Notes::default();
    let recorder = Recorder { name: "the", notes: notes.clone() };
    (notes, builder().with_middleware(recorder))
}

/// Where a call was shown and with what, in order.
fn told(notes: &Notes) -> Vec<(String, Result<Vec<u8>, ErrorKind>)> {
    notes.lock().unwrap().iter().map(|note| (note.place.clone(), note.payload.clone())).collect()
}

/// Those that were told of a call, in order, and forgets them.
fn places(notes: &Notes) -> Vec<String> {
    notes.lock().unwrap().drain(..).map(|note| note.place).collect()
}

/// What came of the calls, the first that ended first.
fn outcomes(notes: &Notes) -> Vec<Result<Vec<u8>, ErrorKind>> {
    told(notes).into_iter().filter(|(place, _)| place.contains("_post")).map(|(_, payload)| payload).collect()
}

async fn start(host: &Host, signing: Signing) -> String {
    let actor = signing.actor();
    let key = actor.public_key();
    host.start_actor(actor).await.unwrap();
    key
}

/// Has the guest `host_call` call a namespace, and answers with what comes of that.
async fn relayed(host: &Host, caller: &str, namespace: &str, operation: &str) -> Result<Vec<u8>, String> {
    let payload = host_call("", namespace, operation, b"ping");
    host_answer(&soon(host.call_actor(caller, "Any", &payload)).await.unwrap())
}

#[actix_rt::test]
async fn calls_of_every_kind_are_shown_before_and_after_with_caller_and_target() {
    let (notes, builder) = recorded();
    with_host_of(builder, async |host| {
        let probe = Probe::default();
        let claims = provider_claims(PROBE);
        let provider = WasmCloudEntity::Capability {
            id: claims.subject.clone(),
            contract_id: PROBE.to_owned(),
            link_name: "backup".to_owned(),
        };
        let link = || Some("backup".to_owned());
        let capability = wasmcloud_host::NativeCapability::from_async(probe.clone(), link(), claims).unwrap();
        let id = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let caller = start(&host, sign("host_call").capability(PROBE)).await;
        let echo = start(&host, sign("echo").alias("echo")).await;
        host.set_link(&caller, PROBE, link(), id, HashMap::new()).await.unwrap();
        assert_eq!(*notes.lock().unwrap(), [], "starting and linking are no calls");

        let (to_provider, to_echo) =
            (host_call("backup", PROBE, "Echo", b"one"), host_call("", "echo", "Echo", b"two"));
        host.call_actor(&caller, "Any", &to_provider).await.unwrap();
        probe.dispatcher(&caller).dispatch(&caller, "Any", to_echo.clone()).await.unwrap();

        let (host, caller, echo) =
            (WasmCloudEntity::Host, WasmCloudEntity::Actor(caller), WasmCloudEntity::Actor(echo));
        let note = |place: &str, origin: &_, target: &_, operation: &str, payload: &[u8], number| Note {
            place: format!("the {place}"),
            origin: WasmCloudEntity::clone(origin),
            target: WasmCloudEntity::clone(target),
            operation: operation.to_owned(),
            payload: Ok(payload.to_vec()),
            number,
        };
        let expected = [
            note("actor_pre", &host, &caller, "Any", &to_provider, 0),
            note("capability_pre", &caller, &provider, "Echo", b"one", 1),
            note("capability_post", &caller, &provider, "Echo", b"one", 1),
            note("actor_post", &host, &caller, "Any", b"\x01one", 0),
            note("actor_pre", &provider, &caller, "Any", &to_echo, 2),
            note("actor_pre", &caller, &echo, "Echo", b"two", 3),
            note("actor_post", &caller, &echo, "Echo", b"two", 3),
            note("actor_post", &provider, &caller, "Any", b"\x01two", 2),
        ];
        assert_eq!(*notes.lock().unwrap(), expected);
    })
    .await;
}

#[actix_rt::test]
async fn of_several_middlewares_the_first_sees_calls_first_and_answers_last() {
    let notes = Notes::default();
    let recorder = |name| Recorder { name, notes: notes.clone() };
    let refuses_some = Before(|invocation: &mut Invocation| match invocation.operation.as_str() {
        "Refused" => Err("no".into()),
        _ => Ok(()),
    });
    let builder = builder()
        .with_middleware(recorder("first"))
        .with_middleware(recorder("second"))
        .with_middleware(refuses_some)
        .with_middleware(recorder("last"));
    with_host_of(builder, async |host| {
        let echo = start(&host, sign("tiny_echo")).await;
        host.call_actor(&echo, "Echo", b"").await.unwrap();
        let whole_way = ["first actor_pre", "second actor_pre", "last actor_pre"];
        let and_back = ["last actor_post", "second actor_post", "first actor_post"];
        assert_eq!(places(&notes), [whole_way, and_back].concat());

        assert_eq!(kind(host.call_actor(&echo, "Refused", b"").await), ErrorKind::MiddlewareRefused);
        assert_eq!(outcomes(&notes), [Err(ErrorKind::MiddlewareRefused), Err(ErrorKind::MiddlewareRefused)]);
        assert_eq!(places(&notes), ["first actor_pre", "second actor_pre", "second actor_post", "first actor_post"]);
    })
    .await;
}

#[actix_rt::test]
async fn operations_messages_and_answers_may_be_rewritten() {
    let rewrites = Before(|invocation: &mut Invocation| {
        if invocation.operation == "Old" {
            invocation.operation = "Echo".to_owned();
            invocation.message.extend_from_slice(b" rewritten");
        }
        Ok(())
    });
    let marks = After(|response: &mut InvocationResponse| {
        if response.operation() == "Echo" {
            response.answer.as_mut().unwrap().extend_from_slice(b" and back");
        }
        Ok(())
    });
    with_host_of(builder().with_middleware(rewrites).with_middleware(marks), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let echo = start(&host, sign("echo")).await;
        assert_eq!(host.call_actor(&echo, "Old", b"ping").await.unwrap(), b"ping rewritten and back");
        assert_eq!(relayed(&host, &caller, &echo, "Old").await.unwrap(), b"ping rewritten and back");
        assert_eq!(relayed(&host, &caller, PROBE, "Old").await.unwrap(), b"ping rewritten and back");
        assert_eq!(probe.calls(), ["Echo"]);
        let payload = host_call("", &echo, "Old", b"ping");
        let reply = probe.dispatcher(&caller).dispatch(&caller, "Any", payload).await.unwrap();
        assert_eq!(host_answer(&reply).unwrap(), b"ping rewritten and back");
    })
    .await;
}

#[actix_rt::test]
async fn what_has_become_too_large_is_refused_as_ever() {
    let swells = Before(|invocation: &mut Invocation| {
        if invocation.operation == "Swell" {
            invocation.message.resize(1001, 0);
        }
        Ok(())
    });
    let swells_answers = After(|response: &mut InvocationResponse| {
        if response.operation() == "Echo" {
            response.answer = Ok(vec![0; 1001]);
        }
        Ok(())
    });
    with_host_of(builder().with_middleware(swells).with_middleware(swells_answers), async |host| {
        let options = || ActorOptions::new().limits(Limits::new().message_bytes(1000));
        let (caller, echo) = (sign("host_call").actor(), sign("tiny_echo").actor());
        let (caller_key, echo_key) = (caller.public_key(), echo.public_key());
        host.start_actor_with(caller, options()).await.unwrap();
        host.start_actor_with(echo, options()).await.unwrap();
        assert_eq!(kind(host.call_actor(&echo_key, "Swell", b"").await), ErrorKind::MessageTooLarge);
        let refusal = relayed(&host, &caller_key, &echo_key, "Echo").await.unwrap_err();
        assert!(refusal.contains("1001 bytes, and 1000 are allowed"), "{refusal}");
        assert_eq!(relayed(&host, &caller_key, &echo_key, "Any").await.unwrap(), b"ping");
    })
    .await;
}

#[actix_rt::test]
async fn a_refused_call_never_reaches_its_target() {
    let refuses = Before(|invocation: &mut Invocation| {
        let (origin, operation) = (invocation.origin(), &invocation.operation);
        if operation == "Wipe" { Err(format!("{origin} may not {operation}").into()) } else { Ok(()) }
    });
    with_host_of(builder().with_middleware(refuses), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let to_probe = host_call("", PROBE, "Echo", b"");
        let refused = host.call_actor(&caller, "Wipe", &to_probe).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::MiddlewareRefused);
        let text = refused.to_string();
        assert!(text.contains(&caller) && text.ends_with(": the host may not Wipe"), "{text}");
        let refused = probe.dispatcher(&caller).dispatch(&caller, "Wipe", to_probe).await;
        assert_eq!(kind(refused), ErrorKind::MiddlewareRefused);
        let refusal = relayed(&host, &caller, PROBE, "Wipe").await.unwrap_err();
        assert!(refusal.ends_with(&format!(": actor {caller} may not Wipe")), "{refusal}");
        assert_eq!(probe.calls(), [""; 0]);
        assert_eq!(relayed(&host, &caller, PROBE, "Echo").await.unwrap(), b"ping");
    })
    .await;
}

#[actix_rt::test]
async fn an_answer_may_be_withheld_and_a_failure_answered() {
    let judges = After(|response: &mut InvocationResponse| {
        match (response.operation(), &response.answer) {
            ("Echo", Ok(secret)) if secret == b"secret" => return Err("it is secret".into()),
            ("Fail" | "Nope", Err(_)) => response.answer = Ok(b"instead".to_vec()),
            _ => (),
        }
        Ok(())
    });
    with_host_of(builder().with_middleware(judges), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let echo = start(&host, sign("echo")).await;
        let withheld = host.call_actor(&echo, "Echo", b"secret").await.unwrap_err();
        assert_eq!(withheld.kind(), ErrorKind::MiddlewareRefused);
        assert!(withheld.to_string().ends_with(": it is secret"), "{withheld}");
        let secret = host_call("", PROBE, "Echo", b"secret");
        let reply = host.call_actor(&caller, "Any", &secret).await.unwrap();
        assert!(host_answer(&reply).unwrap_err().ends_with(": it is secret"));
        assert_eq!(host.call_actor(&echo, "Echo", b"known").await.unwrap(), b"known");

        assert_eq!(host.call_actor(&echo, "Nope", b"").await.unwrap(), b"instead");
        assert_eq!(relayed(&host, &caller, PROBE, "Fail").await.unwrap(), b"instead");
        assert_eq!(probe.calls(), ["Echo", "Fail"]);
    })
    .await;
}

#[actix_rt::test]
async fn a_panic_in_a_middleware_fails_that_call_only() {
    let panics_before = Before(|invocation: &mut Invocation| {
        assert_ne!(invocation.operation, "Before", "deliberate panic before");
        Ok(())
    });
    let panics_after = After(|response: &mut InvocationResponse| {
        assert_ne!(response.operation(), "After", "deliberate panic after");
        Ok(())
    });
    let (notes, builder) = recorded();
    with_host_of(builder.with_middleware(panics_before).with_middleware(panics_after), async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let echo = start(&host, sign("tiny_echo")).await;
        for _ in 0..10 {
            for (operation, text) in [("Before", "deliberate panic before"), ("After", "deliberate panic after")] {
                let panicked = host.call_actor(&echo, operation, b"").await.unwrap_err();
                assert_eq!(panicked.kind(), ErrorKind::MiddlewarePanicked);
                assert!(panicked.to_string().contains(text), "{panicked}");
                let panicked = probe.dispatcher(&caller).dispatch(&caller, operation, host_call("", "", "", b"")).await;
                assert_eq!(kind(panicked), ErrorKind::MiddlewarePanicked);
                for target in [&echo, PROBE] {
                    let panicked = relayed(&host, &caller, target, operation).await.unwrap_err();
                    assert!(panicked.contains(text), "{panicked}");
                }
            }
            assert_eq!(relayed(&host, &caller, &echo, "Echo").await.unwrap(), b"ping");
            assert_eq!(relayed(&host, &caller, PROBE, "Echo").await.unwrap(), b"ping");
        }
        let panics = outcomes(&notes).into_iter().filter(|outcome| *outcome == Err(ErrorKind::MiddlewarePanicked));
        assert_eq!(panics.count(), 10 * 2 * 4, "the middleware further out is told of each");
        // The provider was never asked `Before`, and could not answer `After`.
        assert_eq!(probe.calls(), ["After", "Echo"].repeat(10));
    })
    .await;
}

#[actix_rt::test]
async fn failures_are_shown_too_and_calls_that_are_not_allowed_are_not() {
    let (notes, builder) = recorded();
    with_host_of(builder, async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let echo = start(&host, sign("echo")).await;
        let trap = start(&host, sign("trap")).await;
        host.call_actor(&echo, "Nope", b"").await.unwrap_err();
        host.call_actor(&trap, "Trap", b"").await.unwrap_err();
        assert_eq!(outcomes(&notes), [Err(ErrorKind::UnknownOperation), Err(ErrorKind::ActorTrapped)]);
        notes.lock().unwrap().clear();
        for (target, operation, outcome) in [
            (PROBE, "Fail", ErrorKind::ProviderFailed),
            (PROBE, "Panic", ErrorKind::ProviderPanicked),
            (&caller, "Any", ErrorKind::CallCycle),
        ] {
            relayed(&host, &caller, target, operation).await.unwrap_err();
            assert_eq!(outcomes(&notes)[0], Err(outcome), "{operation}");
            notes.lock().unwrap().clear();
        }

        let stranger = sign("tiny_echo").actor().public_key();
        assert_eq!(kind(host.call_actor(&stranger, "Echo", b"").await), ErrorKind::ActorNotFound);
        assert_eq!(kind(probe.dispatcher(&caller).dispatch(&echo, "Echo", vec![]).await), ErrorKind::NotLinked);
        assert_eq!(places(&notes), [""; 0]);
        relayed(&host, &caller, "test:unknown", "Echo").await.unwrap_err();
        assert_eq!(places(&notes), ["the actor_pre", "the actor_post"], "only the call to the caller is shown");
    })
    .await;
}

/// How often each call has been shown before and after.
fn sides(notes: &Notes) -> BTreeMap<u64, (usize, usize)> {
    let mut sides = BTreeMap::<u64, (usize, usize)>::new();
    for note in notes.lock().unwrap().iter() {
        let (before, after) = sides.entry(note.number).or_default();
        *(if note.place.contains("_pre") { before } else { after }) += 1;
    }
    sides
}

#[actix_rt::test]
async fn a_caller_that_gives_up_is_shown_as_the_end_of_its_call() {
    let (notes, builder) = recorded();
    with_host_of(builder, async |host| {
        let (probe, caller) = probed_caller(&host).await;
        let waits = host_call("", PROBE, "Wait", b"");
        {
            let call = std::pin::pin!(host.call_actor(&caller, "Any", &waits));
            let arrived = std::pin::pin!(probe.arrived.notified());
            soon(futures_util::future::select(call, arrived)).await;
            assert_eq!(outcomes(&notes), []);
        }
        assert_eq!(outcomes(&notes), [Err(ErrorKind::CallerGone)]);
        probe.release.add_permits(1);
        until(async || outcomes(&notes).len() == 2).await;
        assert_eq!(sides(&notes), [(0, (1, 1)), (1, (1, 1))].into());
    })
    .await;
}

#[actix_rt::test]
async fn each_call_of_many_is_shown_once_before_and_once_after() {
    let (notes, builder) = recorded();
    with_host_of(builder.with_call_deadline(Duration::from_millis(500)), async |host| {
        let (_probe, caller) = probed_caller(&host).await;
        let echo = start(&host, sign("tiny_echo")).await;
        soon(join_all((0..200).map(|_| host.call_actor(&echo, "Echo", b"")))).await;
        // Out of time while the guest waits: its call ends with it.
        let waits = host_call("", PROBE, "Wait", b"");
        let _ = soon(host.call_actor(&caller, "Any", &waits)).await;
        until(async || sides(&notes).len() == 202 && sides(&notes).values().all(|sides| *sides == (1, 1))).await;
        let ends = outcomes(&notes);
        let last = ends.iter().rev().take(2).find_map(|end| end.as_ref().err()).unwrap();
        assert!(matches!(last, ErrorKind::DeadlineExceeded | ErrorKind::CallerGone), "{last:?}");
    })
    .await;
}
