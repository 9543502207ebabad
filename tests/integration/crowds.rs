//! Large numbers of actors, and the share of the process that each may use: addresses, mappings, stack.

use std::collections::HashMap;

use std::time::Duration;

use futures_util::future::{join, join_all};
use wasmcloud_host::{Actor, ActorOptions, ErrorKind, Host, HostBuilder, Limits, RestartPolicy};

use crate::signing::{sign, sign_module};
use crate::support::{PROBE, Probe, host_call, in_own_process, kind, soon, with_host, with_host_of};

const MIB: u64 = 1024 * 1024;

/// Limits under which memories are compact.
fn small() -> Limits {
    Limits::new().memory_bytes(32 * MIB)
}

async fn start(host: &Host, actor: Actor, limits: Limits) -> wasmcloud_host::Result<String> {
    let key = actor.public_key();
    host.start_actor_with(actor, ActorOptions::new().limits(limits)).await?;
    Ok(key)
}

/// A guest that takes numbers of 32 bits, which its function `$serve` finds at address 16, and answers with one.
fn guest_of_numbers(parts: &str) -> Actor {
    let module = format!(
        r#"(module
            (import "wapc" "__guest_request" (func $request (param i32 i32)))
            (import "wapc" "__guest_response" (func $response (param i32 i32)))
            (import "wapc" "__host_error_len" (func $host (result i32)))
            (memory (export "memory") 1)
            (func (export "__guest_call") (param i32 i32) (result i32)
                (call $request (i32.const 0) (i32.const 16))
                (i32.store (i32.const 0) (call $serve))
                (call $response (i32.const 0) (i32.const 4))
                (i32.const 1))
            {parts})"#
    );
    sign_module("numbers", wat::parse_str(module).unwrap()).actor()
}

async fn ask(host: &Host, key: &str, numbers: &[i32]) -> wasmcloud_host::Result<i32> {
    let message: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let answer = host.call_actor(key, "Ask", &message).await?;
    Ok(i32::from_le_bytes(answer.try_into().unwrap()))
}

#[actix_rt::test]
async fn a_memory_grows_in_place_up_to_its_limit_and_every_access_beyond_its_size_traps() {
    const GROW: i32 = 0;
    const LOAD: i32 = 1;
    const STORE: i32 = 2;
    const PAGE: i32 = 65_536;
    let memory = || {
        guest_of_numbers(
            "(func $serve (result i32)
                (if (i32.eqz (i32.load (i32.const 16)))
                    (then (return (memory.grow (i32.load (i32.const 20))))))
                (if (i32.eq (i32.load (i32.const 16)) (i32.const 2))
                    (then (i32.store (i32.load (i32.const 20)) (i32.load (i32.const 24)))))
                (i32.load (i32.load (i32.const 20))))",
        )
    };
    with_host(async |host| {
        for limit in [10 * 65_536, 256 * MIB] {
            let key = start(&host, memory(), Limits::new().memory_bytes(limit)).await.unwrap();
            let most = (limit / 65_536) as i32;
            assert_eq!(ask(&host, &key, &[STORE, PAGE - 4, 77]).await.unwrap(), 77);
            assert_eq!(ask(&host, &key, &[GROW, 5]).await.unwrap(), 1);
            assert_eq!(ask(&host, &key, &[LOAD, PAGE - 4]).await.unwrap(), 77);
            assert_eq!(ask(&host, &key, &[LOAD, 6 * PAGE - 4]).await.unwrap(), 0);
            assert_eq!(ask(&host, &key, &[GROW, most - 5]).await.unwrap(), -1);
            assert_eq!(ask(&host, &key, &[GROW, most - 6]).await.unwrap(), 6);
            assert_eq!(ask(&host, &key, &[GROW, 1]).await.unwrap(), -1);
            assert_eq!(ask(&host, &key, &[STORE, most * PAGE - 4, 99]).await.unwrap(), 99);
            assert_eq!(ask(&host, &key, &[LOAD, PAGE - 4]).await.unwrap(), 77);
            // Each trap costs the instance: the next one begins with a page, cleared.
            for beyond in [PAGE - 3, PAGE, 2 * PAGE, most * PAGE - 4, i32::MAX, -4, -1] {
                let kinds = [ask(&host, &key, &[LOAD, most * PAGE]).await, ask(&host, &key, &[LOAD, beyond]).await];
                assert!(kinds.map(kind).iter().all(|kind| *kind == ErrorKind::ActorTrapped), "{beyond}");
                assert_eq!(ask(&host, &key, &[LOAD, PAGE - 4]).await.unwrap(), 0);
            }
        }
    })
    .await;
}

/// A host of actors that are ended time after time, and are to be back at once.
fn resilient() -> HostBuilder {
    let policy = RestartPolicy::new().in_a_row(u32::MAX).delays(Duration::ZERO, Duration::ZERO);
    HostBuilder::new().with_shards(1).with_restart_policy(policy)
}

// A stack that another test has given back to the engine may be larger.
#[test]
fn a_guest_that_calls_too_deeply_is_ended_and_bystanders_answer() {
    in_own_process("crowds::a_guest_that_calls_too_deeply_is_ended_and_bystanders_answer", call_too_deeply);
}

async fn call_too_deeply() {
    // Dives to a depth, calling the host at each step once it has passed another one: so the stack ends at ever
    // different places, also where the host is about to be entered.
    let diver = || {
        guest_of_numbers(
            "(func $dive (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0))
                    (then (i32.const 0))
                    (else (i32.add (i32.const 1) (call $dive (i32.sub (local.get 0) (i32.const 1)))))))
            (func $dive_and_call (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0))
                    (then (call $dive_to_call (i32.const 1000000)))
                    (else (i32.add (i32.const 1) (call $dive_and_call (i32.sub (local.get 0) (i32.const 1)))))))
            (func $dive_to_call (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0))
                    (then (i32.const 0))
                    (else (i32.add (call $host) (call $dive_to_call (i32.sub (local.get 0) (i32.const 1)))))))
            (func $serve (result i32)
                (if (i32.load (i32.const 20)) (then (return (call $dive_and_call (i32.load (i32.const 16))))))
                (call $dive (i32.load (i32.const 16))))",
        )
    };
    with_host_of(resilient(), async |host| {
        let bystander = start(&host, sign("tiny_echo").actor(), small()).await.unwrap();
        let shallow = start(&host, diver(), Limits::new().stack_bytes(64 * 1024)).await.unwrap();
        let deep = start(&host, diver(), Limits::new().stack_bytes(16 * 1024 * 1024)).await.unwrap();
        assert_eq!(ask(&host, &shallow, &[100, 0]).await.unwrap(), 100);
        assert_eq!(ask(&host, &deep, &[50_000, 0]).await.unwrap(), 50_000);
        let ended = ask(&host, &shallow, &[50_000, 0]).await.unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::StackExhausted);
        assert!(ended.to_string().contains("stack of 65536 bytes"), "{ended}");
        for depth in 0..128 {
            // It is entered already, and another one after it.
            for key in [&shallow, &deep] {
                assert_eq!(ask(&host, key, &[1, 0]).await.unwrap(), 1);
            }
            let numbers = [depth, 1];
            let ended = ask(&host, &shallow, &numbers);
            let (ended, answer) = join(ended, host.call_actor(&bystander, "Echo", b"beside")).await;
            assert_eq!(kind(ended), ErrorKind::StackExhausted, "{depth}");
            assert_eq!(answer.unwrap(), b"beside");
        }
        assert_eq!(ask(&host, &shallow, &[100, 0]).await.unwrap(), 100);
    })
    .await;
}

/// Dives to a depth, and there does what a number says: most of it is carried out by code that is not the guest's.
fn diver_to_the_host() -> Actor {
    let operations = [
        "",
        "(drop (call $host))",
        "(drop (call_indirect (result i32) (i32.const 0)))",
        "(drop (memory.grow (i32.const 0)))",
        "(drop (memory.size))",
        "(memory.fill (i32.const 64) (i32.const 7) (i32.const 64))",
        "(memory.copy (i32.const 64) (i32.const 80) (i32.const 64))",
        "(memory.init $data (i32.const 64) (i32.const 0) (i32.const 4))",
        "(data.drop $data)",
        "(drop (ref.is_null (table.get $table (i32.const 0))))",
        "(table.set $table (i32.const 1) (ref.func $dive))",
        "(drop (table.grow $table (ref.null func) (i32.const 1)))",
        "(drop (table.size $table))",
        "(table.fill $table (i32.const 1) (ref.null func) (i32.const 1))",
        "(table.copy $table $table (i32.const 1) (i32.const 0) (i32.const 1))",
        "(table.init $table $elements (i32.const 1) (i32.const 0) (i32.const 1))",
        "(elem.drop $elements)",
        "(unreachable)",
        "(memory.fill (i32.const 65536) (i32.const 7) (i32.const 64))",
        "(drop (ref.is_null (table.get $table (i32.const 1000000))))",
        "(table.copy $table $table (i32.const 1) (i32.const 1000000) (i32.const 1))",
        // As long as it takes for a yield.
        "(local.set $turns (i32.const 400000)) (loop $turn
            (br_if $turn (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))",
    ];
    assert_eq!(operations.len() as i32, OPERATIONS);
    let cases: Vec<String> = operations
        .iter()
        .enumerate()
        .map(|(number, operation)| {
            format!("(if (i32.eq (i32.load (i32.const 20)) (i32.const {number})) (then {operation}))")
        })
        .collect();
    guest_of_numbers(&format!(
        r#"(table $table 2 10000 funcref)
        (elem (i32.const 0) $host)
        (elem $elements func $dive)
        (data $data "data")
        (func $dive (param i32) (result i32) (local $turns i32)
            (if (i32.eqz (local.get 0)) (then {} (return (i32.const 0))))
            (i32.add (i32.const 1) (call $dive (i32.sub (local.get 0) (i32.const 1)))))
        (func $serve (result i32) (call $dive (i32.load (i32.const 16))))"#,
        cases.join("\n")
    ))
}

/// How many operations [`diver_to_the_host`] knows. The first is none.
const OPERATIONS: i32 = 22;

/// Those that trap.
const TRAPPING: std::ops::RangeInclusive<i32> = 17..=20;

/// The least depth at which there is no stack left for an operation.
async fn too_deep(host: &Host, key: &str, operation: i32) -> i32 {
    let (mut fits, mut fails) = (0, 10_000);
    while fails - fits > 1 {
        let depth = (fits + fails) / 2;
        match ask(host, key, &[depth, operation]).await {
            Ok(answer) => {
                assert_eq!(answer, depth);
                fits = depth;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StackExhausted, "{operation}");
                fails = depth;
            }
        }
    }
    fails
}

// A stack that another test has given back to the engine may be larger.
#[test]
fn a_guest_overflows_its_stack_before_it_enters_the_host_at_any_depth() {
    in_own_process(
        "crowds::a_guest_overflows_its_stack_before_it_enters_the_host_at_any_depth",
        overflow_before_the_host,
    );
}

async fn overflow_before_the_host() {
    const STACK: i32 = 64 * 1024;
    with_host_of(resilient(), async |host| {
        let with_stack = async |bytes: i32| {
            start(&host, diver_to_the_host(), Limits::new().stack_bytes(bytes as usize)).await.unwrap()
        };
        let key = with_stack(STACK).await;
        let (deepest, calls) = (too_deep(&host, &key, 0).await, too_deep(&host, &key, 1).await);
        // A guest that dives asks the host for fuel on its way, for which there has to be the same room.
        assert!(deepest >= calls, "{deepest} calls deep, {calls} before a call of the host");
        for operation in 1..OPERATIONS {
            let enough = (calls - 10..calls - 2).map(|depth| (depth, None));
            // From where there is too little for the host's code to where there is too little for the guest's.
            let too_little = (calls + 2..deepest + 5).map(|depth| (depth, Some(ErrorKind::StackExhausted)));
            for (depth, error) in enough.chain(too_little) {
                let outcome = ask(&host, &key, &[depth, operation]).await;
                let trapped = TRAPPING.contains(&operation).then_some(ErrorKind::ActorTrapped);
                assert_eq!(outcome.err().map(|error| error.kind()), error.or(trapped), "{operation} at {depth}");
            }
        }
        // What a dive of one call takes is the same on any stack; what is left of it is the room for the host. A larger stack
        // comes last: it may be used again for an actor with a smaller one.
        let more = too_deep(&host, &with_stack(2 * STACK).await, 1).await;
        let headroom = STACK - calls * STACK / (more - calls);
        assert!((7 * 1024..12 * 1024).contains(&headroom), "{headroom} bytes");
    })
    .await;
}

#[actix_rt::test]
async fn a_memory_of_no_pages_cannot_be_accessed() {
    let module = r#"(module
        (memory (export "memory") 0)
        (func (export "__guest_call") (param i32 i32) (result i32)
            (i32.store (i32.const 1000000) (i32.const 1))
            (i32.const 1)))"#;
    with_host(async |host| {
        for limits in [small(), Limits::new().memory_bytes(256 * MIB)] {
            let actor = sign_module("empty", wat::parse_str(module).unwrap()).actor();
            match start(&host, actor, limits).await {
                Ok(key) => assert_eq!(kind(host.call_actor(&key, "Any", b"").await), ErrorKind::ActorTrapped),
                Err(refusal) => {
                    assert_eq!(refusal.kind(), ErrorKind::InvalidModule);
                    assert!(refusal.to_string().contains("no pages"), "{refusal}");
                }
            }
        }
    })
    .await;
}

#[actix_rt::test]
async fn a_start_for_which_there_is_no_room_is_refused_until_another_actor_stops() {
    const MAPPINGS: usize = 30;
    let builder = HostBuilder::new().with_limits(small().mappings(MAPPINGS));
    with_host_of(builder, async |host| {
        let mut keys = Vec::new();
        let refusal = loop {
            match start(&host, sign("tiny_echo").actor(), small()).await {
                Ok(key) => keys.push(key),
                Err(refusal) => break refusal,
            }
            assert!(keys.len() < MAPPINGS, "they are bounded");
        };
        assert_eq!(refusal.kind(), ErrorKind::Busy);
        assert!(refusal.to_string().contains("may hold 30 mappings"), "{refusal}");
        assert!(keys.len() > 10, "{}", keys.len());
        host.stop_actor(&keys[0]).await.unwrap();
        keys[0] = soon(async {
            loop {
                // The actor has stopped, and its memory is given back a moment later.
                match start(&host, sign("tiny_echo").actor(), small()).await {
                    Ok(key) => break key,
                    Err(refusal) => assert_eq!(refusal.kind(), ErrorKind::Busy),
                }
            }
        })
        .await;
        assert_eq!(kind(start(&host, sign("tiny_echo").actor(), small()).await), ErrorKind::Busy);
    })
    .await;
}

#[actix_rt::test]
async fn guests_at_work_have_stacks_or_are_busy_and_idle_ones_make_room() {
    const ACTORS: usize = 20;
    const AT_WORK: usize = 5;
    // The code, the memories, and the stacks.
    let mappings = 8 + ACTORS + 4 * AT_WORK;
    let builder = HostBuilder::new().with_shards(1).with_limits(small().mappings(mappings));
    with_host_of(builder, async |host| {
        let probe = Probe::default();
        let capability = probe.capability();
        let provider = capability.id();
        host.start_native_capability(capability).await.unwrap();
        let mut keys = Vec::new();
        for _ in 0..ACTORS {
            let key = start(&host, sign("host_call").capability(PROBE).actor(), small()).await.unwrap();
            host.set_link(&key, PROBE, None, provider.clone(), HashMap::new()).await.unwrap();
            keys.push(key);
        }
        let waits = host_call("", PROBE, "Wait", b"");
        let refusals = std::cell::Cell::new(0);
        let all = join_all(keys.iter().map(|key| async {
            let answer = host.call_actor(key, "Any", &waits).await;
            refusals.set(refusals.get() + usize::from(answer.is_err()));
            answer
        }));
        let release = async {
            // They are entered in turn, and a guest that is entered after the release finds room.
            crate::support::until(async || refusals.get() == ACTORS - AT_WORK).await;
            assert_eq!(probe.calls().len(), AT_WORK);
            probe.release.add_permits(AT_WORK);
        };
        let (answers, ()) = soon(join(all, release)).await;
        let (answered, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.is_ok());
        assert_eq!((answered.len(), refused.len()), (AT_WORK, ACTORS - AT_WORK));
        for refusal in refused.into_iter().map(|refusal| refusal.unwrap_err()) {
            assert_eq!(refusal.kind(), ErrorKind::Busy);
            assert!(refusal.to_string().contains("no room for its stacks"), "{refusal}");
        }
        let echoes = host_call("", PROBE, "Echo", b"x");
        for key in &keys {
            host.call_actor(key, "Any", &echoes).await.unwrap();
        }
    })
    .await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_crowd_holds_no_more_of_the_process_than_it_may() {
    in_own_process("crowds::a_crowd_holds_no_more_of_the_process_than_it_may", crowd);
}

#[cfg(target_os = "linux")]
async fn crowd() {
    const ACTORS: usize = 400;
    const MAPPINGS: usize = 8 + ACTORS + 100;
    fn mappings() -> usize {
        std::fs::read_to_string("/proc/self/maps").unwrap().lines().count()
    }
    let builder = HostBuilder::new().with_limits(small().mappings(MAPPINGS));
    with_host_of(builder, async |host| {
        let before = mappings();
        let mut keys = Vec::new();
        for _ in 0..ACTORS {
            keys.push(start(&host, sign("tiny_echo").actor(), small()).await.unwrap());
        }
        for _ in 0..3 {
            let answers = join_all(keys.iter().map(|key| host.call_actor(key, "Echo", b"all at once"))).await;
            assert!(mappings() < before + MAPPINGS);
            assert_eq!(answers.len(), ACTORS);
            for answer in answers {
                assert_eq!(answer.unwrap(), b"all at once");
            }
        }
    })
    .await;
}

#[actix_rt::test]
async fn guests_may_trap_while_others_are_entered_in_any_order() {
    with_host_of(HostBuilder::new().with_shards(1), async |host| {
        for operation in ["Trap", "DivideByZero", "OutOfBounds", "Recurse"] {
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let mut keys = Vec::new();
                for _ in 0..3 {
                    keys.push(start(&host, sign("trap").actor(), small()).await.unwrap());
                }
                // Each is entered, and stays so.
                for key in &keys {
                    assert_eq!(host.call_actor(key, "Echo", b"x").await.unwrap(), b"x");
                }
                for trapping in order {
                    assert!(host.call_actor(&keys[trapping], operation, b"").await.is_err());
                    for key in &keys {
                        assert_eq!(host.call_actor(key, "Echo", b"x").await.unwrap(), b"x");
                    }
                }
            }
        }
    })
    .await;
}
