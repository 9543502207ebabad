//! Measures the plan of a manifest: 1,000 entries that all run as described.
//!
//! `cargo bench --bench operate` prints the table and writes `target/figures/operate.json`.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a benchmark that cannot run should end at once")]

#[allow(dead_code, reason = "other benchmarks use more of it")]
mod support;

#[path = "../tests/support/signing.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod signing;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use support::{Row, Target, is_real_run, median, report};
use wasmcloud_host::{ApplyOptions, Host, HostBuilder, HostManifest};

/// The size of a typical module of 2021. Unit: bytes.
const MODULE_BYTES: usize = 420_000;

#[actix_rt::main]
async fn main() {
    let (entries, large) = if is_real_run() { (1000, 100) } else { (10, 2) };
    let table = vec![plan(entries, 0, Some(Target::AtMost(200.0))).await, plan(large, MODULE_BYTES, None).await];
    report("operate", "Plans of manifests whose entries all run: every module is read, hashed and verified", &table)
        .expect("the figures can be written");
}

/// Measures the plan of a manifest of actors that all run, from its text to the answer of the host.
async fn plan(actors: usize, module_bytes: usize, target: Option<Target>) -> Row {
    let rounds = if is_real_run() { 21 } else { 1 };
    let folder = tempfile::tempdir().expect("there is room for files");
    let path = write(folder.path(), actors, module_bytes);
    let host = HostBuilder::new().with_shards(1).with_health_interval(None).build();
    host.start().await.expect("the host starts");
    let applied = host.apply_manifest_with(read(&path), ApplyOptions::new()).await.expect("the manifest is sound");
    assert!(applied.is_complete(), "{applied}");
    let mut times = Vec::new();
    for _ in 0..rounds {
        times.push(time(&host, &path, actors).await);
    }
    host.stop().await;
    let size =
        if module_bytes == 0 { "small modules".to_owned() } else { format!("modules of {} KB", module_bytes / 1000) };
    let what = format!("plan of {actors} actors that run, {size}: no change: median");
    Row { what, per_call: None, figure: median(times), unit: "ms", target }
}

async fn time(host: &Host, path: &Path, actors: usize) -> f64 {
    let begin = Instant::now();
    let plan = host.plan_manifest(read(path), ApplyOptions::new().prune(true)).await.expect("the manifest is sound");
    let elapsed = begin.elapsed();
    assert!(plan.is_empty() && plan.unchanged == actors, "{plan}");
    elapsed.as_secs_f64() * 1e3
}

fn read(path: &Path) -> HostManifest {
    HostManifest::from_path(path, false).expect("the manifest is sound")
}

/// Writes a manifest and the modules that it names.
fn write(folder: &Path, actors: usize, module_bytes: usize) -> PathBuf {
    let mut text = "actors:\n".to_owned();
    for number in 0..actors {
        let module = padded(signing::guest("tiny_echo"), module_bytes);
        let name = format!("{number}.wasm");
        std::fs::write(folder.join(&name), signing::sign_module("echo", module).bytes())
            .expect("there is room for files");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  - {name}");
    }
    let path = folder.join("bench.yaml");
    std::fs::write(&path, text).expect("there is room for files");
    path
}

/// Returns the module with a custom section that pads it to this size.
fn padded(mut module: Vec<u8>, bytes: usize) -> Vec<u8> {
    let missing = bytes.saturating_sub(module.len());
    if missing > 0 {
        let padding = vec![0; missing];
        let section = wasm_encoder::CustomSection { name: "padding".into(), data: padding.into() };
        wasm_encoder::Section::append_to(&section, &mut module);
    }
    module
}
