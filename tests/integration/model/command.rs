//! The commands to a host with three actors and three providers.

use proptest::prelude::*;

/// The actors, by number. The first two want the same call alias.
pub(super) const ACTORS: usize = 3;

/// The providers, by number. The first two serve the same contract under the same link name.
pub(super) const PROVIDERS: usize = 3;

/// What an actor's links are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    pub(super) contract: &'static str,
    pub(super) link_name: &'static str,
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.contract, self.link_name)
    }
}

/// What the first two providers serve.
pub(super) const SHARED: Port = Port { contract: "model:shared", link_name: "default" };

/// What the third serves.
pub(super) const SINGLE: Port = Port { contract: "model:single", link_name: "spare" };

/// A contract that no provider serves, though the first provider runs under this link name.
pub(super) const WRONG: Port = Port { contract: "model:single", link_name: "default" };

pub(super) const PORTS: [Port; 3] = [SHARED, SINGLE, WRONG];

/// The port that a provider runs under.
pub(super) fn port_of(provider: usize) -> Port {
    if provider == 2 { SINGLE } else { SHARED }
}

/// The contracts that an actor's claims include.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claimed {
    Both,
    SharedOnly,
}

impl Claimed {
    /// All there are.
    pub(super) const ALL: [Claimed; 2] = [Claimed::Both, Claimed::SharedOnly];

    pub(super) fn contracts(self) -> &'static [&'static str] {
        match self {
            Claimed::Both => &[SHARED.contract, SINGLE.contract],
            Claimed::SharedOnly => &[SHARED.contract],
        }
    }

    pub(super) fn include(self, port: Port) -> bool {
        self.contracts().contains(&port.contract)
    }
}

/// A module of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    pub(super) revision: i32,
    pub(super) claimed: Claimed,
}

/// Where a link is to lead, and what its provider is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wish {
    pub(super) provider: usize,
    pub(super) value: u8,
    /// Whether the provider refuses such a link.
    pub(super) refused: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Command {
    /// What is temporary fails with its first crash.
    StartActor {
        actor: usize,
        release: Release,
        temporary: bool,
    },
    StopActor(usize),
    Update {
        actor: usize,
        release: Release,
    },
    Scale {
        actor: usize,
        instances: usize,
    },
    Trap(usize),
    Call(usize),
    StartProvider {
        provider: usize,
        temporary: bool,
    },
    StopProvider(usize),
    SetLink {
        actor: usize,
        port: Port,
        wish: Wish,
    },
    RemoveLink {
        actor: usize,
        port: Port,
    },
    /// Has an actor ask the provider of its link something.
    Ask {
        actor: usize,
        port: Port,
    },
    /// Has an actor make the provider of its link panic.
    Panic {
        actor: usize,
        port: Port,
    },
}

pub(super) fn commands() -> impl Strategy<Value = Command> {
    let actor = || 0..ACTORS;
    let provider = || 0..PROVIDERS;
    let seldom = || prop::bool::weighted(0.2);
    let port = || prop_oneof![6 => Just(SHARED), 3 => Just(SINGLE), 1 => Just(WRONG)];
    let claimed = prop_oneof![3 => Just(Claimed::Both), 1 => Just(Claimed::SharedOnly)];
    let release = (1_i32..5, claimed).prop_map(|(revision, claimed)| Release { revision, claimed }).boxed();
    let wish = (provider(), 0_u8..3, seldom());
    let wish = wish.prop_map(|(provider, value, refused)| Wish { provider, value, refused });
    prop_oneof![
        8 => (actor(), release.clone(), seldom())
            .prop_map(|(actor, release, temporary)| Command::StartActor { actor, release, temporary }),
        3 => actor().prop_map(Command::StopActor),
        4 => (actor(), release).prop_map(|(actor, release)| Command::Update { actor, release }),
        3 => (actor(), 1_usize..4).prop_map(|(actor, instances)| Command::Scale { actor, instances }),
        4 => actor().prop_map(Command::Trap),
        1 => actor().prop_map(Command::Call),
        8 => (provider(), seldom()).prop_map(|(provider, temporary)| Command::StartProvider { provider, temporary }),
        3 => provider().prop_map(Command::StopProvider),
        10 => (actor(), port(), wish).prop_map(|(actor, port, wish)| Command::SetLink { actor, port, wish }),
        3 => (actor(), port()).prop_map(|(actor, port)| Command::RemoveLink { actor, port }),
        2 => (actor(), port()).prop_map(|(actor, port)| Command::Ask { actor, port }),
        4 => (actor(), port()).prop_map(|(actor, port)| Command::Panic { actor, port }),
    ]
}
