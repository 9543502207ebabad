//! How many bytes a host holds for its plugins: for each one, and for all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const MIB: usize = 1024 * 1024;

/// What an item costs besides its bytes: the entries and channels that it is kept in.
const ITEM: usize = 512;

/// What a plugin's call to an actor costs at least while it is under way. With the defaults a plugin has 4,096 of them.
const LEAST_REQUEST: usize = 64 * 1024;

/// The smallest bound on messages that budgets are made for.
const LEAST_MESSAGE: usize = 16 * MIB;

/// How many plugins can use their budgets up before there is nothing left in the host.
const PLUGINS: usize = 4;

/// A number of bytes to be divided. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    left: AtomicUsize,
    /// What it is a part of.
    whole: Option<Budget>,
}

/// Bytes taken from a budget, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Reserved {
    budget: Budget,
    bytes: usize,
}

impl Budget {
    /// Makes a budget of so many bytes.
    pub(super) fn new(bytes: usize) -> Budget {
        Budget(Arc::new(Shared { left: AtomicUsize::new(bytes), whole: None }))
    }

    /// Makes a budget of so many bytes, which are taken from this one as they are needed.
    fn part(&self, bytes: usize) -> Budget {
        Budget(Arc::new(Shared { left: AtomicUsize::new(bytes), whole: Some(self.clone()) }))
    }

    /// Takes the bytes of an item, and what the item itself costs. There is none where too few are left.
    pub(super) fn reserve(&self, bytes: usize) -> Option<Reserved> {
        let bytes = bytes.saturating_add(ITEM);
        self.take(bytes).then(|| Reserved { budget: self.clone(), bytes })
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        if self.0.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_err() {
            return false;
        }
        let taken = self.0.whole.as_ref().is_none_or(|whole| whole.take(bytes));
        if !taken {
            self.0.left.fetch_add(bytes, Ordering::Relaxed);
        }
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.0.left.fetch_add(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.0.whole {
            whole.give_back(bytes);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

/// The budgets of a host, or of one of its plugins.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// Calls of actors that a plugin serves or has before it.
    orders: Budget,
    /// Calls of a plugin to actors that are under way.
    requests: Budget,
    /// Answers of actors that a plugin has not taken yet.
    answers: Budget,
    /// Refusals of its calls that it has not taken yet: they have to be kept, where there is no room for answers.
    refusals: Budget,
}

impl Budgets {
    /// Makes the budgets of a host in which messages have at most so many bytes.
    pub fn of_host(message_bytes: usize) -> Budgets {
        let [orders, requests, answers, refusals] =
            sizes(message_bytes).map(|bytes| Budget::new(bytes.saturating_mul(PLUGINS)));
        Budgets { orders, requests, answers, refusals }
    }

    /// Makes the budgets of a plugin out of those of its host.
    pub(super) fn of_plugin(&self, message_bytes: usize) -> Budgets {
        let [orders, requests, answers, refusals] = sizes(message_bytes);
        Budgets {
            orders: self.orders.part(orders),
            requests: self.requests.part(requests),
            answers: self.answers.part(answers),
            refusals: self.refusals.part(refusals),
        }
    }

    /// Takes what a call of an actor needs.
    pub(super) fn order(&self, bytes: usize) -> Option<Reserved> {
        self.orders.reserve(bytes)
    }

    /// Takes what a call to an actor needs.
    pub(super) fn request(&self, bytes: usize) -> Option<Reserved> {
        self.requests.reserve(bytes.max(LEAST_REQUEST - ITEM))
    }

    /// Takes what an answer needs until the plugin takes it.
    pub(super) fn answer(&self, bytes: usize) -> Option<Reserved> {
        self.answers.reserve(bytes)
    }

    /// Takes what a refusal needs until the plugin takes it.
    pub(super) fn refusal(&self, bytes: usize) -> Option<Reserved> {
        self.refusals.reserve(bytes)
    }
}

/// The budgets of a plugin for orders, requests, answers and refusals. All but the last have room for the largest message.
fn sizes(message_bytes: usize) -> [usize; 4] {
    let largest = message_bytes.max(LEAST_MESSAGE);
    let several = largest.saturating_mul(4);
    [several, several, largest.saturating_add(MIB), 64 * MIB]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_more_is_taken_than_there_is_and_all_of_it_comes_back(
            wishes in prop::collection::vec((any::<bool>(), 0_usize..20_000, any::<bool>()), 0..100),
        ) {
            let whole = Budget::new(100_000);
            let parts = [whole.part(60_000), whole.part(60_000)];
            let mut held: Vec<(usize, Reserved)> = Vec::new();
            for (second, bytes, give_back) in wishes {
                if give_back && !held.is_empty() {
                    held.remove(0);
                }
                let part = usize::from(second);
                let cost = bytes + ITEM;
                let of = |part: usize| held.iter().filter(|(of, _)| *of == part).map(|(_, held)| held.bytes).sum::<usize>();
                let fits = of(part) + cost <= 60_000 && of(0) + of(1) + cost <= 100_000;
                let reserved = parts[part].reserve(bytes);
                prop_assert_eq!(reserved.is_some(), fits);
                held.extend(reserved.map(|reserved| (part, reserved)));
            }
            held.clear();
            prop_assert_eq!(whole.0.left.load(Ordering::Relaxed), 100_000);
            prop_assert!(parts.iter().all(|part| part.0.left.load(Ordering::Relaxed) == 60_000));
        }
    }

    #[test]
    fn a_plugin_has_room_for_the_largest_message_in_each_direction() {
        for message_bytes in [0, 1, 64 * MIB, 1024 * MIB] {
            let budgets = Budgets::of_host(message_bytes).of_plugin(message_bytes);
            let _order = budgets.order(message_bytes).unwrap();
            let _request = budgets.request(message_bytes).unwrap();
            let _answer = budgets.answer(message_bytes).unwrap();
        }
    }

    #[test]
    fn a_plugin_alone_cannot_use_up_what_others_need() {
        let host = Budgets::of_host(64 * MIB);
        let greedy = host.of_plugin(64 * MIB);
        let held: Vec<Reserved> = std::iter::from_fn(|| greedy.request(0)).collect();
        assert_eq!(held.len(), 4096);
        let other = host.of_plugin(64 * MIB);
        assert!(other.request(64 * MIB).is_some());
    }

    #[test]
    fn a_number_beyond_all_bounds_is_refused() {
        let budgets = Budgets::of_host(usize::MAX).of_plugin(64 * MIB);
        assert!(budgets.order(usize::MAX).is_none());
        assert!(budgets.answer(usize::MAX - 1).is_none());
    }
}
