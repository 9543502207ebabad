//! Processes that are killed in the midst of their work, and what they had acknowledged by then.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// Where a process that is to be killed has its store, and which of several it is.
const PLACE: &str = "WASMCLOUD_TEST_TO_KILL";
const ROUND: &str = "WASMCLOUD_TEST_ROUND";

/// In a process that is to be killed: where its store is, and which of several it is.
pub(crate) fn to_be_killed() -> Option<(String, String)> {
    Some((std::env::var(PLACE).ok()?, std::env::var(ROUND).unwrap()))
}

/// Says that something is acknowledged, to whoever kills this process.
pub(crate) fn acknowledge(what: &str) {
    println!("\nack {what}");
}

/// Has a process run a test, kills it in the midst of that, and tells what it had acknowledged: a thousand things at
/// least. `name` is the test's full name.
pub(crate) fn acknowledged_before_the_kill(name: &str, place: &str, round: usize) -> Vec<String> {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", name])
        .env(PLACE, place)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut acknowledged = lines.filter_map(|line| line.strip_prefix("ack ").map(str::to_owned));
    let enough = 1_000 + usize::from(rand::random::<u8>()) * 8;
    let mut before: Vec<String> = acknowledged.by_ref().take(enough).collect();
    process.kill().unwrap();
    before.extend(acknowledged);
    process.wait().unwrap();
    assert!(before.len() >= enough, "the process ended before it was killed");
    before
}
