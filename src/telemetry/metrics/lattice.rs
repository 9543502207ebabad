//! The lattice: the connection to the NATS server, its messages, and the hosts that are known.

use std::fmt;

use wasmcloud_lattice::PeerStatus;
use wasmcloud_lattice::edge::Refusal;

use super::LatticeReading;
use super::table;
use super::writer::Writer;
use crate::lattice::LatticeCounts;

/// The messages of other kinds so far. What they are computed from is not read at one time, so they might seem to be fewer.
#[derive(Debug, Default)]
pub(super) struct OtherMessages {
    came: u64,
    went: u64,
}

pub(super) fn write(
    writer: &mut Writer<'_>,
    reading: Option<&LatticeReading>,
    others: &mut OtherMessages,
) -> fmt::Result {
    let Some(LatticeReading { view, hosts }) = reading else { return Ok(()) };
    let counts = &view.counts;
    writer.family(&table::LATTICE_CONNECTED)?.gauge(&[], view.state.is_joined().into())?;
    let mut family = writer.family(&table::LATTICE_HOSTS)?;
    let count = |status| hosts.peers.iter().filter(|peer| peer.status == status).count() as u64;
    family.gauge(&["up"], count(PeerStatus::Up) + 1)?;
    family.gauge(&["down"], count(PeerStatus::Down))?;
    family.gauge(&["left"], count(PeerStatus::Left))?;
    write_traffic(writer, counts, others)?;
    let reconnects = counts.connection.connects.saturating_sub(1);
    writer.family(&table::LATTICE_RECONNECTS)?.counter(&[], reconnects)?;
    let mut family = writer.family(&table::LATTICE_REFUSED)?;
    refusals(counts).into_iter().try_for_each(|(reason, count)| family.counter(&[reason], count))?;
    writer.family(&table::LATTICE_SLOW_CONSUMER)?.counter(&[], counts.connection.slow_consumers)
}

fn write_traffic(writer: &mut Writer<'_>, counts: &LatticeCounts, others: &mut OtherMessages) -> fmt::Result {
    let LatticeCounts { advertisements, control, connection, membership, .. } = counts;
    let traffic = connection.traffic;
    let came = [
        ("call", counts.served + counts.busy),
        ("heartbeat", membership.heartbeats),
        ("advertisement", advertisements.received),
        ("control", control.received),
    ];
    let went = [
        ("call", counts.called + counts.sent_again),
        ("advertisement", advertisements.published + advertisements.answered),
        ("control", control.answered + control.events),
    ];
    let sum = |kinds: &[(&str, u64)]| kinds.iter().map(|(_, count)| count).sum();
    others.came = others.came.max(traffic.messages_in.saturating_sub(sum(&came)));
    others.went = others.went.max(traffic.messages_out.saturating_sub(sum(&went)));
    let mut family = writer.family(&table::LATTICE_MESSAGES)?;
    for (kind, count) in came.into_iter().chain([("other", others.came)]) {
        family.counter(&["in", kind], count)?;
    }
    for (kind, count) in went.into_iter().chain([("other", others.went)]) {
        family.counter(&["out", kind], count)?;
    }
    let mut family = writer.family(&table::LATTICE_BYTES)?;
    family.counter(&["in"], traffic.bytes_in)?;
    family.counter(&["out"], traffic.bytes_out)
}

/// Returns the messages that were refused at the edge, as heartbeats, as advertisements and by the control interface.
fn refusals(counts: &LatticeCounts) -> [(&'static str, u64); 12] {
    let LatticeCounts { edge, membership, advertisements, control, .. } = counts;
    [
        (
            "malformed",
            edge.refused(Refusal::Malformed)
                + membership.malformed
                + membership.malformed_requests
                + advertisements.malformed
                + control.malformed,
        ),
        ("too_large", edge.refused(Refusal::TooLarge)),
        ("wrong_destination", edge.refused(Refusal::WrongDestination)),
        ("forged", edge.refused(Refusal::Forged) + membership.forged),
        ("expired", edge.refused(Refusal::Expired)),
        ("from_future", edge.refused(Refusal::FromFuture)),
        ("wrong_time", membership.wrong_time),
        ("replayed", edge.refused(Refusal::Replayed) + membership.replayed),
        (
            "untrusted",
            edge.refused(Refusal::Untrusted) + membership.untrusted + advertisements.refused + control.refused,
        ),
        ("no_session", edge.refused(Refusal::NoSession)),
        ("downgraded", edge.refused(Refusal::Downgraded)),
        ("too_many", membership.full + membership.throttled + advertisements.throttled + control.throttled),
    ]
}
