//! The supervisor against a model: after any sequence of commands its state, its events and the facts agree.
//!
//! A real host and the `rules`, a plain description of the expected outcomes, execute random sequences of commands. After each
//! command everything observable is compared: the outcome, the events, the inventory, the links, the bindings of each
//! provider, and the calls that pass. Concurrent sequences have several valid outcomes; after them, the `laws` must hold.
//!
//! `PROPTEST_CASES` is the number of sequences.

mod command;
mod laws;
mod rules;
mod world;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use command::{Command, commands};
use laws::Record;
use rules::Model;
use world::{Setting, World};

/// How many sequences are tried where the environment does not say.
const CASES: u32 = 250;

fn runner() -> TestRunner {
    let asked = std::env::var_os("PROPTEST_CASES").map(|_| Config::default().cases);
    let cases = asked.unwrap_or(CASES);
    TestRunner::new(Config {
        cases,
        max_shrink_iters: 400,
        max_shrink_time: 20_000,
        failure_persistence: None,
        ..Config::default()
    })
}

fn settings() -> impl Strategy<Value = Setting> {
    (any::<bool>(), proptest::array::uniform3(0_u8..6)).prop_map(|(strict, pauses)| Setting { strict, pauses })
}

#[test]
fn every_command_leads_to_what_the_rules_say() {
    let sequences = (settings(), proptest::collection::vec(commands(), 1..30));
    let outcome = runner().run(&sequences, |(setting, commands)| {
        actix_rt::System::new().block_on(compare(setting, &commands));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn compare(setting: Setting, commands: &[Command]) {
    let mut world = World::start(setting).await;
    let mut model = Model::new(setting.strict);
    for (number, command) in commands.iter().enumerate() {
        let expected = model.apply(command);
        let outcome = world.carry_out(command).await;
        assert_eq!(outcome, expected.outcome, "the outcome of command {number}, {command:?}");
        let mut told = world.told(expected.told.len()).await;
        told.sort();
        assert_eq!(told, expected.told, "what is told of command {number}, {command:?}");
        if matches!(command, Command::Panic { .. }) {
            // A provider that is given up lets go of its links beside everything else.
            world.settle().await;
        }
        assert_eq!(world.view().await, model.view(), "what is seen after command {number}, {command:?}");
    }
    let expected = model.stop();
    world.host.stop().await;
    assert_eq!(world.told(expected.len()).await, expected, "children are stopped in the reverse order of their starts");
    assert_eq!(world.surprises(), [""; 0]);
}

#[test]
fn commands_at_the_same_time_leave_everything_consistent() {
    let sequences = (settings(), proptest::collection::vec(proptest::collection::vec(commands(), 1..20), 2..4));
    let outcome = runner().run(&sequences, |(setting, tasks)| {
        actix_rt::System::new().block_on(run_at_once(setting, &tasks));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn run_at_once(setting: Setting, tasks: &[Vec<Command>]) {
    let mut world = World::start(setting).await;
    let tasks = tasks.iter().map(async |commands| {
        let mut carried_out = Vec::new();
        for command in commands {
            carried_out.push((command, world.carry_out(command).await));
        }
        carried_out
    });
    let mut record = Record::default();
    for (command, outcome) in futures_util::future::join_all(tasks).await.into_iter().flatten() {
        record.note(command, &outcome);
    }
    world.settle().await;
    let view = world.view().await;
    laws::hold_for_what_is_seen(&view);
    world.host.stop().await;
    laws::hold_for_what_was_told(&record, &view, &world.all_told().await);
    assert_eq!(world.surprises(), [""; 0]);
}
