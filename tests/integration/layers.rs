//! The layers of the project: nothing depends on what lies above it, and no modules depend on each other in a circle.
//!
//! The compiler sees to it that crates form no circle. This reads the imports of each crate's files, and the dependencies
//! between crates, and prints the path of what breaks the rules.

mod imports;

use std::collections::{BTreeMap, BTreeSet};

use imports::{Imports, Module};

use crate::signing::in_repository;

/// The crates, each with the crates that it may use: those before it in the list, unless it says less.
const CRATES: [(&str, &[&str]); 14] = [
    ("crates/core", &[]),
    ("crates/document", &["wasmcloud-core"]),
    ("crates/claims", &["wasmcloud-core"]),
    ("crates/engine", &["wasmcloud-core"]),
    ("crates/provider-sdk", &[]),
    ("crates/provider", &["wasmcloud-core", "wasmcloud-claims"]),
    ("crates/plugin", &["wasmcloud-core", "wasmcloud-claims", "wasmcloud-provider", "wasmcloud-provider-sdk"]),
    ("crates/http-server", &[]),
    (
        "crates/providers",
        &["wasmcloud-core", "wasmcloud-claims", "wasmcloud-provider", "wasmcloud-plugin", "wasmcloud-http-server"],
    ),
    ("crates/lattice", &["wasmcloud-core", "wasmcloud-claims"]),
    ("crates/telemetry", &["wasmcloud-core"]),
    ("crates/control", &["wasmcloud-core", "wasmcloud-lattice", "wasmcloud-telemetry"]),
    ("crates/oci", &["wasmcloud-core"]),
    (
        ".",
        &[
            "wasmcloud-core",
            "wasmcloud-claims",
            "wasmcloud-control",
            "wasmcloud-document",
            "wasmcloud-engine",
            "wasmcloud-lattice",
            "wasmcloud-oci",
            "wasmcloud-provider",
            "wasmcloud-plugin",
            "wasmcloud-providers",
            "wasmcloud-telemetry",
        ],
    ),
];

/// The rooms of the host's crate, from the lowest layer to the highest. A room uses those of lower layers. Within the lowest
/// layer rooms may use each other, as long as there is no circle.
const LAYERS: [&[&str]; 8] = [
    &[
        "authorizer",
        "child",
        "event",
        "experiment",
        "identity",
        "instruments",
        "labels",
        "lifecycle",
        "link",
        "middleware",
        "samples",
        "shard",
        "spans",
    ],
    &["dispatch"],
    &["actor", "provider"],
    &["supervisor"],
    &["lattice"],
    &["manifest", "telemetry"],
    &["telemetry"],
    &["host", "fuzzing"],
];

/// The layer of a room of the host's crate, and its number from below.
fn layer(room: &str) -> usize {
    let found = LAYERS.iter().position(|rooms| rooms.contains(&room));
    found.unwrap_or_else(|| panic!("src/{room} belongs to no layer: name it in tests/integration/layers.rs"))
}

#[test]
fn crates_use_the_crates_below_them() {
    for (folder, allowed) in CRATES {
        let manifest = std::fs::read_to_string(in_repository(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
        let dependencies = dependencies.split("\n[").next().unwrap_or_default();
        let names = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        for name in names.filter(|name| name.starts_with("wasmcloud")) {
            assert!(allowed.contains(&name), "{folder} uses {name}, which does not lie below it");
        }
    }
}

#[test]
fn rooms_use_the_layers_below_them() {
    let imports = Imports::of(&in_repository("src"));
    for (from, to) in imports.edges() {
        let [(Some(from_room), Some(to_room))] = [(from.room(), to.room())] else { continue };
        let (above, below) = (layer(from_room), layer(to_room));
        let is_allowed = from_room == to_room || below < above || (above == 0 && below == 0);
        assert!(is_allowed, "{from} uses {to}, which lies above it or beside it");
    }
}

#[test]
fn no_modules_use_each_other_in_a_circle() {
    for folder in CRATES.iter().map(|(folder, _)| *folder).chain(["crates/wasmcloud", "crates/http-server-plugin"]) {
        let imports = Imports::of(&in_repository(folder).join("src"));
        if let Some(circle) = circle(&imports) {
            let path: Vec<String> = circle.iter().map(Module::to_string).collect();
            panic!("modules of {folder} form a circle: {}", path.join(" -> "));
        }
    }
}

/// Finds a circle of modules, if there is one. What a module takes from those around it (`super`) does not count: a room is
/// one thing, of which its file is the front.
fn circle(imports: &Imports) -> Option<Vec<Module>> {
    let mut uses: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for (from, to) in imports.edges().filter(|(from, to)| !from.lies_within(to)) {
        uses.entry(from).or_default().insert(to);
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|start| search(start, &uses, &mut Vec::new(), &mut done))
}

fn search<'a>(
    module: &'a Module,
    uses: &BTreeMap<&'a Module, BTreeSet<&'a Module>>,
    path: &mut Vec<&'a Module>,
    done: &mut BTreeSet<&'a Module>,
) -> Option<Vec<Module>> {
    if let Some(begin) = path.iter().position(|passed| *passed == module) {
        return Some(path[begin..].iter().copied().chain([module]).cloned().collect());
    }
    if done.contains(module) {
        return None;
    }
    path.push(module);
    let found = uses.get(module).into_iter().flatten().find_map(|next| search(next, uses, path, done));
    path.pop();
    done.insert(module);
    found
}

#[test]
fn a_circle_is_found_and_its_path_named() {
    let [a, b, c] = ["a", "b", "c"].map(|name| Module::named(&[name]));
    let imports = Imports::made_of([(a.clone(), b.clone()), (b.clone(), c.clone()), (c.clone(), b.clone())]);
    assert_eq!(circle(&imports), Some(vec![b.clone(), c, b]));
    let inner = Module::named(&["a", "inner"]);
    assert_eq!(circle(&Imports::made_of([(a.clone(), inner.clone()), (inner, a)])), None);
}
