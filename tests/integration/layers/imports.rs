//! The imports of a crate's files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree};

/// A module of a crate, by the names on the way to it. The crate's root has none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Module(Vec<String>);

impl Module {
    pub(super) fn named(names: &[&str]) -> Module {
        Module(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The room that it belongs to; the root belongs to none.
    pub(super) fn room(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    /// Whether it lies within another module.
    pub(super) fn lies_within(&self, other: &Module) -> bool {
        self.0.len() > other.0.len() && self.0.starts_with(&other.0)
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the root") } else { f.write_str(&self.0.join("::")) }
    }
}

/// What the modules of a crate use of each other. What only tests use is left out.
pub(super) struct Imports(BTreeSet<(Module, Module)>);

impl Imports {
    pub(super) fn made_of(edges: impl IntoIterator<Item = (Module, Module)>) -> Imports {
        Imports(edges.into_iter().collect())
    }

    /// Reads the files of a crate.
    pub(super) fn of(folder: &Path) -> Imports {
        let mut files = BTreeMap::new();
        read(folder, &mut Vec::new(), &mut files);
        let modules: BTreeSet<Module> = files.keys().cloned().collect();
        let mut edges = BTreeSet::new();
        for (module, file) in &files {
            let mut reader = Reader { module, modules: &modules, used: BTreeSet::new() };
            reader.visit_file(file);
            edges.extend(reader.used.into_iter().filter(|used| used != module).map(|used| (module.clone(), used)));
        }
        assert!(!edges.is_empty(), "nothing was read from {}", folder.display());
        Imports(edges)
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = (&Module, &Module)> {
        self.0.iter().map(|(from, to)| (from, to))
    }
}

/// Reads the files of a folder, whose modules lie within the one that `names` lead to.
fn read(folder: &Path, names: &mut Vec<String>, files: &mut BTreeMap<Module, syn::File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Files of tests alone.
        if name == "tests" || name.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            names.push(name);
            read(&path, names, files);
            names.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_root = names.is_empty() && ["lib", "main"].contains(&name.as_str());
            let module = Module(names.iter().cloned().chain((!is_root).then_some(name)).collect());
            let text = fs::read_to_string(&path).unwrap();
            files.insert(module, syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
        }
    }
}

/// Reads which modules a file uses.
struct Reader<'a> {
    module: &'a Module,
    modules: &'a BTreeSet<Module>,
    used: BTreeSet<Module>,
}

impl Reader<'_> {
    /// Takes note of the module that a path leads into.
    fn note(&mut self, path: &[String]) {
        let within = &self.module.0;
        let (mut base, mut rest) = match path.first().map(String::as_str) {
            Some("crate") => (Vec::new(), &path[1..]),
            Some("self") => (within.clone(), &path[1..]),
            Some("super") => (within[..within.len().saturating_sub(1)].to_vec(), &path[1..]),
            Some(first) if self.modules.contains(&child(within, first)) => (within.clone(), path),
            _ => return,
        };
        while let [first, others @ ..] = rest
            && first == "super"
        {
            base.pop();
            rest = others;
        }
        for name in rest {
            let next = child(&base, name);
            if !self.modules.contains(&next) {
                break;
            }
            base = next.0;
        }
        self.used.insert(Module(base));
    }

    fn note_tree(&mut self, tree: &UseTree, path: &mut Vec<String>) {
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.note_tree(&step.tree, path);
                path.pop();
            }
            UseTree::Name(name) => self.note_last(name.ident.to_string(), path),
            UseTree::Rename(rename) => self.note_last(rename.ident.to_string(), path),
            UseTree::Glob(_) => self.note(path),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.note_tree(item, path)),
        }
    }

    fn note_last(&mut self, name: String, path: &mut Vec<String>) {
        path.push(name);
        self.note(path);
        path.pop();
    }
}

fn child(base: &[String], name: &str) -> Module {
    Module(base.iter().cloned().chain([name.to_owned()]).collect())
}

/// Whether something is there for tests alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        // The modules of other files are read with those.
        if item.content.is_some() {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.note_tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.first().is_some_and(|first| ["crate", "super", "self"].contains(&first.as_str())) && names.len() > 1 {
            self.note(&names);
        }
        visit::visit_path(self, path);
    }

    // `pub(in path)` uses nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}
