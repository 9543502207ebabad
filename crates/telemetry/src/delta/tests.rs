//! A delta makes of the state before the state after, by the rules that the page follows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

const LISTS: [(&str, &str); 4] = [("hosts", "id"), ("actors", "id"), ("providers", "key"), ("links", "key")];

/// Applies a delta as `store.js` does.
fn apply(state: &HostState, delta: &Value) -> Value {
    let mut state = serde_json::to_value(state).unwrap();
    state["at"] = delta["at"].clone();
    if let Some(host) = delta.get("host") {
        state["host"] = host.clone();
    }
    for (list, key) in LISTS {
        let items = state[list].as_array().unwrap().iter().cloned();
        let mut items: BTreeMap<String, Value> =
            items.map(|item| (item[key].as_str().unwrap().to_owned(), item)).collect();
        for item in items.values_mut().filter(|item| item.get("measured_at").is_some()) {
            item["measured_at"] = delta["measured_at"].clone();
            shift(&mut item["rate"], 0);
        }
        for change in delta.get(list).and_then(Value::as_array).into_iter().flatten() {
            merge(&mut items, change[key].as_str().unwrap(), change.as_object().unwrap());
        }
        for gone in delta["removed"].get(list).and_then(Value::as_array).into_iter().flatten() {
            assert!(items.remove(gone.as_str().unwrap()).is_some(), "{gone} was not there");
        }
        state[list] = items.into_values().collect();
    }
    state
}

fn merge(items: &mut BTreeMap<String, Value>, key: &str, change: &Map<String, Value>) {
    let item = items.entry(key.to_owned()).or_insert_with(|| json!({}));
    for (field, value) in change {
        match item.get_mut(field) {
            // The row has been shifted already.
            Some(row) if field == "rate" && value.is_number() => {
                *row.as_array_mut().unwrap().last_mut().unwrap() = value.clone();
            }
            _ => item[field] = value.clone(),
        }
    }
}

fn shift(rate: &mut Value, newest: u64) {
    let row = rate.as_array_mut().unwrap();
    if !row.is_empty() {
        row.remove(0);
        row.push(newest.into());
    }
}

/// Returns a row, and the row that follows it if `is_next`.
fn rates() -> impl Strategy<Value = (Rate, Rate)> {
    (prop::collection::vec(0..3_u64, 3), 0..3_u64, prop::bool::weighted(0.9)).prop_map(|(row, newest, is_next)| {
        let skipped = if is_next { 1 } else { 2 };
        let mut next = row[skipped..].to_vec();
        next.extend(vec![newest; skipped]);
        (row, next)
    })
}

prop_compose! {
    fn activities()(rate in rates(), figures in prop::collection::vec(0..2_u64, 4)) -> (Activity, Activity) {
        let old = Activity { rate: rate.0, measured_at: 1, ..Activity::default() };
        let p50_us = (figures[2] > 0).then_some(figures[2]);
        let new = Activity {
            rate: rate.1, measured_at: 2, calls: figures[0], errors: figures[1], p50_us, since: figures[3],
            ..Activity::default()
        };
        (old, new)
    }
}

prop_compose! {
    fn actors()(activity in activities(), names in (0..2_u8, 0..2_u8), there in (any::<bool>(), any::<bool>()))
        -> (Option<ActorState>, Option<ActorState>) {
        let actor = |name: u8, activity| ActorState { name: name.to_string(), activity, ..ActorState::default() };
        (there.0.then(|| actor(names.0, activity.0)), there.1.then(|| actor(names.1, activity.1)))
    }
}

prop_compose! {
    fn states()(actors in prop::collection::vec(actors(), 0..8), links in (0..4_u64, 0..4_u64), hosts in (0..3_u64, 0..3_u64))
        -> (HostState, HostState) {
        let (mut old, mut new) = (HostState { at: 1, ..HostState::default() }, HostState { at: 2, ..HostState::default() });
        for (number, (before, after)) in actors.into_iter().enumerate() {
            let named = |actor: ActorState| ActorState { id: format!("M{number}"), ..actor };
            old.actors.extend(before.map(named));
            new.actors.extend(after.map(named));
        }
        let link = |number: u64| LinkState { key: number.to_string(), since: number % 2, ..LinkState::default() };
        (old.links, new.links) = ((0..links.0).map(link).collect(), (0..links.1).map(link).collect());
        let host = |heard_at: u64| LatticeHost { id: "N".to_owned(), heard_at, ..LatticeHost::default() };
        (old.hosts, new.hosts) = (vec![host(hosts.0)], vec![host(hosts.1)]);
        new.host.memory_bytes = Some(links.0);
        (old, new)
    }
}

proptest! {
    #[test]
    fn a_delta_makes_the_new_state_of_the_old_one((old, new) in states()) {
        let delta = serde_json::to_value(Delta::between(&old, &new)).unwrap();
        prop_assert_eq!(apply(&old, &delta), serde_json::to_value(&new).unwrap());
    }
}

#[test]
fn each_field_is_compared() {
    fn compared<T>(change: impl Fn(&mut Value), mut apart: Vec<&str>) -> Result<(), serde_json::Error>
    where
        T: Item + Default + for<'a> serde::Deserialize<'a>,
    {
        apart.push(T::KEY);
        let old = serde_json::to_value(T::default())?;
        for field in old.as_object().unwrap().keys().filter(|field| !apart.contains(&field.as_str())) {
            let mut new = old.clone();
            new[field] = match &old[field] {
                Value::Bool(is) => json!(!is),
                Value::Number(_) => json!(7),
                Value::Array(_) => json!(["x"]),
                Value::Object(_) => json!({ "x": "y" }),
                _ => json!("x"),
            };
            change(&mut new);
            // A text where a number is wanted, and the like.
            let readable = [new.clone(), with(&new, field, json!(7)), with(&new, field, json!("failed"))];
            let readable = readable.into_iter().chain([
                with(&new, field, json!("unhealthy")),
                with(&new, field, json!({ "trusted": true, "reason": null, "since": null })),
            ]);
            let new: T = readable.into_iter().find_map(|new| serde_json::from_value(new).ok()).unwrap();
            let old = T::default();
            assert!(new.differs(&old), "{field} is not compared");
            let written = serde_json::to_value(Change { old: Some(&old), new: &new })?;
            assert!(written.get(field).is_some(), "{field} is not told: {written}");
        }
        Ok(())
    }
    fn with(value: &Value, field: &str, other: Value) -> Value {
        let mut value = value.clone();
        value[field] = other;
        value
    }
    compared::<LatticeHost>(|_| {}, vec![]).unwrap();
    compared::<LinkState>(|_| {}, vec![]).unwrap();
    compared::<ActorState>(|_| {}, vec!["rate", "measured_at"]).unwrap();
    compared::<ProviderState>(|_| {}, vec!["rate", "measured_at"]).unwrap();
}

#[test]
fn what_does_not_change_is_not_told() {
    let actor = |id: &str| ActorState { id: id.to_owned(), ..ActorState::default() };
    let mut old = HostState { actors: vec![actor("A"), actor("B")], ..HostState::default() };
    old.actors[1].activity.rate = vec![4, 0, 1];
    let mut new = old.clone();
    new.at = 9;
    new.actors[1].activity.rate = vec![0, 1, 0];
    let delta = serde_json::to_value(Delta::between(&old, &new)).unwrap();
    assert_eq!(delta, json!({ "at": 9, "measured_at": 9 }));
    new.actors[1].activity.rate = vec![0, 1, 5];
    new.actors[1].activity.calls = 12;
    let delta = serde_json::to_value(Delta::between(&old, &new)).unwrap();
    assert_eq!(delta["actors"], json!([{ "id": "B", "calls": 12, "rate": 5 }]));
}
