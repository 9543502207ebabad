//! The events of a run: counts by entity, counts over time, and the first events as they are.
//!
//! # Layout
//! - `words`: events in words

mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use wasmcloud_host::{Event, EventKind, Events, InjectedFault, Inventory, WasmCloudEntity};

use super::report::{Activity, EntityReport, EventCounts, EventReport, microseconds};
use words::{describe, is_frequent};

/// The events of a run that are kept as they are, and those of all runs together: a report of many runs is read again.
const MOST_EVENTS: usize = 2_000;
const MOST_EVENTS_OF_ALL: usize = 20_000;

/// The most slots of time. When there are more, slots are joined two by two.
const MOST_SLOTS: usize = 240;

/// The longest text of an event that is kept. Unit: characters.
const LONGEST_TEXT: usize = 400;

/// The events of a run so far. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Timeline(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    recorded: Mutex<Recorded>,
    changed: Notify,
}

#[derive(Debug)]
struct Recorded {
    began: SystemTime,
    entities: Vec<EntityReport>,
    numbers: HashMap<String, usize>,
    /// The injected crashes of each entity.
    injected_crashes: Vec<u64>,
    events: Vec<EventReport>,
    most_events: usize,
    left_out: u64,
    missed: u64,
}

/// What was recorded at the end.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) entities: Vec<EntityReport>,
    pub(super) events: Vec<EventReport>,
    pub(super) left_out: u64,
    pub(super) missed: u64,
}

impl Timeline {
    /// Returns a timeline of what runs in a host, for one of so many runs.
    pub(super) fn new(inventory: &Inventory, began: SystemTime, runs: usize) -> Timeline {
        let entities = entities(inventory);
        let numbers = entities.iter().enumerate().map(|(number, entity)| (entity.key.clone(), number)).collect();
        let recorded = Recorded {
            began,
            injected_crashes: vec![0; entities.len()],
            numbers,
            entities,
            events: Vec::new(),
            most_events: most_events(runs),
            left_out: 0,
            missed: 0,
        };
        Timeline(Arc::new(Shared { recorded: Mutex::new(recorded), changed: Notify::new() }))
    }

    /// Records events until the host has stopped.
    pub(super) async fn follow(self, mut events: Events) {
        while let Some(event) = events.next().await {
            let is_last = event.kind == EventKind::HostStopped;
            self.recorded(|recorded| recorded.add(event));
            self.0.changed.notify_waiters();
            if is_last {
                return;
            }
        }
    }

    /// Waits until each crash that was injected has been told, and each instance that was lost is replaced or given up.
    pub(super) async fn settle(&self, within: Duration) {
        let settled = async {
            loop {
                let changed = self.0.changed.notified();
                if self.recorded(|recorded| recorded.is_settled()) {
                    return;
                }
                changed.await;
            }
        };
        // What does not settle is in the report.
        let _ = tokio::time::timeout(within, settled).await;
    }

    /// Returns the number of an entity.
    pub(super) fn number(&self, key: &str) -> Option<usize> {
        self.recorded(|recorded| recorded.numbers.get(key).copied())
    }

    /// Returns what was recorded, with the states of entities from an inventory.
    pub(super) fn finish(&self, inventory: Option<&Inventory>) -> Record {
        let last = inventory.map(entities).unwrap_or_default();
        self.recorded(|recorded| {
            for entity in last {
                if let Some(number) = recorded.numbers.get(&entity.key) {
                    let known = &mut recorded.entities[*number];
                    (known.state, known.reason, known.instances) = (entity.state, entity.reason, entity.instances);
                }
            }
            Record {
                entities: std::mem::take(&mut recorded.entities),
                events: std::mem::take(&mut recorded.events),
                left_out: recorded.left_out,
                missed: recorded.missed,
            }
        })
    }

    fn recorded<T>(&self, with: impl FnOnce(&mut Recorded) -> T) -> T {
        with(&mut self.0.recorded.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Recorded {
    fn add(&mut self, event: Event) {
        let Event { at, entity, kind, .. } = event;
        if let EventKind::Lagged { missed } = kind {
            self.missed += missed;
        }
        let at = at.duration_since(self.began).unwrap_or_default();
        let number = key(&entity).and_then(|key| self.numbers.get(&key).copied());
        if let Some(number) = number {
            self.count(number, at, &kind);
        }
        if self.events.len() < self.most_events || !is_frequent(&kind) && self.events.len() < 2 * self.most_events {
            let text = describe(&kind).chars().take(LONGEST_TEXT).collect();
            self.events.push(EventReport {
                at_us: microseconds(at),
                entity: number,
                kind: kind.word().to_owned(),
                text,
            });
        } else {
            self.left_out += 1;
        }
    }

    fn count(&mut self, number: usize, at: Duration, kind: &EventKind) {
        if matches!(kind, EventKind::Injected { fault: InjectedFault::Crash { .. } }) {
            self.injected_crashes[number] += 1;
        }
        let EntityReport { counts, activity, .. } = &mut self.entities[number];
        match kind {
            EventKind::Injected { .. } => counts.injected += 1,
            EventKind::Crashed { .. } => counts.crashes += 1,
            EventKind::Interrupted { .. } => counts.interruptions += 1,
            EventKind::Restarted { .. } => counts.restarts += 1,
            EventKind::Failed { .. } => counts.given_up += 1,
            _ => {}
        }
        activity.add(at, kind);
    }

    fn is_settled(&self) -> bool {
        let each = self.entities.iter().zip(&self.injected_crashes);
        let mut open = each.filter(|(entity, injected)| {
            let EventCounts { crashes, interruptions, restarts, given_up, .. } = entity.counts;
            crashes < **injected || (given_up == 0 && crashes + interruptions > restarts)
        });
        open.next().is_none()
    }
}

impl Activity {
    fn add(&mut self, at: Duration, kind: &EventKind) {
        if self.width_us == 0.0 {
            self.width_us = 1_000.0;
        }
        let at = microseconds(at);
        while at / self.width_us >= MOST_SLOTS as f64 {
            for slots in [&mut self.injected, &mut self.crashed, &mut self.restarted] {
                *slots = slots.chunks(2).map(|pair| pair.iter().sum()).collect();
            }
            self.width_us *= 2.0;
        }
        // Less than the most slots.
        let number = (at / self.width_us) as usize;
        let slots = match kind {
            EventKind::Injected { .. } => &mut self.injected,
            EventKind::Crashed { .. } | EventKind::Interrupted { .. } => &mut self.crashed,
            EventKind::Restarted { .. } => &mut self.restarted,
            _ => return,
        };
        if slots.len() <= number {
            slots.resize(number + 1, 0);
        }
        slots[number] += 1;
    }
}

/// Returns the most events that each of so many runs keeps.
fn most_events(runs: usize) -> usize {
    (MOST_EVENTS_OF_ALL / runs.max(1)).min(MOST_EVENTS)
}

/// Returns what runs in a host, actors first.
fn entities(inventory: &Inventory) -> Vec<EntityReport> {
    let actors = inventory.actors.iter().map(|actor| EntityReport {
        key: actor.key.clone(),
        name: actor.name.clone(),
        revision: actor.revision,
        instances: actor.instances,
        ..of_state(&actor.state)
    });
    let providers = inventory.providers.iter().map(|provider| EntityReport {
        key: format!("{}/{}", provider.id, provider.link_name),
        name: provider.name.clone(),
        is_provider: true,
        revision: provider.revision,
        instances: 1,
        ..of_state(&provider.state)
    });
    actors.chain(providers).collect()
}

fn of_state(state: &wasmcloud_host::ChildState) -> EntityReport {
    use wasmcloud_host::ChildState;
    let (state, reason) = match state {
        ChildState::Running => ("running", None),
        ChildState::Restarting { .. } => ("restarting", None),
        ChildState::Failed { reason } => ("failed", Some(reason.clone())),
        ChildState::Expired => ("expired", None),
        ChildState::Distrusted { reason } => ("distrusted", Some(reason.clone())),
        _ => ("stopping", None),
    };
    EntityReport { state: state.to_owned(), reason, ..EntityReport::default() }
}

/// Returns the key of an actor, or of a provider with its link name.
fn key(entity: &WasmCloudEntity) -> Option<String> {
    match entity {
        WasmCloudEntity::Actor(key) => Some(key.clone()),
        WasmCloudEntity::Capability { id, link_name, .. } => Some(format!("{id}/{link_name}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_all_runs_are_bounded() {
        assert_eq!([1, 10, 100].map(most_events), [2_000, 2_000, 200]);
        for runs in 1..=100 {
            // An event has a text of at most 400 characters, of which each takes at most 6 bytes in JSON.
            let largest = runs * 2 * most_events(runs) * (LONGEST_TEXT * 6 + 200);
            assert!(largest < super::super::report::LARGEST / 2, "{runs}: {largest}");
        }
    }

    #[test]
    fn activity_is_bounded_and_counts_everything() {
        let mut activity = Activity::default();
        let crashed = EventKind::Crashed { cause: String::new() };
        for second in 0..3600 {
            activity.add(Duration::from_secs(second), &crashed);
            activity.add(Duration::from_secs(second), &EventKind::Started);
        }
        assert!(activity.crashed.len() <= MOST_SLOTS);
        assert_eq!(activity.crashed.iter().sum::<u64>(), 3600);
        assert_eq!(activity.injected.len() + activity.restarted.len(), 0);
    }
}
