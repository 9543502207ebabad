//! Tests of the project through its public API, one module per subject. Nothing is mocked: guests are compiled and run,
//! servers listen on ephemeral loopback ports, and everything ends with its test.

#![allow(clippy::duplicate_mod, reason = "the examples that tests run share a module")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on should end at once")]

mod actors;
mod archives;
mod artifacts;
mod binary;
mod calls;
mod capacity;
mod command_line;
mod compilation;
mod conformance;
mod control;
mod crowds;
mod ctl;
mod dev;
mod era_client;
mod experiments;
mod guests;
mod health;
mod holds;
mod host;
mod http;
mod http_client;
mod http_connections;
mod http_protocols;
mod http_semantics;
mod instances;
mod interruptions;
mod lab;
mod lattice;
mod layers;
mod lifecycles;
mod limits;
mod link_values;
mod linked_crowds;
mod links;
mod logs;
mod manifests;
mod metrics;
mod middleware;
mod model;
mod new_projects;
mod own_thread;
mod packaging;
mod plugins;
mod preemption;
mod providers;
mod registries;
mod revisions;
mod run;
mod seed_api;
#[path = "../support/signing.rs"]
mod signing;
mod stress;
mod successors;
mod supervision;
mod support;
mod telemetry;
mod tokens;
mod toolchains;
mod top;
#[cfg(feature = "otlp")]
mod traces;
mod trust;
mod workplace;
