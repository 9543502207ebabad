//! The host itself: its uptime, stacks, compilations, links, HTTP requests and events.

use std::collections::BTreeMap;
use std::fmt;

use wasmcloud_core::durations::Durations;
use wasmcloud_provider::ProviderFigures;

use super::HostReading;
use super::label::OTHER;
use super::table;
use super::targets::Targets;
use super::writer::Writer;
use crate::dispatch::Dispatch;
use crate::link::LinkState;

/// The states of links in the label `state`.
const LINK_STATES: [&str; 3] = ["established", "pending", "refused"];

/// The statuses of HTTP that are told one by one. Actors may answer with others.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;

pub(super) fn write(
    writer: &mut Writer<'_>,
    id: &str,
    reading: &HostReading,
    dispatch: &Dispatch,
    targets: &Targets,
) -> fmt::Result {
    writer.family(&table::HOST_INFO)?.gauge(&[id, env!("CARGO_PKG_VERSION")], 1)?;
    writer.family(&table::UPTIME)?.gauge(&[], reading.uptime.as_secs())?;
    let stacks = dispatch.mappings().stack_usage();
    writer.family(&table::STACKS)?.gauge(&[], stacks.stacks as u64)?;
    writer.family(&table::STACK_BYTES)?.gauge(&[], stacks.bytes as u64)?;
    write_compilations(writer, dispatch)?;
    write_links(writer, dispatch)?;
    write_http(writer, targets)?;
    let mut family = writer.family(&table::EVENTS)?;
    dispatch.events().emitted().try_for_each(|(kind, events)| family.counter(&[kind], events))
}

fn write_compilations(writer: &mut Writer<'_>, dispatch: &Dispatch) -> fmt::Result {
    let Some(compilation) = dispatch.instruments().compilation() else { return Ok(()) };
    let reading = compilation.read();
    let mut family = writer.family(&table::COMPILE_DURATION)?;
    reading.compilers.iter().try_for_each(|(compiler, durations)| family.histogram(&[compiler], durations))?;
    let mut family = writer.family(&table::CACHE_REQUESTS)?;
    family.counter(&["hit"], reading.cache_hits)?;
    family.counter(&["miss"], reading.cache_misses)
}

fn write_links(writer: &mut Writer<'_>, dispatch: &Dispatch) -> fmt::Result {
    let mut links = [0; LINK_STATES.len()];
    for link in dispatch.snapshot().links.values() {
        links[match link.state {
            LinkState::Established | LinkState::Releasing => 0,
            LinkState::Pending | LinkState::Establishing => 1,
            LinkState::Refused(_) => 2,
        }] += 1;
    }
    let mut family = writer.family(&table::LINKS)?;
    LINK_STATES.iter().zip(links).try_for_each(|(state, links)| family.gauge(&[state], links))
}

/// Writes what the providers of HTTP tell.
fn write_http(writer: &mut Writer<'_>, targets: &Targets) -> fmt::Result {
    let mut requests = BTreeMap::<Option<u16>, u64>::new();
    let mut durations = Durations::default();
    for target in &targets.all {
        let ProviderFigures { http: Some(http), .. } = &target.reading.figures else { continue };
        for (status, more) in &http.requests {
            let sum = requests.entry(STATUSES.contains(status).then_some(*status)).or_default();
            *sum = sum.saturating_add(*more);
        }
        durations.merge(&http.durations);
    }
    let mut family = writer.family(&table::HTTP_REQUESTS)?;
    for (status, requests) in requests {
        let status = status.map(|status| status.to_string());
        family.counter(&[status.as_deref().unwrap_or(OTHER)], requests)?;
    }
    writer.family(&table::HTTP_DURATION)?.histogram(&[], &durations)
}
