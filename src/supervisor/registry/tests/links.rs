//! The cost and the results of changes of links, and the count of their providers' crashes.

use super::*;
use crate::lifecycle::ServiceRecord;

/// Returns this thread's processor time so far, in nanoseconds.
#[cfg(target_os = "linux")]
fn computed() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    times.split_whitespace().next().unwrap().parse().unwrap()
}

/// Returns a link of one of many actors to the first provider.
fn link_of(number: usize) -> Arc<LinkDefinition> {
    let link = LinkDefinition { actor_id: format!("M{number}"), ..LinkDefinition::clone(&definition(0, 0, 0)) };
    Arc::new(link)
}

#[cfg(target_os = "linux")]
#[test]
fn a_change_takes_no_longer_with_many_links_and_children() {
    // The processor time of the changes for each actor, in a host with this many actors linked to a provider.
    let cost = |world: &mut World, actors: usize| {
        world.registry = Registry::open();
        let provider = child_of(PROVIDERS[0]);
        world.registry.begin_start(&provider).unwrap();
        let (running, blueprint) = world.provider(0);
        world.registry.add_provider(running, blueprint).unwrap();
        world.registry.end_change(&provider);
        let (template, blueprint) = world.actor("M", None, 1);
        let begin = computed();
        let children: Vec<Child> =
            (0..actors).map(|number| Child::Actor(format!("M{number}").as_str().into())).collect();
        // All are started at once, and stopped at once.
        for (number, child) in children.iter().enumerate() {
            let alias = format!("alias{number}");
            let identity = world.identity(&format!("M{number}"), Some(&alias), &CONTRACTS[..1]);
            world.registry.begin_start(child).unwrap().reserve_alias(&identity).unwrap();
            world.registry.put_link(link_of(number), LinkState::Pending);
        }
        for (number, child) in children.iter().enumerate() {
            let alias = format!("alias{number}");
            let identity = world.identity(&format!("M{number}"), Some(&alias), &CONTRACTS[..1]);
            world.registry.add_actor(RunningActor { identity, ..template.clone() }, blueprint.clone()).unwrap();
            world.registry.end_change(child);
            assert_eq!(world.registry.links_of(child).len(), 1);
            assert!(world.registry.ends(&link_of(number)).unwrap().is_some());
            world.registry.put_link(link_of(number), LinkState::Established);
        }
        // The provider is restarted.
        while world.registry.suspend_links_of(&provider, 32) {}
        assert_eq!(world.registry.links_of(&provider).len(), actors);
        for child in &children {
            world.registry.begin_stop(child).unwrap();
        }
        for (number, child) in children.iter().enumerate() {
            assert!(world.registry.is_ending(&link_of(number)));
            world.registry.remove_actor(&format!("M{number}"));
            world.registry.end_change(child);
            world.registry.take_changed();
        }
        let cost = (computed() - begin) as f64 / actors as f64;
        for (number, child) in children.iter().enumerate() {
            world.registry.remove_link(&link_of(number).key());
            assert!(world.registry.links_of(child).is_empty());
        }
        assert!(world.registry.links.is_empty() && world.registry.reservations.is_empty());
        cost
    };
    actix_rt::System::new().block_on(async {
        let mut world = World::new().await;
        cost(&mut world, 1_000);
        let (few, many) = (cost(&mut world, 2_000), cost(&mut world, 16_000));
        // Eight times as many actors would each cost eight times as much if anything looked at all of them.
        assert!(many < 3.0 * few, "{few:.0} ns for each of 2,000 actors, {many:.0} ns for each of 16,000");
    });
}

#[test]
fn a_link_concluded_with_an_instance_that_has_crashed_or_ended_waits_for_the_next_one() {
    actix_rt::System::new().block_on(async {
        let mut world = World::new().await;
        let (child, link) = (child_of(PROVIDERS[0]), definition(0, 0, 0));
        let state = |world: &World| {
            let link = world.registry.link(&link.key()).unwrap();
            (link.state.clone(), link.awaits_restart)
        };
        let (running, blueprint) = world.provider(0);
        let first = running.instance;
        world.registry.begin_start(&child).unwrap();
        world.registry.add_provider(running, blueprint).unwrap();
        world.registry.end_change(&child);
        world.registry.conclude_link(link.clone(), first, LinkState::Established);
        assert_eq!(state(&world), (LinkState::Established, false));

        let now = Instant::now();
        assert!(matches!(world.registry.crash(&child, first, now, 1, 0.0), Verdict::Restart { .. }));
        world.registry.conclude_link(link.clone(), first, LinkState::Established);
        assert_eq!(state(&world), (LinkState::Pending, true), "calls over it wait");

        let (RunningProvider { identity, instance: second, mailbox, .. }, _) = world.provider(0);
        world.registry.replace_provider(&identity.key, second, mailbox);
        world.registry.put_link(link.clone(), LinkState::Establishing);
        assert_eq!(state(&world), (LinkState::Establishing, true));
        world.registry.conclude_link(link.clone(), first, LinkState::Refused("late".to_owned()));
        assert_eq!(state(&world), (LinkState::Pending, false));
        world.registry.conclude_link(link.clone(), second, LinkState::Established);
        assert_eq!(state(&world), (LinkState::Established, false));
        world.registry.begin_stop(&child).unwrap();
        world.registry.remove_provider(&identity.key);
        world.registry.conclude_link(link.clone(), second, LinkState::Established);
        assert_eq!(state(&world), (LinkState::Pending, false));
    });
}

#[test]
fn crashes_are_in_a_row_until_a_provider_has_served_or_lived_for_long() {
    actix_rt::System::new().block_on(async {
        let mut world = World::new().await;
        let child = child_of(PROVIDERS[0]);
        world.registry.begin_start(&child).unwrap();
        let (running, blueprint) = world.provider(0);
        world.registry.add_provider(running, blueprint).unwrap();
        let mut count = |lived: u64, has_served: bool| {
            world.registry.count_crash(&child, ServiceRecord { lived: Duration::from_millis(lived), has_served })
        };
        let counted = [count(0, false), count(5, false), count(5, true), count(19, false), count(20, false)];
        assert_eq!(counted, [1, 2, 1, 2, 1]);
    });
}
