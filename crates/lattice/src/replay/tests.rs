//! What the replay cache admits, and how much it remembers.

use super::*;
use proptest::prelude::*;

const NOW: u64 = 1_800_000_000_000;

fn cache(calls: usize, senders: usize) -> ReplayCache {
    ReplayCache::new(ReplayLimits { calls, senders, ..ReplayLimits::default() })
}

#[test]
fn a_call_is_admitted_once_and_within_the_window() {
    let mut cache = cache(10, 10);
    assert_eq!(cache.admit("a", "1", NOW, NOW), Ok(()));
    assert_eq!(cache.admit("a", "1", NOW, NOW), Err(NotFresh::Replayed));
    assert_eq!(cache.admit("a", "1", NOW + 1, NOW + 1), Err(NotFresh::Replayed), "with another time of issue");
    assert_eq!(cache.admit("b", "1", NOW, NOW), Ok(()));
    assert_eq!(cache.admit("a", "2", NOW - 30_001, NOW), Err(NotFresh::Expired));
    assert_eq!(cache.admit("a", "3", NOW - 30_000, NOW), Ok(()));
    assert_eq!(cache.admit("a", "4", NOW + 5_001, NOW), Err(NotFresh::FromFuture));
    assert_eq!(cache.admit("a", "5", NOW + 5_000, NOW), Ok(()));
}

#[test]
fn calls_beyond_the_window_take_no_memory() {
    let mut cache = cache(1000, 10);
    for round in 0..20 {
        let now = NOW + round * 40_000;
        for id in 0..50 {
            assert_eq!(cache.admit("a", &format!("{round} {id}"), now, now), Ok(()));
        }
        assert_eq!(cache.len(), 50);
    }
}

#[test]
fn a_full_cache_admits_no_replay_and_shrinks_the_window_of_the_largest_sender() {
    let mut cache = cache(100, 10);
    assert_eq!(cache.admit("quiet", "1", NOW, NOW), Ok(()));
    for id in 0..10_000 {
        let at = NOW + id / 10;
        let admitted = cache.admit("loud", &id.to_string(), at, at);
        assert!(admitted.is_ok() || admitted == Err(NotFresh::Expired));
        assert!(cache.len() <= 100);
    }
    for id in 0..10_000 {
        assert!(cache.admit("loud", &id.to_string(), NOW + id / 10, NOW + 1000).is_err());
    }
    assert_eq!(cache.admit("quiet", "1", NOW, NOW + 1000), Err(NotFresh::Replayed));
    assert_eq!(cache.admit("quiet", "2", NOW, NOW + 1000), Ok(()), "its window is whole");
    assert_eq!(cache.admit("loud", "fresh", NOW + 1001, NOW + 1001), Ok(()));
}

#[test]
fn senders_without_number_share_one_window_and_disturb_no_other() {
    let mut cache = cache(100, 5);
    assert_eq!(cache.admit("known", "1", NOW, NOW), Ok(()));
    for sender in 0..10_000 {
        let _ = cache.admit(&format!("stranger {sender}"), "1", NOW + sender, NOW + sender);
        assert!(cache.len() <= 100 && cache.senders.len() <= 5);
    }
    assert_eq!(cache.admit("known", "1", NOW, NOW + 10_000), Err(NotFresh::Replayed));
    assert_eq!(cache.admit("known", "2", NOW, NOW + 10_000), Ok(()));
    assert!(cache.admit("stranger 9999", "1", NOW + 9_999, NOW + 10_000).is_err());
}

#[test]
fn a_call_in_the_shared_window_is_no_new_one_in_a_window_of_its_own() {
    let mut cache = cache(100, 1);
    assert_eq!(cache.admit("first", "1", NOW - 30_000, NOW), Ok(()));
    assert_eq!(cache.admit("late", "1", NOW + 4_000, NOW), Ok(()));
    assert_eq!(cache.admit("late", "2", NOW + 4_000, NOW + 5_000), Ok(()));
    assert!(cache.senders.contains_key("late"), "the first sender is forgotten");
    assert_eq!(cache.admit("late", "1", NOW + 4_000, NOW + 5_000), Err(NotFresh::Replayed));
}

proptest! {
    #[test]
    fn no_call_is_admitted_twice(
        calls in prop::collection::vec((0..4_u8, 0..40_u8, 0..40_000_u64, 0..3_000_u64), 0..400),
        capacity in 1..50_usize, senders in 1..4_usize, back_steps in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut cache = cache(capacity, senders);
        let mut admitted = HashSet::new();
        let mut issued: HashMap<(u8, u8), u64> = HashMap::new();
        let mut now = NOW;
        for ((sender, id, age, step), is_back) in calls.into_iter().zip(back_steps) {
            // The clock may go back, too.
            now = if is_back { now - step } else { now + 2 * step };
            // The time of issue is signed: it is the same each time that a call is sent.
            let issued_at = *issued.entry((sender, id)).or_insert(now + 5_000 - age);
            let name = sender.to_string();
            if cache.admit(&name, &id.to_string(), issued_at, now).is_ok() {
                prop_assert!(admitted.insert((sender, id)));
            }
            prop_assert!(cache.len() <= capacity);
        }
    }
}
