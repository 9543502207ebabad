//! An actor or provider on a host, and how bad its state is (pure).

use wasmcloud_telemetry::state::{
    Activity, ActorState, HealthState, HostState, Lifecycle, ProviderState, TrustStanding,
};

use super::format::shown;

/// How bad a state is, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Fine,
    /// It passes by itself.
    Note,
    Warning,
    Failure,
}

/// What an item is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entity {
    Actor(Box<ActorState>),
    Provider(Box<ProviderState>),
}

/// An actor or provider on a host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// The public key of the host, and the key there.
    pub(super) key: String,
    /// The public key of the host.
    pub(super) host: String,
    /// The name, or else the contract, escaped and cut.
    pub(super) name: String,
    pub(super) severity: Severity,
    /// The state in one word.
    pub(super) word: &'static str,
    /// Why the state is not fine.
    pub(super) reason: Option<String>,
    /// Whether its host answers no more, so that its figures are old.
    pub(super) is_of_gone_host: bool,
    pub(super) entity: Entity,
}

impl Item {
    /// Returns the items of a host with this public key. `is_gone` says whether it answers no more.
    pub(super) fn of_host(host: &str, state: &HostState, is_gone: bool) -> Vec<Item> {
        let actors = state.actors.iter().map(|actor| Item::of_actor(host, actor, is_gone));
        actors.chain(state.providers.iter().map(|provider| Item::of_provider(host, provider, is_gone))).collect()
    }

    fn of_actor(host: &str, actor: &ActorState, is_gone: bool) -> Item {
        let lacks = actor.activity.state == Lifecycle::Running && actor.instances_running < actor.instances;
        let standing = Standing::of(&actor.activity, &actor.trust, lacks, is_gone);
        let name = if actor.name.is_empty() { &actor.id } else { &actor.name };
        standing.item(host, &actor.id, name, Entity::Actor(Box::new(actor.clone())))
    }

    fn of_provider(host: &str, provider: &ProviderState, is_gone: bool) -> Item {
        let standing = Standing::of(&provider.activity, &provider.trust, false, is_gone);
        let name = if provider.name.is_empty() { &provider.contract_id } else { &provider.name };
        standing.item(host, &provider.key, name, Entity::Provider(Box::new(provider.clone())))
    }

    /// Returns what actors and providers have in common.
    pub(super) fn activity(&self) -> &Activity {
        match &self.entity {
            Entity::Actor(actor) => &actor.activity,
            Entity::Provider(provider) => &provider.activity,
        }
    }

    /// Returns the public key.
    pub(super) fn id(&self) -> &str {
        match &self.entity {
            Entity::Actor(actor) => &actor.id,
            Entity::Provider(provider) => &provider.id,
        }
    }

    /// Returns `actor` or `provider`.
    pub(super) fn kind(&self) -> &'static str {
        match &self.entity {
            Entity::Actor(_) => "actor",
            Entity::Provider(_) => "provider",
        }
    }

    /// Returns the instances that run and those that are meant to.
    pub(super) fn instances(&self) -> Option<(usize, usize)> {
        match &self.entity {
            Entity::Actor(actor) => Some((actor.instances_running, actor.instances)),
            Entity::Provider(_) => None,
        }
    }

    /// Returns the memory, if it is known. Unit: bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        match &self.entity {
            Entity::Actor(actor) => Some(actor.memory_bytes).filter(|bytes| *bytes > 0),
            Entity::Provider(_) => None,
        }
    }

    /// Returns the calls of the last second.
    pub(super) fn calls_now(&self) -> u64 {
        self.activity().rate.last().copied().unwrap_or(0)
    }

    /// Returns whether it does not fail, but is not well either.
    pub(super) fn is_troubled(&self) -> bool {
        self.severity == Severity::Warning || self.word == "errors"
    }

    /// Returns whether a text occurs in a name, a key, a contract or the state. `text` is in lower case. Each matches an empty
    /// one.
    pub(super) fn matches(&self, text: &str) -> bool {
        if text.is_empty() {
            return true;
        }
        let has = |field: &str| field.to_lowercase().contains(text);
        let of_entity = match &self.entity {
            Entity::Actor(actor) => {
                actor.alias.as_deref().is_some_and(has) || actor.image_ref.as_deref().is_some_and(has)
            }
            Entity::Provider(provider) => has(&provider.contract_id) || has(&provider.link_name),
        };
        of_entity || [&self.name, &self.key, self.word, self.kind()].into_iter().any(has)
    }
}

/// The state of an item.
struct Standing {
    severity: Severity,
    word: &'static str,
    reason: Option<String>,
    is_gone: bool,
}

impl Standing {
    fn of(activity: &Activity, trust: &TrustStanding, lacks_instances: bool, is_gone: bool) -> Standing {
        let (severity, word) = match activity.state {
            Lifecycle::Failed => (Severity::Failure, "failed"),
            _ if is_gone => (Severity::Warning, "host gone"),
            _ if !trust.trusted => (Severity::Failure, "distrusted"),
            Lifecycle::Restarting => (Severity::Warning, "restarting"),
            Lifecycle::Starting => (Severity::Note, "starting"),
            Lifecycle::Stopping => (Severity::Note, "stopping"),
            _ if activity.health == HealthState::Unhealthy => (Severity::Failure, "unhealthy"),
            _ if lacks_instances => (Severity::Warning, "degraded"),
            _ if activity.errors_last_minute > 0 => (Severity::Note, "errors"),
            _ => (Severity::Fine, "running"),
        };
        let reason = match word {
            "distrusted" => trust.reason.as_deref(),
            "host gone" => Some("its host answers no more"),
            _ => activity.reason.as_deref(),
        };
        let reason = reason.map(shown).filter(|reason| severity >= Severity::Warning && !reason.is_empty());
        Standing { severity, word, reason, is_gone }
    }

    fn item(self, host: &str, id: &str, name: &str, entity: Entity) -> Item {
        let Standing { severity, word, reason, is_gone: is_of_gone_host } = self;
        let key = format!("{host}/{id}");
        Item { key, host: host.to_owned(), name: shown(name), severity, word, reason, is_of_gone_host, entity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(change: impl FnOnce(&mut ActorState)) -> ActorState {
        let mut actor = ActorState { id: "M1".into(), name: "Echo".into(), ..ActorState::default() };
        actor.trust.trusted = true;
        (actor.instances, actor.instances_running) = (2, 2);
        change(&mut actor);
        actor
    }

    #[test]
    fn a_state_is_one_word_and_as_bad_as_it_is() {
        type Change = fn(&mut ActorState);
        let cases: [(Change, bool, Severity, &str); 9] = [
            (|_| {}, false, Severity::Fine, "running"),
            (|actor| actor.activity.errors_last_minute = 3, false, Severity::Note, "errors"),
            (|actor| actor.instances_running = 1, false, Severity::Warning, "degraded"),
            (|actor| actor.activity.state = Lifecycle::Restarting, false, Severity::Warning, "restarting"),
            (|actor| actor.activity.state = Lifecycle::Starting, false, Severity::Note, "starting"),
            (|actor| actor.activity.health = HealthState::Unhealthy, false, Severity::Failure, "unhealthy"),
            (|actor| actor.trust.trusted = false, false, Severity::Failure, "distrusted"),
            (|actor| actor.activity.state = Lifecycle::Failed, true, Severity::Failure, "failed"),
            (|_| {}, true, Severity::Warning, "host gone"),
        ];
        for (change, is_gone, severity, word) in cases {
            let item = Item::of_actor("N1", &actor(change), is_gone);
            assert_eq!((item.severity, item.word), (severity, word));
        }
    }

    #[test]
    fn the_reason_is_that_of_the_state_and_harmless() {
        let item = Item::of_actor(
            "N1",
            &actor(|actor| {
                actor.activity.state = Lifecycle::Failed;
                actor.activity.reason = Some("it trapped\n\u{1b}[2J".into());
            }),
            false,
        );
        assert_eq!(item.reason.as_deref(), Some("it trapped\\n\\u{1b}[2J"));
        let fine = actor(|actor| actor.activity.reason = Some("old".into()));
        assert_eq!(Item::of_actor("N1", &fine, false).reason, None);
    }

    #[test]
    fn items_are_found_by_what_they_are_called() {
        let item = Item::of_actor("N1", &actor(|actor| actor.alias = Some("Shop/echo".into())), false);
        assert!(["echo", "m1", "n1", "shop/", "running", "actor"].iter().all(|text| item.matches(text)));
        assert!(!item.matches("provider"));
    }
}
