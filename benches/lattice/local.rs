//! Measures local calls on a host that has joined a lattice, against those on a host that runs alone.

use std::time::{Duration, Instant};

use wasmcloud_host::{Host, HostBuilder};

use crate::hosts::{builder, joined, lattice};
use crate::server::NatsServer;
use crate::signing;
use crate::support::{Row, Series, is_real_run, rows as ratios};

/// A host on this thread, and an actor of it.
struct Local {
    host: Host,
    actor: String,
}

impl Local {
    async fn start(builder: HostBuilder) -> Local {
        let host = builder.build();
        host.start().await.expect("the host starts");
        let actor = signing::sign("echo").actor();
        let key = actor.public_key();
        host.start_actor(actor).await.expect("the actor starts");
        Local { host, actor: key }
    }

    async fn time(&self, calls: u32) -> Duration {
        let begin = Instant::now();
        for _ in 0..calls {
            let answer = self.host.call_actor(&self.actor, "Echo", &[7; 100]).await.expect("the actor answers");
            assert_eq!(answer.len(), 100);
        }
        begin.elapsed()
    }
}

/// Returns the rows of this section.
pub(crate) async fn rows() -> Vec<Row> {
    let (rounds, calls) = if is_real_run() { (501, 1_000) } else { (1, 8) };
    let server = NatsServer::start();
    let alone = Local::start(builder()).await;
    let also_alone = Local::start(builder()).await;
    let member = Local::start(builder().with_lattice(lattice(&server.url()))).await;
    joined(&member.host).await;
    let mut reference = Series::new("local calls on a host alone".to_owned(), None);
    let mut noise = Series::new("local calls on a second host alone".to_owned(), None);
    let mut in_lattice = Series::new("local calls on a host that has joined".to_owned(), Some(1.02));
    for round in 0..rounds {
        // Each is the first one, and follows each other, equally often.
        let mut hosts = [(&alone, &mut reference), (&also_alone, &mut noise), (&member, &mut in_lattice)];
        hosts.rotate_left(round % 3);
        if round % 2 == 0 {
            hosts.reverse();
        }
        for (local, series) in hosts {
            series.add(local.time(calls).await, calls);
        }
    }
    let table = ratios(&reference, &[&noise, &in_lattice]);
    for local in [alone, also_alone, member] {
        local.host.stop().await;
    }
    table
}
