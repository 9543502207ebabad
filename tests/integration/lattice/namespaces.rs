//! Hosts in network namespaces of their own, each in a process: one is cut off, with its connections left open, and rejoins.
//!
//! Namespaces are made by root alone. Where they cannot be had, the test is left out, and says so.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nkeys::KeyPair;
use tempfile::TempDir;
use wasmcloud_host::{ConnectionOptions, Host, HostBuilder, LatticeOptions};

use super::{HEARTBEAT, program};
use crate::conformance::nats_server::answers;
use crate::conformance::server_process::ServerProcess;
use crate::signing::sign;
use crate::support::PROBE;

/// The environment variable with the address of the NATS server. It makes a process a host.
const SERVER: &str = "WASMCLOUD_TEST_LATTICE_SERVER";

/// The environment variable with the seed of the cluster.
const CLUSTER: &str = "WASMCLOUD_TEST_LATTICE_CLUSTER";

/// What begins the lines that a host prints for the test. The test program prints others.
const MARK: &str = "> ";

/// How long something that is sure to happen may take.
const PATIENCE: Duration = Duration::from_secs(25);

/// A network namespace, and the pair of interfaces that joins it with the one of the test.
struct Namespace {
    name: String,
    interface: String,
    /// The address of the test's end.
    gateway: String,
}

impl Namespace {
    /// Returns a new namespace, or `None` if it cannot be made here.
    fn new(number: u32) -> Option<Namespace> {
        let id = std::process::id();
        let (name, interface) = (format!("wc{id}n{number}"), format!("wc{}v{number}", id % 100_000));
        let peer = format!("{interface}p");
        let (third, fourth) = (id / 60 % 200, id % 60 * 4);
        let gateway = format!("10.2{}.{third}.{}", 30 + number, fourth + 1);
        let inside = format!("10.2{}.{third}.{}", 30 + number, fourth + 2);
        let namespace = Namespace { name: name.clone(), interface: interface.clone(), gateway: gateway.clone() };
        let commands = [
            format!("netns add {name}"),
            format!("link add {interface} type veth peer name {peer}"),
            format!("link set {peer} netns {name}"),
            format!("addr add {gateway}/30 dev {interface}"),
            format!("link set {interface} up"),
            format!("-n {name} addr add {inside}/30 dev {peer}"),
            format!("-n {name} link set {peer} up"),
            format!("-n {name} link set lo up"),
        ];
        commands.iter().all(|command| ip(command)).then_some(namespace)
    }

    /// Drops all packets to and from the namespace. Connections stay open.
    fn cut_off(&self) {
        assert!(ip(&format!("link set {} down", self.interface)));
    }

    fn rejoin(&self) {
        assert!(ip(&format!("link set {} up", self.interface)));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&format!("link del {}", self.interface));
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    let status = Command::new("ip").args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// A host in a process of its own.
struct HostProcess {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl HostProcess {
    fn start(namespace: &Namespace, port: u16, cluster: &str) -> HostProcess {
        let mut process = Command::new("ip")
            .args(["netns", "exec", &namespace.name])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "--test-threads", "1", "lattice::namespaces::a_host_that_obeys_its_input"])
            .env(SERVER, format!("{}:{port}", namespace.gateway))
            .env(CLUSTER, cluster)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        HostProcess { process, commands, answers }
    }

    /// Tells the host something, and returns its answer.
    fn tell(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").unwrap();
        loop {
            let mut line = String::new();
            assert!(self.answers.read_line(&mut line).unwrap() > 0, "the host has ended");
            if let Some((_, answer)) = line.split_once(MARK) {
                return answer.trim().to_owned();
            }
        }
    }

    /// Tells the host something again and again, until it answers as expected.
    fn until(&mut self, command: &str, is_so: impl Fn(&str) -> bool) {
        let began = Instant::now();
        loop {
            let answer = self.tell(command);
            if is_so(&answer) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{command}: {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_host_that_is_cut_off_works_alone_and_rejoins() {
    let namespaces = [Namespace::new(1), Namespace::new(2)];
    let [Some(near), Some(far)] = &namespaces else {
        println!("LEFT OUT: no network namespaces can be made here (root, and the command ip, are needed)");
        return;
    };
    let store = TempDir::new().unwrap();
    let folder = store.path().to_owned();
    let command = move |port: u16| {
        let mut command = Command::new(program());
        command.args(["--addr", "0.0.0.0", "--port", &port.to_string(), "--jetstream", "--store_dir"]).arg(&folder);
        command
    };
    let server = ServerProcess::start(command, answers);
    let cluster = KeyPair::new_cluster().seed().unwrap();
    let mut one = HostProcess::start(near, server.port, &cluster);
    let mut other = HostProcess::start(far, server.port, &cluster);
    for host in [&mut one, &mut other] {
        host.until("joined", |answer| answer == "true");
        host.until("peers", |answer| answer == "1");
    }
    let remote = one.tell("run");
    let local = other.tell("run");
    other.until(&format!("call {remote}"), |answer| answer == "ok");

    far.cut_off();
    // The host that is cut off serves itself, fails in time, and declares no host dead.
    assert_eq!(other.tell(&format!("call {local}")), "ok");
    let failed = other.tell(&format!("call {remote}"));
    assert!(["OutcomeUnknown", "LatticeUnavailable"].contains(&failed.as_str()), "{failed}");
    other.until("joined", |answer| answer == "false");
    let provider = KeyPair::new_service().public_key();
    assert_eq!(other.tell(&format!("link {remote} {provider}")), "ok");
    one.until("peers", |answer| answer == "0");
    assert_eq!(other.tell("peers"), "1");
    assert_eq!(other.tell(&format!("call {local}")), "ok");

    far.rejoin();
    other.until("joined", |answer| answer == "true");
    one.until("peers", |answer| answer == "1");
    other.until(&format!("call {remote}"), |answer| answer == "ok");
    // What was changed meanwhile is known where it matters.
    one.until("links", |answer| answer.contains(&provider));
}

/// The host of a process that [`HostProcess`] starts. Anywhere else it has nothing to do.
#[actix_rt::test]
async fn a_host_that_obeys_its_input() {
    let (Ok(server), Ok(cluster)) = (std::env::var(SERVER), std::env::var(CLUSTER)) else { return };
    let connection = ConnectionOptions::new(server)
        .ping_interval(Duration::from_millis(300))
        .connect_timeout(Duration::from_millis(500))
        .longest_delay(Duration::from_millis(500));
    let options = LatticeOptions::new(connection).cluster_seed(cluster).heartbeat_interval(HEARTBEAT);
    let builder = HostBuilder::new().with_shards(1).with_call_deadline(Duration::from_secs(1)).with_lattice(options);
    let host = builder.build();
    host.start().await.unwrap();
    let (sender, mut commands) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if line.map_or(true, |line| sender.send(line).is_err()) {
                return;
            }
        }
    });
    while let Some(command) = commands.recv().await {
        println!("\n{MARK}{}", obey(&host, &command).await);
    }
    host.stop().await;
}

async fn obey(host: &Host, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let outcome = |result: wasmcloud_host::Result<()>| match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.kind().name().to_owned(),
    };
    match words[..] {
        ["joined"] => host.lattice().unwrap().state.is_joined().to_string(),
        ["peers"] => host.lattice().unwrap().hosts.iter().filter(|peer| peer.is_up).count().to_string(),
        ["run"] => {
            let actor = sign("tiny_echo").capability(PROBE).actor();
            let key = actor.public_key();
            host.start_actor(actor).await.unwrap();
            key
        }
        ["call", actor] => outcome(host.call_actor(actor, "Echo", b"x").await.map(drop)),
        ["link", actor, provider] => {
            outcome(host.set_link(actor, PROBE, None, provider.to_owned(), HashMap::new()).await)
        }
        ["links"] => format!("{:?}", host.link_definitions().await.unwrap()),
        _ => panic!("a host knows no command {command:?}"),
    }
}
