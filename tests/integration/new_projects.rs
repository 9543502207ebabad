//! `wasmcloud new`: projects, built, tested, signed and run by the commands of their own READMEs.
//!
//! # Layout
//! - `project`: a project, and a shell that works in it
//! - `actors`, `providers`: what becomes of each kind

mod actors;
mod project;
mod providers;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::workplace::Workplace;

/// All kinds of projects, by the options that they are made with.
const KINDS: [&str; 6] = [
    "actor NAME",
    "actor NAME --template kv",
    "actor NAME --template empty",
    "actor NAME --lang assemblyscript",
    "provider NAME --contract example:greeting",
    "provider NAME --lang c",
];

/// The paths of all files below a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in next.read_dir().unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// A placeholder that has no value.
fn unfilled(text: &str) -> Option<&str> {
    let names = text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
    names.into_iter().find(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

#[test]
fn every_project_is_whole() {
    for (kind, number) in KINDS.iter().zip(0..) {
        let place = Workplace::new();
        let name = format!("my-project{number}");
        assert_eq!(place.ends(&format!("new {}", kind.replace("NAME", &name))), (0, String::new()), "{kind}");
        let folder = place.path(&name);
        let files = files(&folder);
        for file in [".gitignore", "README.md", &format!("{name}.yaml")] {
            assert!(files.iter().any(|found| found == file), "{kind}: {files:?}");
        }
        for file in &files {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(unfilled(&text), None, "{kind}: {file}");
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{kind}: {file}");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o600, 0o600, "{kind}: {file}");
        }
        assert_eq!(place.names(), [name.as_str()], "nothing is left beside it");
        let ignored = std::fs::read_to_string(folder.join(".gitignore")).unwrap();
        assert!(ignored.lines().any(|line| line == "*.seed"), "{kind}: {ignored}");
        let (code, errors) = place.ends(&format!("manifest check {name}/{name}.yaml"));
        // It names files, which is right on one machine and not on several.
        assert!(code == 0 && !errors.contains("error"), "{kind}: {errors}");
    }
}

#[test]
fn the_copy_of_the_sdk_has_all_of_its_files() {
    let place = Workplace::new();
    assert_eq!(place.ends("new provider p").0, 0);
    let sdk = crate::signing::in_repository("crates/provider-sdk");
    let copied = files(&place.path("p/sdk"));
    for part in ["src", "include"] {
        for file in files(&sdk.join(part)) {
            let file = format!("{part}/{file}");
            assert!(copied.contains(&file), "{file}");
            let copy = std::fs::read(place.path("p/sdk").join(&file)).unwrap();
            assert!(copy == std::fs::read(sdk.join(&file)).unwrap(), "{file}");
        }
    }
}

#[test]
fn what_cannot_be_a_project_is_refused_and_leaves_nothing_behind() {
    let place = Workplace::new();
    std::fs::create_dir(place.path("taken")).unwrap();
    place.write("file", "mine");
    std::os::unix::fs::symlink("nowhere", place.path("dangling")).unwrap();
    let long = "x".repeat(65);
    for (arguments, code, expected) in [
        ("actor taken", 1, "taken exists already"),
        ("actor file", 1, "file exists already"),
        ("provider dangling", 1, "dangling exists already"),
        ("actor a --path no/such/a", 1, "make it first"),
        ("actor a --path file/a", 1, "make it first"),
        ("provider a --path taken", 1, "exists already"),
        ("actor a --path /", 1, "exists already"),
        ("actor a --path .", 1, "exists already"),
        ("actor Hello", 2, "lower-case"),
        ("actor ../a", 2, "lower-case"),
        ("actor -a", 2, "unexpected argument"),
        ("actor fn", 2, "reserved"),
        ("provider nul", 2, "reserved"),
        (&format!("actor {long}"), 2, "64 characters"),
        ("actor serde", 2, "a dependency of the project is named serde"),
        ("provider wasmcloud-provider-sdk", 2, "choose another name"),
        ("provider a --contract clock", 2, "vendor"),
        ("provider a --contract example:$(id)", 2, "letters, digits"),
        ("actor a --lang assemblyscript --template kv", 2, "template http only"),
        ("actor a --lang cobol", 2, "rust, assemblyscript"),
        ("actor a --template cobol", 2, "http, kv, empty"),
    ] {
        let (ended, errors) = place.ends(&format!("new {arguments}"));
        assert!(ended == code && errors.contains(expected), "{arguments}: {ended} {errors}");
        assert_eq!(place.names(), ["dangling", "file", "taken"], "{arguments}");
    }
    assert_eq!(std::fs::read_to_string(place.path("file")).unwrap(), "mine");
    assert_eq!(files(&place.path("taken")), [""; 0]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let place = Workplace::new();
    // Nothing can be made in there, by root neither.
    let (ended, errors) = place.ends("new actor a --path /proc/a");
    assert!(ended == 1 && errors.contains("cannot make the project /proc/a"), "{ended} {errors}");
}
