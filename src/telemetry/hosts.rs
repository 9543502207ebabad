//! The hosts of a lattice, as a state tells them.

use std::time::SystemTime;

use wasmcloud_telemetry::state::{HostState, LatticeHost};

use super::HostFacts;

/// Returns the hosts of the lattice with this one, in the order of their keys, and sets what the lattice says of this host.
pub(super) fn of(
    facts: &HostFacts,
    state: &mut HostState,
    now: SystemTime,
    lattice_since: Option<u64>,
) -> Vec<LatticeHost> {
    let own = LatticeHost {
        id: facts.id.clone(),
        is_self: true,
        state: "up".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: facts.clock.uptime().as_secs(),
        heard_at: state.at,
        labels: state.host.labels.clone(),
        actors: state.actors.len(),
        providers: state.providers.len(),
        ..LatticeHost::default()
    };
    let mut hosts = vec![own];
    #[cfg(feature = "lattice")]
    lattice::add(facts, state, now, lattice_since, &mut hosts);
    #[cfg(not(feature = "lattice"))]
    let _ = (now, lattice_since);
    hosts.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    hosts
}

#[cfg(feature = "lattice")]
mod lattice {
    use std::time::SystemTime;

    use wasmcloud_lattice::{EraHost, LatticeState, Peer, PeerStatus};
    use wasmcloud_telemetry::state::{HostState, LatticeHost, LatticeStanding};

    use crate::lattice::LatticeHosts;
    use crate::telemetry::{HostFacts, ago, cut, micros, millis};

    /// The longest version that another host may tell. Unit: characters.
    const LONGEST: usize = 64;

    pub(super) fn add(
        facts: &HostFacts,
        state: &mut HostState,
        now: SystemTime,
        since: Option<u64>,
        hosts: &mut Vec<LatticeHost>,
    ) {
        let Some(LatticeHosts { state: standing, namespace, is_cordoned, peers, era_hosts }) = (facts.lattice)() else {
            return;
        };
        state.host.cordoned = is_cordoned;
        hosts[0].cordoned = is_cordoned;
        let since = match &standing {
            LatticeState::Disconnected { since, .. } => millis(*since),
            _ => since.unwrap_or(state.host.started_at),
        };
        state.host.lattice = Some(LatticeStanding { namespace, state: word(&standing).to_owned(), since });
        hosts.extend(peers.iter().map(|peer| current(now, peer)));
        hosts.extend(era_hosts.into_iter().map(|host| of_2021(now, host)));
    }

    fn word(state: &LatticeState) -> &'static str {
        match state {
            LatticeState::Joined => "joined",
            LatticeState::Joining => "joining",
            LatticeState::Disconnected { .. } => "lost",
            _ => "alone",
        }
    }

    fn current(now: SystemTime, peer: &Peer) -> LatticeHost {
        let status = match peer.status {
            PeerStatus::Up => "up",
            PeerStatus::Down => "down",
            _ => "left",
        };
        LatticeHost {
            id: peer.host.clone(),
            state: status.to_owned(),
            version: cut(&peer.version, LONGEST),
            uptime_s: peer.uptime.as_secs(),
            heard_at: ago(now, peer.last_heard.elapsed()),
            round_trip_us: peer.round_trip.map(micros),
            cordoned: peer.is_cordoned || peer.is_draining,
            actors: peer.counts.actors as usize,
            providers: peer.counts.providers as usize,
            ..LatticeHost::default()
        }
    }

    fn of_2021(now: SystemTime, EraHost { host, silent_for, .. }: EraHost) -> LatticeHost {
        let heard_at = ago(now, silent_for);
        LatticeHost { id: host, state: "up".to_owned(), era: true, heard_at, ..LatticeHost::default() }
    }
}
