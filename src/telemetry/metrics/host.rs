//! The host itself: its uptime, stacks, compilations, links and events.

use std::fmt;

use super::writer::Writer;
use super::{HostReading, MetricsFacts, table};
use crate::dispatch::Dispatch;
use crate::telemetry::links::{Elsewhere, Links, STATES};

pub(super) fn write(writer: &mut Writer<'_>, facts: &MetricsFacts, reading: &HostReading) -> fmt::Result {
    let MetricsFacts { id, dispatch, elsewhere, .. } = facts;
    writer.family(&table::HOST_INFO)?.gauge(&[id, env!("CARGO_PKG_VERSION")], 1)?;
    writer.family(&table::UPTIME)?.gauge(&[], reading.uptime.as_secs())?;
    let stacks = dispatch.mappings().stack_usage();
    writer.family(&table::STACKS)?.gauge(&[], stacks.stacks as u64)?;
    writer.family(&table::STACK_BYTES)?.gauge(&[], stacks.bytes as u64)?;
    write_compilations(writer, dispatch)?;
    write_links(writer, dispatch, elsewhere)?;
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

fn write_links(writer: &mut Writer<'_>, dispatch: &Dispatch, elsewhere: &Elsewhere) -> fmt::Result {
    let snapshot = dispatch.snapshot();
    let links = Links::of(&snapshot, elsewhere);
    let mut family = writer.family(&table::LINKS)?;
    let standings: Vec<_> = links.all().map(|(_, link)| links.standing(link).state).collect();
    STATES.iter().try_for_each(|state| {
        let count = standings.iter().filter(|standing| *standing == state).count();
        family.gauge(&[state], count as u64)
    })
}
