//! The bad days of links, the same for each contract. A backend that is a server is down when the link is made, dies under
//! load, or does not answer; the disk of one that is a file stands still.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use wasmcloud_host::{ErrorKind, Health, Host, HostBuilder, WasmCloudEntity};

use super::disks::stall_the_disk;
use super::kit::{Backend, Caller, Tenant, start_provider, with_provider};
use super::server_process::ServerProcess;
use crate::support::{until, with_host_of};

/// A backend that is a server.
pub(crate) trait Served: Backend {
    /// The server that tenant A is linked to.
    fn server(&self) -> &ServerProcess;

    /// Starts it again after its end, and makes ready there what marks are left with.
    async fn revive(&self);

    /// Starts an actor whose link to the same provider needs no server. It can leave marks.
    async fn start_beside(&self, host: &Host, provider: &str) -> Caller;
}

/// Runs every case.
pub(crate) async fn bad_days<B: Served>(backend: &B) {
    a_server_that_is_down_has_the_link_refused(backend).await;
    a_server_that_dies_under_load_costs_errors_and_is_used_again_by_itself(backend).await;
    a_server_that_does_not_answer_costs_its_own_calls_their_deadline_and_others_nothing(backend).await;
}

async fn a_server_that_is_down_has_the_link_refused<B: Served>(backend: &B) {
    with_provider(backend, async |host, provider| {
        backend.server().kill();
        let caller = Caller::start(&host, B::CONTRACT, 1).await;
        let refusal = caller.link(&provider, backend.values(Tenant::A)).await.unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::LinkRefused);
        let (text, address) = (refusal.to_string(), format!("127.0.0.1:{}", backend.server().port));
        assert!(text.contains("URL") && text.contains(&address) && !text.contains("secret"), "{text}");
        backend.revive().await;
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        until(async || backend.leave_mark(&caller, "after all").await.is_ok()).await;
    })
    .await;
}

async fn a_server_that_dies_under_load_costs_errors_and_is_used_again_by_itself<B: Served>(backend: &B) {
    let deadline = Duration::from_secs(5);
    with_host_of(builder().with_call_deadline(deadline), async |host| {
        let provider = start_provider(backend, &host).await;
        let caller = Caller::start(&host, B::CONTRACT, 8).await;
        caller.link(&provider, backend.values(Tenant::A)).await.unwrap();
        let leave_mark = async |mark: usize| backend.leave_mark(&caller, &format!("mark {mark}")).await;
        let load = async || join_all((0..8).map(leave_mark)).await;
        let entity = entity::<B>(&provider);
        assert!(load().await.iter().all(Result::is_ok));
        for _ in 0..2 {
            let (_, ()) = join(load(), async { backend.server().kill() }).await;
            until(async || matches!(host.health_of(entity.clone()).await.unwrap(), Health::Unhealthy { .. })).await;
            for outcome in load().await {
                let text = outcome.unwrap_err();
                assert!(text.contains("not available") && !text.contains("secret"), "{text}");
            }
            backend.revive().await;
            until(async || leave_mark(0).await.is_ok()).await;
            assert!(load().await.iter().all(Result::is_ok));
            until(async || host.health_of(entity.clone()).await.unwrap() == Health::Healthy).await;
        }
    })
    .await;
}

async fn a_server_that_does_not_answer_costs_its_own_calls_their_deadline_and_others_nothing<B: Served>(backend: &B) {
    let deadline = Duration::from_secs(2);
    with_host_of(builder().with_shards(1).with_call_deadline(deadline), async |host| {
        let provider = start_provider(backend, &host).await;
        let slow = Caller::start(&host, B::CONTRACT, 8).await;
        let newcomer = Caller::start(&host, B::CONTRACT, 1).await;
        let other = backend.start_beside(&host, &provider).await;
        slow.link(&provider, backend.values(Tenant::A)).await.unwrap();
        costs_its_own_calls_alone(backend, &slow, &other, deadline, || backend.server().freeze()).await;
        let refusal = newcomer.link(&provider, backend.values(Tenant::A)).await.unwrap_err();
        assert!(refusal.kind() == ErrorKind::LinkRefused && refusal.to_string().contains("URL"), "{refusal}");
        backend.leave_mark(&other, "while another link waits").await.unwrap();
        backend.server().thaw();
        until(async || backend.leave_mark(&slow, "after").await.is_ok()).await;
        until(async || newcomer.link(&provider, backend.values(Tenant::A)).await.is_ok()).await;
        until(async || backend.leave_mark(&newcomer, "after").await.is_ok()).await;
    })
    .await;
}

/// The same of a backend that is a file: the disk that it is on stands still. `beside` are the values of a link to the
/// same provider that does not need that disk.
pub(crate) async fn a_disk_that_stands_still_costs_its_own_calls_their_deadline_and_others_nothing<B: Backend>(
    backend: &B,
    beside: HashMap<String, String>,
) {
    let deadline = Duration::from_secs(2);
    with_host_of(builder().with_shards(1).with_call_deadline(deadline), async |host| {
        let provider = start_provider(backend, &host).await;
        let slow = Caller::start(&host, B::CONTRACT, 8).await;
        let other = Caller::start(&host, B::CONTRACT, 1).await;
        slow.link(&provider, backend.values(Tenant::A)).await.unwrap();
        other.link(&provider, beside).await.unwrap();
        costs_its_own_calls_alone(backend, &slow, &other, deadline, || stall_the_disk(2 * deadline.as_secs())).await;
        until(async || backend.leave_mark(&slow, "after").await.is_ok()).await;
        let marks = backend.marks(&slow).await;
        assert!(marks.contains(&"before".to_owned()) && marks.contains(&"after".to_owned()), "{marks:?}");
    })
    .await;
}

/// Stalls what one link needs, and looks at what becomes of its calls, and of those of another link.
async fn costs_its_own_calls_alone<B: Backend>(
    backend: &B,
    slow: &Caller,
    other: &Caller,
    deadline: Duration,
    stall: impl FnOnce(),
) {
    backend.leave_mark(slow, "before").await.unwrap();
    backend.leave_mark(other, "before").await.unwrap();
    stall();
    let begin = Instant::now();
    let stalled = async {
        let outcomes = join_all((0..8).map(|_| backend.leave_mark(slow, "meanwhile"))).await;
        assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
        begin.elapsed()
    };
    let bystander = async {
        for number in 0..20 {
            backend.leave_mark(other, &format!("mark {number}")).await.unwrap();
        }
        begin.elapsed()
    };
    let (stalled, bystander) = join(stalled, bystander).await;
    assert!(bystander < stalled, "the other link waited: {bystander:?} of {stalled:?}");
    assert!(stalled < 10 * deadline, "the calls' deadline did not end them: {stalled:?}");
}

fn builder() -> HostBuilder {
    HostBuilder::new().with_shards(2).with_health_interval(None)
}

fn entity<B: Backend>(provider: &str) -> WasmCloudEntity {
    WasmCloudEntity::Capability {
        id: provider.to_owned(),
        contract_id: B::CONTRACT.to_owned(),
        link_name: "default".to_owned(),
    }
}
