//! The guarantees of the queue, in single cases and for any order of events.

use proptest::prelude::*;

use super::*;

const SMALL: Capacity = Capacity { slots: 8, bytes: 800 };
const LARGE: Capacity = Capacity { slots: 4, bytes: 1000 };

fn queue() -> Queue {
    Queue::new(SMALL, LARGE)
}

fn work(issuer: &str, size: Size, bytes: u64) -> Job {
    Job { issuer: issuer.into(), size, bytes }
}

/// Begins all jobs that can begin, and returns them.
fn begun(queue: &mut Queue) -> Vec<Ticket> {
    std::iter::from_fn(|| queue.begin_next()).collect()
}

#[test]
fn small_work_does_not_wait_for_large_work() {
    let mut queue = queue();
    for issuer in ["a", "a", "b", "b", "c", "c"] {
        queue.enter(&work(issuer, Size::Large, 100));
    }
    assert_eq!(begun(&mut queue), [0, 2, 4, 1]);
    let small = queue.enter(&work("a", Size::Small, 100));
    assert_eq!(begun(&mut queue), [small]);
}

#[test]
fn no_issuer_takes_more_than_its_half() {
    let mut queue = queue();
    for _ in 0..100 {
        queue.enter(&work("greedy", Size::Small, 10));
        queue.enter(&work("greedy", Size::Large, 10));
    }
    assert_eq!(begun(&mut queue).len(), SMALL.slots / 2 + LARGE.slots / 2);
    let small = queue.enter(&work("other", Size::Small, 10));
    let large = queue.enter(&work("other", Size::Large, 10));
    assert_eq!(begun(&mut queue), [small, large]);
}

#[test]
fn no_issuer_takes_more_than_half_of_the_memory_unless_it_is_one_piece() {
    let mut queue = queue();
    let first = queue.enter(&work("greedy", Size::Large, 400));
    queue.enter(&work("greedy", Size::Large, 400));
    let other = queue.enter(&work("other", Size::Large, 500));
    assert_eq!(begun(&mut queue), [first, other]);
    queue.leave(&work("greedy", Size::Large, 400), first);
    assert_eq!(begun(&mut queue).len(), 1);
    let mut queue = self::queue();
    queue.enter(&work("huge", Size::Large, 5000));
    assert_eq!(begun(&mut queue).len(), 1);
}

#[test]
fn issuers_take_turns() {
    let mut queue = Queue::new(SMALL, Capacity { slots: 2, bytes: 1000 });
    let mut works = Vec::new();
    for issuer in ["a", "a", "a", "b", "b", "c"] {
        works.push(work(issuer, Size::Large, 1));
        queue.enter(&works[works.len() - 1]);
    }
    let (mut order, mut running) = (Vec::new(), VecDeque::new());
    loop {
        running.extend(begun(&mut queue));
        let Some(done) = running.pop_front() else { break };
        order.push(done);
        queue.leave(&works[done as usize], done);
    }
    assert_eq!(order, [0, 3, 5, 1, 4, 2]);
}

#[test]
fn the_largest_work_is_not_overtaken_while_it_waits_for_memory() {
    let mut queue = queue();
    let first = queue.enter(&work("a", Size::Large, 400));
    let second = queue.enter(&work("b", Size::Large, 400));
    assert_eq!(begun(&mut queue), [first, second]);
    let largest = queue.enter(&work("c", Size::Large, 500));
    let later = queue.enter(&work("d", Size::Large, 50));
    assert!(begun(&mut queue).is_empty());
    queue.leave(&work("a", Size::Large, 400), first);
    assert_eq!(begun(&mut queue), [largest, later]);
}

#[test]
fn work_that_is_waited_for_no_more_leaves_nothing_behind() {
    let mut queue = queue();
    let works: Vec<Job> = (0..100).map(|number| work(["a", "b"][number % 2], Size::Large, 100)).collect();
    let tickets: Vec<Ticket> = works.iter().map(|work| queue.enter(work)).collect();
    begun(&mut queue);
    for (work, ticket) in works.iter().zip(tickets) {
        queue.leave(work, ticket);
    }
    assert!(queue.large.turns.is_empty() && queue.large.waiting.is_empty() && queue.large.running.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Enter(u8, bool, u64),
    Leave(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let enter =
        (0..4_u8, any::<bool>(), 1..400_u64).prop_map(|(issuer, small, bytes)| Step::Enter(issuer, small, bytes));
    prop_oneof![enter, any::<usize>().prop_map(Step::Leave)]
}

proptest! {
    #[test]
    fn capacity_and_shares_hold_and_nothing_waits_for_nothing(steps in proptest::collection::vec(step(), 1..200)) {
        let mut queue = queue();
        let mut there: Vec<(Ticket, Job)> = Vec::new();
        for step in steps {
            match step {
                Step::Enter(issuer, small, bytes) => {
                    let size = if small { Size::Small } else { Size::Large };
                    let work = work(&issuer.to_string(), size, bytes);
                    there.push((queue.enter(&work), work));
                }
                Step::Leave(which) if !there.is_empty() => {
                    let (ticket, work) = there.swap_remove(which % there.len());
                    queue.leave(&work, ticket);
                }
                Step::Leave(_) => {}
            }
            begun(&mut queue);
            for line in [&queue.small, &queue.large] {
                let bytes: u64 = line.running.iter().map(|work| work.entry.bytes).sum();
                prop_assert!(line.running.len() <= line.capacity.slots && bytes <= line.capacity.bytes);
                let waiting: usize = line.waiting.values().map(VecDeque::len).sum();
                prop_assert!(waiting == 0 || !line.running.is_empty(), "work waits and none is under way");
                for issuer in ["0", "1", "2", "3"] {
                    let own = line.running.iter().filter(|work| &*work.issuer == issuer).count();
                    prop_assert!(own <= line.capacity.slots / 2);
                }
            }
        }
        // All remaining jobs end.
        while !there.is_empty() {
            let running: Vec<Ticket> = [&queue.small, &queue.large].iter().flat_map(|line| &line.running).map(|work| work.entry.ticket).collect();
            prop_assert!(!running.is_empty());
            for (ticket, work) in there.extract_if(.., |(ticket, _)| running.contains(ticket)) {
                queue.leave(&work, ticket);
            }
            begun(&mut queue);
        }
    }
}
