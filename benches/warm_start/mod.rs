//! Measures starts of an actor, from the bytes of its file until it can be called: with a warm artifact cache, and
//! compiled.
//!
//! Each start is on a new host, which has no modules in memory.

use std::time::{Duration, Instant};

use wasm_encoder::{CodeSection, FunctionSection, Module, RawSection};
use wasmcloud_host::{Actor, ArtifactCache, HostBuilder};
use wasmparser::{Parser, Payload};

use crate::signing;
use crate::support::{Row, Target, is_real_run, median};

/// The size of the module that the target applies to. Unit: bytes.
const LARGE: usize = 420_000;

pub(crate) async fn rows() -> Vec<Row> {
    let guest = signing::guest("echo_large");
    let larger = grown(&guest, LARGE);
    let mut table = Vec::new();
    for module in [guest, larger] {
        let kilobytes = module.len() / 1000;
        let signed = signing::sign_module("start", module).bytes();
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let warm = HostBuilder::new().with_artifact_cache(ArtifactCache::in_folder(folder.path().join("artifacts")));
        let (warm_starts, cold_starts) = if is_real_run() { (51, 5) } else { (1, 1) };
        let cold = typical_start(&HostBuilder::new(), &signed, cold_starts).await;
        // The first start fills the cache.
        start(&warm, &signed).await;
        let warm = typical_start(&warm, &signed, warm_starts).await;
        table.push(row(format!("start of a module of {kilobytes} KB, compiled"), cold, None));
        table.push(row(format!("start of a module of {kilobytes} KB from the warm artifact cache"), warm, Some(3.0)));
    }
    table
}

fn row(what: String, seconds: f64, target: Option<f64>) -> Row {
    Row { what, per_call: None, figure: seconds * 1e3, unit: "ms", target: target.map(Target::AtMost) }
}

async fn typical_start(builder: &HostBuilder, signed: &[u8], starts: usize) -> f64 {
    let mut times = Vec::new();
    for _ in 0..starts {
        times.push(start(builder, signed).await.as_secs_f64());
    }
    median(times)
}

/// Reads, verifies and starts a module on a new host. Returns the time without that of the host's start.
async fn start(builder: &HostBuilder, signed: &[u8]) -> Duration {
    let host = builder.clone().with_shards(1).build();
    host.start().await.expect("the host starts");
    let begin = Instant::now();
    let actor = Actor::from_slice(signed).expect("the module is signed");
    host.start_actor(actor).await.expect("the actor starts");
    let took = begin.elapsed();
    host.stop().await;
    took
}

/// Returns a module with copies of its own functions appended until it has this size.
pub(crate) fn grown(module: &[u8], bytes: usize) -> Vec<u8> {
    let mut types = Vec::new();
    let mut bodies = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        match payload.expect("the guest is a module") {
            Payload::FunctionSection(section) => types.extend(section.into_iter().map(|index| index.expect("a type"))),
            Payload::CodeSectionEntry(body) => bodies.push(body.as_bytes()),
            _ => {}
        }
    }
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    let mut missing = bytes.saturating_sub(module.len());
    let originals = types.iter().zip(&bodies);
    let copies = originals.clone().cycle().take_while(|(_, body)| {
        let wanted = missing > 0;
        missing = missing.saturating_sub(body.len());
        wanted
    });
    for (index, body) in originals.clone().chain(copies) {
        functions.function(*index);
        code.raw(body);
    }
    let mut grown = Module::new();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.expect("the guest is a module");
        match &payload {
            Payload::FunctionSection(_) => _ = grown.section(&functions),
            Payload::CodeSectionStart { .. } => _ = grown.section(&code),
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    grown.section(&RawSection { id, data: &module[range.start as usize..range.end as usize] });
                }
            }
        }
    }
    grown.finish()
}
