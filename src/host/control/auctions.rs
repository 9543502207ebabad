//! Whether a host could run an actor or provider: its labels, what already runs, and its room.

use std::collections::BTreeMap;

use wasmcloud_control::message::{ActorAuctionRequest, ProviderAuctionRequest};
use wasmcloud_core::entity::{link_name, shorten};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::host::Host;

/// The prefix of references to providers that come with the host.
const BUILTIN: &str = "builtin:";

/// Checks whether an actor could be started here.
pub(super) fn expect_actor(host: &Host, request: &ActorAuctionRequest) -> Result<()> {
    expect_open(host)?;
    expect_labels(host, &request.constraints)?;
    expect_image(host, &request.actor_ref)?;
    expect_no_actor(host, &request.actor_ref)?;
    let limits = host.0.configuration.limits;
    host.0.dispatch.mappings().check_room_for_guests(1, &limits)
}

/// Checks whether a provider could be started here.
pub(super) fn expect_provider(host: &Host, request: &ProviderAuctionRequest) -> Result<()> {
    expect_open(host)?;
    expect_labels(host, &request.constraints)?;
    if builtin_name(&request.provider_ref).is_none() {
        expect_image(host, &request.provider_ref)?;
    }
    expect_no_provider(host, &request.provider_ref, &request.link_name)
}

/// Checks that the host accepts something new from the lattice.
pub(super) fn expect_open(host: &Host) -> Result<()> {
    if !host.expect_lattice()?.is_cordoned() {
        return Ok(());
    }
    let message = format!("host {} is cordoned: uncordon it, or choose another host", host.id());
    Err(Error::new(ErrorKind::Busy, message))
}

fn expect_labels(host: &Host, constraints: &BTreeMap<String, String>) -> Result<()> {
    let labels = host.0.labels.all();
    if constraints.iter().all(|(name, value)| labels.get(name) == Some(value)) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("host {} has other labels", host.id())))
}

/// Checks that a text refers to a registry, and that the host may pull from there. Files are for the host's own program to read.
pub(super) fn expect_image(host: &Host, reference: &str) -> Result<()> {
    let is_file = [".wasm", ".par", ".par.gz"].iter().any(|ending| reference.ends_with(ending));
    if is_file || reference.starts_with(['/', '.']) || !reference.contains('/') {
        let message = format!(
            "{:?} does not refer to a registry: push the file to one, and use its reference, such as localhost:5000/echo:1",
            shorten(reference)
        );
        return Err(Error::new(ErrorKind::InvalidArgument, message));
    }
    host.0.configuration.registries.expect_allowed(reference)
}

/// Checks that no actor runs that was started by a reference. The text is the one of 2021.
pub(super) fn expect_no_actor(host: &Host, reference: &str) -> Result<()> {
    if !host.runs_actor_from(reference) {
        return Ok(());
    }
    let message = format!("Actor with image ref '{}' is already running on this host", shorten(reference));
    Err(Error::new(ErrorKind::ActorAlreadyRunning, message))
}

/// Checks that no provider runs under a link name that was started by a reference. The text is the one of 2021.
pub(super) fn expect_no_provider(host: &Host, reference: &str, name: &str) -> Result<()> {
    let name = link_name(Some(name));
    let key = match builtin_name(reference) {
        Some(builtin) => wasmcloud_providers::named(builtin, Some(name.to_owned()))?.id(),
        None => reference.to_owned(),
    };
    let key = host.running_provider(&key, name);
    if !host.0.dispatch.snapshot().providers.contains_key(&key) {
        return Ok(());
    }
    let message = format!("Provider with image ref '{}' is already running on this host.", shorten(reference));
    Err(Error::new(ErrorKind::ProviderAlreadyRunning, message))
}

/// Returns the name of the provider that comes with the host, if a reference names one.
pub(super) fn builtin_name(reference: &str) -> Option<&str> {
    reference.strip_prefix(BUILTIN)
}
