//! The public API of release 0.19, item by item: each is here, and `docs/seed-api.md` says where.

use std::collections::BTreeSet;

use wasmcloud_host::{
    Actor, Authorizer, CapabilityProvider, Dispatcher, Host, HostBuilder, HostManifest, Invocation, InvocationResponse,
    Middleware, NativeCapability, WasmCloudEntity,
};

use crate::signing::in_repository;

/// Names items, each of which has to exist for this to compile.
macro_rules! items {
    ($($name:literal => $item:expr),* $(,)?) => {{
        $(let _ = $item;)*
        [$($name),*]
    }};
}

fn builder() -> [&'static str; 14] {
    #[expect(deprecated, reason = "the method of release 0.19 is listed")]
    let names = items! {
        "HostBuilder::new" => HostBuilder::new,
        "HostBuilder::default" => HostBuilder::default,
        "HostBuilder::enable_live_updates" => HostBuilder::enable_live_updates,
        "HostBuilder::disable_strict_update_check" => HostBuilder::disable_strict_update_check,
        "HostBuilder::with_rpc_client" => HostBuilder::with_rpc_client,
        "HostBuilder::with_control_client" => HostBuilder::with_control_client,
        "HostBuilder::with_authorizer" => |builder: HostBuilder| builder.with_authorizer(Nothing),
        "HostBuilder::with_namespace" => HostBuilder::with_namespace,
        "HostBuilder::with_rpc_timeout" => HostBuilder::with_rpc_timeout,
        "HostBuilder::with_lattice_cache_provider" => HostBuilder::with_lattice_cache_provider,
        "HostBuilder::oci_allow_latest" => HostBuilder::oci_allow_latest,
        "HostBuilder::oci_allow_insecure" => HostBuilder::oci_allow_insecure,
        "HostBuilder::with_label" => HostBuilder::with_label,
        "HostBuilder::build" => HostBuilder::build,
    };
    names
}

fn host() -> [&'static str; 22] {
    items! {
        "Host::start" => Host::start,
        "Host::stop" => Host::stop,
        "Host::id" => Host::id,
        "Host::start_actor" => Host::start_actor,
        "Host::start_actor_from_registry" => Host::start_actor_from_registry,
        "Host::stop_actor" => Host::stop_actor,
        "Host::update_actor" => Host::update_actor,
        "Host::start_native_capability" => Host::start_native_capability,
        "Host::start_capability_from_registry" => Host::start_capability_from_registry,
        "Host::stop_provider" => Host::stop_provider,
        "Host::actors" => Host::actors,
        "Host::providers" => Host::providers,
        "Host::get_actor_identity" => Host::get_actor_identity,
        "Host::get_provider_identity" => Host::get_provider_identity,
        "Host::call_actor" => Host::call_actor,
        "Host::set_link" => Host::set_link,
        "Host::remove_link" => Host::remove_link,
        "Host::apply_manifest" => Host::apply_manifest,
        "Host::actor_claims" => Host::actor_claims,
        "Host::labels" => Host::labels,
        "Host::link_definitions" => Host::link_definitions,
        "Host::oci_references" => Host::oci_references,
    }
}

fn sources() -> [&'static str; 13] {
    #[expect(deprecated, reason = "the method of release 0.19 is listed")]
    let names = items! {
        "Actor::from_slice" => Actor::from_slice,
        "Actor::from_file" => |path: &str| Actor::from_file(path),
        "Actor::public_key" => Actor::public_key,
        "Actor::name" => Actor::name,
        "Actor::issuer" => Actor::issuer,
        "Actor::capabilities" => Actor::capabilities,
        "Actor::tags" => Actor::tags,
        "Actor::claims" => Actor::claims,
        "NativeCapability::from_archive" => NativeCapability::from_archive,
        "NativeCapability::from_instance" => |claims| NativeCapability::from_instance(Nothing, None, claims),
        "NativeCapability::id" => NativeCapability::id,
        "NativeCapability::cache_path" => NativeCapability::cache_path,
        "HostManifest::from_path" => |path: &str| HostManifest::from_path(path, true),
    };
    names
}

fn traits<A: Authorizer, M: Middleware, P: CapabilityProvider, D: Dispatcher>() -> [&'static str; 10] {
    items! {
        "Authorizer::can_load" => A::can_load,
        "Authorizer::can_invoke" => A::can_invoke,
        "Middleware::actor_pre_invoke" => M::actor_pre_invoke,
        "Middleware::actor_post_invoke" => M::actor_post_invoke,
        "Middleware::capability_pre_invoke" => M::capability_pre_invoke,
        "Middleware::capability_post_invoke" => M::capability_post_invoke,
        "CapabilityProvider::configure_dispatch" => P::configure_dispatch,
        "CapabilityProvider::handle_call" => P::handle_call,
        "CapabilityProvider::stop" => P::stop,
        "Dispatcher::dispatch" => D::dispatch,
    }
}

fn types() -> [&'static str; 3] {
    items! {
        "Invocation" => size_of::<Invocation>(),
        "InvocationResponse" => size_of::<InvocationResponse>(),
        "WasmCloudEntity" => size_of::<WasmCloudEntity>(),
    }
}

/// Something of each trait, whose methods are named and not called.
struct Nothing;

impl Authorizer for Nothing {
    fn can_invoke(&self, _: wasmcloud_host::Origin<'_>, _: &WasmCloudEntity, _: &str) -> wasmcloud_host::Decision {
        true.into()
    }
}

impl Middleware for Nothing {}

impl CapabilityProvider for Nothing {
    fn configure_dispatch(&self, _: Box<dyn Dispatcher>) -> Result<(), wasmcloud_host::BoxedError> {
        Ok(())
    }

    fn handle_call(&self, _: &str, _: &str, _: &[u8]) -> Result<Vec<u8>, wasmcloud_host::BoxedError> {
        Ok(Vec::new())
    }

    fn stop(&self) {}
}

#[test]
fn the_table_has_each_item_of_release_0_19_and_where_it_is() {
    let traits = traits::<Nothing, Nothing, Nothing, wasmcloud_host::NullDispatcher>();
    let lists: [&[&str]; 5] = [&builder(), &host(), &sources(), &traits, &types()];
    let items: BTreeSet<String> = lists.concat().into_iter().map(str::to_owned).collect();
    let table = std::fs::read_to_string(in_repository("docs/seed-api.md")).unwrap();
    let mut listed = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let mut spans = row.split('`').skip(1).step_by(2);
        let (item, path) = (spans.next().unwrap(), spans.next().unwrap());
        let source = std::fs::read_to_string(in_repository(path)).unwrap();
        let name = item.rsplit("::").next().unwrap();
        let forms = [format!("fn {name}("), format!("fn {name}<"), format!("struct {name}"), format!("enum {name}")];
        assert!(forms.iter().any(|form| source.contains(form)), "{item} is not defined in {path}");
        assert!(listed.insert(item.to_owned()), "{item} is listed twice");
    }
    assert_eq!(listed, items);
}
