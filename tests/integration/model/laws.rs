//! The invariants after concurrent commands, in any order of their execution.

use std::collections::{BTreeMap, HashMap};

use wasmcloud_host::ErrorKind;

use super::command::{Command, PORTS, WRONG, port_of};
use super::rules::{Outcome, Stage, View, actor_name, provider_name};

/// Which changes were told to have been carried out, and how often.
#[derive(Debug, Default)]
pub(super) struct Record(BTreeMap<String, usize>);

impl Record {
    pub(super) fn note(&mut self, command: &Command, outcome: &Outcome) {
        if *outcome != Outcome::Done {
            return;
        }
        let what = match command {
            Command::StartActor { actor, .. } => format!("{}: started", actor_name(*actor)),
            Command::StartProvider { provider, .. } => format!("{}: started", provider_name(*provider)),
            Command::Scale { actor, instances } => format!("{}: scaled to {instances}", actor_name(*actor)),
            Command::RemoveLink { actor, port } => format!("{}: unlinked {port}", actor_name(*actor)),
            _ => return,
        };
        *self.0.entry(what).or_default() += 1;
    }
}

/// The links, what providers believe, and who can call whom, agree.
pub(super) fn hold_for_what_is_seen(view: &View) {
    let mut bound = view.beliefs.each_ref().map(|_| BTreeMap::new());
    for ((actor, port), (wish, stage)) in &view.links {
        let runs_under_it = port_of(wish.provider).link_name == port.link_name;
        // One that has failed has let go of its links.
        let provider_runs = runs_under_it && view.providers.get(&wish.provider) == Some(&false);
        let running = view.actors.get(actor);
        let entitled = running.is_none_or(|actor| actor.release.claimed.include(*port));
        let both_run = running.is_some() && provider_runs;
        match stage {
            Stage::Established => {
                assert!(both_run && entitled && *port != WRONG && !wish.refused, "{actor} {port} {view:#?}");
                bound[wish.provider].insert(*actor, wish.value);
            }
            Stage::Refused => assert!(wish.refused || !entitled || *port == WRONG, "{actor} {port} {view:#?}"),
            // A wish that is refused in the moment in which another provider lets go of the link waits.
            Stage::Pending => assert!(!both_run || wish.refused, "{actor} {port} {view:#?}"),
        }
    }
    assert_eq!(bound, view.beliefs, "links and what providers believe: {view:#?}");
    for ((actor, port), asked) in &view.asked {
        let reached = view
            .links
            .get(&(*actor, *port))
            .filter(|(wish, stage)| *stage == Stage::Established && view.providers.get(&wish.provider) == Some(&false));
        let expected = reached.map_or(Outcome::NoAnswer, |(wish, _)| Outcome::Answer(provider_name(wish.provider)));
        assert_eq!(*asked, expected, "{actor} {port} {view:#?}");
    }
    for ((provider, actor), outcome) in &view.called_back {
        let may = view.beliefs[*provider].contains_key(actor) && view.calls[actor] == Outcome::Done;
        assert_eq!(*outcome == Outcome::Done, may, "{provider} {actor} {view:#?}");
    }
    for (actor, outcome) in &view.calls {
        match view.actors.get(actor) {
            Some(running) if running.failed => assert_eq!(*outcome, Outcome::Failed(ErrorKind::ChildFailed)),
            Some(_) => assert_eq!(*outcome, Outcome::Done),
            None => assert!(matches!(outcome, Outcome::Failed(ErrorKind::ActorNotFound | ErrorKind::ActorStopped))),
        }
    }
    let holders: Vec<_> = [0, 1].into_iter().filter(|actor| view.actors.contains_key(actor)).collect();
    match holders[..] {
        [] => assert_eq!(view.alias, Outcome::Failed(ErrorKind::ActorNotFound)),
        [holder] => assert_eq!(view.alias, view.calls[&holder]),
        _ => panic!("two actors have one call alias: {view:#?}"),
    }
}

/// The events tell what was carried out, each thing once, in an order in which it can have happened.
pub(super) fn hold_for_what_was_told(record: &Record, last: &View, told: &[String]) {
    for (what, times) in &record.0 {
        let told = told.iter().filter(|event| *event == what).count();
        assert_eq!(told, *times, "how often it is told that {what}");
    }
    let mut children: HashMap<&str, Child> = HashMap::new();
    for event in told {
        let (who, what) = event.split_once(": ").unwrap();
        if who != "host" {
            children.entry(who).or_default().hear(event, what);
        }
    }
    for (who, child) in &children {
        assert!(!child.runs, "{who} was not stopped with the host: {told:#?}");
    }
    assert_eq!(told.last().map(String::as_str), Some("host: stopped"));
    for (actor, view) in &last.actors {
        let child = &children[&*actor_name(*actor)];
        assert_eq!(child.failed_last, view.failed, "{told:#?}");
        assert_eq!(child.revision_last, Some(view.release.revision).filter(|_| child.revision_last.is_some()));
    }
    for (provider, failed) in &last.providers {
        assert_eq!(children[&*provider_name(*provider)].failed_last, *failed, "{told:#?}");
    }
}

/// What was told of one actor or provider.
#[derive(Debug, Default)]
struct Child {
    runs: bool,
    failed: bool,
    /// Whether it had failed when it was stopped last.
    failed_last: bool,
    revision: Option<i32>,
    revision_last: Option<i32>,
}

impl Child {
    fn hear(&mut self, event: &str, what: &str) {
        let about_links = PORTS.iter().any(|port| what.contains(&port.to_string()));
        match what {
            "started" => {
                assert!(!self.runs, "{event} while it ran");
                (self.runs, self.failed, self.revision) = (true, false, None);
            }
            "stopped" => {
                assert!(self.runs, "{event} while it did not run");
                self.runs = false;
                (self.failed_last, self.revision_last) = (self.failed, self.revision);
            }
            "failed" => {
                assert!(self.runs && !self.failed, "{event} while it did not run, or had failed");
                self.failed = true;
            }
            "update refused" => {}
            // Links of actors that do not run are refused and removed too.
            _ if about_links => {}
            _ => {
                assert!(self.runs, "{event} while it did not run");
                if let Some((from, to)) = what.strip_prefix("updated from ").and_then(|what| what.split_once(" to ")) {
                    assert!(self.revision.is_none_or(|revision| revision.to_string() == from), "{event}");
                    (self.revision, self.failed) = (to.parse().ok(), false);
                }
            }
        }
    }
}
