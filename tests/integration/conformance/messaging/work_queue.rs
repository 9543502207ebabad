//! The example of actors that share work, run as a user would.

use std::collections::HashSet;

use clap::Parser as _;

use super::super::nats_server::NatsServer;
use crate::support::{keep_log, logged, soon, until, with_host};

#[path = "../../../../examples/work_queue.rs"]
#[allow(dead_code, reason = "what belongs to the command line is not run here")]
mod example;

/// Has jobs shared by the example, and then one more job done that somebody else brings.
async fn share_jobs(more: &[&str]) {
    keep_log();
    let before = logged().len();
    with_host(async |host| {
        let arguments = [&["work_queue", "--workers", "3", "--jobs", "60"], more].concat();
        let arguments = example::Arguments::parse_from(arguments);
        assert_eq!(example::work(&host, &arguments).await.unwrap(), 60);
        let workers = host.actors().await.unwrap();
        // Who did which job, in the words of the log.
        let done = || -> Vec<(String, String)> {
            let lines = logged().into_iter().skip(before);
            let ours = lines.filter(|line| workers.iter().any(|worker| line.contains(worker)));
            let said = ours.filter_map(|line| Some(line.split_once(" actor=")?.0.strip_prefix("WARN ")?.to_owned()));
            said.filter_map(|said| said.split_once(": ").map(|(who, job)| (who.to_owned(), job.to_owned()))).collect()
        };
        until(async || done().len() >= 60).await;
        let jobs: HashSet<_> = done().into_iter().map(|(_, job)| job).collect();
        let by: HashSet<_> = done().into_iter().map(|(who, _)| who).collect();
        assert_eq!((done().len(), jobs.len(), by.len()), (60, 60, 3), "each job is done once, and nobody does all");
        if let [_, url] = more {
            let client = async_nats::connect(*url).await.unwrap();
            let answer = soon(client.request("jobs.log", "one more".into())).await.unwrap();
            assert_eq!(&answer.payload[..], b"one more");
        }
    })
    .await;
}

#[actix_rt::test]
async fn the_example_shares_jobs_within_a_host() {
    share_jobs(&[]).await;
}

#[actix_rt::test]
async fn the_example_shares_jobs_by_nats() {
    let server = NatsServer::start();
    share_jobs(&["--url", &server.url()]).await;
}
