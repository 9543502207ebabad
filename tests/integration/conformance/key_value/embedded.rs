//! What is true of the embedded store alone, and its bad days.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition, TableError};
use serde_json::json;
use wasmcloud_host::ErrorKind;
use wasmcloud_host::builtin::KeyValue;

use super::super::crash::{acknowledge, acknowledged_before_the_kill, to_be_killed};
use super::super::disks::{on_a_disk_that_can_be_stalled, on_a_full_disk};
use super::super::kit::{Backend, Caller, Tenant, with_provider};
use super::super::server_failures;
use super::{CONTRACT, Embedded, ask};
use crate::support::{in_own_process, keep_log, kind, logged, soon, values};

/// How many keys a store that is not open holds.
fn keys_in(path: &str) -> u64 {
    let database = Database::open(path).unwrap();
    let keys: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("keys");
    match database.begin_read().unwrap().open_table(keys) {
        Ok(keys) => keys.len().unwrap(),
        Err(TableError::TableDoesNotExist(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

async fn set(caller: &Caller, key: &str, value: &str) -> Result<(), String> {
    ask(caller, "Set", json!({"key": key, "value": value, "expires": 0})).await.map(drop)
}

async fn get(caller: &Caller, key: &str) -> Option<String> {
    let answer = ask(caller, "Get", json!({"key": key})).await.unwrap();
    (answer["exists"] == true).then(|| answer["value"].as_str().unwrap().to_owned())
}

#[actix_rt::test]
async fn links_with_one_file_share_it_until_the_last_is_gone() {
    let embedded = Embedded::new();
    let path = embedded.path("shared.redb");
    let same = embedded.path(&format!("../{}/shared.redb", embedded.folder.path().file_name().unwrap().display()));
    with_provider(&embedded, async |host, provider| {
        let mut callers = Vec::new();
        for (path, prefix) in
            [(&path, ""), (&same, ""), (&path, "a"), (&same, "ab"), (&path, "{actor}"), (&same, "{actor}")]
        {
            let caller = Caller::start(&host, CONTRACT, 1).await;
            caller.link(&provider, values(&[("PATH", path), ("PREFIX", prefix)])).await.unwrap();
            callers.push(caller);
        }
        for (number, caller) in callers.iter().enumerate().skip(1) {
            set(caller, "b:k", &number.to_string()).await.unwrap();
        }
        let mut seen = Vec::new();
        for caller in &callers {
            seen.push(get(caller, "b:k").await.unwrap());
        }
        assert_eq!(seen, ["1", "1", "2", "3", "4", "5"]);
        assert_eq!(get(&callers[0], "a:b:k").await.unwrap(), "2", "a link without a prefix sees all");
        for caller in &callers {
            assert!(Database::open(&path).is_err(), "the file is not locked");
            caller.unlink().await;
        }
        assert_eq!(keys_in(&path), 5);
    })
    .await;
}

#[actix_rt::test]
async fn a_file_that_is_open_elsewhere_has_the_link_refused() {
    let embedded = Embedded::new();
    with_provider(&embedded, async |host, provider| {
        let second = KeyValue::new(Some("second".to_owned())).capability().unwrap();
        let second_id = second.id();
        host.start_native_capability(second).await.unwrap();
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        let link = || {
            let name = Some("second".to_owned());
            host.set_link(&caller.key, CONTRACT, name, second_id.clone(), embedded.values(Tenant::A))
        };
        let refusal = link().await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
        assert!(refusal.to_string().contains("another provider has it open"), "{refusal}");
        caller.unlink().await;
        link().await.unwrap();
    })
    .await;
}

#[actix_rt::test]
async fn links_of_one_file_that_come_and_go_at_once_never_lose_it() {
    let embedded = Embedded::new();
    with_provider(&embedded, async |host, provider| {
        let mut callers = Vec::new();
        for _ in 0..6 {
            callers.push(Caller::start(&host, CONTRACT, 1).await);
        }
        let rounds = callers.iter().map(async |caller| {
            for _ in 0..10 {
                caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
                ask(caller, "Add", json!({"key": "n", "value": 1})).await.unwrap();
                caller.unlink().await;
            }
        });
        join_all(rounds).await;
        callers[0].link(&provider, embedded.values(Tenant::A)).await.unwrap();
        assert_eq!(get(&callers[0], "n").await.unwrap(), "60");
    })
    .await;
}

#[actix_rt::test]
async fn what_is_in_memory_is_gone_with_its_last_link() {
    let embedded = Embedded::new();
    with_provider(&embedded, async |host, provider| {
        let (one, other) = (Caller::start(&host, CONTRACT, 1).await, Caller::start(&host, CONTRACT, 1).await);
        let memory = || values(&[("PATH", ":memory:")]);
        one.link(&provider, memory()).await.unwrap();
        set(&one, "a", "1").await.unwrap();
        other.link(&provider, memory()).await.unwrap();
        one.unlink().await;
        assert_eq!(get(&other, "a").await.as_deref(), Some("1"));
        other.unlink().await;
        other.link(&provider, memory()).await.unwrap();
        assert_eq!(get(&other, "a").await, None);
    })
    .await;
}

#[actix_rt::test]
async fn additions_from_many_actors_at_once_are_all_there() {
    let embedded = Embedded::new();
    with_provider(&embedded, async |host, provider| {
        let mut callers = Vec::new();
        for _ in 0..8 {
            let caller = Caller::start(&host, CONTRACT, 4).await;
            caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
            callers.push(caller);
        }
        let adds = (0..400).map(async |number: usize| {
            let answer = ask(&callers[number % 8], "Add", json!({"key": "n", "value": 1})).await.unwrap();
            answer["value"].as_i64().unwrap()
        });
        let sums: BTreeSet<i64> = join_all(adds).await.into_iter().collect();
        assert_eq!(sums, (1..=400).collect());
    })
    .await;
}

#[actix_rt::test]
async fn expired_keys_are_removed_without_being_asked_for_and_others_survive_a_restart() {
    let embedded = Embedded::new();
    let path = embedded.path("A.redb");
    with_provider(&embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 8).await;
        caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        // More than are removed in one go.
        join_all((0..600).map(async |number| {
            let expiring = json!({"key": format!("short {number}"), "value": "x", "expires": 1});
            ask(&caller, "Set", expiring).await.unwrap();
        }))
        .await;
        ask(&caller, "Set", json!({"key": "long", "value": "x", "expires": 100_000})).await.unwrap();
        caller.unlink().await;
        assert_eq!(keys_in(&path), 601);
        soon(async {
            while keys_in(&path) > 1 {
                caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
                // Nothing can be observed from outside while the file is open.
                tokio::time::sleep(Duration::from_millis(1500)).await;
                caller.unlink().await;
            }
        })
        .await;
        caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        assert_eq!(get(&caller, "long").await.as_deref(), Some("x"));
    })
    .await;
}

#[test]
fn a_link_without_values_keeps_its_keys_where_the_host_was_started() {
    in_own_process(
        "conformance::key_value::embedded::a_link_without_values_keeps_its_keys_where_the_host_was_started",
        async || {
            keep_log();
            let embedded = Embedded::new();
            std::env::set_current_dir(embedded.folder.path()).unwrap();
            with_provider(&embedded, async |host, provider| {
                let caller = Caller::start(&host, CONTRACT, 1).await;
                caller.link(&provider, values(&[])).await.unwrap();
                set(&caller, "a", "1").await.unwrap();
                caller.unlink().await;
            })
            .await;
            let path = embedded.path("keyvalue.redb");
            assert_eq!(keys_in(&path), 1);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(logged().iter().any(|line| line.contains("keyvalue.redb")), "{:?}", logged());
        },
    );
}

const CALLERS: u64 = 64;

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    const NAME: &str = "conformance::key_value::embedded::nothing_acknowledged_is_lost_when_the_process_is_killed";
    if let Some((path, round)) = to_be_killed() {
        return actix_rt::System::new().block_on(write_until_killed(&path, &round));
    }
    let embedded = Embedded::new();
    let path = embedded.path("A.redb");
    let (mut sets, mut adds) = (Vec::new(), 0);
    let mut rounds = 0;
    while sets.len() + adds < 10_000 {
        rounds += 1;
        for acknowledged in acknowledged_before_the_kill(NAME, &path, rounds) {
            match acknowledged.strip_prefix("set ") {
                Some(key) => sets.push(key.to_owned()),
                None => adds += 1,
            }
        }
    }
    actix_rt::System::new().block_on(with_provider(&embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        for key in &sets {
            assert_eq!(get(&caller, key).await.as_ref(), Some(key), "an acknowledged Set is gone");
        }
        let sum: usize = get(&caller, "n").await.unwrap().parse().unwrap();
        let under_way = rounds * usize::try_from(CALLERS).unwrap();
        assert!((adds..=adds + under_way).contains(&sum), "{adds} acknowledged additions make {sum}");
        println!("{} Set and {adds} Add were acknowledged in {rounds} processes, and found", sets.len());
    }));
}

async fn write_until_killed(path: &str, round: &str) {
    let embedded = Embedded::new();
    with_provider(&embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 32).await;
        caller.link(&provider, values(&[("PATH", path)])).await.unwrap();
        join_all((0..CALLERS).map(async |number| {
            for turn in (number..).step_by(usize::try_from(CALLERS).unwrap()) {
                let key = format!("{round} {turn}");
                if turn % 3 == 0 {
                    ask(&caller, "Add", json!({"key": "n", "value": 1})).await.unwrap();
                    acknowledge("add");
                } else {
                    set(&caller, &key, &key).await.unwrap();
                    acknowledge(&format!("set {key}"));
                }
            }
        }))
        .await;
    })
    .await;
}

#[test]
fn on_a_full_disk_writes_fail_and_what_was_acknowledged_can_be_read_and_deleted() {
    const NAME: &str = "conformance::key_value::embedded::on_a_full_disk_writes_fail_and_what_was_acknowledged_can_be_read_and_deleted";
    on_a_full_disk(NAME, 64, fill_the_disk);
}

#[test]
fn a_disk_that_stands_still_harms_only_who_needs_it() {
    const NAME: &str = "conformance::key_value::embedded::a_disk_that_stands_still_harms_only_who_needs_it";
    on_a_disk_that_can_be_stalled(NAME, async || {
        server_failures::a_disk_that_stands_still_costs_its_own_calls_their_deadline_and_others_nothing(
            &Embedded::new(),
            values(&[("PATH", ":memory:")]),
        )
        .await;
    });
}

async fn fill_the_disk() {
    let embedded = Embedded::new();
    with_provider(&embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 4).await;
        caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        let large = "x".repeat(900_000);
        let mut acknowledged = Vec::new();
        let refusal = loop {
            let key = format!("key {}", acknowledged.len());
            match set(&caller, &key, &large).await {
                Ok(()) => acknowledged.push(key),
                Err(refusal) => break refusal,
            }
        };
        assert!(refusal.contains("could not be written"), "{refusal}");
        assert!(acknowledged.len() > 8 && acknowledged.len() < 64, "{} were acknowledged", acknowledged.len());
        // It fails again and again, and never takes anything with it.
        for _ in 0..3 {
            assert!(set(&caller, "more", &large.repeat(9)).await.is_err());
            for key in &acknowledged {
                assert_eq!(get(&caller, key).await.as_ref(), Some(&large));
            }
        }
        assert_eq!(get(&caller, "more").await, None);
        for key in &acknowledged {
            ask(&caller, "Del", json!({"key": key})).await.unwrap();
        }
        set(&caller, "again", &large).await.unwrap();
        assert_eq!(get(&caller, "again").await, Some(large));
    })
    .await;
}

#[actix_rt::test]
async fn what_is_no_store_is_left_as_it_is() {
    let embedded = Embedded::new();
    with_provider(&embedded, async |host, provider| {
        let caller = Caller::start(&host, CONTRACT, 1).await;
        let store = embedded.path("A.redb");
        caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        set(&caller, "a", "1").await.unwrap();
        caller.unlink().await;
        let good = std::fs::read(&store).unwrap();
        // A text, a store cut short, a store with its header overwritten.
        let overwritten = [vec![0xff; 4096], good[4096..].to_vec()].concat();
        for bytes in [b"a text".to_vec(), good[..good.len() / 3].to_vec(), overwritten] {
            let path = embedded.path("other");
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(kind(caller.link(&provider, values(&[("PATH", &path)])).await), ErrorKind::LinkRefused);
            assert!(Path::new(&path).exists());
        }
        caller.link(&provider, embedded.values(Tenant::A)).await.unwrap();
        assert_eq!(get(&caller, "a").await.as_deref(), Some("1"));
    })
    .await;
}
