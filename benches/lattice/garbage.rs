//! Measures local calls, and the memory of a host, while others send garbage to every subject of the lattice.

use std::time::{Duration, Instant};

use wasmcloud_host::{Actor, Host};

use crate::hosts::{builder, join, joined, knows, lattice};
use crate::processes::{Process, say, setting};
use crate::recorder::{self, CONTRACT, Recorder};
use crate::server::NatsServer;
use crate::signing;
use crate::support::{Row, Series, Target, is_real_run, rows as ratios};

/// The role of the process that sends garbage.
pub(crate) const ROLE: &str = "garbage";

/// The messages that are sent each second.
const RATE: u32 = 10_000;

/// The time between two bursts of messages.
const TICK: Duration = Duration::from_millis(5);

/// How long the host may take to fill its buffers, until which its memory may grow.
const SETTLED: Duration = Duration::from_secs(5);

/// Sends garbage while the benchmark says so. Lines of the input name the subjects, separated by commas; an empty line stops
/// the garbage.
pub(crate) async fn send() {
    let client = async_nats::connect(setting("URL")).await.expect("the server answers");
    let (told, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).all(|line| told.send(line).is_ok()));
    let mut subjects: Vec<String> = Vec::new();
    let mut ticks = tokio::time::interval(TICK);
    let each_tick = RATE * TICK.as_millis() as u32 / 1000;
    let mut number = 0_u32;
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => {
                    say(&number.to_string());
                    subjects = line.split(',').filter(|subject| !subject.is_empty()).map(str::to_owned).collect();
                }
                None => return,
            },
            _ = ticks.tick(), if !subjects.is_empty() => {
                for _ in 0..each_tick {
                    let subject = subjects[number as usize % subjects.len()].clone();
                    client.publish_with_reply(subject, "nobody", garbage(number)).await.expect("the server is there");
                    number = number.wrapping_add(1);
                }
            }
        }
    }
}

/// Returns one of several kinds of garbage.
fn garbage(number: u32) -> bytes::Bytes {
    let noise = |length: usize| -> Vec<u8> {
        let mut state = u64::from(number) | 1;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u8
        })
        .take(length)
        .collect()
    };
    match (number / 64) % 5 {
        0 => bytes::Bytes::new(),
        1 => noise(100).into(),
        // Arrays in arrays in msgpack.
        2 => vec![0x91; 1_000].into(),
        // The beginning of an invocation in msgpack, and then noise.
        3 => [b"\x87\xa6origin\x81\x00\xa6system\xa6target\x81\x00".as_slice(), &noise(200)].concat().into(),
        _ => b"{\"actor_id\": [[[[[[[[[[[[[[[[\"".to_vec().into(),
    }
}

/// Returns the rows of this section.
pub(crate) async fn rows() -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (41, 2_000) } else { (1, 8) };
    let server = NatsServer::start();
    let host = builder().with_lattice(lattice(&server.url())).build();
    host.start().await.expect("the host starts");
    joined(&host).await;
    let echo = signing::sign("echo").actor();
    let echo_key = echo.public_key();
    host.start_actor(echo).await.expect("the actor starts");
    let other = populate(&server, &host).await;
    let mut sender = Process::start(ROLE, &[("URL", &server.url())]);
    let heard = subjects(&server);
    println!("garbage goes to {} subjects", heard.split(',').count());
    // As many messages, which no host hears: what the machine is slowed down by without the host.
    let unheard: Vec<String> = (0..heard.split(',').count()).map(|number| format!("elsewhere.{number}")).collect();
    let unheard = unheard.join(",");

    let mut reference = Series::new("local calls without garbage".to_owned(), None);
    let mut elsewhere = Series::new(format!("local calls, {RATE} messages/s that no host hears"), None);
    let mut beside = Series::new(format!("local calls, {RATE} garbage messages/s on every subject"), Some(1.1));
    for _ in 0..rounds {
        for (subjects, series) in [("", &mut reference), (&unheard, &mut elsewhere), (&heard, &mut beside)] {
            sender.tell(subjects);
            sender.line();
            actix_rt::time::sleep(TICK * 10).await;
            series.add(time(&host, &echo_key, calls).await, calls);
        }
    }
    let mut table = ratios(&reference, &[&elsewhere, &beside]);
    table.push(memory(&mut sender, &heard).await);
    let counts = host.lattice().expect("it has a lattice").counts;
    println!("garbage: {:?}\n{:?}", counts.edge, counts.membership);
    let answer = host.call_actor(&echo_key, "Echo", &[7; 100]).await;
    assert_eq!(answer.expect("the actor answers").len(), 100);
    other.stop().await;
    host.stop().await;
    table
}

/// Starts another host, and actors, a provider and a link, so that there are subjects of every kind.
async fn populate(server: &NatsServer, host: &Host) -> Host {
    let other = join(builder(), lattice(&server.url())).await;
    let module = recorder::calling_actor();
    let actor = recorder::key_of(&module);
    host.start_actor(Actor::from_slice(&module).expect("it is signed")).await.expect("the actor starts");
    let provider = Recorder::default().start_on(host).await;
    host.set_link(&actor, CONTRACT, None, provider, std::collections::HashMap::new()).await.expect("the link is set");
    knows(&other, &actor, 1).await;
    let answer = other.call_actor(&actor, "Call", &recorder::payload(0)).await.expect("the actor answers");
    assert_eq!(answer.first(), Some(&1));
    other
}

/// Returns the subjects on which the hosts hear anything, separated by commas. Wildcards stand for a word.
fn subjects(server: &NatsServer) -> String {
    let mut subjects = server.subscriptions();
    subjects.retain(|subject| !subject.starts_with('$'));
    let concrete = subjects.iter().map(|subject| subject.replace(['*', '>'], "garbage"));
    let mut concrete: Vec<String> = concrete.collect();
    concrete.sort();
    concrete.dedup();
    concrete.join(",")
}

async fn time(host: &Host, actor: &str, calls: u32) -> Duration {
    let begin = Instant::now();
    for _ in 0..calls {
        host.call_actor(actor, "Echo", &[7; 100]).await.expect("the actor answers");
    }
    begin.elapsed()
}

/// Measures how much memory grows, after the first seconds of garbage.
async fn memory(sender: &mut Process, subjects: &str) -> Row {
    let (settled, spell) = if is_real_run() { (SETTLED, SETTLED * 6) } else { (TICK, TICK) };
    sender.tell(subjects);
    sender.line();
    actix_rt::time::sleep(settled).await;
    let before = resident();
    actix_rt::time::sleep(spell).await;
    let grown = (resident() - before) / 1024.0 / 1024.0;
    sender.tell("");
    println!("garbage: {} messages, resident {:.0} MiB", sender.line(), resident() / 1024.0 / 1024.0);
    Row {
        what: format!("{} s of garbage: growth of the resident memory", spell.as_secs()),
        per_call: None,
        figure: grown.max(0.0),
        unit: " MiB",
        target: Some(Target::AtMost(10.0)),
    }
}

/// Returns the resident memory of this process. Unit: bytes.
pub(crate) fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the system reports it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is reported");
    let kilobytes: f64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kilobytes * 1024.0
}
